import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { COLOURS, type Colour, type ReleaseResult } from "../host/conductor/protocol";
import type { EnvironmentFile } from "./environment-file";
import type { Host } from "./host";
import { canonicalJson, hostAct } from "./host-act";
import { intentOf, strategyOf, type ReleaseSpec, type Strategy } from "./release-spec";
import type { SitePlan } from "./site-plan";

/** Arguments of {@link Release}. */
export interface ReleaseArgs extends Strategy {
  /** The host that the release runs on. */
  readonly host: Host;
  /** The plan that this release is part of. */
  readonly plan: SitePlan;
  /** The variables that the release is built and run with. */
  readonly environment: EnvironmentFile;
  /** The side of the site that the release takes. */
  readonly colour: Colour;
  /** What to run; null retires the colour. */
  readonly release: ReleaseSpec | null;
}

const result: z.ZodType<ReleaseResult> = z.object({
  colour: z.enum(COLOURS),
  version: z.string().nullable(),
  commit: z.string().nullable(),
  directory: z.string().nullable(),
  environment: z.string().nullable(),
  pending: z.boolean(),
});

/**
 * What one colour runs: fetched, built, started and proven healthy. It knows its own colour only, neither the other one
 * nor anyone's share, so that no change of traffic touches a release.
 */
export class Release extends pulumi.ComponentResource {
  /** Commit that the version was built from; null for a retired colour. */
  readonly commit: pulumi.Output<string | null>;
  /** Directory of the release on the host; null for a retired colour. */
  readonly directory: pulumi.Output<string | null>;
  /** The colour served users when its environment changed: it keeps its own until its next release. */
  readonly pending: pulumi.Output<boolean>;
  /**
   * SHA-256, in hex, of what was asked for; resolves once the colour runs it. Known in every preview but the first, and
   * another one for another release: what takes it as an input is done again after each.
   */
  readonly deployed: pulumi.Output<string>;
  /** Another one for every release that was sent, the same as an earlier one among them. */
  readonly sent: pulumi.Output<string>;

  constructor(name: string, args: ReleaseArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vehicleservice:site:Release", name, {}, opts);
    const { host, plan, colour } = args;
    const strategy = strategyOf(args);
    const act = intentOf(args.release, args.environment).apply(
      (release) => ({ act: "release", colour, release, ...strategy }) as const,
    );
    const deploy = hostAct(
      `${name}-act`,
      { host, act, result, part: colour, after: [plan.accepted] },
      { parent: this, replaceOnChanges: ["stdin"] },
    );

    this.commit = deploy.result.apply(({ commit }) => commit);
    this.directory = deploy.result.apply(({ directory }) => directory);
    this.pending = deploy.result.apply(({ pending }) => pending);
    this.deployed = deploy.done(
      act.apply((asked) => createHash("sha256").update(canonicalJson(asked)).digest("hex")),
    );
    this.sent = deploy.sent;
    this.registerOutputs({ commit: this.commit, directory: this.directory });
  }
}
