import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import type { ConfigureResult, SiteSettings } from "../host/conductor/protocol";
import type { Host } from "./host";
import { hostAct } from "./host-act";

/** Settings of the site, with the testers' secret as Pulumi hands secrets over. */
export type SiteArgs = Omit<SiteSettings, "testers"> & {
  readonly testers: {
    /** Header, and cookie, that takes a tester to a colour. */
    readonly name: string;
    /** What testers send, a secret; empty closes the testers' route. */
    readonly secret: pulumi.Input<string>;
  };
};

/** Arguments of {@link FrontDoor}. */
export interface FrontDoorArgs {
  /** The host that the site is served from. */
  readonly host: Host;
  /** Everything about the site that is neither a release nor a share of traffic. */
  readonly site: SiteArgs;
}

const result: z.ZodType<ConfigureResult> = z.object({ configuration: z.string() });

/**
 * Nginx in front of both colours: domains, TLS, probes, testers' route. A change costs one reload and no request that was processed: of
 * HTTP/1.1 none fails on a connection that was used within the last ten seconds; HTTP/2 sessions end, and what was on its way to one is refused unprocessed (GOAWAY, REFUSED_STREAM), which by the protocol
 * clients send again by themselves, whatever its method.
 */
export class FrontDoor extends pulumi.ComponentResource {
  /** Where users find the site: `https://` and the first domain. */
  readonly url: pulumi.Output<string>;
  /** SHA-256, in hex, of the Nginx configuration that serves. */
  readonly configuration: pulumi.Output<string>;
  /** Constant; resolves once the host serves by these settings. */
  readonly configured: pulumi.Output<string>;

  constructor(name: string, args: FrontDoorArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vehicleservice:site:FrontDoor", name, {}, opts);
    const { host, site } = args;
    const { name: testerName, secret } = site.testers;
    const act = pulumi
      .output(secret)
      .apply(
        (text) =>
          ({ act: "configure", site: { ...site, testers: { name: testerName, secret: text } } }) as const,
      );
    const configure = hostAct(`${name}-act`, { host, act, result, part: "frontDoor" }, { parent: this });

    this.url = pulumi.output(`https://${String(site.domains[0])}`);
    this.configuration = configure.result.configuration;
    this.configured = configure.done("configured");
    this.registerOutputs({ url: this.url, configuration: this.configuration });
  }
}
