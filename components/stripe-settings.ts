/** The provider of what a site's webhook endpoints are like: URL, events, description, and whether Stripe sends at all. */
import type {
  CreateResult,
  DiffResult,
  ReadResult,
  ResourceProvider,
  UpdateResult,
} from "@pulumi/pulumi/dynamic";
import {
  API_VERSION,
  type Endpoint,
  type EndpointChanges,
  PATIENCE,
  type Patience,
  type StripeAccess,
  StripeApi,
} from "./stripe-api";
import type { NamedEndpoint } from "./stripe-generations";

/** What every endpoint of a stack shall be like. */
export interface EndpointSettings {
  /** Where Stripe sends events. */
  readonly url: string;
  /** Names of the events. */
  readonly events: readonly string[];
  readonly description: string;
}

/** An endpoint, and whether it is on. */
export interface SwitchedEndpoint extends NamedEndpoint {
  /** Whether it is off, and gets no events, until its generation is in force. */
  readonly waiting: boolean;
}

/** What the program gives. */
export interface SettingsInputs extends StripeAccess, EndpointSettings {
  readonly endpoints: readonly SwitchedEndpoint[];
}

/** What was found of an endpoint. */
export interface FoundEndpoint extends EndpointSettings {
  readonly id: string;
  /** `deleted` where it is there no more; only its state keeps it then. */
  readonly status: "enabled" | "disabled" | "deleted";
  /** API version that Stripe writes its events in; fixed when it was made. */
  readonly apiVersion: string;
}

/** What is kept. */
export interface SettingsState extends SettingsInputs {
  readonly found: readonly FoundEndpoint[];
}

/** The provider. It deletes nothing: which endpoints there are is another resource's to say. */
export function settingsProvider(
  patience: Patience = PATIENCE,
): ResourceProvider<SettingsInputs, SettingsState> {
  const apiOf = (inputs: SettingsInputs) => new StripeApi(inputs, [], patience);
  return {
    diff,
    create: async (inputs): Promise<CreateResult<SettingsState>> => {
      return { id: "settings", outs: await applied(apiOf(inputs), inputs) };
    },
    update: async (_id, _olds, news): Promise<UpdateResult<SettingsState>> => {
      return { outs: await applied(apiOf(news), news) };
    },
    read: (id, state) => read(id, state, apiOf),
    delete: () => Promise.resolve(),
  };
}

/** Pulumi's mark of a value that is not known yet. */
const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

function diff(_id: string, olds: SettingsState, news: SettingsInputs): Promise<DiffResult> {
  const changes =
    JSON.stringify(news.endpoints).includes(UNKNOWN) ||
    shapeOf(olds.endpoints) !== shapeOf(news.endpoints) ||
    olds.apiKey !== news.apiKey ||
    olds.apiUrl !== news.apiUrl ||
    // Of one that was deleted nothing is as it shall be: each `up` tells of it.
    olds.found.some((one, index) => hasChanges(one, news, news.endpoints[index]?.waiting === true));
  return Promise.resolve({ changes, replaces: [] });
}

function shapeOf(endpoints: readonly SwitchedEndpoint[]): string {
  return endpoints.map(({ id, waiting }) => `${id} ${waiting}`).join();
}

function hasChanges(...args: Parameters<typeof changesOf>): boolean {
  return Object.keys(changesOf(...args)).length > 0;
}

/** What has to be changed of an endpoint. One that waits is off, and keeps the events that it was made for. */
function changesOf(
  found: FoundEndpoint,
  { url, events, description }: EndpointSettings,
  waiting: boolean,
): EndpointChanges {
  const status = waiting ? "disabled" : "enabled";
  return {
    ...(found.url === url ? {} : { url }),
    ...(waiting || sameEvents(found.events, events) ? {} : { events }),
    ...(found.description === description ? {} : { description }),
    ...(found.status === status ? {} : { disabled: waiting }),
  };
}

function sameEvents(some: readonly string[], others: readonly string[]): boolean {
  const sorted = (names: readonly string[]) => [...new Set(names)].sort().join();
  return sorted(some) === sorted(others);
}

async function applied(api: StripeApi, inputs: SettingsInputs): Promise<SettingsState> {
  const found: FoundEndpoint[] = [];
  for (const endpoint of inputs.endpoints) {
    const before = await lookedAt(api, endpoint, inputs.endpoints);
    const isThere = before.status !== "deleted";
    const changes = isThere ? changesOf(before, inputs, endpoint.waiting) : {};
    if (Object.keys(changes).length > 0) await api.update(endpoint.id, changes);
    const { disabled, ...rest } = changes;
    found.push({
      ...{ ...before, ...rest },
      ...(disabled === undefined ? {} : { status: disabled ? "disabled" : "enabled" }),
    });
  }
  return { ...inputs, found };
}

async function read(
  id: string,
  state: SettingsState | undefined,
  apiOf: (inputs: SettingsInputs) => StripeApi,
): Promise<ReadResult<SettingsState>> {
  if (state === undefined) throw new Error("the settings of a webhook endpoint are made, and not imported");
  const found: FoundEndpoint[] = [];
  for (const endpoint of state.endpoints) found.push(await lookedAt(apiOf(state), endpoint, state.endpoints));
  // Of the one in force, so that a preview shows what somebody changed.
  const inForce = found.find(
    ({ status }, index) => status !== "deleted" && state.endpoints[index]?.waiting === false,
  );
  const { url, events, description } = inForce ?? state;
  // Their order says nothing, and Stripe's is its own.
  const shown = sameEvents(events, state.events) ? state.events : events;
  return { id, props: { ...state, url, events: shown, description, found } };
}

/** Looks at an endpoint, and tells what nothing but another generation can put right. */
async function lookedAt(
  api: StripeApi,
  { id, generation }: SwitchedEndpoint,
  all: readonly SwitchedEndpoint[],
): Promise<FoundEndpoint> {
  const endpoint = await api.endpoint(id);
  if (endpoint === null) {
    const way =
      generation === all.find(({ waiting }) => !waiting)?.generation
        ? "another one is made by the next generation (`pulumi config set --path stripe.webhook.generation " +
          `${generation + 1}\` and \`pulumi config set --path 'stripe.webhook.keep[0]' ${generation}\`), whose secret is new and ` +
          "comes to users by a release"
        : `take ${generation} out of stripe.webhook.keep, or out of stripe.webhook.next`;
    console.error(
      `Stripe: webhook endpoint ${id}, generation ${generation}, was deleted at Stripe, and no event comes by it: ${way}`,
    );
    return { id, status: "deleted", apiVersion: "", url: "", events: [], description: "" };
  }
  const found = foundIn(endpoint);
  if (found.apiVersion !== "" && found.apiVersion !== API_VERSION) {
    console.error(
      `Stripe: webhook endpoint ${id} sends events of API version ${found.apiVersion}, and this program's SDK is of ${API_VERSION}: ` +
        "Stripe sets it when an endpoint is made, so that another one takes another stripe.webhook.generation",
    );
  }
  return found;
}

function foundIn(endpoint: Endpoint): FoundEndpoint {
  const { id, url, enabled_events: events, description, status, api_version: apiVersion } = endpoint;
  return {
    ...{ id, url, events, description: description ?? "", apiVersion: apiVersion ?? "" },
    status: status === "disabled" ? "disabled" : "enabled",
  };
}
