import type {
  MonitoringAct,
  MonitoringResult,
  MonitoringSettings,
  MonitoringStatus,
} from "../../monitoring/protocol";
import type { MonitoringStore } from "../../monitoring/state";
import { ActQueue, type Progress } from "../act-queue";
import { Failed } from "../faults";
import { waitUntil } from "../system/wait";
import type { PublisherEvents, RunningPublisher, StartPublisher } from "./publisher-process";

/** Waits before a publisher that ended is started again, in milliseconds: the first, and the longest. */
const FIRST_REST_MS = 1000;
const LONGEST_REST_MS = 60_000;

/** Longest wait for values that alarms find, in milliseconds: who publishes that rarely is not waited for. */
const LONGEST_SIGHT_MS = 600_000;
const SIGHT_EVERY_MS = 200;

/** Nothing was told yet. */
const SILENT: MonitoringStatus = { lastPublished: null, pending: 0, dropped: 0, lastFailure: null };

/**
 * Keeps a publisher running where one is wanted. Its acts wait for nobody else's, and nobody for them: a publisher that
 * cannot be had is told, and changes nothing of what serves.
 */
export class MonitoringKeeper {
  private readonly queue = new ActQueue();
  private running: RunningPublisher | null = null;
  private told: MonitoringStatus | null = null;
  private restMs = FIRST_REST_MS;
  private rest: NodeJS.Timeout | undefined;
  /** Where values go that nobody had published there before; null for nowhere. */
  private newPlace: string | null = null;
  /** When the first set of values was taken there. */
  private firstTaken: string | null = null;
  /** Since when a whole set is there, by `performance.now()`: the first one lacks what is counted between two looks. */
  private wholeSince: number | null = null;

  constructor(
    private readonly startPublisher: StartPublisher,
    private readonly store: Pick<MonitoringStore, "settings" | "keep" | "forget">,
    private readonly log: (line: string) => void,
    private readonly longestSightMs = LONGEST_SIGHT_MS,
  ) {}

  /** How publishing goes; null where the host does not publish. */
  get status(): MonitoringStatus | null {
    return this.told;
  }

  /** Starts what was asked for before this conductor. Its fault is told, not thrown. */
  async recover(): Promise<void> {
    try {
      await this.queue.run(async () => {
        const settings = await this.store.settings();
        if (settings !== null && this.running === null) this.start(settings);
      });
    } catch (error) {
      this.log(`monitoring: ${(error as Error).message}`);
    }
  }

  /**
   * Publishes by other settings, or no more. Settings by which nothing can be published are not kept: the host goes on by
   * those that it had.
   * @throws Failed with what the API answered
   */
  async take(
    { act, settings, seenForSeconds }: MonitoringAct,
    progress: Progress,
  ): Promise<MonitoringResult> {
    const result = await this.queue.take(act, { act, settings }, progress, async (tell) => {
      const before = await this.store.settings();
      await this.stop();
      if (settings === null) {
        this.newPlace = null;
        await this.store.forget();
        return { publishing: false };
      }
      if (before === null || placeOf(before) !== placeOf(settings)) this.expectAt(placeOf(settings));
      tell(`publishing a first set of values in ${settings.region}, as ${settings.namespace}`);
      const fault = await new Promise<string | null>((resolve) => {
        this.start(settings, {
          onFirstTry: resolve,
          onWaiting: (waitingFor) =>
            tell(`waiting up to two minutes for rights to be known that may be new: ${waitingFor}`),
        });
      });
      if (fault !== null) {
        await this.stop();
        this.newPlace = null;
        if (before !== null) this.start(before);
        throw new Failed(`nothing can be published: ${fault}`);
      }
      await this.store.keep(settings);
      return { publishing: true };
    });
    // No other act waits for this: it changes nothing.
    if (result.publishing && seenForSeconds !== undefined) await this.waitForSight(seenForSeconds, progress);
    return result;
  }

  /** Waits until alarms can find a whole set of values where there was none, or until nobody wants any there. */
  private async waitForSight(seconds: number, progress: Progress): Promise<void> {
    const { newPlace } = this;
    const isSeen = (): boolean =>
      this.wholeSince !== null && performance.now() - this.wholeSince >= seconds * 1000;
    // What alarms have found before is not waited for: an `up` may be the way back.
    if (newPlace === null || isSeen()) return;
    progress(`waiting until alarms find a whole set of values, ${String(seconds)} s after it was taken`);
    const seen = await waitUntil(this.longestSightMs, SIGHT_EVERY_MS, () =>
      Promise.resolve(this.newPlace !== newPlace || isSeen()),
    );
    if (!seen) progress("alarms find no whole set of values yet: those that tell of silence may do so once");
  }

  /** @param act Told once whether the API took a first set (null for yes), and before that what is waited for. */
  private start(settings: MonitoringSettings, act?: Pick<PublisherEvents, "onFirstTry" | "onWaiting">): void {
    this.told = SILENT;
    this.running = this.startPublisher(settings, {
      onFirstTry: (fault) => {
        if (fault === null) this.restMs = FIRST_REST_MS;
        act?.onFirstTry(fault);
      },
      onWaiting: (waitingFor) => act?.onWaiting(waitingFor),
      onStatus: (status) => {
        this.told = status;
        this.see(status);
      },
      onEnd: (how) => {
        const reason = `the publisher ${how}`;
        this.running = null;
        act?.onFirstTry(reason);
        this.restart(settings, reason);
      },
      log: (line) => this.log(`monitoring: ${line}`),
    });
  }

  private expectAt(place: string): void {
    this.newPlace = place;
    this.firstTaken = null;
    this.wholeSince = null;
  }

  private see({ lastPublished }: MonitoringStatus): void {
    if (lastPublished === null || lastPublished === this.firstTaken) return;
    if (this.firstTaken === null) this.firstTaken = lastPublished;
    else this.wholeSince ??= performance.now();
  }

  private restart(settings: MonitoringSettings, reason: string): void {
    this.log(`monitoring: ${reason}; it is started again in ${String(this.restMs / 1000)} s`);
    this.told = {
      ...(this.told ?? SILENT),
      lastFailure: { at: new Date().toISOString(), reason },
    };
    this.rest = setTimeout(() => this.start(settings), this.restMs);
    this.restMs = Math.min(LONGEST_REST_MS, this.restMs * 2);
  }

  private async stop(): Promise<void> {
    clearTimeout(this.rest);
    await this.running?.stop();
    this.running = null;
    this.told = null;
  }
}

/** Where values are looked for: in a place that is another, alarms find none yet. */
function placeOf({ namespace, stack, region, endpoint }: MonitoringSettings): string {
  return JSON.stringify([namespace, stack, region, endpoint]);
}
