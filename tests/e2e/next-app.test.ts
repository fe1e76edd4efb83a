import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BROKEN_VERSION } from "../../sandbox/applications";
import { SandboxPostgres } from "../../sandbox/postgres";
import { worldNamed } from "../../sandbox/world";
import { canariesIn } from "./support/canaries";
import { halfOfCapacity } from "./support/capacity";
import { editConfig } from "./support/config-file";
import { answeredBy, Users } from "./support/users";
import { SLOW_MS, TestWorld } from "./support/world";

/*
 * Releases of a real Next.js application, with a database and a signing secret of its own: installed, built and pruned
 * on the host, seen through the front door, and under load the whole time: half of what it bears here.
 */

jest.setTimeout(SLOW_MS);

/** At 5 percent, nobody of so many is on the candidate once in 10^9 runs. */
const USERS = 400;

const random = (): string => randomBytes(24).toString("hex");
const signingSecret = random();

/** A key that the stack makes, and that a build sees. */
const LEAKED = "NEXT_SERVER_ACTIONS_ENCRYPTION_KEY";

let world: TestWorld;
let postgres: SandboxPostgres;
let users: Users;
let testerSecret: string;
/** How long a release has to become healthy that never does: a third of the first `up`, of which a start is far less. */
let shortSeconds: number;

beforeAll(async () => {
  world = await TestWorld.create("next-app", { application: "next" });
  const directory = mkdtempSync(join(tmpdir(), "next-app-postgres-"));
  postgres = await SandboxPostgres.start(worldNamed(), { directory, address: world.host.gateway });
  const own = ["STRIPE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY", "RESEND_API_KEY"].map((name) => [
    name,
    random(),
  ]);
  const secrets = {
    ...{ DATABASE_URL: postgres.url, STRIPE_WEBHOOK_SECRET: signingSecret },
    ...(Object.fromEntries(own) as Record<string, string>),
  };
  for (const [name, value] of Object.entries(secrets)) {
    const command = ["config", "set", "--secret", "--path", `variables.${name}`];
    await world.project.pulumi(command, { stdin: value });
  }
  editConfig(world.project, {
    // How fast an application begins beside a build is not what is tried.
    "application.health": { path: "/api/health", intervalMs: 100, deadlineSeconds: 300 },
    "site.drainSeconds": 2,
  });
  testerSecret = await world.project.getConfig("testerSecret");
}, SLOW_MS);

afterAll(async () => {
  await world.remove();
  await postgres.remove();
});

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Sends one request through the front door, as a new user; resolves when the answer has begun. */
async function begin(
  path: string,
  { method = "GET", headers = {}, body }: Asked = {},
): Promise<IncomingMessage> {
  const { address, host = "", tls } = world.loadTarget();
  const options = { host: address, servername: host, ca: tls.ca, agent: false, method, path };
  const outgoing = request({ ...options, headers: { host, ...headers } }).end(body);
  const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
  return incoming;
}

async function ask(path: string, asked: Asked = {}): Promise<Answer> {
  const incoming = await begin(path, asked);
  let body = "";
  for await (const chunk of incoming.setEncoding("utf8")) body += String(chunk);
  return { status: incoming.statusCode ?? 0, body };
}

const tester = (colour: string): Readonly<Record<string, string>> => ({
  "x-vs-tester": `${colour}:${testerSecret}`,
});

/** Paths of all scripts that a page names. */
async function scriptsOf(colour: string): Promise<string[]> {
  const { body } = await ask("/", { headers: tester(colour) });
  return [...new Set(body.match(/\/_next\/static\/[\w./~-]+\.js/g) ?? [])].sort();
}

/** A delivery as Stripe sends it, signed now. */
function delivery(id: string, amount: number, secret = signingSecret): Asked {
  const object = { id: "pi_1", object: "payment_intent", amount };
  const event = { id, object: "event", type: "payment_intent.succeeded", data: { object } };
  const body = JSON.stringify(event);
  const time = Math.floor(Date.now() / 1000);
  const signature = createHmac("sha256", secret).update(`${time}.${body}`).digest("hex");
  const headers = { "content-type": "application/json", "stripe-signature": `t=${time},v1=${signature}` };
  return { method: "POST", headers, body };
}

const WEBHOOK = "/api/business/wallet/webhook";

test("the first release serves: built here, its own smoke tests passed", async () => {
  const began = performance.now();
  const { stdout, stderr } = await world.up({ blueVersion: "v0.9.9" });
  shortSeconds = Math.ceil((performance.now() - began) / 3000);
  const words = stdout + stderr;
  for (const step of ["install (npm ci)", "build (npm run build)", "prune (npm prune --omit=dev)"])
    expect(words).toContain(`v0.9.9: ${step}`);
  expect(words).toContain("blue: ALL SMOKE TESTS PASSED");
  const target = world.loadTarget();
  users = await Users.start(target, { ...(await halfOfCapacity(target)), users: USERS });
});

