import { isDeepStrictEqual } from "node:util";
import type { DatabaseActs, DatabaseResult } from "../../database/protocol";
import type { DatabaseState, DatabaseStore } from "../../database/state";
import { ActQueue, type Progress } from "../act-queue";
import { COLOURS } from "../protocol";
import type { Site } from "../site";
import { readIfThere, removeDurably, writeDurably } from "../system/durable-file";
import type { DatabaseWorker, SiteDoor } from "./worker-process";

/** Opens and closes the site, as the act `maintenance` does. */
export interface Maintenance {
  readonly isClosed: boolean;
  set(closed: boolean): Promise<void>;
}

/**
 * The acts about the database, in a lane of their own: traffic waits for no dump. Where one keeps users out, that is
 * written down first, so that whatever dies meanwhile, they are let in again.
 */
export class DatabaseJobs {
  private readonly queue = new ActQueue();

  /** @param mark File that is there while the site is closed for one of these acts. */
  constructor(
    private readonly worker: DatabaseWorker,
    private readonly store: Pick<DatabaseStore, "state" | "writeSettings">,
    private readonly mark: string,
  ) {}

  /** Name of the act under way; null for none. */
  get underWay(): string | null {
    return this.queue.underWay;
  }

  /** What the host knows of the database. */
  state(): Promise<DatabaseState> {
    return this.store.state();
  }

  /**
   * Carries an act out, after those that came before; `database-status` waits for nobody.
   * @throws Refused, Failed
   */
  take(act: DatabaseActs, site: () => Site, maintenance: Maintenance, progress: Progress): Promise<unknown> {
    const ask = (tell: Progress): Promise<unknown> => {
      const holdContract = whyContractsWait(site());
      return this.worker.take(act, { holdContract, door: this.doorOf(maintenance), progress: tell });
    };
    // Beside an act that keeps users out: when it ends, they stay out.
    if (act.act === "database-status") return ask(progress);
    const carryOut = async (tell: Progress): Promise<unknown> => {
      if (act.act === "database" && act.database === null) return this.forget();
      try {
        return await ask(tell);
      } finally {
        // A worker that died could not do it.
        await this.openAgain(maintenance);
      }
    };
    return this.queue.take(act.act, act, progress, carryOut);
  }

  /**
   * Lets users in again where the conductor died while an act about the database kept them out. An act that is sent meanwhile, again or
   * anew, waits: it would be opened to users in the middle.
   * @param routed Resolves when the front door has the route of before.
   */
  async recover(maintenance: Maintenance, log: Progress, routed: Promise<unknown>): Promise<void> {
    await this.queue.run(async () => {
      await routed;
      if (await this.openAgain(maintenance)) log("a restore was cut short; the site was opened again");
    });
  }

  /** Opens the site if an act about the database closed it. Returns whether one did. */
  private async openAgain(maintenance: Maintenance): Promise<boolean> {
    if ((await readIfThere(this.mark)) === null) return false;
    await maintenance.set(false);
    await removeDurably(this.mark);
    return true;
  }

  /** What an `up` would bring now; null where nothing waits. */
  async drift(site: Site): Promise<string | null> {
    const { waiting } = await this.store.state();
    if (waiting.length === 0 || whyContractsWait(site) !== null) return null;
    return `the older release is gone, and the migrations that waited for that may go (${waiting.join(", ")})`;
  }

  /** A site without a database needs no worker to be one. */
  private async forget(): Promise<DatabaseResult> {
    await this.store.writeSettings(null);
    return { server: null };
  }

  private doorOf(maintenance: Maintenance): SiteDoor {
    return {
      set: async (closed) => {
        const wasClosed = maintenance.isClosed;
        if (closed && !wasClosed) await writeDurably(this.mark, "");
        await maintenance.set(closed);
        if (!closed) await removeDurably(this.mark);
        return wasClosed;
      },
    };
  }
}

/** Why migrations that take something away have to wait: an older release still is where users may come to it. */
export function whyContractsWait(site: Site): string | null {
  const [one, other] = COLOURS.map((colour) => site.colours[colour].release?.intent ?? null);
  if (!one || !other || isDeepStrictEqual(one.version, other.version)) return null;
  return `two releases are on the host, blue ${one.version} and green ${other.version}; retire the older one`;
}
