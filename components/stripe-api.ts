import Stripe from "stripe";

/** How Stripe's API is reached. */
export interface StripeAccess {
  /** URL without a path. */
  readonly apiUrl: string;
  /** Secret or restricted key. A secret. */
  readonly apiKey: string;
}

/** A webhook endpoint as Stripe tells of it: https://docs.stripe.com/api/webhook_endpoints/object. */
export type Endpoint = Stripe.WebhookEndpoint;

/** What an endpoint is made with: https://docs.stripe.com/api/webhook_endpoints/create. */
export interface NewEndpoint {
  readonly url: string;
  /** Names of events, sorted: an idempotency key holds for the very same parameters alone. */
  readonly events: readonly string[];
  readonly description: string;
  readonly apiVersion: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What of an endpoint can be changed. Its API version and its secret cannot. */
export interface EndpointChanges {
  readonly url?: string;
  readonly events?: readonly string[];
  readonly description?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly disabled?: boolean;
}

/** The account that a key belongs to, as far as it has to be able to take money. */
export interface Account {
  readonly id: string;
  readonly chargesEnabled: boolean;
  readonly payoutsEnabled: boolean;
}

/** How long an answer is waited for. */
export interface Patience {
  /** How often the SDK asks again where there was no answer, or one of 409 or 500 and more; by the same idempotency key. */
  readonly retries: number;
  /** Longest silence before an answer is given up, in milliseconds. */
  readonly answerMs: number;
}

/** Shorter than the SDK's 80 seconds, which three times over is longer than somebody looks on. */
export const PATIENCE: Patience = { retries: 2, answerMs: 30_000 };

/** Most endpoints that are listed; Stripe lets an account have 16 in each mode. */
const MOST_ENDPOINTS = 1000;

/** The API version that this program speaks, and that new endpoints get: the SDK's own. */
export const API_VERSION: string = Stripe.API_VERSION;

/** What an answer means to whoever runs the program. */
const REMEDIES: Readonly<Record<number, string>> = {
  401:
    "the key is unknown, was rolled or has expired: take another (dashboard, Developers, API keys), and " +
    "`pulumi config set --secret --path variables.STRIPE_SECRET_KEY`, or `pulumi config set --secret stripeApiKey` where that is set",
  403:
    "the key may not do this: a restricted key needs Webhook Endpoints: Write, and Accounts: Read " +
    "(dashboard, Developers, API keys)",
  429: "too many questions: wait a minute, and run `pulumi up` again",
};

/** What this program asks Stripe's API. Each error says what was asked, what came back, and the way out. */
export class StripeApi {
  private readonly client: Stripe;

  constructor(
    private readonly access: StripeAccess,
    /** Values beside the key that no message may hold, whatever the API says. */
    private readonly secrets: readonly string[] = [],
    private readonly patience: Patience = PATIENCE,
  ) {
    const { protocol, hostname, port } = new URL(access.apiUrl);
    this.client = new Stripe(access.apiKey, {
      protocol: protocol === "http:" ? "http" : "https",
      host: hostname,
      ...(port === "" ? { port: protocol === "http:" ? 80 : 443 } : { port }),
      maxNetworkRetries: patience.retries,
      timeout: patience.answerMs,
      telemetry: false,
    });
  }

  /** The key's account, or null where the key may not look at it. */
  async account(): Promise<Account | null> {
    try {
      const { id, charges_enabled, payouts_enabled } = await this.ask("about the key's account", () =>
        this.client.accounts.retrieveCurrent(),
      );
      return { id, chargesEnabled: charges_enabled, payoutsEnabled: payouts_enabled };
    } catch (error) {
      if (error instanceof StripeFailure && error.status === 403) return null;
      throw error;
    }
  }

  /** All endpoints of the account, in the key's mode; none of them with its secret. */
  endpoints(): Promise<Endpoint[]> {
    return this.ask("for all webhook endpoints", () =>
      this.client.webhookEndpoints.list({ limit: 100 }).autoPagingToArray({ limit: MOST_ENDPOINTS }),
    );
  }

  /** An endpoint without its secret, or null where there is none of that id. */
  async endpoint(id: string): Promise<Endpoint | null> {
    try {
      return await this.ask(`about webhook endpoint ${id}`, () => this.client.webhookEndpoints.retrieve(id));
    } catch (error) {
      if (error instanceof StripeFailure && error.status === 404) return null;
      throw error;
    }
  }

