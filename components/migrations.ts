import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import type { MigrateAct, MigrateResult } from "../host/database/protocol";
import type { DatabaseSpec } from "./database";
import type { Host } from "./host";
import { hostAct } from "./host-act";
import type { Rehearsal } from "./rehearsal";

/** Arguments of {@link Migrations}. */
export interface MigrationsArgs {
  /** The host, which applies the files that it was sent. */
  readonly host: Host;
  /** The migrations, in order. */
  readonly database: DatabaseSpec;
  /** The rehearsal that has to have passed. */
  readonly rehearsal: Rehearsal;
}

const result: z.ZodType<MigrateResult> = z.object({
  version: z.string(),
  outcome: z.enum(["applied", "was applied", "waiting"]),
});

/**
 * What a comment says of the files, so that an act whose own words are always the same is sent again for other files, another
 * database, or after a restore.
 */
export function aboutFiles({ identity, epoch, migrations }: DatabaseSpec): string {
  const names = migrations.map(({ version, sha256 }) => `${version}:${sha256}`).join(" ");
  const digest = createHash("sha256").update(names).digest("hex").slice(0, 12);
  return `database ${identity}, epoch ${String(epoch)}, files ${digest}`;
}

/**
 * The migrations, a command each, each after the one before: a file that fails leaves those before it applied, and the next
 * `up` goes on with it.
 */
export class Migrations extends pulumi.ComponentResource {
  /** Constant; resolves once every file is applied, or waits until no other release is on the host. */
  readonly applied: pulumi.Output<string>;

  constructor(name: string, args: MigrationsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vehicleservice:database:Migrations", name, {}, opts);
    const { host, database, rehearsal } = args;
    const { migrations, epoch, identity } = database;
    const about = `database ${identity}`;
    const firstToWait = migrations.findIndex(({ contract }) => contract);
    let before = rehearsal.passed;
    for (const [index, { version, name: called, sha256 }] of migrations.entries()) {
      const after = migrations[index - 1]?.version ?? null;
      const act: MigrateAct = { act: "migrate", epoch, version, name: called, sha256, after };
      // Nobody has to wait for one before the first that takes something away: those are never due later.
      const due = firstToWait !== -1 && index >= firstToWait ? { due: "database" as const } : {};
      const migrate = hostAct(
        `migration-${version}`,
        { host, act, result, about, waitFor: [before], ...due },
        { parent: this },
      );
      before = migrate.done("applied");
    }
    this.applied = before;
    this.registerOutputs({});
  }
}
