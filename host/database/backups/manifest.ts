import { z } from "zod";
import { Failed } from "../../conductor/faults";
import type { BackupManifest } from "../protocol";

/** What stands beside a dump is not its manifest, so that it is no backup. */
export class DamagedManifest extends Failed {}

/** A role as a dump needs it: what a dump owns or grants belongs to it by name. */
const roleSchema = z.object({
  name: z.string(),
  superuser: z.boolean(),
  inherit: z.boolean(),
  createRole: z.boolean(),
  createDatabase: z.boolean(),
  bypassRowSecurity: z.boolean(),
  /** Roles that it is a member of. */
  memberOf: z.array(z.string()),
});

const storedSchema = z.object({
  key: z.string(),
  name: z.string(),
  takenAt: z.iso.datetime(),
  seconds: z.number(),
  bytes: z.int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  rows: z.record(z.string(), z.int().nonnegative()),
  database: z.string(),
  server: z.string(),
  client: z.string(),
  schemaVersion: z.string().nullable(),
  reason: z.enum(["migrations", "asked", "daily", "restore"]),
  /** Schemas that the dump holds; empty for all of them. */
  schemas: z.array(z.string()),
  /** Size of the database on its server, in bytes. */
  databaseBytes: z.int().nonnegative(),
  encoding: z.string(),
  /** Who owns the database, and who took the dump. */
  owner: z.string(),
  role: z.string(),
  roles: z.array(roleSchema),
  /** What roles may do with the database itself; a dump holds nothing of it. Null for what Postgres gives by itself. */
  grants: z.array(z.object({ role: z.string(), privilege: z.string() })).nullable(),
  /** Names of extensions in the dump. */
  extensions: z.array(z.string()),
  /** What the schema consists of: an MD5 of the definition of every object, by its kind and name. */
  catalog: z.record(z.string(), z.string()),
});

/** A role of the database's server. */
export type Role = z.infer<typeof roleSchema>;

/** The manifest as it stands in S3: with what a restore compares with, and needs around the dump. */
export type StoredManifest = z.infer<typeof storedSchema>;

/**
 * Reads a manifest.
 * @param key Where it was, for the error.
 * @throws DamagedManifest where it is none
 */
export function parseManifest(key: string, text: string): StoredManifest {
  try {
    return storedSchema.parse(JSON.parse(text));
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message;
    throw new DamagedManifest(
      `${key} is no manifest of a backup, so that its dump cannot be trusted; take another backup: ${why}`,
    );
  }
}

/** What people, and the program, are told of a backup. */
export function told(stored: StoredManifest): BackupManifest {
  const { key, name, takenAt, seconds, bytes, sha256, rows } = stored;
  const { database, server, client, schemaVersion, reason } = stored;
  return {
    ...{ key, name, takenAt, seconds, bytes, sha256, rows },
    ...{ database, server, client, schemaVersion, reason },
  };
}

/** `YYYYMMDD/<app>-YYYYMMDDTHHMMSSZ`, by the second. */
export function backupName(app: string, at: Date): string {
  const stamp = timeStamp(at);
  return `${stamp.slice(0, 8)}/${app}-${stamp}`;
}

/** `YYYYMMDDTHHMMSSZ`. */
export function timeStamp(at: Date): string {
  return at.toISOString().replace(/\.\d+/, "").replace(/[-:]/g, "");
}

/** Key of a backup's dump. */
export function dumpKey(prefix: string, name: string): string {
  return `${prefix}${name}.dump`;
}

/** Key of the manifest of a dump. */
export function manifestKey(key: string): string {
  return key.replace(/\.dump$/, ".json");
}

/** Names of the application's backups among keys, newest first: those that have a manifest. */
export function namesIn(keys: readonly string[], prefix: string, app: string): string[] {
  const form = /^(\d{8})\/(.+)-(\d{8}T\d{6}Z)\.json$/;
  return keys
    .filter((key) => key.startsWith(prefix))
    .map((key) => key.slice(prefix.length))
    .filter((key) => form.exec(key)?.[2] === app)
    .map((key) => key.replace(/\.json$/, ""))
    .sort()
    .reverse();
}
