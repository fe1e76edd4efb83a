import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/*
 * GitHub's REST API as far as the steps use it, after its documentation (docs.github.com/rest, version 2022-11-28: "List issue
 * comments", "Create an issue comment", "Update an issue comment", "List repository issues", "Create an issue", "Update an issue").
 */

/** A comment or an issue. */
export interface Item {
  id: number;
  number: number;
  html_url: string;
  body: string;
  title?: string;
  state?: string;
  user: { type: string };
}

/** The token that it takes. */
export const TOKEN = "a-token";

/** The stand-in: one repository's issues, and the comments of all of them. */
export class GitHubApi {
  comments: Item[] = [];
  issues: Item[] = [];
  /** Status with which everything is refused; null where nothing is. */
  refused: number | null = null;

  private constructor(private readonly server: Server) {}

  /** Starts it on loopback. */
  static async start(): Promise<GitHubApi> {
    const server = createServer();
    const api = new GitHubApi(server);
    server.on("request", (request, response) => {
      void bodyOf(request).then((body) => {
        const { status, answer } = api.reply(request, body);
        response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
      });
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    return api;
  }

  /** For `GITHUB_API_URL`. */
  get url(): string {
    return `http://127.0.0.1:${String((this.server.address() as AddressInfo).port)}`;
  }

  /** Forgets everything. */
  clear(): void {
    this.comments = [];
    this.issues = [];
    this.refused = null;
  }

  stop(): void {
    this.server.close();
  }

  private reply(
    { method, url, headers }: IncomingMessage,
    body: Partial<Item>,
  ): { status: number; answer: unknown } {
    if (headers.authorization !== `Bearer ${TOKEN}`)
      return { status: 401, answer: { message: "Bad credentials" } };
    if (this.refused !== null)
      return { status: this.refused, answer: { message: "Resource not accessible by integration" } };
    const { pathname, searchParams } = new URL(url ?? "", "http://api");
    const path = pathname.replace("/repos/your-org/site", "");
    const [, , id = "", rest] = path.split("/");
    if (method === "GET") {
      const all =
        path === "/issues"
          ? this.issues.filter(({ state }) => state === searchParams.get("state"))
          : this.comments;
      const size = Number(searchParams.get("per_page"));
      const from = (Number(searchParams.get("page")) - 1) * size;
      return { status: 200, answer: all.slice(from, from + size) };
    }
    if (method === "POST") {
      const list = path === "/issues" ? this.issues : this.comments;
      const item = { ...newItem(list.length + 1, "Bot", ""), ...body };
      list.push(item);
      return { status: 201, answer: item };
    }
    const item =
      id === "comments"
        ? this.comments.find((one) => String(one.id) === rest)
        : this.issues.find((one) => String(one.number) === id);
    if (item === undefined) return { status: 404, answer: { message: "Not Found" } };
    Object.assign(item, body);
    return { status: 200, answer: item };
  }
}

async function bodyOf(request: IncomingMessage): Promise<Partial<Item>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  return text === "" ? {} : (JSON.parse(text) as Partial<Item>);
}

/** One that somebody of that type wrote. */
export function newItem(number: number, type: string, body: string): Item {
  return {
    id: number,
    number,
    html_url: `https://github.example/${String(number)}`,
    body,
    state: "open",
    user: { type },
  };
}
