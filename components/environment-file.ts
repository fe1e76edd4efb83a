import { createHmac } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import { RandomPassword } from "@pulumi/random";
import { z } from "zod";
import type { EnvironmentResult } from "../host/conductor/protocol";
import type { Host } from "./host";
import { canonicalJson, hostAct } from "./host-act";

/** Arguments of {@link EnvironmentFile}. */
export interface EnvironmentFileArgs {
  /** The host that the releases run on. */
  readonly host: Host;
  /** The application's variables, value by name. All of them are treated as secrets. */
  readonly variables: Readonly<Record<string, pulumi.Input<string>>>;
}

const result: z.ZodType<EnvironmentResult> = z.object({ hash: z.string() });

/** Letters and digits of the key: 256 bits. */
const KEY_LENGTH = 43;

/** Hexadecimal digits of an environment's name. */
const HASH_LENGTH = 16;

/**
 * The variables that releases run with, in a file on the host that nobody but the releases' user reads. Another value
 * is another file beside it: what runs keeps its own until its next release.
 */
export class EnvironmentFile extends pulumi.ComponentResource {
  /**
   * Names the environment; resolves once it is on the host. Keyed, so that it tells nothing of the values, and no
   * secret, for it is part of a directory's name. Known in every preview but the first.
   */
  readonly hash: pulumi.Output<string>;

  constructor(name: string, args: EnvironmentFileArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vehicleservice:host:EnvironmentFile", name, {}, opts);
    const variables = pulumi.secret(pulumi.output(args.variables));
    // Not RandomBytes, whose id is the secret itself, in clear in the state.
    const key = new RandomPassword(`${name}-key`, { length: KEY_LENGTH, special: false }, { parent: this });
    const hash = pulumi.unsecret(
      pulumi
        .all([key.result, variables])
        .apply(([keyText, values]) =>
          createHmac("sha256", keyText).update(canonicalJson(values)).digest("hex").slice(0, HASH_LENGTH),
        ),
    );
    const act = pulumi
      .all([hash, variables])
      .apply(([hashText, values]) => ({ act: "environment", hash: hashText, variables: values }) as const);
    const write = hostAct(
      `${name}-act`,
      { host: args.host, act, result, part: "environment" },
      { parent: this },
    );

    this.hash = write.done(hash);
    this.registerOutputs({ hash: this.hash });
  }
}
