import { waitUntil } from "../conductor/system/wait";
import type { ApiFailure } from "./api-failure";
import type { Complaints } from "./complaints";
import { measure, type Sources } from "./figures/measure";
import type { MonitoringSettings, MonitoringStatus } from "./protocol";
import type { Publisher } from "./publisher";
import { endNear, untilNext } from "./schedule";
import type { Spool } from "./spool";

/** Ships logs; see `logs/shipper.ts`. */
export interface LogShipper {
  /** Finds out whether logs can be shipped. Returns why not; null where they can. */
  prepare(): Promise<ApiFailure | null>;
  /** Ships what was written since the last time. Never rejects. */
  ship(): Promise<void>;
}

/** What a {@link Monitor} works with. */
export interface MonitorParts {
  readonly intervalSeconds: number;
  /** See {@link MonitoringSettings}; absent where nobody wants them. */
  readonly payments?: MonitoringSettings["payments"] | undefined;
  readonly sources: Sources;
  readonly spool: Spool;
  readonly publisher: Publisher;
  readonly shipper: LogShipper;
  readonly complaints: Complaints;
  readonly now: () => number;
  /** Tells the conductor how it goes. */
  readonly tell: (status: MonitoringStatus) => void;
}

/** How long a right that is missing is waited for, and how often it is tried again: IAM tells all of AWS within some seconds, mostly. */
const PATIENCE: { readonly deadlineMs: number; readonly everyMs: number } = {
  deadlineMs: 120_000,
  everyMs: 3000,
};

/** Measures at the end of each interval. Publishing and shipping go on beside it: an API that is slow makes no gap. */
export class Monitor {
  private publishing: Promise<ApiFailure | null> | null = null;
  private shipping: Promise<void> | null = null;

  constructor(private readonly parts: MonitorParts) {}

  /**
   * Measures and publishes at once, and sees whether logs can be shipped. A right that is missing is waited for, a while: what a
   * role was given a moment ago is not known everywhere at once.
   * @param tell Told, once, what is waited for.
   * @returns why not, in words; null where the APIs took everything
   */
  async firstTry(tell: (waitingFor: string) => void, patience = PATIENCE): Promise<string | null> {
    await this.measure(this.parts.now());
    let failure: ApiFailure | null = null;
    let told = false;
    await waitUntil(patience.deadlineMs, patience.everyMs, async () => {
      const published = await this.publish();
      const prepared = await this.parts.shipper.prepare();
      failure = published ?? prepared;
      if (failure?.denied !== true) return true;
      if (!told) tell(failure.reason);
      told = true;
      return false;
    });
    return (failure as ApiFailure | null)?.reason ?? null;
  }

  /** Measures for ever, once an interval. */
  async run(pause: (milliseconds: number) => Promise<void>): Promise<never> {
    const length = this.parts.intervalSeconds * 1000;
    let last: number | null = null;
    for (;;) {
      void this.ship();
      await pause(untilNext(this.parts.now(), length));
      const at = endNear(this.parts.now(), length);
      // A pause that took too long may have ended nearer to the end to come than to its own: that one has its values already.
      if (at === last) continue;
      last = at;
      await this.measure(at);
      void this.publish();
    }
  }

  /** Measures the interval that ends at `at`, and keeps it. */
  async measure(at: number): Promise<void> {
    const { sources, spool, complaints, intervalSeconds, payments } = this.parts;
    const { interval, baseline } = await measure(
      sources,
      { at, before: spool.baseline, intervalSeconds, payments },
      complaints,
    );
    await spool.add(interval, baseline);
  }

  /** Publishes what waits, unless that is under way. */
  publish(): Promise<ApiFailure | null> {
    this.publishing ??= this.parts.publisher
      .publish()
      .catch((error: unknown) => {
        // Nothing of an API's: the disk's.
        const { message } = error as Error;
        this.parts.complaints.begin("publishing", message);
        return { reason: message, kind: "disk", refused: false, denied: false };
      })
      .finally(() => {
        this.publishing = null;
        this.parts.tell(this.status);
      });
    return this.publishing;
  }

  /** Ships logs, unless that is under way. */
  ship(): Promise<void> {
    this.shipping ??= this.parts.shipper.ship().finally(() => (this.shipping = null));
    return this.shipping;
  }

  get status(): MonitoringStatus {
    const { publisher, spool, complaints } = this.parts;
    return {
      lastPublished: publisher.lastPublished?.toISOString() ?? null,
      pending: spool.pending,
      dropped: spool.dropped,
      lastFailure: complaints.current,
    };
  }
}
