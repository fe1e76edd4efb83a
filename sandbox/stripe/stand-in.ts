import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

import { type Answer, type Call, operationOf, refusal, StripeAccountState } from "./endpoints";
import type { StripeMock } from "./stripe-mock";

/** What an outside API does at its worst, once. */
export interface Mishap {
  /** Which call it happens to: its method and path, as `POST /v1/webhook_endpoints`. */
  readonly to: RegExp;
  /** Status that is answered; none where the connection is cut, or nothing is said. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON; an error of Stripe's by default. */
  readonly body?: string;
  /** Does the work first, and then this: an answer that is lost on its way. */
  readonly afterWork?: boolean;
  /** Says nothing, for as long as the caller waits. */
  readonly hang?: boolean;
}

/** How a stand-in is started. */
export interface StandInOptions {
  /** The one key that is taken; its mode is that of the endpoints. */
  readonly key: string;
  /** What checks each call against Stripe's own document; nobody does without. */
  readonly mock?: StripeMock;
  /** Address that it listens on; loopback by default. */
  readonly address?: string;
  /** Port there; a free one by default. */
  readonly port?: number;
  /** Called after each call, once it was answered. */
  readonly onAnswer?: () => void;
}

/** A call that came, for tests. */
export interface SeenCall {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** The form as it was sent; empty for none. */
  readonly body: string;
  readonly idempotencyKey: string | undefined;
}

/** What a call that nobody here knows is answered with. */
const UNKNOWN: Answer = refusal(501, { type: "api_error", message: "the stand-in does not know this call" });

/** The answer to a call's first try. */
interface Remembered {
  readonly request: string;
  answer: Answer;
}

/** Stripe's API, as far as this program calls it: see README.md beside this file. */
export class StripeStandIn {
  readonly state: StripeAccountState;
  /** All calls, in order. */
  readonly calls: SeenCall[] = [];
  /** Calls that it does not know, as `GET /v1/...`. */
  readonly unknown: string[] = [];
  private readonly mishaps: Mishap[] = [];
  private readonly remembered = new Map<string, Remembered>();

  private constructor(
    private readonly server: Server,
    private readonly options: StandInOptions,
  ) {
    this.state = new StripeAccountState(options.key.includes("_live_"));
  }

  static async start(options: StandInOptions): Promise<StripeStandIn> {
    const server = createServer();
    const standIn = new StripeStandIn(server, options);
    server.on("request", (request, response) => {
      void standIn.take(request, response).then(() => options.onAnswer?.());
    });
    server.listen(options.port ?? 0, options.address ?? "127.0.0.1");
    await once(server, "listening");
    return standIn;
  }

  /** URL of the API. */
  get url(): string {
    const { address, port } = this.server.address() as AddressInfo;
    return `http://${address}:${String(port)}`;
  }

  /** Has something go wrong with the next call of a kind. */
  happen(mishap: Mishap): void {
    this.mishaps.push(mishap);
  }

  /** A day passes: Stripe knows no idempotency key any more, and everything is a day older. */
  passDay(): void {
    this.remembered.clear();
    this.state.endpoints = this.state.endpoints.map((one) => ({ ...one, created: one.created - 86_400 }));
  }

  async stop(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, "close");
  }

  private async take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "GET", url = "/", headers } = request;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const key = headers["idempotency-key"];
    const idempotencyKey = typeof key === "string" ? key : undefined;
    const seen = { method, path: url, body: Buffer.concat(chunks).toString(), idempotencyKey };
    this.calls.push(seen);
    const index = this.mishaps.findIndex(({ to }) => to.test(`${method} ${url}`));
    const [mishap] = index === -1 ? [] : this.mishaps.splice(index, 1);
    const answer =
      mishap !== undefined && mishap.afterWork !== true
        ? spoiled(mishap)
        : await this.answer(seen, headers.authorization);
    const given = mishap?.afterWork === true ? spoiled(mishap) : answer;
    // A fault in the middle of the work is what the key is answered from then on, too.
    const before = idempotencyKey === undefined ? undefined : this.remembered.get(idempotencyKey);
    if (before !== undefined && mishap?.afterWork === true && typeof given !== "string")
      before.answer = given;
    if (given === "hang") return;
    if (given === "cut") {
      request.socket.destroy();
      return;
    }
    const body = typeof given.body === "string" ? given.body : JSON.stringify(given.body);
    response.writeHead(given.status, {
      "Content-Type": "application/json",
      "Request-Id": "req_1",
      ...given.headers,
    });
    response.end(body);
  }

  private async answer(seen: SeenCall, authorization: string | undefined): Promise<Answer> {
    const [path = "/", query = ""] = seen.path.split("?");
    if (authorization !== `Bearer ${this.options.key}`) {
      return refusal(401, {
        type: "invalid_request_error",
        message: `Invalid API Key provided: ${String(authorization).slice(7)}`,
      });
    }
    const operation = operationOf(seen.method, path);
    if (operation === undefined) {
      this.unknown.push(`${seen.method} ${path}`);
      return UNKNOWN;
    }
    const call: Call = {
      ...{ method: seen.method, path },
      ...{ query: new URLSearchParams(query), form: new URLSearchParams(seen.body) },
    };
    return this.once(seen, async () => {
      const checked = await this.options.mock?.ask(seen.method, seen.path, seen.body);
      if (checked !== undefined && checked.status >= 400) return checked;
      const answer = this.state.answer(operation, call);
      // What is not kept here is as in the document's example.
      return checked === undefined || answer.status !== 200 || operation !== "GET /v1/account"
        ? answer
        : { ...answer, body: { ...checked.body, ...(answer.body as object) } };
    });
  }

  /** What the key was answered before, or else what `work` gives: https://docs.stripe.com/api/idempotent_requests. */
  private async once(
    { method, path, body, idempotencyKey }: SeenCall,
    work: () => Promise<Answer>,
  ): Promise<Answer> {
    if (method !== "POST" || idempotencyKey === undefined) return work();
    const request = `${path} ${body}`;
    const before = this.remembered.get(idempotencyKey);
    if (before !== undefined && before.request !== request) {
      const message =
        "Keys for idempotent requests can only be used with the same parameters they were first used with.";
      return refusal(400, { type: "idempotency_error", message });
    }
    if (before !== undefined) {
      return { ...before.answer, headers: { ...before.answer.headers, "Idempotent-Replayed": "true" } };
    }
    const answer = await work();
    // What was refused before any work began is forgotten.
    if (answer.status === 200) this.remembered.set(idempotencyKey, { request, answer });
    return answer;
  }
}

function spoiled({ status, headers = {}, body, hang }: Mishap): Answer | "cut" | "hang" {
  if (hang === true) return "hang";
  if (status === undefined) return "cut";
  const type = status === 429 ? "rate_limit_error" : "api_error";
  return { status, headers, body: body ?? JSON.stringify({ error: { type, message: "it happens" } }) };
}
