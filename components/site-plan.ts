import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import type { Colour, PlanResult, TrafficIntent } from "../host/conductor/protocol";
import type { Certificate } from "./certificate";
import type { Database } from "./database";
import type { EnvironmentFile } from "./environment-file";
import type { Host } from "./host";
import { hostAct } from "./host-act";
import type { Maintenance } from "./maintenance";
import { intentOf, strategyOf, type ReleaseSpec, type Strategy } from "./release-spec";

/** Arguments of {@link SitePlan}. */
export interface SitePlanArgs extends Strategy {
  /** The host that the site is served from. */
  readonly host: Host;
  /** The certificate of the front door that is to carry the plan out. */
  readonly certificate: Certificate;
  /** Keeps users out first, where it is asked to. */
  readonly maintenance: Maintenance;
  /** The database: schema before code, and no release that the schema does not fit. */
  readonly database: Database;
  /** What else has to be done before. Constants that resolve late; none by default. */
  readonly after?: readonly pulumi.Input<string>[];
  /** What each colour shall run; null retires it. */
  readonly releases: Readonly<Record<Colour, ReleaseSpec | null>>;
  /** The variables that the releases are built and run with. */
  readonly environment: EnvironmentFile;
  /** Who shall get which share. */
  readonly traffic: TrafficIntent;
}

const result: z.ZodType<PlanResult> = z.object({ steps: z.array(z.string()) });

const IN_PLACE =
  "strategy is in-place: a version that is put on the colour that serves everyone closes the site to them while its " +
  "processes change. The version before stays on the disk, and comes back where the new one does not become healthy.";

/**
 * Asks the host whether the whole desired state can be reached from what is live, on the schema as it is by then and with the
 * environment that is on the host by then. The releases wait for it, so that a plan that is refused changes none. What can be told
 * earlier is refused earlier, before anything is touched: by `HostDrift`, in every preview, too.
 */
export class SitePlan extends pulumi.ComponentResource {
  /** The steps that follow, in words. */
  readonly steps: pulumi.Output<readonly string[]>;
  /** Constant; resolves once the host accepted the plan. */
  readonly accepted: pulumi.Output<string>;

  constructor(name: string, args: SitePlanArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vehicleservice:site:SitePlan", name, {}, opts);
    const { host, certificate, maintenance, database, environment, traffic } = args;
    const strategy = strategyOf(args);
    if (strategy.inPlace) void pulumi.log.warn(IN_PLACE, this);
    const schema = database.ranges === null ? {} : { schema: database.ranges };
    const act = pulumi
      .all([intentOf(args.releases.blue, environment), intentOf(args.releases.green, environment)])
      .apply(([blue, green]) => {
        return { act: "plan", releases: { blue, green }, ...strategy, ...schema, traffic } as const;
      });
    const after = [certificate.certified, maintenance.closed];
    const plan = hostAct(
      `${name}-act`,
      { host, act, result, after, waitFor: [database.ready, ...(args.after ?? [])] },
      { parent: this },
    );

    this.steps = plan.result.apply(({ steps }) => steps);
    this.accepted = plan.done("accepted");
    this.registerOutputs({ steps: this.steps });
  }
}
