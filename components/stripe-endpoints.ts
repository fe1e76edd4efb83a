/** The provider of a site's webhook endpoints at Stripe: which there are, and what their signing secrets are. */
import { createHash } from "node:crypto";
import type {
  CheckResult,
  CreateResult,
  DiffResult,
  ResourceProvider,
  UpdateResult,
} from "@pulumi/pulumi/dynamic";
import { PATIENCE, type Patience, type StripeAccess, StripeApi } from "./stripe-api";
import { type Generations, inForce, type NamedEndpoint, wantedGenerations } from "./stripe-generations";
import { metadataOf, obtain, type Origin } from "./stripe-origin";
import type { EndpointSettings } from "./stripe-settings";

/** What the program gives. */
export interface EndpointsInputs extends StripeAccess, EndpointSettings, Generations {
  /** Project and stack, which the endpoints are marked with. */
  readonly stack: string;
  /** Id of an endpoint that is there and becomes the stack's own; empty for none, or for the only one of the URL. */
  readonly adopt: string;
  /** Signing secret of the endpoint that is adopted, or that was rolled in the dashboard; empty for none. A secret. */
  readonly adoptedSecret: string;
  readonly mode: "live" | "test";
  /** What an account does that cannot take money or pay it out: `stop` a new endpoint, or be told of. */
  readonly account: "stop" | "tell";
}

/** What is kept, and what the program gets. */
export interface EndpointsState extends EndpointsInputs {
  /** The endpoints, the newest generation first. */
  readonly endpoints: readonly NamedEndpoint[];
  /** Their signing secrets, in the same order. A secret. */
  readonly secrets: readonly string[];
  /** The same with commas between them. A secret. */
  readonly signingSecrets: string;
  /** Hashes of all secrets that any endpoint had: an older config that still names one of them means nothing new by it. */
  readonly seen: readonly string[];
}

/**
 * What an endpoint that waits is made for: an event of a product that the application has nothing to do with. Stripe makes no
 * endpoint that is off, and one that were on for a moment could get an event that no release can verify yet.
 */
const WAITING_EVENTS = ["sigma.scheduled_query_run.created"];

/** The provider. Nothing replaces the resource: each of its changes is an update, whose parts are kept when a later one fails. */
export function endpointsProvider(
  patience: Patience = PATIENCE,
): ResourceProvider<EndpointsInputs, EndpointsState> {
  const apiOf = (inputs: EndpointsInputs, secrets: readonly string[] = []) =>
    new StripeApi(inputs, [inputs.adoptedSecret, ...secrets], patience);
  return {
    check,
    diff,
    create: (inputs) => create(apiOf(inputs), inputs),
    update: (id, olds, news) => update(apiOf(news, olds.secrets), id, olds, news),
    delete: (_id, state) => removeAll(apiOf(state, state.secrets), state),
  };
}

/** Refuses, in the preview already, what would leave a release with a secret that no endpoint signs by. */
function check(olds: Partial<EndpointsInputs>, news: EndpointsInputs): Promise<CheckResult> {
  const { generation } = olds;
  if (generation === undefined || news.generation <= generation || news.keep.includes(generation))
    return Promise.resolve({ inputs: news, failures: [] });
  const reason =
    `the releases know the secret of generation ${generation} alone: keep it beside generation ${news.generation} ` +
    `(\`pulumi config set --path 'stripe.webhook.keep[0]' ${generation}\`) until a release with both secrets serves everyone`;
  return Promise.resolve({ inputs: news, failures: [{ property: "", reason }] });
}

function diff(_id: string, olds: EndpointsState, news: EndpointsInputs): Promise<DiffResult> {
  const { endpoints } = olds;
  const current = inForce(news.generation, endpoints);
  if (current !== news.generation) {
    console.error(
      `Stripe: stripe.webhook.generation is ${news.generation}, whose endpoint was deleted: generation ${current} stays in force; ` +
        `\`pulumi config set --path stripe.webhook.generation ${current}\``,
    );
  }
  const changes =
    wantedGenerations(news, endpoints).join() !== endpoints.map(({ generation }) => generation).join() ||
    olds.apiKey !== news.apiKey ||
    olds.apiUrl !== news.apiUrl ||
    olds.adoptedSecret !== news.adoptedSecret;
  return Promise.resolve({ changes, replaces: [] });
}

async function create(api: StripeApi, inputs: EndpointsInputs): Promise<CreateResult<EndpointsState>> {
  const nothing: EndpointsState = { ...inputs, endpoints: [], secrets: [], signingSecrets: "", seen: [] };
  const { outs } = await update(api, inputs.stack, nothing, inputs);
  return { id: inputs.stack, outs: outs ?? nothing };
}

