import { access, readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { readIfThere, removeDurably, writeDurably } from "../system/durable-file";
import type { Paths } from "../paths";
import type { InstalledRelease } from "../site";

/** What is remembered of a finished release, out of reach of the user that builds and runs it. */
export interface ReleaseRecord extends InstalledRelease {
  /** Entry of the dependency store that the release was made with; null for none. */
  readonly dependencies: string | null;
  /** Space that the release takes, in bytes, files that it shares with others included; 0 where it is not known. */
  readonly bytes: number;
}

/** A finished release, and when it was finished, in milliseconds since 1970. */
export interface FinishedRelease {
  readonly record: ReleaseRecord;
  readonly finishedAt: number;
}

function recordPath(paths: Paths, directory: string): string {
  return join(paths.records, `${basename(directory)}.json`);
}

function parse(text: string): ReleaseRecord {
  // An earlier conductor had no store, and measured nothing.
  return { dependencies: null, bytes: 0, ...(JSON.parse(text) as InstalledRelease) };
}

/** Returns the record of the release in `directory`; null where the release is not finished, or gone. */
export async function readRecord(paths: Paths, directory: string): Promise<ReleaseRecord | null> {
  const text = await readIfThere(recordPath(paths, directory));
  return text !== null && (await isThere(directory)) ? parse(text) : null;
}

/** Says that a release is finished. Durable. */
export async function writeRecord(paths: Paths, record: ReleaseRecord): Promise<void> {
  await writeDurably(recordPath(paths, record.directory), `${JSON.stringify(record, null, 2)}\n`);
}

/** Says that the release in `directory` is none. Durable. */
export async function removeRecord(paths: Paths, directory: string): Promise<void> {
  await removeDurably(recordPath(paths, directory));
}

/** Every release that was ever finished and not removed, newest first; its directory may be gone. */
export async function finishedReleases(paths: Paths): Promise<FinishedRelease[]> {
  const found: FinishedRelease[] = [];
  for (const name of await readdir(paths.records)) {
    const path = join(paths.records, name);
    const text = await readIfThere(path);
    if (text !== null) {
      found.push({ record: parse(text), finishedAt: (await stat(path)).mtimeMs });
    }
  }
  return found.sort((a, b) => b.finishedAt - a.finishedAt);
}

/** Is there anything at `path`? */
export async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
