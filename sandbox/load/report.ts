/** Ways in which a request can fail. Every failed request is counted under exactly one. */
export const FAILURES = [
  /** No connection could be made; the request was never sent. */
  "connect",
  /** The connection ended before the first byte of the answer. */
  "closed",
  /** The connection ended within the answer. */
  "truncated",
  /** HTTP/2: the server said that it did not process the request (REFUSED_STREAM, or a GOAWAY before it). */
  "refused",
  /** HTTP/2: the server ended the stream with another error. */
  "reset",
  /** No complete answer within `timeoutMs` of sending. */
  "timeout",
  /** Something came that is no answer. */
  "malformed",
  "status3xx",
  "status4xx",
  /** 503 as the front door answers while the site is closed: with Retry-After, and JSON that says so where JSON is asked for. */
  "maintenance",
  "status5xx",
  /** A 2xx whose body is not what was asked for. */
  "badBody",
] as const;

/** One of {@link FAILURES}. */
export type Failure = (typeof FAILURES)[number];

/** A latency distribution in milliseconds, each value within one percent. */
export interface Latency {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** One failed request, or one connection that the server closed, for the reader. */
export interface Incident {
  /** On the clock of `monotonicNow`, in milliseconds. */
  readonly atMs: number;
  readonly kind: Failure | "closedIdle" | "closedInFlight" | "closedAnnounced" | "goaway";
  readonly detail: string;
}

/** What happened between two marks. A request belongs to the segment in which it was sent. */
export interface LoadSegment {
  readonly label: string;
  /** On the clock of `monotonicNow`, in milliseconds. */
  readonly startedAtMs: number;
  /** End of the segment, or the moment of the snapshot, in milliseconds. */
  readonly endedAtMs: number;
  /** Requests that were written to a connection: `ok + failed - failures.connect + inFlight`. */
  readonly sent: number;
  /** Answers that were complete and right. */
  readonly ok: number;
  /** Failed requests of every class together. */
  readonly failed: number;
  readonly failures: Readonly<Record<Failure, number>>;
  /** Requests that were sent and had no end yet when the snapshot was taken. */
  readonly inFlight: number;
  readonly connections: {
    /** Connections made, those before the first request included. */
    readonly opened: number;
    /** Closed by the server while no request was under way. */
    readonly closedIdle: number;
    /** Closed by the server while a request was under way. */
    readonly closedInFlight: number;
    /** HTTP/1.1: closed after an answer with `Connection: close`. */
    readonly closedAnnounced: number;
    /** HTTP/2 sessions that a GOAWAY ended, by the name of its error code. */
    readonly goaways: Readonly<Record<string, number>>;
  };
  /** Right answers by the colour and by the version that gave them. */
  readonly answers: {
    readonly byColour: Readonly<Record<string, number>>;
    readonly byVersion: Readonly<Record<string, number>>;
  };
  readonly users: {
    /** Users by the colour that answered them last in this segment. */
    readonly byColour: Readonly<Record<string, number>>;
    /** Users' changes of colour, keyed `blue>green`. */
    readonly moves: Readonly<Record<string, number>>;
  };
  /** Wait of right answers from the moment the request was due, so that a stalled server is not flattered. */
  readonly latencyMs: Latency;
  /** Wait of right answers from the moment the request was sent. */
  readonly serviceMs: Latency;
  /** The first few of each kind. */
  readonly incidents: readonly Incident[];
}

/** The result of a whole run. */
export interface LoadReport {
  readonly total: LoadSegment;
  readonly segments: readonly LoadSegment[];
  /** Requests that were due before the end of the run and never sent, since their connection was busy. */
  readonly unsent: number;
  readonly client: {
    /** CPU time of the load process during the run, as a share of one core. */
    readonly cores: number;
    /** The latest that the client itself was with a request whose connection was free, in milliseconds. */
    readonly latestMs: number;
  };
}

/** Connections that the server ended without a word: those a client may lose a request on. */
export function unannouncedCloses(segment: LoadSegment): number {
  return segment.connections.closedIdle + segment.connections.closedInFlight;
}

function counts(record: Readonly<Record<string, number>>): string {
  const entries = Object.entries(record).filter(([, count]) => count > 0);
  return entries.map(([name, count]) => `${name} ${count}`).join(", ");
}

function shares(segment: LoadSegment): string {
  const all = Object.values(segment.answers.byColour).reduce((sum, count) => sum + count, 0);
  const parts = Object.entries(segment.answers.byColour).map(
    ([colour, count]) => `${colour} ${((100 * count) / all).toFixed(1)}%`,
  );
  return parts.join(" ") || "-";
}

function row(segment: LoadSegment): string[] {
  const { latencyMs, connections } = segment;
  const goaways = Object.values(connections.goaways).reduce((sum, count) => sum + count, 0);
  return [
    segment.label,
    ((segment.endedAtMs - segment.startedAtMs) / 1000).toFixed(1),
    String(segment.sent),
    String(segment.failed),
    shares(segment),
    [latencyMs.p50, latencyMs.p95, latencyMs.p99, latencyMs.max].map((value) => value.toFixed(1)).join("/"),
    `${connections.closedIdle}/${connections.closedInFlight}/${connections.closedAnnounced}`,
    String(goaways),
  ];
}

const HEADINGS = [
  "segment",
  "s",
  "sent",
  "failed",
  "answered by",
  "ms p50/p95/p99/max",
  "closed i/f/a",
  "goaway",
];

/** Columns padded to equal width; the first and the fifth are text, the others numbers. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        column === 0 || column === 4 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd();
  return rows.map(line).join("\n");
}

/**
 * Renders a report for a terminal: a line a segment, the total, and what went wrong. `closed i/f/a` are connections
 * that the server closed idle, with a request in flight, and as announced.
 */
export function formatReport(report: LoadReport): string {
  const { total, segments, unsent, client } = report;
  // Before the first mark there may have been no time for a request.
  const shown = segments.filter((segment) => segment.sent > 0 || segment.failed > 0);
  const lines = [table([HEADINGS, ...shown.map(row), row({ ...total, label: "total" })])];
  if (total.failed > 0) lines.push(`failed: ${counts(total.failures)}`);
  if (unsent > 0) lines.push(`never sent, since their connection was busy: ${unsent}`);
  for (const { kind, detail, atMs } of total.incidents) {
    lines.push(`  ${((atMs - total.startedAtMs) / 1000).toFixed(3)} s  ${kind}: ${detail}`);
  }
  lines.push(
    `load client: ${(100 * client.cores).toFixed(0)}% of a core, at most ${client.latestMs.toFixed(1)} ms late`,
  );
  return lines.join("\n");
}
