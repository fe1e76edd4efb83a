import { z } from "zod";
import {
  bucketOrNone,
  endpointOrNone,
  keyPrefix,
  migrationVersion,
  migrationVersionOrNone,
  reason,
  region,
  schemaName,
  sha256OrNone,
} from "../rules/database";
import { localFile } from "../rules/host";
import { integer, ruled } from "../rules/rule";
import { backupBucket } from "./cloud";

/** The groups `database` and `backups`, and how a database is reached. */

/** Where a database is; {@link parseDatabaseUrl} reads it. */
export const databaseUrl = () =>
  ruled(z.string().max(4096), "postgres://USER:PASSWORD@HOST:PORT/DATABASE", "< url-file");

const acceptance = z.strictObject({
  /** The migration that was edited, removed or put in between. */
  version: migrationVersion(),
  /** SHA-256 of its file as it is accepted; empty where the file is gone. */
  sha256: sha256OrNone().default(""),
  /** Why; kept in the database. */
  reason: reason(),
});

/** Every key of the group `database`. */
export const database = z.strictObject({
  /** Local folder with the migrations, `<digits>_<name>.sql`, and `checks/`. */
  migrationsDirectory: localFile("migrations").default("migrations"),
  /** Schemas that backups hold; empty for all of them. */
  schemas: ruled(
    z.array(schemaName()).max(100),
    "a list of at most 100 names of schemas",
    "[public]",
  ).default([]),
  /** Longest wait for one lock, in milliseconds: as long as that, users' writes may queue behind it. */
  lockTimeoutMs: integer(10, 600_000, "milliseconds", 2000).default(2000),
  /** How long a file is tried again where others hold its locks, in seconds. */
  lockWaitSeconds: integer(0, 86_400, "seconds", 60).default(60),
  /** Longest statement of a migration, in seconds; a file's own `set statement_timeout` goes before it. */
  statementTimeoutSeconds: integer(1, 86_400, "seconds", 300).default(300),
  /** Rows of a table that may be missing after the migrations, in percent of those in the backup. */
  rowTolerancePercent: integer(0, 100, "percent", 0).default(0),
  /** Another number sends all migrations again, after a restore. */
  epoch: integer(0, 1_000_000_000, "", 1).default(0),
  /** Another number than 0, and than before, asks for a backup. */
  backupGeneration: integer(0, 1_000_000_000, "", 1).default(0),
  /** Migrations up to this version count as applied where the history is empty; empty for none. */
  baseline: migrationVersionOrNone().default(""),
  /** Migrations up to this version are not linted: they are applied everywhere, and nobody may edit them; empty for none. */
  lintAfter: migrationVersionOrNone().default(""),
  /** Differences between the files and the history that are meant. */
  accept: ruled(
    z
      .array(acceptance)
      .max(100)
      .refine((all) => new Set(all.map(({ version, sha256 }) => `${version} ${sha256}`)).size === all.length),
    "a list of at most 100 acceptances, each of them once",
    "[{ version: '20250103000000', sha256: '', reason: 'never reached any database' }]",
  ).default([]),
});

/** Every key of the group `backups`. */
export const backups = z.strictObject({
  /** S3 bucket that backups go to; a database needs one. */
  bucket: bucketOrNone().default(""),
  /** Region of the bucket. */
  region: region().default("us-east-1"),
  /** URL of another S3 than Amazon's; empty for Amazon's. */
  endpoint: endpointOrNone().default(""),
  /** What every object's key begins with, ending in `/`; may be empty. */
  prefix: keyPrefix().default(""),
  /** Local file with the authority, in PEM, that signed the endpoint's certificate, if it is no public one. */
  authorityFile: localFile("s3-authority.pem").optional(),
  /** Lets the stack make the bucket, under the name of `bucket`; without it the bucket is there. */
  create: backupBucket.optional(),
});
