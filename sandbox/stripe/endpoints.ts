import { randomBytes } from "node:crypto";

/*
 * What Stripe remembers of webhook endpoints, call by call as its reference has it: https://docs.stripe.com/api/webhook_endpoints,
 * https://docs.stripe.com/api/accounts/retrieve and, for what is answered where it is refused, https://docs.stripe.com/api/errors.
 */

/** What is answered. */
export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A text goes as it is, all else as JSON. */
  readonly body: unknown;
}

/** A call, its form read. */
export interface Call {
  readonly method: string;
  /** Path without query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** The form that was sent; empty for none. */
  readonly form: URLSearchParams;
}

/** An endpoint with its secret, which only its making tells. */
export interface StoredEndpoint {
  readonly id: string;
  readonly secret: string;
  readonly created: number;
  readonly api_version: string | null;
  readonly livemode: boolean;
  url: string;
  description: string | null;
  enabled_events: string[];
  status: "enabled" | "disabled";
  metadata: Record<string, string>;
}

/** The account that the key is of. */
export interface StoredAccount {
  id: string;
  charges_enabled: boolean;
  payouts_enabled: boolean;
}

/** The calls that are known: `METHOD /path`, as Stripe's OpenAPI document has them. */
export const OPERATIONS = [
  "GET /v1/account",
  "GET /v1/webhook_endpoints",
  "POST /v1/webhook_endpoints",
  "GET /v1/webhook_endpoints/{webhook_endpoint}",
  "POST /v1/webhook_endpoints/{webhook_endpoint}",
  "DELETE /v1/webhook_endpoints/{webhook_endpoint}",
] as const;

/** Most endpoints that an account has in one mode: https://docs.stripe.com/webhooks. */
const MOST = 16;

const id = (prefix: string, length = 24) => prefix + randomBytes(length).toString("hex").slice(0, length);

/** The operation that a call is of; undefined for one that nobody here knows. */
export function operationOf(method: string, path: string): (typeof OPERATIONS)[number] | undefined {
  const general = path.replace(/^(\/v1\/webhook_endpoints\/)[^/]+$/, "$1{webhook_endpoint}");
  return OPERATIONS.find((operation) => operation === `${method} ${general}`);
}

/** An error as Stripe writes one. */
export function refusal(status: number, error: Readonly<Record<string, string>>): Answer {
  return { status, body: { error } };
}

/** The endpoints and the account behind one key. */
export class StripeAccountState {
  /** The newest first, as they are listed. */
  endpoints: StoredEndpoint[] = [];
  readonly account: StoredAccount = { id: id("acct_1", 15), charges_enabled: true, payouts_enabled: true };

  constructor(private readonly livemode: boolean) {}

  /** All of it as a text, for {@link StripeAccountState.read}. */
  text(): string {
    return JSON.stringify({ endpoints: this.endpoints, account: this.account });
  }

  read(text: string): void {
    const { endpoints, account } = JSON.parse(text) as Pick<StripeAccountState, "endpoints" | "account">;
    this.endpoints = endpoints;
    Object.assign(this.account, account);
  }

  find(wanted: string): StoredEndpoint | undefined {
    return this.endpoints.find((one) => one.id === wanted);
  }

  /** Makes one, as somebody does in the dashboard. */
  add(values: Partial<StoredEndpoint> & { readonly url: string }): StoredEndpoint {
    const endpoint: StoredEndpoint = {
      ...{ id: id("we_1"), secret: id("whsec_", 32), created: Math.floor(Date.now() / 1000) },
      ...{ api_version: null, livemode: this.livemode, description: null, status: "enabled", metadata: {} },
      enabled_events: ["charge.failed"],
      ...values,
    };
    this.endpoints.unshift(endpoint);
    return endpoint;
  }

  remove(wanted: string): void {
    this.endpoints = this.endpoints.filter((one) => one.id !== wanted);
  }

  /** Answers a call that Stripe's document allows. */
  answer(operation: (typeof OPERATIONS)[number], call: Call): Answer {
    if (operation === "GET /v1/account") return { status: 200, body: { object: "account", ...this.account } };
    if (operation === "GET /v1/webhook_endpoints") return this.list(call.query);
    if (operation === "POST /v1/webhook_endpoints") return this.create(call.form);
    const endpoint = this.find(call.path.split("/").at(-1) ?? "");
    if (endpoint === undefined) {
      const message = `No such webhook endpoint: '${call.path.split("/").at(-1) ?? ""}'`;
      const error = {
        type: "invalid_request_error",
        code: "resource_missing",
        param: "webhook_endpoint",
        message,
      };
      return refusal(404, error);
    }
    if (operation.startsWith("GET ")) return { status: 200, body: shown(endpoint) };
    if (operation.startsWith("POST ")) return this.update(endpoint, call.form);
    this.remove(endpoint.id);
    return { status: 200, body: { id: endpoint.id, object: "webhook_endpoint", deleted: true } };
  }

  /** A page of them: https://docs.stripe.com/api/pagination. */
  private list(query: URLSearchParams): Answer {
    const limit = Number(query.get("limit") ?? 10);
    const after = query.get("starting_after");
    const rest = this.endpoints.slice(
      after === null ? 0 : this.endpoints.findIndex((one) => one.id === after) + 1,
    );
    const data = rest.slice(0, limit).map(shown);
    return {
      status: 200,
      body: { object: "list", url: "/v1/webhook_endpoints", has_more: rest.length > limit, data },
    };
  }

  private create(form: URLSearchParams): Answer {
    if (this.endpoints.length >= MOST) {
      const message = `You have reached the maximum of ${String(MOST)} webhook endpoints.`;
      return refusal(400, { type: "invalid_request_error", message });
    }
    const endpoint = this.add({
      url: form.get("url") ?? "",
      enabled_events: valuesOf(form, "enabled_events"),
      description: form.get("description") || null,
      api_version: form.get("api_version"),
      metadata: metadataOf(form),
    });
    return { status: 200, body: { ...shown(endpoint), secret: endpoint.secret } };
  }

  private update(endpoint: StoredEndpoint, form: URLSearchParams): Answer {
    const events = valuesOf(form, "enabled_events");
    if (events.length > 0) endpoint.enabled_events = events;
    if (form.has("url")) endpoint.url = form.get("url") ?? "";
    if (form.has("description")) endpoint.description = form.get("description") || null;
    if (form.has("disabled")) endpoint.status = form.get("disabled") === "true" ? "disabled" : "enabled";
    Object.assign(endpoint.metadata, metadataOf(form));
    return { status: 200, body: shown(endpoint) };
  }
}

/** An endpoint as every answer but the first one shows it: without its secret, which JSON leaves out. */
function shown(endpoint: StoredEndpoint): object {
  return { object: "webhook_endpoint", application: null, ...endpoint, secret: undefined };
}

/** A list of a form: `name[0]=...&name[1]=...`. */
function valuesOf(form: URLSearchParams, name: string): string[] {
  return [...form].filter(([key]) => key.startsWith(`${name}[`)).map(([, value]) => value);
}

function metadataOf(form: URLSearchParams): Record<string, string> {
  const entries = [...form].flatMap(([key, value]) => {
    const [, name] = /^metadata\[([^\]]+)\]$/.exec(key) ?? [];
    return name === undefined ? [] : [[name, value]];
  });
  return Object.fromEntries(entries) as Record<string, string>;
}
