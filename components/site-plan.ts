import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import type { Colour, PlanResult, ReleaseIntent, TrafficIntent } from "../host/conductor/protocol";
import type { FrontDoor } from "./front-door";
import type { Host } from "./host";
import { hostAct } from "./host-act";

/** Arguments of {@link SitePlan}. */
export interface SitePlanArgs {
  /** The host that the site is served from. */
  readonly host: Host;
  /** The front door that is to carry the plan out. */
  readonly frontDoor: FrontDoor;
  /** What each colour shall run; null retires it. */
  readonly releases: Readonly<Record<Colour, ReleaseIntent | null>>;
  /** Who shall get which share. */
  readonly traffic: TrafficIntent;
}

const result: z.ZodType<PlanResult> = z.object({ steps: z.array(z.string()) });

/**
 * Asks the host whether the whole desired state can be reached from what is live, before anything is touched. The
 * releases wait for it, so that a plan that is refused changes nothing.
 */
export class SitePlan extends pulumi.ComponentResource {
  /** The steps that follow, in words. */
  readonly steps: pulumi.Output<readonly string[]>;
  /** Constant; resolves once the host accepted the plan. */
  readonly accepted: pulumi.Output<string>;

  constructor(name: string, args: SitePlanArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vehicleservice:site:SitePlan", name, {}, opts);
    const { host, frontDoor, releases, traffic } = args;
    const act = { act: "plan", releases, traffic } as const;
    const plan = hostAct(
      `${name}-act`,
      { host, act, result, after: [frontDoor.configured] },
      { parent: this },
    );

    this.steps = plan.result.apply(({ steps }) => steps);
    this.accepted = plan.done("accepted");
    this.registerOutputs({ steps: this.steps });
  }
}
