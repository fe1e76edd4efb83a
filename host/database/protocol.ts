/**
 * What Pulumi's command resources, the conductor and the database's worker say to each other about the database.
 *
 * The conductor takes these acts in a lane of their own, so that no traffic ever waits for a dump, and hands them to the
 * worker (`main.ts`), one after the other.
 */

/** Where the database and its backups are, and how gently it is changed. */
export interface DatabaseSettings {
  /**
   * `postgres://user:password@host:port/database`, with the parameters of libpq; a connection in session mode, as a role
   * that owns the schema. Secret.
   */
  readonly url: string;
  /** Schemas that backups hold; empty for all of them. */
  readonly schemas: readonly string[];
  readonly limits: {
    /** Longest wait for one lock, in milliseconds: as long as that, users' writes may queue behind it. */
    readonly lockTimeoutMs: number;
    /** How long a file is tried again where others hold its locks, in seconds, with growing pauses. */
    readonly lockWaitSeconds: number;
    /** Longest statement, in seconds; a file's own `set statement_timeout` goes before it. */
    readonly statementTimeoutSeconds: number;
  };
  /** Where backups go. */
  readonly bucket: BucketSettings;
  readonly rehearsal: {
    /**
     * Server to rehearse on, as a role that may make databases, `postgres://.../postgres`; null for a Postgres that the
     * host starts for the rehearsal and throws away. Secret.
     */
    readonly url: string | null;
  };
  /** Rows of a table that may be missing after the migrations, in percent of those in the backup. */
  readonly rowTolerancePercent: number;
}

/** An S3 bucket. */
export interface BucketSettings {
  readonly name: string;
  readonly region: string;
  /** URL of another S3 than Amazon's, addressed by path; null for Amazon's. */
  readonly endpoint: string | null;
  /** What every key begins with: empty, or ending in `/`. */
  readonly prefix: string;
  /** Keys; null for AWS' default chain, which is the host's role. Secret. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string } | null;
  /** Certificates in PEM that {@link BucketSettings.endpoint} is trusted by, beside the usual ones; null for none. */
  readonly authority: string | null;
}

/** `database`: where it is. Kept on the host, in a file of root's; null forgets it. */
export interface DatabaseAct {
  readonly act: "database";
  readonly database: DatabaseSettings | null;
}

/** Answer to {@link DatabaseAct}: what was found there; null where there is no database. */
export interface DatabaseResult {
  /** Version of the server, e.g. `17.6`; null without a database. */
  readonly server: string | null;
}

/** A migration, as far as the order is concerned. */
export interface MigrationName {
  /** The digits that its file's name begins with. */
  readonly version: string;
  /** What follows them, without `.sql`. */
  readonly name: string;
  /** SHA-256 of the file's bytes, in hex. */
  readonly sha256: string;
}

/** A migration, whole. */
export interface MigrationFile extends MigrationName {
  /** The file's text, as it is: with its byte order mark and its line ends. */
  readonly sql: string;
  /** Takes away what an older release may need: it and all after it wait until one release is left. */
  readonly contract: boolean;
}

/** A query that returns no row where all is well. */
export interface CheckFile {
  /** Name of its file, without `.sql`. */
  readonly name: string;
  readonly sql: string;
}

/** Somebody's word that a difference between the files and the history is meant. Kept in the database. */
export interface Acceptance {
  /** The file that was edited, removed or put in between. */
  readonly version: string;
  /** SHA-256 of the file that is accepted, in hex; null where the file is gone. */
  readonly sha256: string | null;
  /** Why. */
  readonly reason: string;
}

/**
 * `migrations`: all files there are, in order. Compares them with the history of the database, and refuses by name what
 * does not fit; changes nothing in the schema. Kept on the host for the acts that follow.
 */
