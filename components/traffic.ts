import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import { COLOURS, type Colour, type TrafficResult } from "../host/conductor/protocol";
import type { Host } from "./host";
import { hostAct } from "./host-act";
import type { Release } from "./release";

/** Arguments of {@link Traffic}. */
export interface TrafficArgs {
  /** The host whose front door splits the traffic. */
  readonly host: Host;
  /** The release on blue. */
  readonly blue: Release;
  /** The release on green. */
  readonly green: Release;
  /** The colour that takes all that the other one, the candidate, does not. */
  readonly stable: Colour;
  /** Share of the candidate, in percent: 0 to 100. */
  readonly weight: number;
}

const result: z.ZodType<TrafficResult> = z.object({
  stable: z.enum(COLOURS),
  weight: z.number(),
  effectiveWeight: z.number(),
  serving: z.object({ blue: z.string(), green: z.string() }).partial(),
}) as z.ZodType<TrafficResult>;

/** Splits the front door's users between the colours, after both releases. Changing the weight restarts and reloads nothing. */
export class Traffic extends pulumi.ComponentResource {
  /** The colour that takes all that the candidate does not, as the host confirmed it. */
  readonly stable: pulumi.Output<Colour>;
  /** Share of users on the candidate that the host confirmed, in percent. */
  readonly effectiveWeight: pulumi.Output<number>;
  /** The version that each colour with a share serves. */
  readonly serving: pulumi.Output<TrafficResult["serving"]>;
  /** Constant; resolves once the host serves by these shares. */
  readonly applied: pulumi.Output<string>;

  constructor(name: string, args: TrafficArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vehicleservice:site:Traffic", name, {}, opts);
    const { host, blue, green, stable, weight } = args;
    const act = { act: "traffic", stable, weight } as const;
    // A colour that swapped its release gave its share away; it gets it back, and `serving` its new version, here.
    // By its id also where it went back to what it was before an `up` that ended in between.
    const after = [blue.deployed, green.deployed, blue.sent, green.sent];
    const split = hostAct(`${name}-act`, { host, act, result, after }, { parent: this });

    this.stable = split.result.apply((traffic) => traffic.stable);
    this.effectiveWeight = split.result.apply((traffic) => traffic.effectiveWeight);
    this.serving = split.result.apply((traffic) => traffic.serving);
    this.applied = split.done("applied");
    this.registerOutputs({ effectiveWeight: this.effectiveWeight, serving: this.serving });
  }
}
