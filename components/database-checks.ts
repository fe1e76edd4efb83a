import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import type { CheckAct, CheckResult } from "../host/database/protocol";
import type { DatabaseSpec } from "./database";
import type { Host } from "./host";
import { canonicalJson, hostAct } from "./host-act";
import { aboutFiles, type Migrations } from "./migrations";

/** Arguments of {@link DatabaseChecks}. */
export interface DatabaseChecksArgs {
  /** The host, which asks the database. */
  readonly host: Host;
  /** The checks. */
  readonly database: DatabaseSpec;
  /** The migrations that are checked. */
  readonly migrations: Migrations;
}

const result: z.ZodType<CheckResult> = z.object({
  schemaVersion: z.string().nullable(),
  passed: z.array(z.string()),
});

/** Checks what the migrations made: the queries in `checks/`, row level security, and the rows of every table. */
export class DatabaseChecks extends pulumi.ComponentResource {
  /** The newest migration in the database; null for none. */
  readonly schemaVersion: pulumi.Output<string | null>;
  /** Constant; resolves once every check passed. */
  readonly passed: pulumi.Output<string>;

  constructor(name: string, args: DatabaseChecksArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vehicleservice:database:DatabaseChecks", name, {}, opts);
    const { host, database, migrations } = args;
    const about = aboutFiles(database);
    const content = createHash("sha256")
      .update(canonicalJson([about, database.checks]))
      .digest("hex");
    const act: CheckAct = { act: "check", epoch: database.epoch, content };
    const waitFor = [migrations.applied];
    const check = hostAct(
      `${name}-act`,
      { host, act, result, part: "database", about, waitFor },
      { parent: this },
    );

    this.schemaVersion = check.result.apply(({ schemaVersion }) => schemaVersion);
    this.passed = check.done("passed");
    this.registerOutputs({ schemaVersion: this.schemaVersion });
  }
}