export interface MigrationsAct {
  readonly act: "migrations";
  /** Another number sends everything again, after a restore. */
  readonly epoch: number;
  /** Files up to this version count as applied where the history is empty: by hand, before; null for none. */
  readonly baseline: string | null;
  readonly files: readonly MigrationFile[];
  readonly checks: readonly CheckFile[];
  readonly accept: readonly Acceptance[];
}

/** Answer to {@link MigrationsAct}. */
export interface MigrationsResult {
  /** The newest version in the history; null for none. */
  readonly schemaVersion: string | null;
  /** Versions that the next acts apply. */
  readonly pending: readonly string[];
  /** Versions that wait for an older release to be gone. */
  readonly waiting: readonly string[];
}

/** `backup`: a dump with its manifest, in S3. */
export interface BackupAct {
  readonly act: "backup";
  /** `migrations` makes one only where files are pending, and not twice for the same ones. */
  readonly reason: "migrations" | "asked" | "daily" | "restore";
  /** Another number asks for another one. */
  readonly generation: number;
}

/** What stands beside every dump in S3, as JSON. */
export interface BackupManifest {
  /** Key of the dump, in the bucket. The manifest's is the same with `.json` for `.dump`. */
  readonly key: string;
  /** `YYYYMMDD/<app>-YYYYMMDDTHHMMSSZ`: what people call it by. */
  readonly name: string;
  /** When its snapshot was taken, ISO 8601, UTC. */
  readonly takenAt: string;
  /** How long it took, in seconds. */
  readonly seconds: number;
  /** Length of the dump, in bytes. */
  readonly bytes: number;
  /** SHA-256 of the dump, in hex. */
  readonly sha256: string;
  /** Rows of every table in it, by `schema.table`, in the dump's own snapshot. */
  readonly rows: Readonly<Record<string, number>>;
  /** Name of the database. */
  readonly database: string;
  /** Version of the server, e.g. `17.6`. */
  readonly server: string;
  /** Version of pg_dump, e.g. `17.6`. */
  readonly client: string;
  /** The newest migration in it; null for none. */
  readonly schemaVersion: string | null;
  readonly reason: BackupAct["reason"];
}

/** Answer to {@link BackupAct}: where nothing was pending, the newest one that this host made before; null for none. */
export interface BackupResult {
  readonly backup: BackupManifest | null;
}

/**
 * `rehearse`: restores the newest backup from S3 into a database that is thrown away, compares it with its manifest,
 * and applies the pending files and the checks there.
 */
export interface RehearseAct {
  readonly act: "rehearse";
}

/** Answer to {@link RehearseAct}: where nothing was pending, the last one that passed; null for none. */
export interface RehearseResult {
  readonly rehearsal: Rehearsal | null;
}

/** What a rehearsal measured. */
export interface Rehearsal {
  /** Key of the backup that was restored. */
  readonly key: string;
  /** When it ended, ISO 8601, UTC. */
  readonly at: string;
  /** From the first byte asked of S3 to a database that was compared with its manifest, in seconds: the measured RTO. */
  readonly restoreSeconds: number;
  /** How long the pending files took, in seconds. */
  readonly migrateSeconds: number;
  /** `<version>:<sha256>` of the files that were applied. */
  readonly files: readonly string[];
  /** The strongest locks that were held for longest, longest first. */
  readonly locks: readonly HeldLock[];
}

/** A lock that a migration held until its end. */
export interface HeldLock {
  /** Version of the migration. */
  readonly version: string;
  /** `schema.table`. */
  readonly table: string;
  /** As Postgres names it, e.g. `AccessExclusiveLock`. */
  readonly mode: string;
  /** From the lock to the end of the transaction, in milliseconds. */
  readonly milliseconds: number;
}

/**
 * `migrate`: applies one file, unless it is applied. Refused unless the file before it is, and unless a rehearsal on a
 * restored backup had it.
 */
export interface MigrateAct extends MigrationName {
  readonly act: "migrate";
  /** {@link MigrationsAct.epoch}. */
  readonly epoch: number;
  /** Version of the file before it; null for the first one. */
  readonly after: string | null;
}

