import { createHistogram, type RecordableHistogram } from "node:perf_hooks";
import { type Failure, FAILURES, type Incident, type Latency, type LoadSegment } from "./report";

/** Of each kind, so that many harmless ones do not hide a failure. */
const MOST_INCIDENTS = 10;
const LONGEST_MICROSECONDS = 3_600_000_000;

function latencyHistogram(): RecordableHistogram {
  return createHistogram({ lowest: 1, highest: LONGEST_MICROSECONDS, figures: 2 });
}

/** Adds a duration in milliseconds. */
export function recordMs(histogram: RecordableHistogram, ms: number): void {
  histogram.record(Math.min(LONGEST_MICROSECONDS, Math.max(1, Math.round(ms * 1000))));
}

function latencyOf(histogram: RecordableHistogram): Latency {
  if (histogram.count === 0) return { p50: 0, p95: 0, p99: 0, max: 0 };
  const ms = (percent: number): number => histogram.percentile(percent) / 1000;
  return { p50: ms(50), p95: ms(95), p99: ms(99), max: histogram.max / 1000 };
}

/** Counts one more under a key. */
export function increment(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** Counters between two marks. */
export class Segment {
  endedMs: number | null = null;
  sent = 0;
  ok = 0;
  /** Of {@link Segment.sent}, those that came to an end. */
  ended = 0;
  opened = 0;
  readonly failures = new Map<Failure, number>(FAILURES.map((failure) => [failure, 0]));
  readonly closed = { closedIdle: 0, closedInFlight: 0, closedAnnounced: 0 };
  readonly goaways = new Map<string, number>();
  readonly byColour = new Map<string, number>();
  readonly byVersion = new Map<string, number>();
  readonly moves = new Map<string, number>();
  /** Number of the colour that answered each user last in this segment; 0 is none. */
  readonly colourOfUser: Uint8Array;
  readonly latency = latencyHistogram();
  readonly service = latencyHistogram();
  readonly incidents: Incident[] = [];

  constructor(
    readonly label: string,
    public startedMs: number,
    users: number,
  ) {
    this.colourOfUser = new Uint8Array(users);
  }

  /** Keeps the first few incidents of each kind for the reader. */
  note(incident: Incident): void {
    const alike = this.incidents.filter(({ kind }) => kind === incident.kind);
    if (alike.length < MOST_INCIDENTS) this.incidents.push(incident);
  }

  /** Plain data of the counters; `colours` names the numbers in {@link Segment.colourOfUser}. */
  snapshot(now: number, colours: readonly string[]): LoadSegment {
    const users = new Map<string, number>();
    for (const colour of this.colourOfUser) if (colour > 0) increment(users, colours[colour] ?? "");
    return {
      label: this.label,
      startedAtMs: this.startedMs,
      endedAtMs: this.endedMs ?? now,
      sent: this.sent,
      ok: this.ok,
      failed: [...this.failures.values()].reduce((sum, count) => sum + count, 0),
      failures: Object.fromEntries(this.failures) as Record<Failure, number>,
      inFlight: this.sent - this.ended,
      connections: { opened: this.opened, ...this.closed, goaways: Object.fromEntries(this.goaways) },
      answers: { byColour: Object.fromEntries(this.byColour), byVersion: Object.fromEntries(this.byVersion) },
      users: { byColour: Object.fromEntries(users), moves: Object.fromEntries(this.moves) },
      latencyMs: latencyOf(this.latency),
      serviceMs: latencyOf(this.service),
      incidents: this.incidents,
    };
  }
}