  /**
   * Makes an endpoint. The answer is the only one that ever holds its secret; the same key gets the same answer again, for 24
   * hours at the least, be the endpoint deleted meanwhile: https://docs.stripe.com/api/idempotent_requests.
   */
  async create(wanted: NewEndpoint, idempotencyKey: string): Promise<Endpoint & { readonly secret: string }> {
    const what = `to make the webhook endpoint for ${wanted.url}`;
    const made = await this.ask(what, () =>
      this.client.webhookEndpoints.create(
        {
          url: wanted.url,
          enabled_events: [...wanted.events] as Stripe.WebhookEndpointCreateParams.EnabledEvent[],
          description: wanted.description,
          api_version: wanted.apiVersion as Stripe.WebhookEndpointCreateParams.ApiVersion,
          metadata: { ...wanted.metadata },
        },
        { idempotencyKey },
      ),
    );
    if (made.secret === undefined || made.secret === "") {
      throw new Error(
        `Stripe's API (${this.access.apiUrl}), asked ${what}, answered without a signing secret`,
      );
    }
    return { ...made, secret: made.secret };
  }

  /** Changes some of an endpoint. */
  async update(id: string, { url, events, description, metadata, disabled }: EndpointChanges): Promise<void> {
    await this.ask(`to change webhook endpoint ${id}`, () =>
      this.client.webhookEndpoints.update(id, {
        ...(url === undefined ? {} : { url }),
        ...(events === undefined
          ? {}
          : { enabled_events: [...events] as Stripe.WebhookEndpointUpdateParams.EnabledEvent[] }),
        ...(description === undefined ? {} : { description }),
        ...(metadata === undefined ? {} : { metadata: { ...metadata } }),
        ...(disabled === undefined ? {} : { disabled }),
      }),
    );
  }

  /** Deletes an endpoint; one that is gone already is no fault. */
  async remove(id: string): Promise<void> {
    try {
      await this.ask(`to delete webhook endpoint ${id}`, () => this.client.webhookEndpoints.del(id));
    } catch (error) {
      if (!(error instanceof StripeFailure) || error.status !== 404) throw error;
    }
  }

  private async ask<T>(what: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw this.failureOf(what, error as Error);
    }
  }

  private failureOf(what: string, error: Error): StripeFailure {
    const asked = `Stripe's API (${this.access.apiUrl}), asked ${what},`;
    const {
      statusCode: status,
      requestId,
      rawType,
      detail,
      headers,
    } = error as Partial<Stripe.errors.StripeError>;
    const said = this.masked(error.message.slice(0, 500));
    if (status === undefined) {
      const cause = detail instanceof Error ? `: ${this.masked(detail.message)}` : "";
      const message = `${asked} did not answer: ${said}${cause}; see that it can be reached from here, and run it again`;
      return new StripeFailure(message, { status: null, type: "", repeated: false });
    }
    const remedy =
      REMEDIES[status] ?? (status >= 500 ? "run `pulumi up` again; https://status.stripe.com" : "");
    const request = requestId === undefined ? "" : ` (request ${requestId})`;
    const message = `${asked} answered ${status}: ${said}${request}`;
    const repeated = headers?.["idempotent-replayed"] === "true";
    const whole = [message, remedy].filter((part) => part !== "").join("; ");
    return new StripeFailure(whole, { status, type: rawType ?? "", repeated });
  }

  private masked(text: string): string {
    return [this.access.apiKey, ...this.secrets]
      .filter((secret) => secret.length >= 4)
      .reduce((masked, secret) => masked.replaceAll(secret, "[secret]"), text);
  }
}

/** An answer that is none, or not the one that was wanted. */
export class StripeFailure extends Error {
  /** HTTP status; null where there was no answer. */
  readonly status: number | null;
  /** Stripe's type of the error, e.g. `idempotency_error`; empty where it named none. */
  readonly type: string;
  /** Whether it is what the idempotency key was answered before, a 500 included. */
  readonly repeated: boolean;

  constructor(message: string, answer: Pick<StripeFailure, "status" | "type" | "repeated">) {
    super(message);
    this.name = "StripeFailure";
    this.status = answer.status;
    this.type = answer.type;
    this.repeated = answer.repeated;
  }
}
