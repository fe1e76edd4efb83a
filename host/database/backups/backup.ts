import type { Client } from "pg";
import { Failed, Refused } from "../../conductor/faults";
import { addressOf, connect, type Address } from "../connection";
import type { BackupAct, BackupResult, DatabaseSettings } from "../protocol";
import { digestOf, filesOf, type DatabaseStore } from "../state";
import type { Surroundings } from "../surroundings";
import { Bucket, partBytesFor } from "./bucket";
import type { Catalog } from "./catalog";
import { Dump, Meter } from "./dump";
import {
  backupName,
  DamagedManifest,
  dumpKey,
  manifestKey,
  parseManifest,
  type StoredManifest,
  told,
} from "./manifest";
import { clientPrograms, majorOf, PROGRAMS_ROOT, versionOf, type Programs } from "./programs";
import {
  beginSnapshot,
  catalogOf,
  countRows,
  databaseFacts,
  extensionsOf,
  grantsOf,
  newestVersion,
  rolesOf,
  schemasOfDump,
  type DatabaseFacts,
} from "./snapshot";

/** A dump of bytes that do not compress may be larger than its database: they are written as text first. */
const DUMP_PER_DATABASE = 2;

/** @throws Refused where the host was told of no database */
export async function settingsOf(store: DatabaseStore): Promise<DatabaseSettings> {
  const settings = await store.settings();
  if (settings === null) {
    throw new Refused("this host knows of no database: set databaseUrl, and run `pulumi up`");
  }
  return settings;
}

/**
 * Makes a backup: a dump and its manifest, in S3, of one moment. For the reason `migrations` only where files are pending, and
 * only once for the same files as long as that backup is there.
 * @throws Refused where a program is missing or too old; Failed where the dump or the upload fails: no manifest is written
 * then, and a dump without one is no backup
 */
export async function backup(surroundings: Surroundings, act: BackupAct): Promise<BackupResult> {
  const { store } = surroundings;
  const settings = await settingsOf(store);
  const bucket = new Bucket(settings.bucket);
  try {
    if (act.reason !== "migrations") {
      const made = await takeBackup(surroundings, settings, bucket, act.reason);
      return { backup: told(made) };
    }
    const [state, staged] = await Promise.all([store.state(), store.staged()]);
    if (staged === null || state.pending.length === 0) return { backup: null };
    const files = digestOf(filesOf(staged, state.pending));
    if (state.backup !== null && state.backupFor === files && (await isThere(bucket, state.backup))) {
      surroundings.progress(`${state.backup.name} was taken before these files, and is there`);
      return { backup: state.backup };
    }
    const made = told(await takeBackup(surroundings, settings, bucket, "migrations"));
    await store.update({ backup: made, backupFor: files, rowsBefore: made });
    return { backup: made };
  } finally {
    bucket.close();
  }
}

/** Tells whether a backup's dump and manifest are still in the bucket, as long as they were. */
async function isThere(
  bucket: Bucket,
  { key, bytes }: { readonly key: string; readonly bytes: number },
): Promise<boolean> {
  const [dump, manifest] = await Promise.all([bucket.head(key), bucket.head(manifestKey(key))]);
  return dump?.bytes === bytes && manifest !== null;
}

/** What one look at the database gives, in the dump's own snapshot. */
interface Contents {
  readonly facts: DatabaseFacts;
  readonly programs: Programs;
  readonly client: string;
  readonly schemas: readonly string[];
  readonly extensions: readonly string[];
  readonly schemaVersion: string | null;
  readonly roles: StoredManifest["roles"];
  readonly grants: StoredManifest["grants"];
  readonly catalog: Catalog;
}

/** Makes a backup, whatever is pending, and keeps it as the newest one. */
export async function takeBackup(
  surroundings: Surroundings,
  settings: DatabaseSettings,
  bucket: Bucket,
  reason: BackupAct["reason"],
): Promise<StoredManifest> {
  const begun = performance.now();
  const address = addressOf(settings.url);
  const session = await connect(address, `${surroundings.app} backup`);
  try {
    await beginSnapshot(session, settings.limits.lockWaitSeconds * 1000);
    const takenAt = surroundings.now();
    const contents = await look(session, settings, surroundings.programs ?? PROGRAMS_ROOT);
    const name = await freeName(bucket, settings.bucket.prefix, surroundings.app, takenAt);
    const key = dumpKey(settings.bucket.prefix, name);
    surroundings.progress(`dumping ${contents.facts.name} to ${key}`);
    const [dump, rows] = await dumpTo(bucket, key, { session, address, settings, contents });
    const { facts, client, schemaVersion, roles, grants, catalog } = contents;
    const made: StoredManifest = {
      ...{ key, name, takenAt: takenAt.toISOString(), seconds: secondsSince(begun) },
      ...{ bytes: dump.bytes, sha256: dump.sha256, rows, reason },
      ...{ database: facts.name, server: facts.server, databaseBytes: facts.bytes },
      ...{ encoding: facts.encoding, owner: facts.owner, role: facts.role },
      ...{ client, schemaVersion, roles, grants, catalog },
      schemas: [...contents.schemas],
      extensions: [...contents.extensions],
    };
    await bucket.putText(manifestKey(key), `${JSON.stringify(made)}\n`);
    await surroundings.store.update({ backup: told(made), backupFor: null });
    const counted = Object.values(rows).reduce((sum, count) => sum + count, 0);
    surroundings.progress(`${name}: ${String(dump.bytes)} bytes, ${String(counted)} rows`);
    return made;
  } finally {
    await session.end().catch(() => undefined);
  }
}

