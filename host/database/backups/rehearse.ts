import { rm } from "node:fs/promises";
import { Failed, Refused } from "../../conductor/faults";
import { connect, urlOf } from "../connection";
import type { HeldLock, MigrationFile, Rehearsal, RehearseResult } from "../protocol";
import type { DatabaseSettings } from "../protocol";
import { digestOf, filesOf, type DatabaseState, type Staged } from "../state";
import type { Migrator, OpenMigrator, Surroundings } from "../surroundings";
import { readManifest, secondsSince, settingsOf } from "./backup";
import { Bucket } from "./bucket";
import { clearDownloads, download, fullDisk } from "./download";
import { compareWithManifest, load, lostRows } from "./load";
import type { StoredManifest } from "./manifest";
import { makeScratchDatabase, type ScratchDatabase } from "./scratch-database";
import { ScratchServer } from "./scratch-server";
import { countRows } from "./snapshot";

/** How many locks are told. */
const TOLD_LOCKS = 20;

/**
 * Restores the newest backup from S3 into a database that is thrown away, compares it with its manifest, and applies the
 * pending files and the checks there. Only what passes is kept as a rehearsal. Null where nothing is pending.
 * @throws Refused where there is no backup, or no server to rehearse on; Failed for all else. Nothing is kept then
 */
export async function rehearse(
  surroundings: Surroundings,
  openMigrator: OpenMigrator,
): Promise<RehearseResult> {
  const { store } = surroundings;
  const settings = await settingsOf(store);
  const [state, staged] = await Promise.all([store.state(), store.staged()]);
  if (staged === null || state.pending.length === 0) return { rehearsal: null };
  if (state.backup === null) {
    throw new Refused("there is no backup to rehearse on: run `pulumi up`, which takes one first");
  }
  await clearDownloads(surroundings.scratch);
  await ScratchServer.clear(surroundings.scratch);
  const bucket = new Bucket(settings.bucket);
  try {
    const manifest = await readManifest(bucket, state.backup.key);
    if (manifest.sha256 !== state.backup.sha256) {
      throw new Failed(
        `${manifest.key} was replaced in the bucket since this host made it: take another backup`,
      );
    }
    const measured = await restoreAndTry(surroundings, {
      ...{ settings, state, staged, bucket, manifest, openMigrator },
    });
    const rehearsal: Rehearsal = { key: manifest.key, at: surroundings.now().toISOString(), ...measured };
    await store.update({ rehearsal });
    return { rehearsal };
  } finally {
    bucket.close();
  }
}

/** What a rehearsal is made of. */
interface Parts {
  readonly settings: DatabaseSettings;
  readonly state: DatabaseState;
  readonly staged: Staged;
  readonly bucket: Bucket;
  readonly manifest: StoredManifest;
  readonly openMigrator: OpenMigrator;
}

async function restoreAndTry(
  surroundings: Surroundings,
  parts: Parts,
): Promise<Omit<Rehearsal, "key" | "at">> {
  const { settings, bucket, manifest } = parts;
  const begun = performance.now();
  surroundings.progress(`getting ${manifest.key} from the bucket`);
  const file = await download(bucket, manifest, surroundings.scratch);
  try {
    const scratch = await makeScratchDatabase(surroundings, settings.rehearsal.url, manifest);
    try {
      surroundings.progress(`restoring ${manifest.name} into a database that is thrown away`);
      await restoreInto(scratch, { file, manifest, directory: surroundings.scratch });
      const restoreSeconds = secondsSince(begun);
      surroundings.progress(`restored and compared in ${String(restoreSeconds)} s`);
      return { restoreSeconds, ...(await tryMigrations(surroundings, parts, scratch)) };
    } finally {
      await scratch.drop();
    }
  } finally {
    await rm(file, { force: true });
  }
}

async function restoreInto(
  scratch: ScratchDatabase,
  {
    file,
    manifest,
    directory,
  }: { readonly file: string; readonly manifest: StoredManifest; readonly directory: string },
): Promise<void> {
  try {
    await load(file, scratch.restoreBy, { programs: scratch.programs, withoutOwners: !scratch.owners });
    const session = await connect(scratch.restoreBy, "rehearsal");
    try {
      await compareWithManifest(session, manifest, { owners: scratch.owners });
    } finally {
      await session.end();
    }
  } catch (error) {
    // A server without room says that in many ways.
    const full = await fullDisk(directory);
    throw full === null ? error : new Failed(`${full}\n  ${(error as Error).message}`);
  }
}

async function tryMigrations(
  surroundings: Surroundings,
  { settings, state, staged, manifest, openMigrator }: Parts,
  scratch: ScratchDatabase,
): Promise<Omit<Rehearsal, "key" | "at" | "restoreSeconds">> {
  const migrator = await openMigrator(urlOf(scratch.migrateBy), {
    limits: settings.limits,
    run: surroundings.run,
    lease: false,
    progress: surroundings.progress,
  });
  try {
    const files = await filesToTry(surroundings, migrator, { state, staged });
    const begun = performance.now();
    const locks: HeldLock[] = [];
    for (const file of files) {
      const after = staged.files[staged.files.findIndex(({ version }) => version === file.version) - 1];
      const applied = await migrator.apply(file, { after: after ?? null });
      locks.push(...applied.locks);
    }
    const migrateSeconds = secondsSince(begun);
    await migrator.check(staged.checks);
    await requireRows(scratch, manifest, settings.rowTolerancePercent);
    return {
      migrateSeconds,
      files: files.map((file) => digestOf([file])),
      locks: locks.toSorted((a, b) => b.milliseconds - a.milliseconds).slice(0, TOLD_LOCKS),
    };
  } finally {
    await migrator.close();
  }
}

/** What is pending on the restored database: the pending files, and those that were applied since the backup. */
async function filesToTry(
  { holdContract }: Surroundings,
  migrator: Migrator,
  { state, staged }: Pick<Parts, "state" | "staged">,
): Promise<MigrationFile[]> {
  const { pending } = await migrator.compare({ ...staged, holdContract });
  const missing = state.pending.filter((version) => !pending.includes(version));
  if (missing.length > 0) {
    throw new Failed(
      `the restored backup has ${missing.join(", ")} applied already, or waiting, unlike the database: run ` +
        "`pulumi up` with another number as database.epoch",
    );
  }
  return filesOf(staged, pending);
}

async function requireRows(
  scratch: ScratchDatabase,
  manifest: StoredManifest,
  tolerancePercent: number,
): Promise<void> {
  const session = await connect(scratch.restoreBy, "rehearsal");
  try {
    const lost = lostRows(manifest.rows, await countRows(session, manifest.schemas), tolerancePercent);
    if (lost.length > 0) {
      throw new Failed(
        `the pending files take rows away, more than database.rowTolerancePercent (${String(tolerancePercent)}) allows:\n  ` +
          lost.join("\n  "),
      );
    }
  } finally {
    await session.end();
  }
}
