import * as pulumi from "@pulumi/pulumi";
import type { EndpointsInputs, EndpointsState } from "./stripe-endpoints";
import { type Generations, inForce, type NamedEndpoint } from "./stripe-generations";
import type { providers } from "./stripe-provider";
import type { FoundEndpoint, SettingsInputs, SettingsState } from "./stripe-settings";

/** A site's webhook at Stripe, and what it shall be. */
export interface StripeSpec extends Generations {
  /** URL of Stripe's API. */
  readonly apiUrl: string;
  /** Secret or restricted key. A secret. */
  readonly apiKey: pulumi.Input<string>;
  /** Project and stack, which the endpoints are marked with. */
  readonly stack: string;
  readonly mode: "live" | "test";
  /** What an account does that cannot take money or pay it out: `stop` a new endpoint, or be told of. */
  readonly account: "stop" | "tell";
  /** Where Stripe sends events. */
  readonly url: string;
  /** Names of the events. */
  readonly events: readonly string[];
  readonly description: string;
  /** Id of an endpoint that is adopted; empty for none, or for the only one of the URL. */
  readonly adopt: string;
  /** Signing secret of the one that is adopted, or that was rolled in the dashboard; empty for none. A secret. */
  readonly adoptedSecret: pulumi.Input<string>;
  /** Where Stripe Connect sends businesses back to; only Stripe's dashboard takes it. */
  readonly redirectUri: string;
  /** What is well enough, and yet has to be known. */
  readonly warnings: readonly string[];
}

/**
 * Where Stripe sends the site's events, and the secrets that it signs them by. Changed in place; another endpoint is made by
 * another generation alone, beside the one before.
 */
export class StripeWebhook extends pulumi.ComponentResource {
  /**
   * `STRIPE_WEBHOOK_SECRET`: the signing secrets of all generations that are there, the newest first, with commas between
   * them. A secret; no variable at all for a site without Stripe.
   */
  readonly variables: Readonly<Record<string, pulumi.Output<string>>>;
  /** Where Stripe Connect sends businesses back to: to be entered in Stripe's dashboard. Empty without Stripe. */
  readonly redirectUri: pulumi.Output<string>;
  /** The endpoints, the newest first; none without Stripe. */
  readonly endpoints: pulumi.Output<readonly NamedEndpoint[]>;
  /** What was last found of them; none without Stripe. */
  readonly found: pulumi.Output<readonly FoundEndpoint[]>;

  /** @param spec Null for a site without Stripe: nothing is there, and nobody is asked. */
  constructor(name: string, spec: StripeSpec | null, opts?: pulumi.ComponentResourceOptions) {
    super("vehicleservice:stripe:StripeWebhook", name, {}, opts);
    const made = spec === null ? null : this.make(name, spec);
    this.variables =
      made === null ? {} : { STRIPE_WEBHOOK_SECRET: pulumi.secret(made.endpoints.signingSecrets) };
    this.redirectUri = pulumi.output(spec?.redirectUri ?? "");
    this.endpoints = made?.endpoints.endpoints ?? pulumi.output([]);
    this.found = made?.settings.found ?? pulumi.output([]);
    this.registerOutputs({ redirectUri: this.redirectUri, endpoints: this.endpoints });
  }

  private make(name: string, spec: StripeSpec) {
    const { apiUrl, url, events, description, generation, next, keep, adopt } = spec;
    const { mode, account, warnings } = spec;
    for (const warning of warnings) void pulumi.log.warn(warning, this);
    const through = { apiUrl, apiKey: pulumi.secret(spec.apiKey) };
    const inputs: Inputs<EndpointsInputs> = {
      ...{ ...through, url, events, description, generation, next, keep, adopt, mode, account },
      stack: spec.stack,
      adoptedSecret: pulumi.secret(spec.adoptedSecret),
    };
    // Not retained: an endpoint that nobody has the secret of any more is of no use, and Stripe would send to it for ever.
    const endpoints = new EndpointsResource(`${name}-endpoints`, inputs, { parent: this, protect: true });
    const wanted: Inputs<SettingsInputs> = {
      ...{ ...through, url, events, description },
      // Said here, so that a preview knows what becomes of the endpoints, and that their secrets stay.
      endpoints: endpoints.endpoints.apply((known) =>
        known.map((one) => ({ ...one, waiting: one.generation > inForce(generation, known) })),
      ),
    };
    const settings = new SettingsResource(`${name}-settings`, wanted, { parent: this });
    return { endpoints, settings };
  }
}

type Inputs<T> = { readonly [Key in keyof T]: pulumi.Input<T[Key]> };

/**
 * What the state keeps as the provider, and Pulumi's process for such providers runs, in the program's folder: see
 * {@link HostDrift}.
 */
const providerOf = (kind: keyof typeof providers): string =>
  `exports.handler = () => require(require("node:path").resolve("dist/stripe-provider.js")).providers.${kind};`;

class EndpointsResource extends pulumi.CustomResource {
  declare readonly endpoints: pulumi.Output<EndpointsState["endpoints"]>;
  declare readonly signingSecrets: pulumi.Output<string>;

  constructor(name: string, inputs: Inputs<EndpointsInputs>, opts: pulumi.CustomResourceOptions) {
    const type = "pulumi-nodejs:dynamic/vehicleservice:StripeEndpoints";
    const outputs = { endpoints: undefined, secrets: undefined, signingSecrets: undefined, seen: undefined };
    const additionalSecretOutputs = ["apiKey", "adoptedSecret", "secrets", "signingSecrets", "seen"];
    const all = { ...outputs, ...inputs, __provider: providerOf("endpoints") };
    super(type, name, all, { ...opts, additionalSecretOutputs });
  }
}

class SettingsResource extends pulumi.CustomResource {
  declare readonly found: pulumi.Output<SettingsState["found"]>;

  constructor(name: string, inputs: Inputs<SettingsInputs>, opts: pulumi.CustomResourceOptions) {
    const type = "pulumi-nodejs:dynamic/vehicleservice:StripeEndpointSettings";
    const all = { found: undefined, ...inputs, __provider: providerOf("settings") };
    super(type, name, all, { ...opts, additionalSecretOutputs: ["apiKey"] });
  }
}
