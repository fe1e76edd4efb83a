import type {
  MonitoringAct,
  MonitoringResult,
  MonitoringSettings,
  MonitoringStatus,
} from "../../monitoring/protocol";
import type { MonitoringStore } from "../../monitoring/state";
import { ActQueue, type Progress } from "../act-queue";
import { Failed } from "../faults";
import type { PublisherEvents, RunningPublisher, StartPublisher } from "./publisher-process";

/** Waits before a publisher that ended is started again, in milliseconds: the first, and the longest. */
const FIRST_REST_MS = 1000;
const LONGEST_REST_MS = 60_000;

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

  constructor(
    private readonly startPublisher: StartPublisher,
    private readonly store: Pick<MonitoringStore, "settings" | "keep" | "forget">,
    private readonly log: (line: string) => void,
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
  take({ act, settings }: MonitoringAct, progress: Progress): Promise<MonitoringResult> {
    return this.queue.take(act, { act, settings }, progress, async (tell) => {
      const before = await this.store.settings();
      await this.stop();
      if (settings === null) {
        await this.store.forget();
        return { publishing: false };
      }
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
        if (before !== null) this.start(before);
        throw new Failed(`nothing can be published: ${fault}`);
      }
      await this.store.keep(settings);
      return { publishing: true };
    });
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
      onStatus: (status) => (this.told = status),
      onEnd: (how) => {
        const reason = `the publisher ${how}`;
        this.running = null;
        act?.onFirstTry(reason);
        this.restart(settings, reason);
      },
      log: (line) => this.log(`monitoring: ${line}`),
    });
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
