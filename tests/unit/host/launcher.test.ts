import { spawn, type ChildProcess } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { Agent, get, type IncomingMessage } from "node:http";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { buildSync } from "esbuild";
import fc from "fast-check";
import {
  ENDING_IDLE_MS,
  INSTANCE_IDLE_MS,
  KILL_AFTER_MS,
  UPSTREAM_IDLE_SECONDS,
} from "../../../host/launcher/connection-times";
import { requestUnix, type UnixAnswer } from "../../../host/conductor/system/unix-http";
import { waitUntil } from "../../../host/conductor/system/wait";
import { removeDirectories, temporaryDirectory } from "./support/fixtures";

const directory = temporaryDirectory();
const launcher = join(directory, "launcher.js");
/** Leaves Nginx no time to close an idle connection. */
const impatientLauncher = join(directory, "impatient-launcher.js");
const running: ChildProcess[] = [];

beforeAll(() => {
  // As the host gets it: one file that needs nothing but Node.
  const entryPoints = [join(__dirname, "../../../host/launcher/launcher.ts")];
  buildSync({
    entryPoints,
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node22",
    outfile: launcher,
  });
  const text = readFileSync(launcher, "utf8");
  const waits = /ENDING_IDLE_MS = \S+;/;
  expect(text).toMatch(waits);
  // For longer than a test may take to ask on an idle connection of an application that ends.
  writeFileSync(launcher, text.replace(waits, "ENDING_IDLE_MS = 600000;"));
  writeFileSync(impatientLauncher, text.replace(waits, "ENDING_IDLE_MS = 1;"));
});
afterEach(() => {
  running.splice(0).forEach((child) => child.kill("SIGKILL"));
});
afterAll(removeDirectories);

/** An application that listens once it is told to on standard input, and tells what it is on `/`. */
const APPLICATION = `
const other = http.createServer((_, response) => response.end("the other server"));
const server = http.createServer((request, response) => {
  const { url } = request;
  response.setHeader("x-application", "yes");
  response.end(JSON.stringify({ url, keepAlive: server.keepAliveTimeout, argv: process.argv.slice(1), main }));
});
if (process.argv.includes("--patient")) server.keepAliveTimeout = 200000;
process.on("SIGINT", () => server.close(() => process.exit()));
process.stdin.once("data", () => {
  other.listen(0, "127.0.0.1", () => server.listen(Number(process.env.PORT), "127.0.0.1", () => console.log("listening")));
});
`;
const COMMONJS = `const http = require("node:http");\nconst main = require.main === module;\n${APPLICATION}`;
const MODULE = `import http from "node:http";\nconst main = import.meta.filename === process.argv[1];\n${APPLICATION}`;

interface Instance {
  readonly child: ChildProcess;
  readonly socket: string;
  readonly port: number;
  readonly script: string;
  /** Lets the application listen, and waits until it does. */
  listen(): Promise<void>;
}

/**
 * A port where nobody listens. The application takes it a while later: it is none of those that the system gives to whoever asks
 * for any, as other tests do meanwhile, and each of Jest's workers draws from its own.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 12_000 + (Number(process.env["JEST_WORKER_ID"] ?? 1) % 16) * 1000 + randomInt(1000);
    const server = createServer().listen(port, "127.0.0.1");
    const isFree = await once(server, "listening").then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}

/** Is there nobody who takes connections? */
function refuses(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.on("error", () => {
      resolve(true);
    });
  });
}

/** In cluster mode an instance gets what PM2 itself was started with. */
const argumentsOfPm2 = ["start", "/var/lib/shop/pm2/blue/ecosystem.json"];

async function launch(
  name: string,
  source: string,
  args: readonly string[] = [],
  health = temporaryDirectory(),
  variables: Readonly<Record<string, string>> = {},
  more: Readonly<Record<string, string>> = {},
  program = launcher,
): Promise<Instance> {
  const script = join(temporaryDirectory(), name);
  const environment = join(temporaryDirectory(), "environment.json");
  writeFileSync(environment, JSON.stringify(variables));
  mkdirSync(health, { recursive: true });
  writeFileSync(script, source);
  const port = await freePort();
  const env = {
    PORT: String(port),
    CONDUCTOR_SCRIPT: script,
    CONDUCTOR_ARGUMENTS: JSON.stringify(args),
    CONDUCTOR_HEALTH: health,
    CONDUCTOR_ENVIRONMENT: environment,
    APP_VERSION: "v1.0.0",
    APP_COMMIT: "abc123",
    NODE_APP_INSTANCE: "1",
    ...more,
  };
  const argv = [program, ...argumentsOfPm2];
  const child = spawn(process.execPath, argv, { env, stdio: ["pipe", "pipe", "inherit"] });
  running.push(child);
  const listen = async (): Promise<void> => {
    const said = once(child.stdout, "data");
    child.stdin.write("go\n");
    await said;
  };
  return { child, socket: join(health, "1.sock"), port, script, listen };
}

