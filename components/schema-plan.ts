import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import type { MigrationsAct, MigrationsResult } from "../host/database/protocol";
import type { DatabaseSpec } from "./database";
import type { Host } from "./host";
import { hostAct } from "./host-act";

/** Arguments of {@link SchemaPlan}. */
export interface SchemaPlanArgs {
  /** The host that reaches the database. */
  readonly host: Host;
  /** The migrations, and what is known of the differences between them and the history. */
  readonly database: DatabaseSpec;
  /** What has to be done before the schema may change. */
  readonly before: readonly pulumi.Input<string>[];
}

const result: z.ZodType<MigrationsResult> = z.object({
  schemaVersion: z.string().nullable(),
  pending: z.array(z.string()),
  waiting: z.array(z.string()),
});

/**
 * Asks the host whether the schema can get from what it is to what the files say, before anything is touched: a file that was
 * edited, removed or put in between after it was applied is refused by name. The host keeps the files for what follows.
 */
export class SchemaPlan extends pulumi.ComponentResource {
  /** Versions that are applied next. */
  readonly pending: pulumi.Output<readonly string[]>;
  /** Versions that wait until no other release is on the host. */
  readonly waiting: pulumi.Output<readonly string[]>;
  /** Constant; resolves once the host accepted the files. */
  readonly accepted: pulumi.Output<string>;

  constructor(name: string, args: SchemaPlanArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vehicleservice:database:SchemaPlan", name, {}, opts);
    const { host, database, before } = args;
    const { epoch, baseline, checks, accept, migrations: files, identity, holdsSecrets } = database;
    const content: MigrationsAct = { act: "migrations", epoch, baseline, files, checks, accept };
    const act = holdsSecrets ? pulumi.secret(content) : pulumi.output(content);
    const about = `database ${identity}`;
    const plan = hostAct(
      `${name}-act`,
      { host, act, result, part: "database", about, waitFor: before },
      { parent: this },
    );

    this.pending = plan.result.apply(({ pending }) => pending);
    this.waiting = plan.result.apply(({ waiting }) => waiting);
    this.accepted = plan.done("accepted");
    this.registerOutputs({ pending: this.pending, waiting: this.waiting });
  }
}
