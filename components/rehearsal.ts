import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import type { DatabaseSpec } from "./database";
import type { DatabaseBackup } from "./database-backup";
import type { Host } from "./host";
import { hostAct } from "./host-act";
import { aboutFiles } from "./migrations";

/** Arguments of {@link Rehearsal}. */
export interface RehearsalArgs {
  /** The host, which restores and rehearses. */
  readonly host: Host;
  /** The database, and the migrations that may be pending. */
  readonly database: DatabaseSpec;
  /** The backup that is restored. */
  readonly backup: DatabaseBackup;
}

/** As much of the answer as is looked at. */
const result = z.object({
  rehearsal: z.object({ restoreSeconds: z.number(), migrateSeconds: z.number() }).nullable(),
});

/**
 * Restores the backup from S3 into a database that is thrown away, and has the pending migrations and the checks run there:
 * what fails here has touched nothing.
 */
export class Rehearsal extends pulumi.ComponentResource {
  /** How long it took until the backup was restored and compared, in seconds; null where nothing was pending. */
  readonly restoreSeconds: pulumi.Output<number | null>;
  /** How long the pending migrations took, in seconds; null where nothing was pending. */
  readonly migrateSeconds: pulumi.Output<number | null>;
  /** Constant; resolves once the rehearsal passed. */
  readonly passed: pulumi.Output<string>;

  constructor(name: string, args: RehearsalArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vehicleservice:database:Rehearsal", name, {}, opts);
    const { host, database, backup } = args;
    const about = aboutFiles(database);
    const waitFor = [backup.stored];
    const rehearse = hostAct(
      `${name}-act`,
      { host, act: { act: "rehearse" }, result, due: "database", about, waitFor },
      { parent: this },
    );

    this.restoreSeconds = rehearse.result.apply(({ rehearsal }) => rehearsal?.restoreSeconds ?? null);
    this.migrateSeconds = rehearse.result.apply(({ rehearsal }) => rehearsal?.migrateSeconds ?? null);
    this.passed = rehearse.done("passed");
    this.registerOutputs({ restoreSeconds: this.restoreSeconds, migrateSeconds: this.migrateSeconds });
  }
}
