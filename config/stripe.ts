import { isBelow } from "../host/conductor/front-door/url-path";
import type { StripeSpec } from "../components/stripe-webhook";
import { configCommand, type Fault, type Path } from "./faults";
import type { StackValues } from "./schema/stack";
import { accountWarnings, type StripeKeyName, stripeKeyFaults, type StripeKeys } from "./stripe-keys";
import type { StripeValues } from "./schema/stripe";
import { faultAt, type RawConfig, soundAt } from "./validation";
import { variablesIn } from "./variable-values";

type Webhook = NonNullable<StripeValues["webhook"]>;

/** Checks what the configuration says about Stripe beyond each value's own rule. Returns every fault. */
export function findStripe(raw: RawConfig): Fault[] {
  if (!isWanted(raw)) return [];
  return [...keyFaults(raw), ...secretFaults(raw), ...generationFaults(raw), ...pathFaults(raw)];
}

/** Does the configuration name a webhook, be it by a value that is at fault? */
function isWanted(raw: RawConfig): boolean {
  const { stripe } = raw.values;
  return typeof stripe === "object" && stripe !== null && "webhook" in stripe;
}

/** Names of the variables that the component gives. */
export function namesOfStripe(raw: RawConfig): readonly string[] {
  return isWanted(raw) ? ["STRIPE_WEBHOOK_SECRET"] : [];
}

function pathOf(name: StripeKeyName): Path {
  return name === "stripeApiKey" ? [name] : ["variables", name];
}

/** The keys that are set, and keep the rules of any variable. */
function keysIn(variables: Readonly<Record<string, string>>, apiKey: string): StripeKeys {
  const names = [
    "NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY",
    "STRIPE_SECRET_KEY",
    "STRIPE_CONNECT_CLIENT_ID",
  ] as const;
  const all = [
    ...names.map((name) => [name, variables[name] ?? ""] as const),
    ["stripeApiKey", apiKey] as const,
  ];
  return Object.fromEntries(all.filter(([, value]) => value !== ""));
}

function keyFaults(raw: RawConfig): Fault[] {
  const apiKey = (soundAt(raw, ["stripeApiKey"]) as string | undefined) ?? "";
  const keys = keysIn(variablesIn(raw), apiKey);
  const mode = (soundAt(raw, ["stripe", "mode"]) as StripeValues["mode"] | undefined) ?? "live";
  const found = stripeKeyFaults(keys, mode);
  if (keys.STRIPE_SECRET_KEY === undefined && keys.stripeApiKey === undefined) {
    const rule = "set, or the secret stripeApiKey: the webhook endpoint is made by it";
    found.push({ name: "STRIPE_SECRET_KEY", rule });
  }
  return found.map(({ name, rule }) => {
    const path = pathOf(name);
    return faultAt(raw, path, rule, `${configCommand("set --secret", path)} < key-file`);
  });
}

/** One owner of the signing secret, and one place for that of an endpoint that is there. */
function secretFaults(raw: RawConfig): Fault[] {
  const faults: Fault[] = [];
  const variable: Path = ["variables", "STRIPE_WEBHOOK_SECRET"];
  if (variablesIn(raw)["STRIPE_WEBHOOK_SECRET"] !== undefined) {
    const rule =
      "not set beside stripe.webhook: the stack gives the application the secret of its endpoint; where this is the secret of one that " +
      "is there and shall stay, it belongs into stripeWebhookSecret";
    faults.push(faultAt(raw, variable, rule, configCommand("rm", variable)));
  }
  const adopt = soundAt(raw, ["stripe", "webhook", "adopt"]) as string | undefined;
  if (adopt !== undefined && adopt !== "" && soundAt(raw, ["stripeWebhookSecret"]) === "") {
    const rule = `the signing secret of ${adopt}, which stripe.webhook.adopt names: Stripe tells it by no API (dashboard, Developers, Webhooks)`;
    faults.push(faultAt(raw, ["stripeWebhookSecret"], rule));
  }
  return faults;
}

function generationFaults(raw: RawConfig): Fault[] {
  const at = (key: string): Path => ["stripe", "webhook", key];
  const generation = soundAt(raw, at("generation")) as number | undefined;
  if (generation === undefined) return [];
  const faults: Fault[] = [];
  const next = soundAt(raw, at("next")) as number | undefined;
  const keep = (soundAt(raw, at("keep")) as readonly number[] | undefined) ?? [];
  const inForce = `${String(generation)}, which stripe.webhook.generation puts in force`;
  if (next !== undefined && next <= generation)
    faults.push(faultAt(raw, at("next"), `a generation above ${inForce}`, configCommand("rm", at("next"))));
  if (keep.some((one) => one >= generation))
    faults.push(faultAt(raw, at("keep"), `generations below ${inForce}`));
  return faults;
}

/** An event that one colour was told of is told once: it has to reach the colour that everyone's money is on. */
function pathFaults(raw: RawConfig): Fault[] {
  const path = soundAt(raw, ["stripe", "webhook", "path"]) as string | undefined;
  const stable = soundAt(raw, ["site", "stablePaths"]) as readonly string[] | undefined;
  if (path === undefined || stable === undefined || stable.some((one) => isBelow(path, one))) return [];
  const rule =
    "a path that is below one of site.stablePaths: Stripe keeps no cookie, and its events stay on the stable colour";
  return [
    faultAt(
      raw,
      ["stripe", "webhook", "path"],
      rule,
      `write \`stablePaths: [${path}]\` under ${raw.namespace}:site in Pulumi.${raw.stack}.yaml`,
    ),
  ];
}

/** What the component is given; null for a stack without Stripe. Secrets are not marked yet. */
export function stripeSpec(
  values: StackValues,
  { namespace, stack }: Pick<RawConfig, "namespace" | "stack">,
): (StripeSpec & { readonly apiKey: string; readonly adoptedSecret: string }) | null {
  const { mode, apiUrl, account, callbackPath, webhook } = values.stripe;
  if (webhook === undefined) return null;
  const { generation, next = 0, keep, adopt, path, events }: Webhook = webhook;
  const domain = values.site.domains[0] ?? "";
  const keys = keysIn(values.variables, values.stripeApiKey);
  return {
    ...{ apiUrl, mode, account, generation, next, keep, adopt, events },
    stack: `${namespace}/${stack}`,
    apiKey: keys.stripeApiKey ?? keys.STRIPE_SECRET_KEY ?? "",
    adoptedSecret: values.stripeWebhookSecret,
    url: `https://${domain}${path}`,
    description: webhook.description ?? `${values.name} (${stack}), ${domain}`,
    redirectUri: `https://${domain}${callbackPath}`,
    warnings: accountWarnings(keys),
  };
}
