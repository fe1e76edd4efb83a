import type { ColourStatus, SiteStatus } from "../../../../host/conductor/protocol";
import type { BackupManifest, DatabaseStatusResult, RestoreResult } from "../../../../host/database/protocol";

const green: ColourStatus = {
  version: "v1.0.0",
  commit: "cd34cd34cd34cd34cd34",
  directory: "/var/www/vehicleservice-v1.0.0-cd34",
  environment: "9f3c",
  pendingEnvironment: null,
  healthy: true,
  admitted: true,
};

/** A canary at 5 percent, and nothing wrong. */
export const site: SiteStatus = {
  generation: 17,
  traffic: { stable: "blue", weight: 5, salt: "v1.0.0" },
  effectiveWeight: 5,
  aborted: null,
  maintenance: false,
  closed: false,
  colours: { blue: { ...green, version: "v0.9.9", commit: "ab12ab12ab12ab12ab12" }, green },
  certificate: {
    source: "acme",
    domains: ["vehicleservice.test"],
    issuer: "CN=An authority",
    notAfter: "2026-05-01T12:00:00Z",
    lastFailure: null,
  },
  underWay: null,
};

/** A backup of three hours ago. */
export const manifest: BackupManifest = {
  key: "vehicleservice/20260301/vehicleservice-20260301T090000Z.dump",
  name: "20260301/vehicleservice-20260301T090000Z",
  takenAt: "2026-03-01T09:00:00Z",
  seconds: 4.25,
  bytes: 12_345_678,
  sha256: "5e".repeat(32),
  rows: { "public.profiles": 1200, "public.wallet_transactions": 34_567 },
  database: "postgres",
  server: "17.6",
  client: "17.6",
  schemaVersion: "20250807000000",
  reason: "daily",
};

/** A database with one file pending and one waiting. */
export const database: DatabaseStatusResult = {
  configured: true,
  unreachable: null,
  server: "17.6",
  schemaVersion: "20250807000000",
  pending: ["20250808000000"],
  waiting: ["20250809000000"],
  backup: manifest,
  rehearsal: {
    key: manifest.key,
    at: "2026-03-01T10:00:00Z",
    restoreSeconds: 42.5,
    migrateSeconds: 1.25,
    files: ["20250808000000:aa"],
    locks: [],
  },
  details: null,
};

/** The same, looked at closely, on a bad day. */
export const closeUp: DatabaseStatusResult = {
  ...database,
  details: {
    sizeBytes: 512_000_000,
    connections: { used: 55, limit: 60 },
    longQueries: [{ pid: 4711, seconds: 372, query: "select *\n  from wallet_transactions" }],
    blocked: [{ pid: 4712, by: [4711, 4710], seconds: 12 }],
    backups: [manifest, { ...manifest, name: "20260228/vehicleservice-20260228T090000Z", reason: "asked" }],
    damagedBackups: [],
    bucketUnreachable: null,
  },
};

/** No database. */
export const noDatabase: DatabaseStatusResult = {
  ...database,
  configured: false,
  server: null,
  schemaVersion: null,
  pending: [],
  waiting: [],
  backup: null,
  rehearsal: null,
};

/** What would be lost. */
export const plan: RestoreResult = {
  backup: manifest,
  loss: {
    minutes: 180,
    tables: { "public.wallet_transactions": { now: 34_600, then: 34_567 } },
  },
  restored: null,
};

/** What was done. */
export const done: RestoreResult = {
  ...plan,
  restored: {
    safety: { ...manifest, name: "20260301/vehicleservice-20260301T120000Z", reason: "restore" },
    how: "swap",
    closedSeconds: 31,
  },
};
