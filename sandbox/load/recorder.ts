import type { Failure, LoadSegment } from "./report";
import { increment, recordMs, Segment } from "./segment";

/** A request that is due: its number in the run says whose it is and when it was due. */
export interface DueRequest {
  readonly user: number;
  /** On the clock of `monotonicNow`, in milliseconds. */
  readonly dueMs: number;
}

/** A request under way. Exactly one of the recorder's `answered` and `failed` ends it. */
export interface Exchange extends DueRequest {
  readonly sentMs: number;
  readonly segment: Segment;
  /** Whether it has ended. */
  over: boolean;
}

/** Who gave an answer. */
export interface Identity {
  readonly colour: string;
  readonly version: string;
}

/** Origins are remembered in one byte, and 0 says that there is none. */
const MOST_NAMES = 255;

/** Numbers small strings, from 1, so that a byte can stand for one. */
class Names {
  private readonly numbers = new Map<string, number>();
  readonly all: string[] = [""];

  numberOf(name: string): number {
    const known = this.numbers.get(name);
    if (known !== undefined) return known;
    if (this.all.length > MOST_NAMES) {
      throw new Error(`more than ${MOST_NAMES} different answers, the last of them ${JSON.stringify(name)}`);
    }
    this.numbers.set(name, this.all.length);
    return this.all.push(name) - 1;
  }
}

/**
 * Counts what happens, twice: in the segment at hand and in the whole run. Each answer's sending time and origin go
 * into a ring, nine bytes an answer.
 */
export class Recorder {
  private readonly total: Segment;
  private readonly segments: Segment[] = [];
  private readonly colours = new Names();
  private readonly origins = new Names();
  private readonly ringSentMs: Float64Array;
  private readonly ringOrigin: Uint8Array;
  private ringCount = 0;
  private readonly colourOfUser: Uint8Array;
  private readonly exchanges = new Set<Exchange>();

  constructor(
    private readonly users: number,
    remember: number,
    private readonly now: () => number,
  ) {
    this.total = new Segment("total", now(), users);
    this.ringSentMs = new Float64Array(remember);
    this.ringOrigin = new Uint8Array(remember);
    this.colourOfUser = new Uint8Array(users);
    this.mark("start");
  }

  /** Starts the next segment. */
  mark(label: string): void {
    const now = this.now();
    const last = this.segments.at(-1);
    if (last !== undefined) last.endedMs = now;
    this.segments.push(new Segment(label, now, this.users));
  }

  private get current(): Segment {
    return this.segments[this.segments.length - 1] as Segment;
  }

  /** Sending begins: what came before was making connections. */
  start(): void {
    const now = this.now();
    this.total.startedMs = now;
    this.current.startedMs = now;
  }

  /** Requests that were sent, or could not be for want of a connection, since the start. */
  get attempted(): number {
    return this.total.sent + (this.total.failures.get("connect") ?? 0);
  }

  /** Requests that were sent and have no end yet. */
  underWay(): readonly Exchange[] {
    return [...this.exchanges];
  }

  /** A request was written to a connection. */
  begin(request: DueRequest): Exchange {
    const segment = this.current;
    segment.sent += 1;
    this.total.sent += 1;
    const exchange = { user: request.user, dueMs: request.dueMs, sentMs: this.now(), segment, over: false };
    this.exchanges.add(exchange);
    return exchange;
  }

  private end(exchange: Exchange): void {
    if (exchange.over) throw new Error("a request ended twice: the load client counts wrongly");
    exchange.over = true;
    this.exchanges.delete(exchange);
  }

  /** A right answer came; `identity` is null where answers carry none. */
  answered(exchange: Exchange, identity: Identity | null): void {
    const now = this.now();
    this.end(exchange);
    for (const segment of [exchange.segment, this.total]) {
      segment.ok += 1;
      segment.ended += 1;
      recordMs(segment.latency, now - exchange.dueMs);
      recordMs(segment.service, now - exchange.sentMs);
      if (identity !== null) {
        increment(segment.byColour, identity.colour);
        increment(segment.byVersion, identity.version);
      }
    }
    if (identity !== null) this.remember(exchange, identity);
  }

