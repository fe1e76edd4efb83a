import { rm } from "node:fs/promises";
import type { Client } from "pg";
import { addressOf, connect, type Address } from "../connection";
import type { DatabaseSettings, RestoreAct, RestoreResult } from "../protocol";
import { Failed } from "../../conductor/faults";
import type { Surroundings } from "../surroundings";
import { findBackup, secondsSince, settingsOf, takeBackup } from "./backup";
import { Bucket } from "./bucket";
import { clearDownloads, download } from "./download";
import { restoreInPlace, schemasToReplace, type InPlaceOrder } from "./in-place";
import { compareWithManifest, load } from "./load";
import { namesIn, timeStamp, told, type StoredManifest } from "./manifest";
import { manifestOfPart, schemasOfOthers, writeListOfSchemas } from "./part";
import { clientPrograms, majorOf, PROGRAMS_ROOT, type Programs } from "./programs";
import { countRows, databaseFacts, extensionsOf, newestVersion } from "./snapshot";
import { createLike, derivedName, dropLeftovers, maySwap, openMaintenance, swapNames } from "./swap";

/**
 * Puts a backup in the place of the database. Unless it is confirmed it only tells what would be lost.
 *
 * The dump is got and proven whole before anything changes; then the site is closed, and only then what is there is backed up, so
 * that every write that a user was told of is in it. A failure leaves the old database, and opens the site again.
 * @throws Refused where there is no such backup, or a program is too old; Failed for all else
 */
export async function restore(surroundings: Surroundings, act: RestoreAct): Promise<RestoreResult> {
  const settings = await settingsOf(surroundings.store);
  const bucket = new Bucket(settings.bucket);
  try {
    const { app } = surroundings;
    const { prefix } = settings.bucket;
    const names = namesIn(await bucket.keys(), prefix, app);
    const manifest = await findBackup(bucket, { prefix, app, names }, act.backup);
    const loss = await lossOf(surroundings, settings, manifest);
    const restored = act.confirmed ? await replace(surroundings, { settings, bucket, manifest }) : null;
    return { backup: told(manifest), loss, restored };
  } finally {
    bucket.close();
  }
}

/** Connects for statements that take as long as the database is large, whatever limit its role has. */
async function connectUnlimited(address: Address, name: string): Promise<Client> {
  const session = await connect(address, name);
  await session.query("set statement_timeout = 0");
  return session;
}

async function lossOf(
  { app, now }: Pick<Surroundings, "app" | "now">,
  settings: DatabaseSettings,
  manifest: StoredManifest,
): Promise<RestoreResult["loss"]> {
  const session = await connectUnlimited(addressOf(settings.url), `${app} restore`);
  try {
    const rows = await countRows(session, manifest.schemas);
    const tables = [...new Set([...Object.keys(rows), ...Object.keys(manifest.rows)])]
      .sort()
      .map((name) => [name, { now: rows[name] ?? 0, then: manifest.rows[name] ?? 0 }] as const)
      .filter(([, counts]) => counts.now !== counts.then);
    const minutes = Math.max(0, Math.round((now().getTime() - Date.parse(manifest.takenAt)) / 60_000));
    return { minutes, tables: Object.fromEntries(tables) };
  } finally {
    await session.end();
  }
}

/** What a restore is made of. */
interface Parts {
  readonly settings: DatabaseSettings;
  readonly bucket: Bucket;
  readonly manifest: StoredManifest;
}

async function replace(
  surroundings: Surroundings,
  parts: Parts,
): Promise<NonNullable<RestoreResult["restored"]>> {
  const { settings, bucket, manifest } = parts;
  await clearDownloads(surroundings.scratch);
  surroundings.progress(`getting ${manifest.key} from the bucket`);
  const file = await download(bucket, manifest, surroundings.scratch);
  try {
    surroundings.progress("closing the site");
    const wasClosed = await surroundings.closeSite();
    const begun = performance.now();
    try {
      surroundings.progress("backing up what is there");
      const safety = await takeBackup(surroundings, settings, bucket, "restore");
      const how = await put(surroundings, settings, { file, manifest });
      await remember(surroundings, parts);
      return { safety: told(safety), how, closedSeconds: secondsSince(begun) };
    } finally {
      if (!wasClosed) await surroundings.openSite();
    }
  } finally {
    await rm(file, { force: true });
  }
}

