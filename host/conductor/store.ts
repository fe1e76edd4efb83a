import { randomBytes } from "node:crypto";
import { link, rm } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import { dirname } from "node:path";
import { Failed } from "./faults";
import { readIfThere, removeDurably, writeDurably } from "./system/durable-file";
import { Lane } from "./system/lane";
import { isNoRoom, type WriteDurably } from "./system/reserve";
import type { Act } from "./protocol";
import { emptySite, type Site } from "./site";

/** Keeps the truth and the journal on disk. */
export interface Store {
  /** The truth as it was saved last, or as it was {@link Store.enforce}d since. */
  readonly site: Site;
  /** Why the truth is not on the disk as it is here; null where it is. */
  readonly unrecorded: string | null;
  /**
   * Changes the truth, and counts its generation up; it holds once this resolves. Changes are made one after the
   * other. A change that changes nothing writes nothing, unless something is {@link Store.unrecorded}.
   * @throws Failed where it cannot be written; the truth is what it was.
   */
  update(change: (site: Site) => Site): Promise<Site>;
  /**
   * As {@link Store.update}, for what takes users away from harm: where it cannot be written it holds all the same, until this
   * process ends, and is {@link Store.unrecorded}. The next change of either kind writes it, one that changes nothing too.
   */
  enforce(change: (site: Site) => Site): Promise<Site>;
  /** The act that was under way when the conductor last ended, if any. */
  readonly unfinished: Act | null;
  /**
   * Records that an act is under way.
   * @throws Failed where it cannot be written.
   */
  begin(act: Act): Promise<void>;
  /** Records that no act is under way. */
  end(): Promise<void>;
}

/** Where the generation before the last one is kept: the way out where the truth is damaged. */
export function previousOf(sitePath: string): string {
  return `${sitePath}.previous`;
}

/**
 * Opens the store.
 * @param write By it the truth and the journal are written: a reserve's, so that a full disk does not keep them from it.
 * @throws Error where the truth cannot be read, or is gone though there was one; it names the file and the way out. The
 * site keeps serving: Nginx and the instances need no conductor.
 */
export async function openStore(
  sitePath: string,
  journalPath: string,
  write: WriteDurably = writeDurably,
): Promise<Store> {
  const text = await readIfThere(sitePath);
  if (text === null && (await readIfThere(previousOf(sitePath))) !== null) {
    throw new Error(`${sitePath} is gone, ${wayOut(sitePath)}`);
  }
  const journal = await readIfThere(journalPath);
  let site: Site = text === null ? emptySite(randomBytes(16).toString("hex")) : parseSite(text, sitePath);
  const lane = new Lane();
  let unfinished = journal === null ? null : parseJournal(journal);
  let unrecorded: string | null = null;
  const record = async (path: string, text: string): Promise<void> => {
    try {
      if (path === sitePath) await keepAs(path, previousOf(path));
      await write(path, text);
    } catch (error) {
      throw unwritable(path, error as Error);
    }
  };
  const take = (change: (site: Site) => Site, whatever: boolean): Promise<Site> =>
    lane.run(async () => {
      const changed = change(site);
      const isSame = isDeepStrictEqual(changed, site);
      if (isSame && unrecorded === null) {
        return site;
      }
      const next = isSame ? site : { ...changed, generation: site.generation + 1 };
      try {
        await record(sitePath, `${JSON.stringify(next, null, 2)}\n`);
        unrecorded = null;
      } catch (error) {
        if (!whatever) throw error;
        unrecorded = (error as Error).message;
      }
      site = next;
      return next;
    });
  return {
    get site() {
      return site;
    },
    get unfinished() {
      return unfinished;
    },
    get unrecorded() {
      return unrecorded;
    },
    update: (change) => take(change, false),
    enforce: (change) => take(change, true),
    async begin(act) {
      await record(journalPath, JSON.stringify(act));
      unfinished = act;
    },
    async end() {
      await removeDurably(journalPath);
      unfinished = null;
    },
  };
}

function unwritable(path: string, { message }: Error): Failed {
  return new Failed(
    `${path} cannot be written: ${message}. Way out: make room on the host (\`df -h ${dirname(path)}\`), and run \`up\` ` +
      "again; `abort` takes all users off the candidate meanwhile",
  );
}

function parseSite(text: string, path: string): Site {
  try {
    const site = JSON.parse(text) as Partial<Site> | null;
    if (
      typeof site?.generation === "number" &&
      typeof site.probeKey === "string" &&
      typeof site.colours?.blue === "object" &&
      typeof site.colours.green === "object"
    ) {
      // An earlier conductor knew none of these.
      return {
        aborted: null,
        environment: null,
        environmentDigest: null,
        maintenance: false,
        ...site,
      } as Site;
    }
  } catch {
    // Told below, with the same way out as a file that is JSON and no truth.
  }
  throw new Error(`${path} is damaged, ${wayOut(path)}`);
}

function wayOut(path: string): string {
  return (
    "so what is live is not known; the site keeps serving as it does. Put a sound copy back (the generation before it is " +
    `in ${previousOf(path)}), restart the conductor, and run \`pulumi up\` again.`
  );
}

/** Gives a file a second name, which stays with this text when the first one gets another. Nothing is copied. */
async function keepAs(path: string, name: string): Promise<void> {
  await rm(name, { force: true });
  try {
    await link(path, name);
  } catch (error) {
    // The first truth has none before it. On a full disk the one that comes next matters more.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT" && !isNoRoom(error)) {
      throw error;
    }
  }
}

/** A journal is written whole or not at all, so what cannot be read never described an act that had begun. */
function parseJournal(text: string): Act | null {
  try {
    return JSON.parse(text) as Act;
  } catch {
    return null;
  }
}
