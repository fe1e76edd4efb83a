import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { GitHub } from "../../github";
import type { Job } from "../../job";
import { TestJob } from "./support";

/*
 * GitHub's REST API as far as the steps use it, after its documentation (docs.github.com/rest, version 2022-11-28: "List issue
 * comments", "Create an issue comment", "Update an issue comment", "List repository issues", "Create an issue", "Update an issue").
 */

interface Item {
  id: number;
  number: number;
  html_url: string;
  body: string;
  title?: string;
  state?: string;
  user: { type: string };
}

const TOKEN = "a-token";
let server: Server;
let comments: Item[];
let issues: Item[];
let refused: number | null;
const job = new TestJob({ GITHUB_TOKEN: TOKEN });

beforeAll(async () => {
  server = createServer((request, response) => {
    void bodyOf(request).then((body) => {
      const { status, answer } = reply(request, body);
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  job.environment["GITHUB_API_URL"] = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
});
afterAll(() => {
  server.close();
  job.remove();
});
beforeEach(() => {
  comments = [];
  issues = [];
  refused = null;
});

async function bodyOf(request: IncomingMessage): Promise<Partial<Item>> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  return text === "" ? {} : (JSON.parse(text) as Partial<Item>);
}

function reply(
  { method, url, headers }: IncomingMessage,
  body: Partial<Item>,
): { status: number; answer: unknown } {
  if (headers.authorization !== `Bearer ${TOKEN}`)
    return { status: 401, answer: { message: "Bad credentials" } };
  if (refused !== null)
    return { status: refused, answer: { message: "Resource not accessible by integration" } };
  const { pathname, searchParams } = new URL(url ?? "", "http://api");
  const path = pathname.replace("/repos/your-org/site", "");
  const [, , id = "", rest] = path.split("/");
  if (method === "GET") {
    const all =
      path === "/issues" ? issues.filter(({ state }) => state === searchParams.get("state")) : comments;
    const size = Number(searchParams.get("per_page"));
    const from = (Number(searchParams.get("page")) - 1) * size;
    return { status: 200, answer: all.slice(from, from + size) };
  }
  if (method === "POST") {
    const list = path === "/issues" ? issues : comments;
    const item = { ...newItem(list.length + 1, "Bot", ""), ...body };
    list.push(item);
    return { status: 201, answer: item };
  }
  const item =
    id === "comments"
      ? comments.find((one) => String(one.id) === rest)
      : issues.find((one) => String(one.number) === id);
  if (item === undefined) return { status: 404, answer: { message: "Not Found" } };
  Object.assign(item, body);
  return { status: 200, answer: item };
}

function newItem(number: number, type: string, body: string): Item {
  return {
    id: number,
    number,
    html_url: `https://github.example/${String(number)}`,
    body,
    state: "open",
    user: { type },
  };
}

const mark = "preview of production";

test("a preview's comment is written once, and then brought up to date", async () => {
  comments = Array.from({ length: 150 }, (_, index) => newItem(index + 1, "User", "talk"));
  await new GitHub(job).comment(7, mark, "first");
  expect(comments.at(-1)!.body).toBe(`first\n\n<!-- ${mark} -->`);
  await new GitHub(job).comment(7, mark, "second");
  expect(comments).toHaveLength(151);
  expect(comments.at(-1)!.body).toBe(`second\n\n<!-- ${mark} -->`);
  await new GitHub(job).comment(7, "preview of staging", "of another stack");
  expect(comments).toHaveLength(152);
});

test("what a person wrote is never taken for it, whatever it holds", async () => {
  comments = [newItem(1, "User", `<!-- ${mark} -->`)];
  issues = [newItem(1, "User", "<!-- drift of production -->")];
  await new GitHub(job).comment(7, mark, "told");
  expect(comments.map(({ body }) => body)).toEqual([`<!-- ${mark} -->`, expect.stringContaining("told")]);
  expect(await new GitHub(job).closeIssue("drift of production", "over")).toBe(false);
  expect(issues[0]!.state).toBe("open");
});

test("one issue is open as long as something is wrong, and closed with a word when it is over", async () => {
  const github = new GitHub(job);
  expect(await github.openIssue("drift", "It drifted", "this")).toBe("https://github.example/1");
  expect(await github.openIssue("drift", "It drifted", "this and that")).toBe("https://github.example/1");
  expect(issues.map(({ title, body }) => [title, body])).toEqual([
    ["It drifted", "this and that\n\n<!-- drift -->"],
  ]);
  expect(await github.closeIssue("drift", "over")).toBe(true);
  expect([issues[0]!.state, comments[0]!.body]).toEqual(["closed", "over"]);
  expect(await github.closeIssue("drift", "over")).toBe(false);
  await github.openIssue("drift", "It drifted", "again");
  expect(issues.map(({ state }) => state)).toEqual(["closed", "open"]);
});

test("a refusal says what was asked, what was answered and what may be missing, and not the token", async () => {
  refused = 403;
  const failure: Error = await new GitHub(job).comment(7, mark, "x").then(
    () => new Error("it was not refused"),
    (error: unknown) => error as Error,
  );
  expect(failure.message).toMatch(/GET \/issues\/7\/comments.* with 403: .*not accessible.*permissions:/);
  expect(failure.message).not.toContain(TOKEN);
});

test.each(["GITHUB_TOKEN", "GITHUB_API_URL", "GITHUB_REPOSITORY"])(
  "without %s it says what that is",
  (name) => {
    const without: Job = { environment: { ...job.environment, [name]: "" }, log: job.log, now: job.now };
    expect(() => new GitHub(without)).toThrow(`${name} is not set: it is `);
  },
);