/** A dump on the disk. */
interface Fetched {
  readonly file: string;
  readonly manifest: StoredManifest;
}

async function put(
  surroundings: Surroundings,
  settings: DatabaseSettings,
  fetched: Fetched,
): Promise<"swap" | "in place"> {
  const address = addressOf(settings.url);
  const session = await connectUnlimited(address, `${surroundings.app} restore`);
  try {
    const facts = await databaseFacts(session);
    const programs = await clientPrograms(surroundings.programs ?? PROGRAMS_ROOT, majorOf(facts.server));
    const others = fetched.manifest.schemas.length === 0 ? await schemasOfOthers(session) : [];
    // A new database would lack the schemas that the backup does not hold, or that this role can give to nobody.
    if (fetched.manifest.schemas.length === 0 && others.length === 0 && (await maySwap(session))) {
      await restoreBeside(surroundings, address, programs, fetched);
      return "swap";
    }
    surroundings.progress(`restoring ${fetched.manifest.name} in place`);
    if (others.length > 0)
      surroundings.progress(`left as it is, for it belongs to others: ${others.join(", ")}`);
    const limits = { server: facts.server, lockWaitSeconds: settings.limits.lockWaitSeconds };
    await putInPlace(surroundings, session, { ...fetched, ...limits, address, programs, others });
    return "in place";
  } finally {
    // A swap ends it, as every other session.
    await session.end().catch(() => undefined);
  }
}

async function putInPlace(
  { scratch }: Surroundings,
  session: Client,
  { others, ...order }: Omit<InPlaceOrder, "schemas" | "list"> & { readonly others: readonly string[] },
): Promise<void> {
  const schemas = await schemasToReplace(session, order.manifest, others);
  const { file, programs } = order;
  const extensions = await extensionsOf(session, schemas);
  const list =
    others.length === 0
      ? null
      : await writeListOfSchemas({ file, programs, schemas, extensions, directory: scratch });
  try {
    const manifest = list === null ? order.manifest : manifestOfPart(order.manifest, schemas, extensions);
    await restoreInPlace({ ...order, manifest, schemas, list });
    try {
      await compareWithManifest(session, manifest, { owners: true });
      await session.query("analyze");
    } catch (error) {
      throw new Failed(`the backup IS in the database's place, and then: ${(error as Error).message}`);
    }
  } finally {
    if (list !== null) await rm(list, { force: true });
  }
}

/** Restores into a new database, compares it, and gives it the name. */
async function restoreBeside(
  surroundings: Surroundings,
  address: Address,
  programs: Programs,
  { file, manifest }: Fetched,
): Promise<void> {
  const stamp = timeStamp(surroundings.now()).toLowerCase();
  const live = address.database;
  const fresh = derivedName(live, `restore_${stamp}`);
  const before = derivedName(live, `before_${stamp}`);
  const maintenance = await openMaintenance(address, `${surroundings.app} restore`);
  try {
    await dropLeftovers(maintenance, live);
    surroundings.progress(`restoring ${manifest.name} into ${fresh}`);
    await createLike(maintenance, live, fresh);
    try {
      const there = { ...address, database: fresh };
      await load(file, there, { programs, withoutOwners: false });
      await proveFresh(surroundings, there, manifest);
      surroundings.progress(`giving it the name ${live}`);
      await swapNames(maintenance, address, { live, fresh, before });
    } catch (error) {
      await dropLeftovers(maintenance, live).catch(() => undefined);
      throw error;
    }
    surroundings.progress(
      `what was there is kept as the database ${before}: drop it when nothing of it is missed`,
    );
  } finally {
    await maintenance.end();
  }
}

async function proveFresh({ app }: Surroundings, address: Address, manifest: StoredManifest): Promise<void> {
  const session: Client = await connectUnlimited(address, `${app} restore`);
  try {
    await compareWithManifest(session, manifest, { owners: true });
    // A restored database knows nothing of how its values are spread, and plans badly until it does.
    await session.query("analyze");
  } finally {
    await session.end();
  }
}

/** The host knows of no pending files until the next `migrations` act has compared them. */
async function remember({ app, store }: Surroundings, { settings }: Parts): Promise<void> {
  const session = await connect(addressOf(settings.url), `${app} restore`);
  try {
    const schemaVersion = await newestVersion(session);
    await store.update({ schemaVersion, pending: [], waiting: [], rehearsal: null });
  } finally {
    await session.end();
  }
}