/** The first answer on an instance's private socket. */
async function ask({ socket }: Instance, path = "/"): Promise<UnixAnswer> {
  let answer: UnixAnswer | undefined;
  const answered = await waitUntil(60_000, 5, async () => {
    answer = await requestUnix({ socket, path, timeoutMs: 1000 }).catch(() => undefined);
    return answer !== undefined;
  });
  expect(answered).toBe(true);
  return answer!;
}

interface Told {
  readonly url: string;
  readonly keepAlive: number;
  readonly argv: readonly string[];
  readonly main: boolean;
}

describe.each([
  ["CommonJS", "server.js", COMMONJS],
  ["an ES module", "server.mjs", MODULE],
])("an application in %s", (_, name, source) => {
  it("is answered for by 503 until it listens, and answers for itself from then on", async () => {
    const instance = await launch(name, source);
    const early = await ask(instance);
    expect(early).toMatchObject({ status: 503, body: `nothing listens on port ${instance.port} yet` });
    expect(early.headers["x-conductor-release"]).toBe("v1.0.0 abc123");
    await instance.listen();
    const late = await ask(instance, "/api/health?x=1");
    expect(late.status).toBe(200);
    expect(late.headers).toMatchObject({ "x-conductor-release": "v1.0.0 abc123", "x-application": "yes" });
    expect(JSON.parse(late.body)).toMatchObject({ url: "/api/health?x=1" });
  });

  it("answers its users without the release's header", async () => {
    const instance = await launch(name, source);
    await instance.listen();
    const answer = await fetch(`http://127.0.0.1:${instance.port}/`);
    expect(answer.headers.get("x-application")).toBe("yes");
    expect(answer.headers.get("x-conductor-release")).toBeNull();
  });

  it("runs as if Node had started it: as the main script, with its arguments", async () => {
    const instance = await launch(name, source, ["--port", "a b", "--patient"]);
    await instance.listen();
    const told = JSON.parse((await ask(instance)).body) as Told;
    expect(told.argv).toEqual([instance.script, "--port", "a b", "--patient"]);
    expect(told.main).toBe(true);
  });

  it("keeps idle connections for longer than Nginx, and as long as it wants to", async () => {
    const impatient = await launch(name, source);
    const patient = await launch(name, source, ["--patient"]);
    await Promise.all([impatient.listen(), patient.listen()]);
    expect((JSON.parse((await ask(impatient)).body) as Told).keepAlive).toBe(75_000);
    expect((JSON.parse((await ask(patient)).body) as Told).keepAlive).toBe(200_000);
  });
});

describe("an application that is told to end", () => {
  /** Has the application listen, asks once on a connection that is kept, and tells it to end. */
  async function endOne(program = launcher): Promise<{
    readonly agent: Agent;
    readonly exited: Promise<unknown[]>;
    readonly ask: () => Promise<{ connection: string | undefined; reused: boolean }>;
  }> {
    const instance = await launch("application.cjs", COMMONJS, [], temporaryDirectory(), {}, {}, program);
    const { child, port } = instance;
    await instance.listen();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ask = async (): Promise<{ connection: string | undefined; reused: boolean }> => {
      const request = get({ port, host: "127.0.0.1", agent });
      const [response] = (await once(request, "response")) as [IncomingMessage];
      response.resume();
      await once(response, "end");
      return { connection: response.headers.connection, reused: request.reusedSocket };
    };
    expect(await ask()).toEqual({ connection: "keep-alive", reused: false });
    const exited = once(child, "exit");
    child.kill("SIGINT");
    // It has closed its port when nobody can connect to it any more.
    expect(await waitUntil(60_000, 10, () => refuses(port))).toBe(true);
    return { agent, exited, ask };
  }

  it("answers once more on an idle connection, and says that it closes it", async () => {
    const { exited, ask } = await endOne();
    expect(await ask()).toEqual({ connection: "close", reused: true });
    expect(await exited).toEqual([0, null]);
  });

  it("ends as soon as Nginx has closed its idle connections", async () => {
    const { agent, exited } = await endOne();
    agent.destroy();
    expect(await exited).toEqual([0, null]);
  });

  it("does not wait for ever for who keeps an idle connection", async () => {
    const { agent, exited } = await endOne(impatientLauncher);
    expect(await exited).toEqual([0, null]);
    agent.destroy();
  });

  it("has time for it: Nginx closes first, the application after it, and PM2 kills last", () => {
    expect(UPSTREAM_IDLE_SECONDS * 1000).toBeLessThan(ENDING_IDLE_MS / 2);
    expect(ENDING_IDLE_MS).toBeLessThan(KILL_AFTER_MS);
    expect(UPSTREAM_IDLE_SECONDS * 1000).toBeLessThan(INSTANCE_IDLE_MS);
  });
});

