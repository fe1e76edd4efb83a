import { monotonicNow } from "./clock";
import { CookieJar } from "./cookies";
import { dialer } from "./dial";
import { Http1Lane } from "./http1";
import { Http2Lane } from "./http2";
import type { Lane, LaneContext } from "./lane";
import type { LoadPlan } from "./options";
import { Recorder } from "./recorder";
import type { LoadReport, LoadSegment } from "./report";

/** Node's timers have no finer grain. */
const TICK_MS = 1;
/** Handshakes at a time before the run; a listen queue is short. */
const PARALLEL_DIALS = 16;

/**
 * Sends request `n` at `start + n / rate`, whatever became of the ones before: a slow server makes requests late, and
 * their latency counts from when they were due; it does not make them fewer.
 */
export class Generator {
  private readonly lanes: readonly Lane[];
  private readonly recorder: Recorder;
  private readonly pending = new Set<{ readonly holds: () => boolean; readonly resolve: () => void }>();
  private timer: NodeJS.Timeout | undefined;
  private startedMs = 0;
  private cpuAtStart = process.cpuUsage();
  private submitted = 0;
  private latestMs = 0;
  private stopping = false;
  private report: Promise<LoadReport> | undefined;

  constructor(private readonly plan: LoadPlan) {
    this.recorder = new Recorder(plan.users, plan.remember, monotonicNow);
    const context: LaneContext = {
      plan,
      recorder: this.recorder,
      dial: dialer(plan),
      jars: plan.cookies === "keep" ? Array.from({ length: plan.users }, () => new CookieJar()) : [],
      body: Buffer.alloc(plan.bodyBytes, "x"),
    };
    this.lanes = Array.from({ length: plan.connections }, () =>
      plan.protocol === "http2" ? new Http2Lane(context) : new Http1Lane(context),
    );
  }

  /** Makes all connections, then begins to send. Rejects where a connection cannot be made. */
  async start(): Promise<void> {
    try {
      for (let first = 0; first < this.lanes.length; first += PARALLEL_DIALS) {
        await Promise.all(this.lanes.slice(first, first + PARALLEL_DIALS).map((lane) => lane.open()));
      }
    } catch (error) {
      for (const lane of this.lanes) lane.close();
      throw new Error(
        `load: cannot connect to ${this.plan.address} port ${this.plan.port}: ${String(error)}`,
        { cause: error },
      );
    }
    this.recorder.start();
    this.cpuAtStart = process.cpuUsage();
    this.startedMs = monotonicNow();
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  /** Starts the next segment. */
  mark(label: string): void {
    this.recorder.mark(label);
  }

  /** The segment at hand, so far. */
  snapshot(): LoadSegment {
    return this.recorder.snapshot();
  }

  /** Resolves when `count` requests that were sent from now on have ended, and all that were sent before. */
  async afterRequests(count: number): Promise<void> {
    const target = this.recorder.attempted + count;
    await this.until(() => this.recorder.attempted >= target);
    await this.settle();
  }

  /** See {@link Recorder.lastSentTo}; waits for the answers to what has been sent, so that none is missed. */
  async lastSentTo(release: string, sinceMs: number): Promise<number | null> {
    await this.settle();
    return this.recorder.lastSentTo(release, sinceMs);
  }

  /** Sends no more, waits for the answers that are under way, closes the connections. Later calls change nothing. */
  stop(): Promise<LoadReport> {
    return (this.report ??= this.finish());
  }

  private async finish(): Promise<LoadReport> {
    const cores = this.coresUsed();
    this.stopping = true;
    const unsent = this.lanes.reduce((sum, lane) => sum + lane.waiting, 0);
    for (const lane of this.lanes) lane.forget();
    await this.settle();
    clearInterval(this.timer);
    for (const lane of this.lanes) lane.close();
    return { ...this.recorder.report(), unsent, client: { cores, latestMs: this.latestMs } };
  }

  private coresUsed(): number {
    const { user, system } = process.cpuUsage(this.cpuAtStart);
    return (user + system) / 1000 / (monotonicNow() - this.startedMs);
  }

  /** Resolves when every request that has been sent by now has ended. */
  private settle(): Promise<void> {
    const underWay = this.recorder.underWay();
    return this.until(() => underWay.every((exchange) => exchange.over));
  }

  private until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => this.pending.add({ holds, resolve }));
  }

  private tick(): void {
    const now = monotonicNow();
    if (!this.stopping) this.submitDue(now);
    for (const condition of this.pending) {
      if (!condition.holds()) continue;
      this.pending.delete(condition);
      condition.resolve();
    }
  }

  private submitDue(now: number): void {
    const { rate, users } = this.plan;
    const due = Math.floor(((now - this.startedMs) * rate) / 1000);
    for (; this.submitted < due; this.submitted += 1) {
      const dueMs = this.startedMs + ((this.submitted + 1) * 1000) / rate;
      this.latestMs = Math.max(this.latestMs, now - dueMs);
      const user = this.submitted % users;
      this.lanes[user % this.lanes.length]?.submit({ user, dueMs });
    }
  }
}
