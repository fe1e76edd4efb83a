import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import type { BackupAct } from "../host/database/protocol";
import type { DatabaseSpec } from "./database";
import type { Host } from "./host";
import { type HostAct, hostAct } from "./host-act";
import { aboutFiles } from "./migrations";
import type { SchemaPlan } from "./schema-plan";

/** Arguments of {@link DatabaseBackup}. */
export interface DatabaseBackupArgs {
  /** The host, which streams the dump. */
  readonly host: Host;
  /** The database, and the migrations that may be pending. */
  readonly database: DatabaseSpec;
  /** The plan that says whether any are. */
  readonly plan: SchemaPlan;
}

/** As much of the answer as is looked at: the manifest is the bucket's. */
const result = z.object({ backup: z.object({ name: z.string(), takenAt: z.string() }).nullable() });

/** A dump in S3, with its manifest: before migrations that are pending, and when it is asked for. */
export class DatabaseBackup extends pulumi.ComponentResource {
  /** Name of the newer one of the backups that were made here; null where none was called for. */
  readonly last: pulumi.Output<string | null>;
  /** Constant; resolves once the backup that the migrations need is in the bucket. */
  readonly stored: pulumi.Output<string>;

  constructor(name: string, args: DatabaseBackupArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vehicleservice:database:DatabaseBackup", name, {}, opts);
    const asked = this.askedFor(name, args);
    // Last, for the rehearsal restores the newest one.
    const act: BackupAct = { act: "backup", reason: "migrations", generation: 0 };
    const waitFor = [args.plan.accepted, ...asked.map((one) => one.done("stored"))];
    const backup = hostAct(
      `${name}-act`,
      { host: args.host, act, result, due: "database", about: aboutFiles(args.database), waitFor },
      { parent: this },
    );

    this.last = pulumi.all([backup.result, ...asked.map((one) => one.result)]).apply((answers) => {
      const made = answers.flatMap(({ backup: one }) => one ?? []);
      return made.sort((one, other) => (one.takenAt < other.takenAt ? 1 : -1))[0]?.name ?? null;
    });
    this.stored = backup.done("stored");
    this.registerOutputs({ last: this.last });
  }

  /** One that was asked for, whatever is pending; none where the generation is 0. */
  private askedFor(
    name: string,
    { host, database, plan }: DatabaseBackupArgs,
  ): HostAct<z.infer<typeof result>>[] {
    const { backupGeneration: generation, identity } = database;
    if (generation === 0) return [];
    const act: BackupAct = { act: "backup", reason: "asked", generation };
    const about = `database ${identity}`;
    const waitFor = [plan.accepted];
    return [hostAct(`${name}-asked`, { host, act, result, about, waitFor }, { parent: this })];
  }
}