it("takes the place of an instance that was killed, socket included", async () => {
  const health = temporaryDirectory();
  const first = await launch("server.js", COMMONJS, [], health);
  await ask(first);
  first.child.kill("SIGKILL");
  await once(first.child, "exit");
  expect(existsSync(first.socket)).toBe(true);
  const second = await launch("server.js", COMMONJS, [], health);
  expect((await ask(second)).status).toBe(503);
});

it("writes what ends an instance to the error log, although PM2 ends it at once", async () => {
  const log = join(temporaryDirectory(), "blue_error.log");
  const pm2 = 'process.on("uncaughtException", () => process.exit(7));';
  const source = `${pm2}\nsetTimeout(() => { throw new Error("no licence key"); }, 1);`;
  const { child } = await launch(
    "script.js",
    source,
    [],
    temporaryDirectory(),
    {},
    { CONDUCTOR_ERROR_LOG: log },
  );
  expect(await once(child, "exit")).toEqual([7, null]);
  expect(readFileSync(log, "utf8")).toMatch(/^\S+Z: Error: no licence key\n {4}at .*script\.js/);
});

describe("the application's variables", () => {
  const value = fc.oneof(
    fc.string({ unit: "binary", maxLength: 200 }),
    fc.string({
      unit: fc.constantFrom('"', "'", "$", "\\", "\n", "\r", "#", "=", " ", "`", "%", "é", "🙂", "a"),
    }),
    fc.constantFrom(
      "x".repeat(65_536),
      "🙂".repeat(16_384),
      "",
      "$HOME ${HOME} $(id)",
      "a\\nb",
      " # no comment ",
    ),
  );
  const variables = fc
    .array(value, { maxLength: 20 })
    .map((values) =>
      Object.fromEntries(values.map((text, index) => [`V${index}`, text.replaceAll("\0", "")] as const)),
    );

  it("are in process.env, byte for byte, before the application starts", async () => {
    await fc.assert(
      fc.asyncProperty(variables, async (set) => {
        const names = JSON.stringify(Object.keys(set));
        const source = `console.log(JSON.stringify(${names}.map((name) => [name, process.env[name]])))`;
        const { child } = await launch("script.js", source, [], temporaryDirectory(), set);
        let told = "";
        child.stdout?.on("data", (chunk: Buffer) => (told += chunk.toString("latin1")));
        await once(child, "close");
        expect(Object.fromEntries(JSON.parse(Buffer.from(told, "latin1").toString()) as [])).toEqual(set);
      }),
      { numRuns: 15 },
    );
  });

  it.each([
    ["is damaged", '{"SECRET": "abc', /environment\.json is damaged/],
    ["is gone", null, /ENOENT/],
  ])("are never repeated where their file %s, and nothing starts", async (_, text, fault) => {
    const file = join(temporaryDirectory(), "environment.json");
    if (text !== null) writeFileSync(file, text);
    const script = join(temporaryDirectory(), "script.js");
    writeFileSync(script, "console.log('started')");
    const [PORT, CONDUCTOR_HEALTH] = ["1", temporaryDirectory()];
    const env = {
      PORT,
      CONDUCTOR_SCRIPT: script,
      CONDUCTOR_ARGUMENTS: "[]",
      CONDUCTOR_HEALTH,
      CONDUCTOR_ENVIRONMENT: file,
    };
    const child = spawn(process.execPath, [launcher], { env });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    const [code] = (await once(child, "close")) as [number];
    expect({ failed: code !== 0, stdout }).toEqual({ failed: true, stdout: "" });
    expect(stderr).toMatch(fault);
    expect(stderr).not.toContain("abc");
  });
});

it.each([
  ["ends", "process.exitCode = 0", 0],
  ["ends with a code", "process.exitCode = 7", 7],
])("lets a script end that %s: the private socket keeps nothing alive", async (_, source, code) => {
  const { child } = await launch("script.js", source);
  expect(await once(child, "exit")).toEqual([code, null]);
});

it.each(["PORT", "CONDUCTOR_SCRIPT", "CONDUCTOR_ARGUMENTS", "CONDUCTOR_HEALTH", "CONDUCTOR_ENVIRONMENT"])(
  "says that %s is missing, and starts nothing",
  async (name) => {
    const script = join(temporaryDirectory(), "script.js");
    writeFileSync(script, "console.log('started')");
    const env: Record<string, string> = {
      PORT: "1",
      CONDUCTOR_SCRIPT: script,
      CONDUCTOR_ARGUMENTS: "[]",
      CONDUCTOR_HEALTH: temporaryDirectory(),
      CONDUCTOR_ENVIRONMENT: join(temporaryDirectory(), "environment.json"),
    };
    writeFileSync(env["CONDUCTOR_ENVIRONMENT"]!, "{}");
    const child = spawn(process.execPath, [launcher], { env: { ...env, [name]: "" } });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    const [code] = (await once(child, "close")) as [number];
    expect(code).not.toBe(0);
    expect(stderr).toContain(`${name} is not set`);
    expect(stdout).toBe("");
  },
);
