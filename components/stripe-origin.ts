/** Where an endpoint comes from: it is adopted, found again after an answer that was lost, or made. */
import { createHash } from "node:crypto";
import type { NamedEndpoint } from "./stripe-generations";
import { API_VERSION, type Endpoint, type NewEndpoint, type StripeApi, StripeFailure } from "./stripe-api";

/** The endpoint that is wanted. */
export interface Origin extends Omit<NewEndpoint, "apiVersion"> {
  /** Project and stack. */
  readonly stack: string;
  readonly generation: number;
  /** Id of the one that is adopted; empty for none, or for the only one of the URL. */
  readonly adopt: string;
  /** Its signing secret; empty for none, and for one that is an endpoint's already. */
  readonly adoptedSecret: string;
}

/**
 * How long after its making an endpoint's secret is asked for again by the idempotency key, in milliseconds. Stripe forgets keys
 * after 24 hours at the earliest: https://docs.stripe.com/api/idempotent_requests.
 */
const REPLAYED_MS = 23 * 3_600_000;

/** How an endpoint is marked as a stack's own. */
export function metadataOf(stack: string, generation: number): Readonly<Record<string, string>> {
  return { deployed_by: "pulumi", stack, generation: String(generation) };
}

/** The key of an endpoint's making: the same for each try, another one for another generation. */
function idempotencyKey(stack: string, url: string, generation: number): string {
  const hash = createHash("sha256")
    .update(JSON.stringify([stack, url, generation]))
    .digest("hex");
  return `stripe-webhook-${hash}`;
}

/**
 * Gets the endpoint of a generation with its secret; there is never a second one of the same URL and generation.
 * @param known What the stack has already, and is none of these.
 * @throws Error that says what is there, and what to do about it
 */
export async function obtain(
  api: StripeApi,
  origin: Origin,
  known: readonly Pick<NamedEndpoint, "id">[],
): Promise<NamedEndpoint & { readonly secret: string }> {
  const isKnown = (id: string) => known.some((one) => one.id === id);
  const all = (await api.endpoints()).filter(({ id }) => !isKnown(id));
  const ours = all.find((one) => isOf(origin, one));
  const same = all.filter(({ url, status }) => url === origin.url && status === "enabled");
  const { generation, adoptedSecret } = origin;
  if (adoptedSecret !== "") {
    const { id } = chosen(origin, isKnown, { all, ours, same });
    await api.update(id, { metadata: origin.metadata });
    return { generation, id, secret: adoptedSecret };
  }
  if (ours !== undefined) return { generation, ...(await foundAgain(api, origin, ours)) };
  if (same.length > 0) throw new Error(alreadyThere(origin, same));
  return { generation, ...(await made(api, origin)) };
}

function isOf({ metadata }: Origin, endpoint: Endpoint): boolean {
  return Object.entries(metadata).every(([key, value]) => endpoint.metadata[key] === value);
}

function idsOf(endpoints: readonly Endpoint[]): string {
  return endpoints.map(({ id }) => id).join(", ");
}

/** The endpoint that is adopted. */
function chosen(
  { adopt, url }: Origin,
  isKnown: (id: string) => boolean,
  {
    all,
    ours,
    same,
  }: {
    readonly all: readonly Endpoint[];
    readonly ours: Endpoint | undefined;
    readonly same: readonly Endpoint[];
  },
): Endpoint {
  if (adopt !== "" && !isKnown(adopt)) {
    const found = all.find(({ id }) => id === adopt);
    if (found !== undefined) return found;
    throw new Error(
      `Stripe has no webhook endpoint ${adopt} in the account and mode of the key: correct stripe.webhook.adopt` +
        (same.length === 0 ? "" : `; for ${url} there is ${idsOf(same)}`),
    );
  }
  const candidates = ours === undefined ? same : [ours];
  const [only, ...others] = candidates;
  if (only !== undefined && others.length === 0) return only;
  throw new Error(
    only === undefined
      ? `stripeWebhookSecret is set, and Stripe has no enabled webhook endpoint for ${url} that it could be of: name the endpoint ` +
          "(`pulumi config set --path stripe.webhook.adopt we_...`), or have one made (`pulumi config rm stripeWebhookSecret`)"
      : `Stripe has several webhook endpoints for ${url}: ${idsOf(candidates)}; say which one stripeWebhookSecret is of ` +
          "(`pulumi config set --path stripe.webhook.adopt we_...`), and delete the others in the dashboard",
  );
}

