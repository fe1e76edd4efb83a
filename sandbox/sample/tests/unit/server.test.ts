import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";

const source = join(__dirname, "..", "..");
const files = ["package.json", "package-lock.json", "build.js", "server.js", "websocket.js"];

let directory: string;
let process_: ChildProcess | undefined;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "sample-"));
  for (const file of files) cpSync(join(source, file), join(directory, file));
  writeFileSync(
    join(directory, "package.json"),
    JSON.stringify({ name: "sample", version: "3.2.1", scripts: { build: "node build.js" } }),
  );
  execFileSync(process.execPath, ["build.js"], { cwd: directory });
});

afterEach(async () => {
  if (process_ !== undefined && process_.exitCode === null && process_.signalCode === null) {
    process_.kill("SIGKILL");
    await once(process_, "exit");
  }
  process_ = undefined;
});

afterAll(() => rmSync(directory, { recursive: true }));

/** Starts the sample and resolves with its port once it listens. */
async function start(cwd = directory): Promise<number> {
  const child = spawn(process.execPath, ["server.js"], {
    cwd,
    env: { PORT: "0", APP_COLOUR: "green", APP_VERSION: "v9.9.9" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  process_ = child;
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
    const port = /port (\d+)/.exec(String(chunk))?.[1];
    if (port !== undefined) return Number(port);
  }
  throw new Error("the sample ended before it listened");
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** Sends one request and reads the whole answer. */
function send(port: number, method: string, path: string, body = "", agent?: Agent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { port, host: "127.0.0.1", method, path, ...(agent ? { agent } : {}) },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (text += chunk));
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }),
        );
        response.on("error", reject);
      },
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

test.each([
  ["GET", "/", 200, "Version v3.2.1, green"],
  ["GET", "/business/wallet", 200, "Wallet"],
  ["GET", "/admin", 200, "Administration"],
  ["GET", "/api/health", 200, '{"status":"ok"}'],
  ["PUT", "/api/whoami", 200, '"method":"PUT"'],
  ["POST", "/api/orders?ms=20", 200, '"version":"v3.2.1","colour":"green"'],
  ["POST", "/api/business/wallet/webhook", 200, '"received":true'],
  ["GET", "/api/orders", 405, "takes POST only"],
  ["GET", "/no/such/path", 404, "no such path"],
  ["GET", "/constructor", 404, "no such path"],
])("%s %s answers %i with %s", async (method, path, status, text) => {
  const answer = await send(await start(), method, path);
  expect(answer.status).toBe(status);
  expect(answer.body).toContain(text);
});

test("the answer counts the bytes of the body", async () => {
  const answer = await send(await start(), "POST", "/api/orders", "x".repeat(70_000));
  expect(JSON.parse(answer.body)).toMatchObject({ bytes: 70_000, method: "POST", pid: process_?.pid });
});

test("the delay asked for is kept", async () => {
  const port = await start();
  const before = performance.now();
  await send(port, "POST", "/api/orders?ms=150");
  expect(performance.now() - before).toBeGreaterThanOrEqual(149);
});

test("a stream sends ten numbered events a second, then ends", async () => {
  const answer = await send(await start(), "GET", "/api/stream?seconds=0.5");
  expect(answer.headers["content-type"]).toBe("text/event-stream");
  expect(answer.body.match(/^id: \d+$/gm)).toEqual(["id: 1", "id: 2", "id: 3", "id: 4", "id: 5"]);
});

test("refuses to start without a build", async () => {
  const bare = mkdtempSync(join(tmpdir(), "sample-bare-"));
  for (const file of files) cpSync(join(source, file), join(bare, file));
  const child = spawn(process.execPath, ["server.js"], {
    cwd: bare,
    env: {},
    stdio: ["ignore", "ignore", "pipe"],
  });
  let errors = "";
  child.stderr.on("data", (chunk) => (errors += String(chunk)));
  const [code] = (await once(child, "close")) as [number];
  rmSync(bare, { recursive: true });
  expect(code).toBe(1);
  expect(errors).toContain('run "npm run build"');
});

test("?fail= makes a colour answer 502, and no other", async () => {
  const port = await start();
  expect(await send(port, "POST", "/api/orders?fail=green", "order")).toMatchObject({ status: 502 });
  expect(await send(port, "POST", "/api/orders?fail=blue", "order")).toMatchObject({ status: 200 });
});