  private remember(exchange: Exchange, { colour, version }: Identity): void {
    const slot = this.ringCount % this.ringSentMs.length;
    this.ringSentMs[slot] = exchange.sentMs;
    this.ringOrigin[slot] = this.origins.numberOf(JSON.stringify([colour, version]));
    this.ringCount += 1;

    const number = this.colours.numberOf(colour);
    const before = this.colourOfUser[exchange.user] ?? 0;
    this.colourOfUser[exchange.user] = number;
    for (const segment of [exchange.segment, this.total]) {
      segment.colourOfUser[exchange.user] = number;
      if (before !== 0 && before !== number)
        increment(segment.moves, `${this.colours.all[before]}>${colour}`);
    }
  }

  /** A request that was sent failed. */
  failed(exchange: Exchange, failure: Failure, detail: string): void {
    this.end(exchange);
    for (const segment of [exchange.segment, this.total]) {
      segment.ended += 1;
      segment.failures.set(failure, (segment.failures.get(failure) ?? 0) + 1);
      segment.note({ atMs: this.now(), kind: failure, detail });
    }
  }

  /** A request could not be sent, for want of a connection. */
  notSent(detail: string): void {
    for (const segment of [this.current, this.total]) {
      segment.failures.set("connect", (segment.failures.get("connect") ?? 0) + 1);
      segment.note({ atMs: this.now(), kind: "connect", detail });
    }
  }

  /** A connection was made. */
  opened(): void {
    this.current.opened += 1;
    this.total.opened += 1;
  }

  /** The server closed a connection. */
  closed(kind: "closedIdle" | "closedInFlight" | "closedAnnounced", detail: string): void {
    for (const segment of [this.current, this.total]) {
      segment.closed[kind] += 1;
      segment.note({ atMs: this.now(), kind, detail });
    }
  }

  /** The server announced the end of an HTTP/2 session. */
  goaway(code: string): void {
    for (const segment of [this.current, this.total]) {
      increment(segment.goaways, code);
      segment.note({ atMs: this.now(), kind: "goaway", detail: code });
    }
  }

  /**
   * When the last request was sent that a version, or a colour, answered.
   * @param release a version or a colour
   * @param sinceMs requests sent before this moment do not count
   * @returns null where it answered none of them
   * @throws Error where requests sent since then have been forgotten
   */
  lastSentTo(release: string, sinceMs: number): number | null {
    const size = this.ringSentMs.length;
    if (this.ringCount > size && sinceMs < (this.ringSentMs[this.ringCount % size] ?? 0)) {
      throw new Error(
        `lastSentTo: only the last ${size} answers are remembered; raise "remember" in the load's options`,
      );
    }
    const wanted = this.origins.all.map(
      (origin) => origin !== "" && (JSON.parse(origin) as string[]).includes(release),
    );
    let last = -Infinity;
    for (let slot = 0; slot < Math.min(this.ringCount, size); slot += 1) {
      const sentMs = this.ringSentMs[slot] ?? 0;
      if (sentMs >= sinceMs && sentMs > last && wanted[this.ringOrigin[slot] ?? 0] === true) last = sentMs;
    }
    return last === -Infinity ? null : last;
  }

  /** The segment at hand, so far. */
  snapshot(): LoadSegment {
    return this.current.snapshot(this.now(), this.colours.all);
  }

  /** Everything, so far. */
  report(): { total: LoadSegment; segments: LoadSegment[] } {
    const now = this.now();
    return {
      total: this.total.snapshot(now, this.colours.all),
      segments: this.segments.map((segment) => segment.snapshot(now, this.colours.all)),
    };
  }
}