/** How the secret of an endpoint that is there comes into the config. */
const REVEAL =
  "its signing secret (dashboard, Developers, Webhooks, the endpoint, Signing secret: Reveal), " +
  "`pulumi config set --secret stripeWebhookSecret < secret-file`";

function alreadyThere({ url }: Origin, same: readonly Endpoint[]): string {
  const [only, ...others] = same;
  const which = others.length > 0 || only === undefined ? "we_..." : only.id;
  return (
    `Stripe sends events to ${url} by the webhook endpoint ${idsOf(same)} already, and a second one would send each of them twice: ` +
    `adopt it with ${REVEAL} and \`pulumi config set --path stripe.webhook.adopt ${which}\`; or delete it in the dashboard, ` +
    "and run `pulumi up` again"
  );
}

/** An endpoint that an `up` made whose end was not seen: the same question gets the same answer, the secret in it. */
async function foundAgain(
  api: StripeApi,
  { stack, generation }: Origin,
  ours: Endpoint,
): Promise<{ readonly id: string; readonly secret: string }> {
  const lost =
    `webhook endpoint ${ours.id} is generation ${generation} of this stack, and its secret, which Stripe tells once, is not in the ` +
    `state: give ${REVEAL}; or delete it in the dashboard, and \`pulumi config set --path stripe.webhook.generation ${generation + 1}\``;
  if (Date.now() - ours.created * 1000 > REPLAYED_MS) throw new Error(lost);
  try {
    const again = await api.create(asItWasMade(ours), idempotencyKey(stack, ours.url, generation));
    if (again.id === ours.id) return { id: again.id, secret: again.secret };
    // Stripe knew the key no more, and made another one, which nobody has been told of.
    await api.remove(again.id);
  } catch (error) {
    if (!isAnsweredBefore(error)) throw error;
  }
  throw new Error(lost);
}

/** Did Stripe answer the idempotency key before, with other parameters or with a fault that it repeats for a day? */
function isAnsweredBefore(error: unknown): boolean {
  return error instanceof StripeFailure && (error.type === "idempotency_error" || error.repeated);
}

/** The parameters that an endpoint was made with; somebody who changed one of them has made its secret unknown. */
function asItWasMade({ url, enabled_events, description, api_version, metadata }: Endpoint): NewEndpoint {
  return {
    ...{
      url,
      events: enabled_events,
      description: description ?? "",
      apiVersion: api_version ?? API_VERSION,
    },
    metadata: { ...metadata },
  };
}

async function made(
  api: StripeApi,
  origin: Origin,
): Promise<{ readonly id: string; readonly secret: string }> {
  const { stack, generation, url, events, description, metadata } = origin;
  const wanted: NewEndpoint = {
    url,
    events: [...events].sort(),
    description,
    apiVersion: API_VERSION,
    metadata,
  };
  const another =
    `generation ${generation} of this stack's webhook endpoint was made and deleted, or its making failed at Stripe, and a generation is ` +
    "made once: " +
    `\`pulumi config set --path stripe.webhook.generation ${generation + 1}\``;
  let endpoint;
  try {
    endpoint = await api.create(wanted, idempotencyKey(stack, url, generation));
  } catch (error) {
    // The key is known: for other parameters, whose endpoint is no more, or for a fault of Stripe's, which it repeats.
    throw isAnsweredBefore(error) ? new Error(another) : error;
  }
  // The answer of before, to the question of an `up` of before.
  if ((await api.endpoint(endpoint.id)) === null) throw new Error(another);
  return { id: endpoint.id, secret: endpoint.secret };
}