test.each([
  ["/", "Vehicle service"],
  ["/business/wallet", "Balance: 0"],
  ["/admin", "Database: configured"],
])("%s shows what it is of: %s", async (path, text) => {
  const { status, body } = await ask(path);
  expect(status).toBe(200);
  expect(body).toContain(text);
  expect(body).toContain("Version v0.9.9, blue.");
});

test("browsers get no value of the environment, neither in scripts nor in pages", async () => {
  const path = "/var/lib/vehicleservice/environments";
  const { stdout } = await world.host.exec(["bash", "-c", `cat ${path}/*.json`]);
  const canaries = Object.entries(JSON.parse(stdout) as Record<string, string>).map(([name, value]) => ({
    name,
    value,
  }));
  expect(canaries.map(({ name }) => name)).toEqual(
    expect.arrayContaining(["STRIPE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY", LEAKED]),
  );
  const scripts = await world.host.exec([
    "bash",
    "-c",
    "find /var/www/vehicleservice-v0.9.9-*/.next/static -type f -exec cat {} +",
  ]);
  expect(scripts.stdout).toContain("Browser code of");
  const pages = await Promise.all(
    ["/", "/business/wallet", "/admin"].map(async (page) => (await ask(page)).body),
  );
  for (const text of [scripts.stdout, ...pages]) expect(canariesIn(text, canaries)).toEqual([]);
});

test("its health tells of its database", async () => {
  const { status, body } = await ask("/api/health");
  expect(status).toBe(200);
  expect(JSON.parse(body)).toMatchObject({ status: "ok", database: "ok", version: "v0.9.9", colour: "blue" });
});

test("whom Stripe sends back from connecting an account goes on to the wallet, or is told what is missing", async () => {
  const callback = "/api/business/stripe/callback";
  const { statusCode, headers } = (await begin(`${callback}?error=access_denied`)).resume();
  expect([statusCode, headers.location]).toEqual([303, "/business/wallet?connected=no"]);
  const { status, body } = await ask(callback);
  expect([status, JSON.parse(body)]).toEqual([400, { error: "the query has neither a code nor an error" }]);
});

/** Scripts that the pages of the first version name. */
let oldScripts: string[];

describe("a candidate at 5 percent", () => {
  test("is built from what is installed already, beside the one that serves", async () => {
    oldScripts = await scriptsOf("blue");
    const { stdout, stderr } = await world.up({ greenVersion: "v1.0.0", canaryWeight: 5 });
    expect(stdout + stderr).toMatch(/v1\.0\.0: install: nothing to do, .* \(linked\)/);
    const { effectiveWeight, colours } = await world.status();
    expect(effectiveWeight).toBe(5);
    expect(colours.green).toMatchObject({ version: "v1.0.0", healthy: true, admitted: true });
  });

  test.each([
    ["green", "v1.0.0"],
    ["blue", "v0.9.9"],
  ])("%s shows %s", async (colour, version) => {
    for (const path of ["/", "/business/wallet", "/admin"]) {
      expect((await ask(path, { headers: tester(colour) })).body).toContain(`Version ${version}, ${colour}.`);
    }
  });

  test("has browser code of its own, and everyone gets the code of either", async () => {
    const newScripts = await scriptsOf("green");
    const only = (some: string[], others: string[]): string[] =>
      some.filter((file) => !others.includes(file));
    const changed = [...only(oldScripts, newScripts), ...only(newScripts, oldScripts)];
    const texts: string[] = [];
    for (const file of changed) {
      for (const colour of ["blue", "green"]) {
        const { status, body } = await ask(file, { headers: tester(colour) });
        expect({ file, colour, status }).toEqual({ file, colour, status: 200 });
        texts.push(body);
      }
    }
    for (const version of ["v0.9.9", "v1.0.0"])
      expect(texts.filter((text) => text.includes(version))).toHaveLength(2);
  });
});

describe("Stripe's webhook", () => {
  test("takes an event in once, however often and wherever it is delivered", async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => ask(WEBHOOK, delivery("evt_1", 500))));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    const taken = answers.filter(({ body }) => !(JSON.parse(body) as { duplicate: boolean }).duplicate);
    expect(taken).toHaveLength(1);
    await ask(WEBHOOK, delivery("evt_2", 25));
    // Both colours have the one database.
    for (const colour of ["blue", "green"])
      expect((await ask("/business/wallet", { headers: tester(colour) })).body).toContain("Balance: 525");
  });

  test.each([
    ["no signature", { method: "POST", body: "{}" }],
    ["another secret's signature", delivery("evt_3", 500, "another-secret")],
    ["another body's signature", { ...delivery("evt_3", 500), body: "{}" }],
  ])("refuses a delivery with %s", async (_what, asked) => {
    expect((await ask(WEBHOOK, asked)).status).toBe(400);
    expect(postgres.asSuperuser("select count(*) from stripe_events where id = 'evt_3'")).toBe("0");
  });
});