async function look(session: Client, settings: DatabaseSettings, root: string): Promise<Contents> {
  const facts = await databaseFacts(session);
  const programs = await clientPrograms(root, majorOf(facts.server));
  const schemas = await schemasOfDump(session, settings.schemas);
  const missing = settings.schemas.filter((name) => !schemas.includes(name));
  if (missing.length > 0) {
    throw new Refused(`the database ${facts.name} has no schema ${missing.join(", ")}: see database.schemas`);
  }
  return {
    facts,
    programs,
    client: await versionOf(programs, "pg_dump"),
    schemas,
    extensions: await extensionsOf(session, schemas),
    schemaVersion: await newestVersion(session),
    roles: await rolesOf(session),
    grants: await grantsOf(session),
    catalog: await catalogOf(session, schemas),
  };
}

/** Dumps, uploads and counts at the same time, in one snapshot. */
async function dumpTo(
  bucket: Bucket,
  key: string,
  {
    session,
    address,
    settings,
    contents,
  }: {
    readonly session: Client;
    readonly address: Address;
    readonly settings: DatabaseSettings;
    readonly contents: Contents;
  },
): Promise<[ReturnType<Meter["finish"]>, Record<string, number>]> {
  const { rows } = await session.query<{ id: string }>("select pg_export_snapshot() as id");
  const snapshot = rows[0]?.id ?? "";
  const partBytes = partBytesFor(contents.facts.bytes * DUMP_PER_DATABASE);
  const meter = new Meter(partBytes);
  const { programs, schemas, extensions } = contents;
  const lockWaitMs = settings.limits.lockWaitSeconds * 1000;
  const dump = Dump.start({ address, programs, snapshot, schemas, extensions, lockWaitMs }, meter);
  try {
    const counts = await both(
      bucket.upload(key, dump.bytes(), partBytes),
      countAll(session, contents),
      // Whichever fails first ends the other: no upload goes on, and none is left half.
      () => Promise.all([dump.stop(), session.end()]),
    );
    const sums = meter.finish();
    await verifyUpload(bucket, key, sums);
    return [sums, counts];
  } finally {
    await dump.stop();
  }
}

/** Waits for both, and returns what the second one gives. The first failure is thrown, after both have ended. */
async function both<T>(
  first: Promise<unknown>,
  second: Promise<T>,
  onFailure: () => Promise<unknown>,
): Promise<T> {
  const failures: unknown[] = [];
  const failed = (error: unknown): void => {
    failures.push(error);
    if (failures.length === 1) void onFailure().catch(() => undefined);
  };
  await Promise.all([first.catch(failed), second.catch(failed)]);
  if (failures.length > 0) throw failures[0];
  return second;
}

async function countAll(session: Client, { facts, schemas }: Contents): Promise<Record<string, number>> {
  try {
    return await countRows(session, schemas);
  } catch (error) {
    throw new Failed(
      `the rows of ${facts.name} cannot be counted: ${(error as Error).message}. The role of databaseUrl has to ` +
        "read every table past row level security; database.schemas leaves schemas out that it may not read",
    );
  }
}

async function verifyUpload(
  bucket: Bucket,
  key: string,
  { bytes, etag }: ReturnType<Meter["finish"]>,
): Promise<void> {
  const head = await bucket.head(key);
  const wrong = (what: string): Failed =>
    new Failed(`${key} was uploaded, and ${what}; it has no manifest and is no backup. Try again`);
  if (head === null) throw wrong("is not there");
  if (head.bytes !== bytes) {
    throw wrong(`has ${String(head.bytes)} bytes there, not the ${String(bytes)} of the dump`);
  }
  if (head.etagIsMd5 && head.etag !== etag) throw wrong("has another checksum there than the dump");
}

/** The name of a backup of this second, or of the next second that has none: an object is never written over. */
async function freeName(bucket: Bucket, prefix: string, app: string, at: Date): Promise<string> {
  for (let second = 0; ; second += 1) {
    const name = backupName(app, new Date(at.getTime() + second * 1000));
    const key = dumpKey(prefix, name);
    if ((await bucket.head(key)) === null) return name;
  }
}

/**
 * Finds a backup by its name, or the newest one.
 * @throws Refused where there is none of that name; Failed where its manifest is none
 */
export async function findBackup(
  bucket: Bucket,
  {
    prefix,
    app,
    names,
  }: { readonly prefix: string; readonly app: string; readonly names: readonly string[] },
  wanted: string,
): Promise<StoredManifest> {
  if (wanted === "latest") {
    for (const name of names) {
      const manifest = await readManifest(bucket, dumpKey(prefix, name));
      // What a restore put aside is what somebody wanted to get away from: only by its name.
      if (manifest.reason !== "restore") return manifest;
    }
  }
  const name = names.find((one) => one === wanted);
  if (name === undefined) {
    const newest = names.slice(0, 5).join(", ");
    throw new Refused(
      names.length === 0
        ? `there is no backup of ${app} in the bucket, below ${prefix === "" ? "its root" : prefix}`
        : `there is no backup ${wanted}; the newest are ${newest}`,
    );
  }
  return readManifest(bucket, dumpKey(prefix, name));
}

/** @throws Failed where there is no manifest; DamagedManifest where it is none, or of another dump */
export async function readManifest(bucket: Bucket, key: string): Promise<StoredManifest> {
  const where = manifestKey(key);
  const text = await bucket.text(where);
  if (text === null) throw new Failed(`${key} has no manifest (${where}): take another backup`);
  const manifest = parseManifest(where, text);
  if (manifest.key !== key)
    throw new DamagedManifest(`${where} is the manifest of ${manifest.key}: take another backup`);
  return manifest;
}

/** Seconds since a moment of `performance.now()`, by the millisecond. */
export function secondsSince(begun: number): number {
  return Math.round(performance.now() - begun) / 1000;
}
