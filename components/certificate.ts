import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";
import type { CertifyResult, SiteSettings } from "../host/conductor/protocol";
import type { FrontDoor } from "./front-door";
import type { Host } from "./host";
import { hostAct } from "./host-act";

/** Arguments of {@link Certificate}. */
export interface CertificateArgs {
  /** The host that the site is served from. */
  readonly host: Host;
  /** The front door that shows the certificate, and the answers that an ACME server asks for. */
  readonly frontDoor: FrontDoor;
  /** The site's domains, and where its certificate comes from. */
  readonly site: Pick<SiteSettings, "domains" | "tls">;
}

const result: z.ZodType<CertifyResult> = z.object({
  source: z.enum(["acme", "files"]),
  domains: z.array(z.string()),
  issuer: z.string(),
  notAfter: z.string(),
});

/**
 * The site's certificate: got from an ACME server, which the host goes on to renew by itself, or checked where it is in files.
 * Another one takes its place by a reload, which loses no request that was processed; where it cannot be had, the one before serves on.
 */
export class Certificate extends pulumi.ComponentResource {
  /** Names that the certificate holds. */
  readonly domains: pulumi.Output<readonly string[]>;
  /** Who issued it. */
  readonly issuer: pulumi.Output<string>;
  /** End of its life when it was looked at last by an `up`, in ISO 8601; the host renews it before. */
  readonly notAfter: pulumi.Output<string>;
  /** Constant; resolves once the front door shows the certificate. */
  readonly certified: pulumi.Output<string>;

  constructor(name: string, args: CertificateArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vehicleservice:site:Certificate", name, {}, opts);
    const { host, frontDoor, site } = args;
    const { domains, tls } = site;
    const act = { act: "certify", domains, tls } as const;
    const certify = hostAct(
      `${name}-act`,
      { host, act, result, after: [frontDoor.configured] },
      { parent: this },
    );

    this.domains = certify.result.domains;
    this.issuer = certify.result.issuer;
    this.notAfter = certify.result.notAfter;
    this.certified = certify.done("certified");
    this.registerOutputs({ domains: this.domains, issuer: this.issuer, notAfter: this.notAfter });
  }
}