test("a release that is not healthy is taken back, with the reason, and nothing that serves is touched", async () => {
  const before = await world.status();
  editConfig(world.project, { "application.health.deadlineSeconds": shortSeconds });
  const { exitCode, stdout, stderr } = await world.tryUp({ greenVersion: BROKEN_VERSION });
  editConfig(world.project, { "application.health.deadlineSeconds": 300 });
  expect(exitCode).not.toBe(0);
  expect(stdout + stderr).toContain(
    `${BROKEN_VERSION} on green did not become healthy within ${shortSeconds} s`,
  );
  expect(stdout + stderr).toMatch(/instance \d answers \/api\/health with 500: .*error/);
  const { colours, traffic } = await world.status();
  expect(colours.blue).toEqual(before.colours.blue);
  expect(colours.green).toMatchObject({ version: "v1.0.0", healthy: true });
  expect(traffic).toMatchObject({ stable: "blue", weight: 5 });
  // Users take turns: each of them was answered since the candidate has its share.
  await users.http1.afterRequests(USERS);
  const { answers } = await users.http1.snapshot();
  expect(Object.keys(answers.byVersion).sort()).toEqual(["v0.9.9", "v1.0.0"]);
  await world.up({ greenVersion: "v1.0.0" });
});

test("a release whose scripts would hold a key of the server's is refused, by name, and nothing of it is told", async () => {
  await world.source.addTag("v1.0.2", (directory) => {
    const edit = (file: string, from: string, to: string) => {
      const text = readFileSync(join(directory, file), "utf8");
      expect(text).toContain(from);
      writeFileSync(join(directory, file), text.replace(from, to));
    };
    edit("next.config.mjs", "env: {", `env: { LEAKED: process.env.${LEAKED} ?? "",`);
    edit("app/components/browser.tsx", "Browser code of", "${process.env.LEAKED} code of");
  });
  const { exitCode, stdout, stderr } = await world.tryUp({ greenVersion: "v1.0.2" });
  expect(exitCode).not.toBe(0);
  expect(stdout + stderr).toMatch(
    new RegExp(`v1\\.0\\.2: what browsers load holds [^]*: ${LEAKED} in \\.next/static/chunks/[^]*Way out: `),
  );
  expect((await world.status()).colours.green).toMatchObject({ version: "v1.0.0", healthy: true });
  expect((await world.host.exec(["ls", "/var/www"])).stdout).not.toContain("v1.0.2");
  await world.up({ greenVersion: "v1.0.0" });
});

test("a release that is replaced finishes what is under way, and its streams end", async () => {
  const stream = await begin("/api/stream", { headers: tester("green") });
  expect(String((await once(stream, "data"))[0])).toContain(": open");
  const slow = ask("/api/orders?ms=3000", { method: "POST", headers: tester("green"), body: "order" });
  const ended = once(stream.resume(), "close");
  await world.up({ greenVersion: "v1.1.0" });
  const { status, body } = await slow;
  expect(status).toBe(200);
  expect(JSON.parse(body)).toMatchObject({ version: "v1.0.0", bytes: 5 });
  await ended;
});

test("the first version's scripts are there after two more, though no colour runs it", async () => {
  await world.up({ canaryWeight: 100 });
  await world.up({ stable: "green", canaryWeight: 0 });
  await world.up({ blueVersion: "v1.0.0" });
  const now = [...(await scriptsOf("blue")), ...(await scriptsOf("green"))];
  expect(oldScripts.filter((script) => !now.includes(script)).length).toBeGreaterThan(0);
  for (const script of oldScripts)
    expect({ script, status: (await ask(script)).status }).toEqual({ script, status: 200 });
});

test("no request was lost in all this", async () => {
  const totals = (await users.stop()).map(({ total }) => total);
  for (const { incidents, failed, ok, sent } of totals) {
    expect({ incidents, failed }).toEqual({ incidents: [], failed: 0 });
    expect(ok).toBe(sent);
  }
  expect(answeredBy(totals, "byVersion")).toEqual(["v0.9.9", "v1.0.0", "v1.1.0"]);
});

test("an instance that is told to end finishes what is under way, ends its streams, and is not killed", async () => {
  const unit = "vehicleservice@green.service";
  const green = "http://127.0.0.1:3002";
  const script = `
    since=$(date '+%Y-%m-%d %H:%M:%S')
    # First, so that it is under way when the stream has begun.
    curl --verbose --silent --data order '${green}/api/orders?ms=3000' >/tmp/order 2>/tmp/order.log & order=$!
    until grep -q 'completely sent off' /tmp/order.log; do sleep 0.02; done
    curl --silent --no-buffer ${green}/api/stream >/tmp/stream & stream=$!
    until grep -q '^id: 1$' /tmp/stream; do sleep 0.02; done
    systemctl stop ${unit}
    wait $order && wait $stream
    systemctl start ${unit}
    cat /tmp/order; rm /tmp/order /tmp/order.log /tmp/stream
    journalctl --sync
    journalctl --unit=${unit} --since="$since" --output=cat | grep 'exited with code'`;
  const [order = "", ...exits] = (await world.host.exec(["bash", "-ec", script])).stdout.trim().split("\n");
  expect(JSON.parse(order.replace(/\}.*/, "}"))).toMatchObject({ version: "v1.1.0", bytes: 5 });
  expect(exits.join("\n")).not.toContain("SIGKILL");
});