test("?gate= holds a request until the colour's file is there, and says so", async () => {
  const gate = mkdtempSync(join(tmpdir(), "sample-gate-"));
  const port = await start();
  let answered = false;
  const answer = send(port, "POST", `/api/orders?gate=${gate}`, "order").finally(() => (answered = true));
  const [said] = (await once(process_?.stdout as Readable, "data")) as [Buffer];
  expect(said.toString()).toBe(`green: a request is held at ${gate}\n`);
  writeFileSync(join(gate, "blue"), "");
  await send(port, "GET", "/api/health");
  expect(answered).toBe(false);
  writeFileSync(join(gate, "green"), "");
  expect(await answer).toMatchObject({ status: 200 });
  rmSync(gate, { recursive: true });
});

/** Opens a WebSocket to the sample with Node's own client. */
async function openWebSocket(port: number): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/api/echo`);
  await once(socket, "open");
  return socket;
}

test("a WebSocket sends each message back, behind the colour", async () => {
  const socket = await openWebSocket(await start());
  for (const message of ["hello", "ä", "x".repeat(100)]) {
    socket.send(message);
    const [{ data }] = (await once(socket, "message")) as [MessageEvent];
    expect(data).toBe(`green ${message}`);
  }
  socket.close(1000);
  const [{ code }] = (await once(socket, "close")) as [CloseEvent];
  expect(code).toBe(1000);
});

test("two builds of a version are equal", () => {
  const build = () => {
    execFileSync(process.execPath, ["build.js"], { cwd: directory });
    return execFileSync("cat", [join(directory, "dist", "build-info.json")], { encoding: "utf8" });
  };
  expect(build()).toBe(build());
});

/** Is there nobody who takes connections? */
function refuses(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(false);
    });
    socket.on("error", () => resolve(true));
  });
}

describe.each(["SIGINT", "SIGTERM"] as const)("on %s", (signal) => {
  test("a request under way is answered, its connection ends, the exit code is 0", async () => {
    const port = await start();
    const agent = new Agent({ keepAlive: true });
    const warm = await send(port, "POST", "/api/orders", "", agent);
    expect(warm.headers.connection).toBe("keep-alive");
    const outgoing = request({
      ...{ port, host: "127.0.0.1", method: "POST", path: "/api/orders", agent },
      headers: { "content-length": 5 },
    });
    const answered = once(outgoing, "response") as Promise<[IncomingMessage]>;
    outgoing.write("ord");
    // The answer to a second request proves that the first one, sent earlier, has arrived as well.
    await send(port, "GET", "/api/health");
    const exit = once(process_ as ChildProcess, "exit");
    process_?.kill(signal);
    // It is under way for as long as the signal takes to be heard.
    while (!(await refuses(port)));
    outgoing.end("er");
    const [answer] = await answered;
    expect(answer.resume()).toMatchObject({ statusCode: 200, headers: { connection: "close" } });
    expect(await exit).toEqual([0, null]);
    agent.destroy();
  });

  test("a stream under way is sent to its end, and does not keep the process afterwards", async () => {
    const port = await start();
    const agent = new Agent({ keepAlive: true });
    await send(port, "GET", "/api/health", "", agent);
    const answer = send(port, "GET", "/api/stream?seconds=0.6", "", agent);
    await send(port, "GET", "/api/health");
    const exit = once(process_ as ChildProcess, "exit");
    process_?.kill(signal);
    expect((await answer).body).toContain("id: 6\n");
    expect(await exit).toEqual([0, null]);
    agent.destroy();
  });

  test("a WebSocket is told that the server goes away", async () => {
    const socket = await openWebSocket(await start());
    const exit = once(process_ as ChildProcess, "exit");
    const closed = once(socket, "close") as Promise<[CloseEvent]>;
    process_?.kill(signal);
    expect((await closed)[0].code).toBe(1001);
    expect(await exit).toEqual([0, null]);
  });

  test("idle connections end at once and no new one is taken", async () => {
    const port = await start();
    const agent = new Agent({ keepAlive: true });
    await send(port, "GET", "/api/health", "", agent);
    const exit = once(process_ as ChildProcess, "exit");
    process_?.kill(signal);
    expect(await exit).toEqual([0, null]);
    await expect(send(port, "GET", "/api/health")).rejects.toThrow("ECONNREFUSED");
    agent.destroy();
  });
});
