import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";

import { type Answer, answerManagement, ManagedProjects } from "./management";
import { answerRest, type RestDatabase } from "./rest";

/** A call that the stand-in got. */
export interface Call {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  /** The body as it was sent; empty for none. */
  readonly body: string;
}

/** What an outside API does at its worst, once. */
export interface Mishap {
  /** Which call it happens to: its method and path, as `GET /v1/...`. */
  readonly to: RegExp;
  /** Status that is answered; none where the connection is cut instead. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Does the work first, and then this: an answer that is lost on its way. */
  readonly afterWork?: boolean;
}

/** How a stand-in is started. */
export interface StandInOptions {
  /** Personal access token that the Management API takes. */
  readonly token: string;
  /** The database behind the REST API and the advisors; without one the former answers 501. */
  readonly database?: RestDatabase;
  /** Address that it listens on; loopback by default. */
  readonly address?: string;
  /** Port there; a free one by default. */
  readonly port?: number;
  /** Called after each call, once it was answered. */
  readonly onAnswer?: () => void;
}

/** What a call that nobody here knows is answered with. */
const UNKNOWN: Answer = { status: 501, body: { message: "the stand-in does not know this call" } };

/** Supabase's Management and REST APIs, as far as this program calls them: see README.md beside this file. */
export class SupabaseStandIn {
  readonly projects = new ManagedProjects();
  /** All calls, in order. */
  readonly calls: Call[] = [];
  /** Calls that it does not know, as `GET /v1/...`. */
  readonly unknown: string[] = [];
  private readonly mishaps: Mishap[] = [];

  private constructor(
    private readonly server: Server,
    private readonly options: StandInOptions,
  ) {}

  static async start(options: StandInOptions): Promise<SupabaseStandIn> {
    const server = createServer();
    const standIn = new SupabaseStandIn(server, options);
    server.on("request", (request, response) => {
      void standIn.take(request).then((answer) => {
        options.onAnswer?.();
        if (answer === null) request.socket.destroy();
        else {
          response.writeHead(answer.status, { "Content-Type": "application/json", ...answer.headers });
          response.end(typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body ?? null));
        }
      });
    });
    server.listen(options.port ?? 0, options.address ?? "127.0.0.1");
    await once(server, "listening");
    return standIn;
  }

  /** URL of both APIs. */
  get url(): string {
    const { address, port } = this.server.address() as AddressInfo;
    return `http://${address}:${String(port)}`;
  }

  /** Has something go wrong with the next call of a kind. */
  happen(mishap: Mishap): void {
    this.mishaps.push(mishap);
  }

  async stop(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, "close");
  }

  /** Answers a request; null cuts its connection. */
  private async take(request: IncomingMessage): Promise<Answer | null> {
    const { method = "GET", url: path = "/", headers } = request;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const call: Call = { method, path, body: Buffer.concat(chunks).toString() };
    this.calls.push(call);
    const index = this.mishaps.findIndex(({ to }) => to.test(`${method} ${path}`));
    const [mishap] = index === -1 ? [] : this.mishaps.splice(index, 1);
    if (mishap !== undefined && mishap.afterWork !== true) return spoiled(mishap);
    const answer = await this.answer(call, headers);
    if (answer === UNKNOWN) this.unknown.push(`${method} ${path}`);
    return mishap === undefined ? answer : spoiled(mishap);
  }

  private async answer(call: Call, headers: IncomingMessage["headers"]): Promise<Answer> {
    const { token, database } = this.options;
    try {
      if (call.path.startsWith("/rest/v1/") && database !== undefined)
        return (await answerRest(call, headers, { projects: this.projects, database })) ?? UNKNOWN;
      if (!call.path.startsWith("/v1/")) return UNKNOWN;
      if (headers.authorization !== `Bearer ${token}`)
        return { status: 401, body: { message: "Unauthorized" } };
      return (await answerManagement(call, { projects: this.projects, database })) ?? UNKNOWN;
    } catch (error) {
      return { status: 500, body: { message: (error as Error).message } };
    }
  }
}

function spoiled({ status, headers = {}, body = '{"message":"it happens"}' }: Mishap): Answer | null {
  return status === undefined ? null : { status, headers, body };
}