/** Answer to {@link MigrateAct}. */
export interface MigrateResult {
  readonly version: string;
  /** `waiting`: for an older release to be gone; see {@link MigrationFile.contract}. */
  readonly outcome: "applied" | "was applied" | "waiting";
}

/** `check`: the queries of {@link MigrationsAct.checks}, row level security, and the rows of every table. */
export interface CheckAct {
  readonly act: "check";
  /** {@link MigrationsAct.epoch}. */
  readonly epoch: number;
  /** Names what is checked: another text checks again. */
  readonly content: string;
}

/** Answer to {@link CheckAct}: every check passed. A check that does not fails the act, and is named. */
export interface CheckResult {
  /** The newest version in the history; null for none. */
  readonly schemaVersion: string | null;
  /** Names of the checks that passed. */
  readonly passed: readonly string[];
}

/**
 * `restore`: puts a backup in the place of the database. Gets the dump, closes the site, backs up what is there, restores into a
 * new database, compares it with its manifest, swaps the two, opens the site.
 */
export interface RestoreAct {
  readonly act: "restore";
  /** {@link BackupManifest.name}, or `latest`. */
  readonly backup: string;
  /** False only tells what would be lost. */
  readonly confirmed: boolean;
}

/** Answer to {@link RestoreAct}. */
export interface RestoreResult {
  /** What is, or would be, in the place of the database. */
  readonly backup: BackupManifest;
  readonly loss: {
    /** Minutes since the backup's snapshot. */
    readonly minutes: number;
    /** Rows that each table has now and had then, by `schema.table`, of tables whose number differs. */
    readonly tables: Readonly<Record<string, { readonly now: number; readonly then: number }>>;
  };
  /** What was done; null where nothing was confirmed. */
  readonly restored: {
    /** Backup of what was there, taken first. */
    readonly safety: BackupManifest;
    /** How: by another database that took the name, or, where the role may make none, in place. */
    readonly how: "swap" | "in place";
    /** How long the site was closed, in seconds. */
    readonly closedSeconds: number;
  } | null;
}

/** `database-status`: what `ops status` and `ops db` show. Touches nothing, waits for nobody. */
export interface DatabaseStatusAct {
  readonly act: "database-status";
  /** Also the guide's monitoring queries, and all backups there are. */
  readonly details: boolean;
}

/** Answer to {@link DatabaseStatusAct}. */
export interface DatabaseStatusResult {
  /** False without a database. */
  readonly configured: boolean;
  /** Why the database does not answer; null if it does. */
  readonly unreachable: string | null;
  readonly server: string | null;
  readonly schemaVersion: string | null;
  readonly pending: readonly string[];
  readonly waiting: readonly string[];
  /** The newest backup that this host made; null for none. */
  readonly backup: BackupManifest | null;
  readonly rehearsal: Rehearsal | null;
  readonly details: {
    readonly sizeBytes: number;
    readonly connections: { readonly used: number; readonly limit: number };
    /** Queries that have run for more than five minutes, as the guide asks. */
    readonly longQueries: readonly {
      readonly pid: number;
      readonly seconds: number;
      readonly query: string;
    }[];
    /** Sessions that wait for a lock, and who holds it. */
    readonly blocked: readonly {
      readonly pid: number;
      readonly by: readonly number[];
      readonly seconds: number;
    }[];
    /** The newest backups in the bucket, newest first. */
    readonly backups: readonly BackupManifest[];
    /** Names of those among them whose manifest is damaged, or of another dump: none of these can be restored. */
    readonly damagedBackups: readonly string[];
    /** Why the bucket does not answer; null if it does. */
    readonly bucketUnreachable: string | null;
  } | null;
}

/** Any act about the database. */
export type DatabaseActs =
  | DatabaseAct
  | MigrationsAct
  | BackupAct
  | RehearseAct
  | MigrateAct
  | CheckAct
  | RestoreAct
  | DatabaseStatusAct;
