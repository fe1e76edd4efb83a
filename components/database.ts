import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import type { Colour, SchemaRange } from "../host/conductor/protocol";
import type {
  Acceptance,
  CheckFile,
  DatabaseResult,
  DatabaseSettings,
  MigrationFile,
} from "../host/database/protocol";
import { DatabaseBackup } from "./database-backup";
import { DatabaseChecks } from "./database-checks";
import type { EnvironmentFile } from "./environment-file";
import type { Host } from "./host";
import { hostAct } from "./host-act";
import type { Maintenance } from "./maintenance";
import { Migrations } from "./migrations";
import { Rehearsal } from "./rehearsal";
import { SchemaPlan } from "./schema-plan";

/** A database, and what its schema shall be. */
export interface DatabaseSpec {
  /** Where it and its backups are. A secret. */
  readonly settings: pulumi.Input<DatabaseSettings>;
  /** Names the database and nothing else of the settings: another one has to be migrated from its own beginning. */
  readonly identity: string;
  /** All migrations, in order. */
  readonly migrations: readonly MigrationFile[];
  /** The text of a migration is nobody's to read in the state. */
  readonly holdsSecrets: boolean;
  readonly checks: readonly CheckFile[];
  /** Differences between the files and the history that are meant. */
  readonly accept: readonly Acceptance[];
  /** Migrations up to this version count as applied where the history is empty; null for none. */
  readonly baseline: string | null;
  /** Another number sends all migrations again. */
  readonly epoch: number;
  /** Another number than 0 asks for a backup. */
  readonly backupGeneration: number;
  /** Migrations that each colour's release runs on; null for a colour without a release. */
  readonly ranges: Readonly<Record<Colour, SchemaRange | null>>;
}

/** Arguments of {@link Database}. */
export interface DatabaseArgs {
  /** The host, which reaches the database and does all the work. */
  readonly host: Host;
  /** What could still be missing of the environment is told before the schema changes. */
  readonly environment: EnvironmentFile;
  /** Keeps users out first, where it is asked to. */
  readonly maintenance: Maintenance;
  /** What else has to be done before the schema may change. Constants that resolve late; none by default. */
  readonly before?: readonly pulumi.Input<string>[];
  /** Null for a site without a database: the host forgets the one that it knew, and nothing else is there. */
  readonly database: DatabaseSpec | null;
}

const result: z.ZodType<DatabaseResult> = z.object({ server: z.string().nullable() });

/**
 * The database and its schema: compared with the migrations, and changed only behind a backup that was restored and rehearsed
 * on, one file after the other, then checked. All of it waits; none of it is done again by a change of traffic.
 */
export class Database extends pulumi.ComponentResource {
  /** The newest migration in the database; null for none, and without a database. */
  readonly schemaVersion: pulumi.Output<string | null>;
  /** How long the last rehearsal took to restore its backup, in seconds; null where nothing was rehearsed. */
  readonly measuredRestoreSeconds: pulumi.Output<number | null>;
  /** Name of the backup that was made last, before migrations or because it was asked for; null for none. */
  readonly lastBackup: pulumi.Output<string | null>;
  /** Migrations that each colour's release runs on; null without a database. */
  readonly ranges: DatabaseSpec["ranges"] | null;
  /** Constant; resolves once the schema is as it shall be, and checked. */
  readonly ready: pulumi.Output<string>;

  constructor(name: string, args: DatabaseArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vehicleservice:database:Database", name, {}, opts);
    const { host, database } = args;
    const settings = pulumi.output(database?.settings ?? null);
    const act = settings.apply((known) => ({ act: "database", database: known }) as const);
    const found = hostAct(`${name}-act`, { host, act, result, part: "database" }, { parent: this });
    this.ranges = database?.ranges ?? null;
    const chain = database === null ? null : this.migrate(name, args, database, found.done("found"));

    this.schemaVersion = chain?.checks.schemaVersion ?? pulumi.output(null);
    this.measuredRestoreSeconds = chain?.rehearsal.restoreSeconds ?? pulumi.output(null);
    this.lastBackup = chain?.backup.last ?? pulumi.output(null);
    this.ready = chain?.checks.passed ?? found.done("ready");
    this.registerOutputs({
      schemaVersion: this.schemaVersion,
      measuredRestoreSeconds: this.measuredRestoreSeconds,
      lastBackup: this.lastBackup,
    });
  }

  /** Backup, rehearsal, migrations, checks: each waits for the one before. */
  private migrate(name: string, args: DatabaseArgs, database: DatabaseSpec, found: pulumi.Output<string>) {
    const { host, environment, maintenance } = args;
    const opts = { parent: this };
    const before = [found, environment.hash, maintenance.closed, ...(args.before ?? [])];
    const plan = new SchemaPlan(`${name}-plan`, { host, database, before }, opts);
    const backup = new DatabaseBackup(`${name}-backup`, { host, database, plan }, opts);
    const rehearsal = new Rehearsal(`${name}-rehearsal`, { host, database, backup }, opts);
    const migrations = new Migrations(`${name}-migrations`, { host, database, rehearsal }, opts);
    const checks = new DatabaseChecks(`${name}-checks`, { host, database, migrations }, opts);
    return { backup, rehearsal, checks };
  }
}