async function update(
  api: StripeApi,
  id: string,
  olds: EndpointsState,
  news: EndpointsInputs,
): Promise<UpdateResult<EndpointsState>> {
  const current = inForce(news.generation, olds.endpoints);
  const generations = wantedGenerations(news, olds.endpoints);
  const isNewSecret = news.adoptedSecret !== "" && !olds.seen.includes(hashOf(news.adoptedSecret));
  const isThere = olds.endpoints.some(({ generation }) => generation === current);
  // That of the endpoint in force: rolled in the dashboard, or corrected; or else of one that is adopted.
  let found = withSecrets(olds).map((one) =>
    one.generation === current && isNewSecret ? { ...one, secret: news.adoptedSecret } : one,
  );
  const outs = () => stateOf(news, found, olds.seen);
  const missing = generations.filter((one) => !found.some(({ generation }) => generation === one));
  try {
    if (missing.length > 0) await lookAtAccount(api, news);
    for (const generation of missing.reverse()) {
      const adopted = generation === current && isNewSecret && !isThere;
      found = [...found, await obtain(api, originOf(news, { generation, current, adopted }), found)];
    }
    for (const dropped of found.filter(({ generation }) => !generations.includes(generation))) {
      await api.remove(dropped.id);
      found = found.filter((one) => one !== dropped);
    }
  } catch (error) {
    // Where nothing was done, what was wanted is not kept either: the next `up` is checked against what is in force.
    const isDone = idsOf(found) !== idsOf(olds.endpoints);
    throw isDone ? keptAsIs(id, outs(), error as Error) : error;
  }
  return { outs: outs() };
}

function idsOf(endpoints: readonly NamedEndpoint[]): string {
  return endpoints.map((one) => one.id).join();
}

/** An update that was carried out by half: Pulumi keeps what was done, and the next `up` goes on. */
function keptAsIs(id: string, properties: EndpointsState, error: Error): Error {
  return Object.assign(error, { id, properties, reasons: [error.message] });
}

/** Only ever after somebody took the protection away. */
async function removeAll(api: StripeApi, { endpoints }: EndpointsState): Promise<void> {
  for (const { id } of endpoints) await api.remove(id);
}

async function lookAtAccount(api: StripeApi, { mode, account: onFault }: EndpointsInputs): Promise<void> {
  const account = await api.account();
  if (account === null) {
    console.error(
      "Stripe: the key may not look at its account: whether it takes charges and pays out was not seen",
    );
    return;
  }
  const disabled = [
    ...(account.chargesEnabled ? [] : ["take charges"]),
    ...(account.payoutsEnabled ? [] : ["pay out"]),
  ];
  if (disabled.length === 0) return;
  const text =
    `account ${account.id} cannot ${disabled.join(" and cannot ")}: complete what Stripe asks for (dashboard, Settings, ` +
    "Business, and the bank account for payouts)";
  if (mode === "live" && onFault === "stop") {
    throw new Error(
      `${text}; or, where that is to come later, \`pulumi config set --path stripe.account tell\``,
    );
  }
  console.error(`Stripe: ${text}`);
}

function originOf(
  inputs: EndpointsInputs,
  { generation, current, adopted }: { generation: number; current: number; adopted: boolean },
): Origin {
  const { stack, url, events, description, adopt, adoptedSecret } = inputs;
  return {
    ...{ stack, generation, url, description, metadata: metadataOf(stack, generation) },
    events: generation > current ? WAITING_EVENTS : events,
    adopt: adopted ? adopt : "",
    adoptedSecret: adopted ? adoptedSecret : "",
  };
}

type WithSecret = NamedEndpoint & { readonly secret: string };

function withSecrets({ endpoints, secrets }: EndpointsState): WithSecret[] {
  return endpoints.map(({ generation, id }, index) => ({ generation, id, secret: secrets[index] ?? "" }));
}

function stateOf(
  inputs: EndpointsInputs,
  found: readonly WithSecret[],
  seen: readonly string[],
): EndpointsState {
  const sorted = [...found].sort((one, other) => other.generation - one.generation);
  const secrets = sorted.map(({ secret }) => secret);
  return {
    ...inputs,
    endpoints: sorted.map(({ generation, id }) => ({ generation, id })),
    secrets,
    signingSecrets: secrets.join(","),
    seen: [...new Set([...seen, ...secrets.map(hashOf)])],
  };
}

function hashOf(secret: string): string {
  return createHash("sha256").update(secret).digest("hex").slice(0, 32);
}
