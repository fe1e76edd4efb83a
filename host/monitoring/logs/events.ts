/** A line on its way to CloudWatch. */
export interface LogEvent<P> {
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  readonly message: string;
  /** Where its log goes on behind it. */
  readonly position: P;
}

/** What CloudWatch Logs takes in one request: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html */
export const LIMITS = {
  events: 10_000,
  bytes: 1_048_576,
  /** What each event counts beside its message. */
  eventBytes: 26,
  spanMs: 24 * 3600 * 1000,
  oldestMs: 14 * 24 * 3600 * 1000,
  newestMs: 2 * 3600 * 1000,
} as const;

/** Longest message, in bytes: an event's limit of older regions. */
const MESSAGE_BYTES = 256 * 1024 - LIMITS.eventBytes;

/**
 * Makes events fit for the API, in the order of their log: a time that goes back is the one before, and one that is not
 * in its range is at its edge. An empty line is no event.
 */
export function fit<P>(events: readonly LogEvent<P>[], now: number): LogEvent<P>[] {
  // A minute of room: between this and the API's look at it time passes.
  const oldest = now - LIMITS.oldestMs + 60_000;
  let last = oldest;
  return events
    .filter(({ message }) => message.trim() !== "")
    .map((event) => {
      last = Math.max(last, Math.min(event.timestamp, now));
      return { ...event, timestamp: last, message: cut(event.message) };
    });
}

function cut(message: string): string {
  if (Buffer.byteLength(message) <= MESSAGE_BYTES) return message;
  // A character that is cut in two would be longer than it was.
  return Buffer.from(message)
    .toString("utf8", 0, MESSAGE_BYTES - 3)
    .replace(/\uFFFD$/, "");
}

/** Divides events that {@link fit} into what the API takes at once, in order. */
export function batchesOf<P>(events: readonly LogEvent<P>[]): LogEvent<P>[][] {
  const batches: LogEvent<P>[][] = [];
  let batch: LogEvent<P>[] = [];
  let bytes = 0;
  for (const event of events) {
    const size = Buffer.byteLength(event.message) + LIMITS.eventBytes;
    const span = event.timestamp - (batch[0]?.timestamp ?? event.timestamp);
    if (batch.length === LIMITS.events || bytes + size > LIMITS.bytes || span >= LIMITS.spanMs) {
      batches.push(batch);
      batch = [];
      bytes = 0;
    }
    batch.push(event);
    bytes += size;
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}
