/**
 * What the conductor answers, checked where it comes in: its software may be of another version. Only what stands here is
 * shown, as text or as JSON.
 */
import { z } from "zod";
import { COLOURS, type SiteStatus } from "../host/conductor/protocol";
import type {
  BackupManifest,
  BackupResult,
  DatabaseStatusResult,
  Rehearsal,
  RestoreResult,
} from "../host/database/protocol";

const colour = z.enum(COLOURS);
const text = z.string();
const number = z.number();
const orNull = text.nullable();

const colourStatus = z.object({
  version: orNull,
  commit: orNull,
  directory: orNull,
  environment: orNull,
  pendingEnvironment: orNull,
  healthy: z.boolean(),
  admitted: z.boolean(),
});

const certificate = z.object({
  source: z.enum(["acme", "files", "placeholder", "none"]),
  domains: z.array(text),
  issuer: text,
  notAfter: orNull,
  lastFailure: z.object({ at: text, reason: text, tries: number }).nullable(),
});

/** Answer to `status`. */
export const siteStatus: z.ZodType<SiteStatus> = z.object({
  generation: number,
  traffic: z.object({ stable: colour, weight: number, salt: text }),
  effectiveWeight: number,
  aborted: z.object({ colour, reason: text, at: text }).nullable(),
  maintenance: z.boolean(),
  closed: z.boolean(),
  colours: z.object({ blue: colourStatus, green: colourStatus }),
  certificate: certificate.nullable(),
  underWay: orNull,
  unrecorded: text.exactOptional(),
});

const manifest: z.ZodType<BackupManifest> = z.object({
  key: text,
  name: text,
  takenAt: text,
  seconds: number,
  bytes: number,
  sha256: text,
  rows: z.record(text, number),
  database: text,
  server: text,
  client: text,
  schemaVersion: orNull,
  reason: z.enum(["migrations", "asked", "daily", "restore"]),
});

const rehearsal: z.ZodType<Rehearsal> = z.object({
  key: text,
  at: text,
  restoreSeconds: number,
  migrateSeconds: number,
  files: z.array(text),
  locks: z.array(z.object({ version: text, table: text, mode: text, milliseconds: number })),
});

/** Answer to `database-status`. */
export const databaseStatus: z.ZodType<DatabaseStatusResult> = z.object({
  configured: z.boolean(),
  unreachable: orNull,
  server: orNull,
  schemaVersion: orNull,
  pending: z.array(text),
  waiting: z.array(text),
  backup: manifest.nullable(),
  rehearsal: rehearsal.nullable(),
  details: z
    .object({
      sizeBytes: number,
      connections: z.object({ used: number, limit: number }),
      longQueries: z.array(z.object({ pid: number, seconds: number, query: text })),
      blocked: z.array(z.object({ pid: number, by: z.array(number), seconds: number })),
      backups: z.array(manifest),
      damagedBackups: z.array(text),
      bucketUnreachable: orNull,
    })
    .nullable(),
});

/** Answer to `backup`. */
export const backupResult: z.ZodType<BackupResult> = z.object({ backup: manifest.nullable() });

/** Answer to `restore`. */
export const restoreResult: z.ZodType<RestoreResult> = z.object({
  backup: manifest,
  loss: z.object({
    minutes: number,
    tables: z.record(text, z.object({ now: number, then: number })),
  }),
  restored: z
    .object({ safety: manifest, how: z.enum(["swap", "in place"]), closedSeconds: number })
    .nullable(),
});
