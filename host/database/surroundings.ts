import type {
  Acceptance,
  CheckFile,
  HeldLock,
  MigrationFile,
  MigrationName,
  MigrationsResult,
} from "./protocol";
import type { DatabaseStore } from "./state";

/** What a job of the database finds around it. */
export interface Surroundings {
  /** Name of the application: of backups, and of the scratch databases. */
  readonly app: string;
  readonly store: DatabaseStore;
  /** Directory on a disk, for dumps that are restored; empty when no job runs. */
  readonly scratch: string;
  /** Directory with one directory of Postgres' programs for each major version; Debian's by default. */
  readonly programs?: string;
  /** Tells one line of progress. Never holds a secret. */
  readonly progress: (line: string) => void;
  /** Why files that take something away, and all after them, have to wait; null if they need not. */
  readonly holdContract: string | null;
  /** Names this run in the lease and in the history. */
  readonly run: string;
  /** Keeps users out; returns whether they were out before. */
  closeSite(): Promise<boolean>;
  /** Lets users in again. */
  openSite(): Promise<void>;
  readonly now: () => Date;
}

/** A file that was applied. */
export interface AppliedFile {
  readonly outcome: "applied" | "was applied";
  readonly milliseconds: number;
  /** Locks on tables that the file held until its end. */
  readonly locks: readonly HeldLock[];
}

/** A file's place in the order. */
export interface ApplyOptions {
  /** The file before it, which has to be in the history; null for the first one. */
  readonly after: MigrationName | null;
}

/** Changes the schema of one database. */
export interface Migrator {
  /** The newest version in the history; null for none. */
  schemaVersion(): Promise<string | null>;
  /** Is this version in the history? */
  has(version: string): Promise<boolean>;
  /**
   * Compares files with the history, and writes down what is accepted or adopted.
   * @throws Refused that names every file that does not fit, and the way out
   */
  compare(order: {
    readonly files: readonly MigrationFile[];
    readonly accept: readonly Acceptance[];
    readonly baseline: string | null;
    readonly holdContract: string | null;
  }): Promise<MigrationsResult>;
  /**
   * Applies one file, unless the history has it.
   * @throws Refused, Failed
   */
  apply(file: MigrationFile, options: ApplyOptions): Promise<AppliedFile>;
  /**
   * Passes the checks: each query gives no row, row level security holds by catalog and by trying as `anon`.
   * @returns names of what passed
   * @throws Failed that names each check that does not, with its first rows
   */
  check(checks: readonly CheckFile[]): Promise<string[]>;
  /** Ends the connections and gives the lease back. */
  close(): Promise<void>;
}

/** Connects to a database to change its schema. `lease` is false for a database that is nobody else's. */
export type OpenMigrator = (
  url: string,
  options: {
    readonly limits: {
      readonly lockTimeoutMs: number;
      readonly lockWaitSeconds: number;
      readonly statementTimeoutSeconds: number;
    };
    readonly run: string;
    readonly lease: boolean;
    readonly progress: (line: string) => void;
  },
) => Promise<Migrator>;
