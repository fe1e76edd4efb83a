import { createHmac, randomBytes } from "node:crypto";
import { startLoad } from "../../sandbox/load/run";
import { SLOW_MS, TestWorld } from "./support/world";

/*
 * Releases of a real Next.js application, installed and built on the host: pages, a signed webhook, chunks that old pages
 * still ask for, a canary under load, and a version that starts and is not well.
 */

jest.setTimeout(SLOW_MS);

const SECRET = randomBytes(24).toString("hex");
/** Half of what one of two shared cores bears of Next.js, the load client and Nginx on the other. */
const RATE = 100;

let world: TestWorld;
/** Ends the load of a test that failed before it did. */
let endLoad = (): Promise<unknown> => Promise.resolve();
/** Chunks that the first version's page asks for. */
let oldChunks: readonly string[];

beforeAll(async () => {
  world = await TestWorld.create("next-app", { application: "next" });
  const args = ["config", "set", "--secret", "--path", "variables.STRIPE_WEBHOOK_SECRET"];
  await world.project.pulumi(args, { stdin: SECRET });
  // How long the version that never becomes healthy is waited for.
  await world.setGroupValue("application.health.deadlineSeconds", "20");
  await world.up({ blueVersion: "v0.9.9" });
  oldChunks = await chunksOf("/");
}, SLOW_MS);

afterAll(async () => {
  await endLoad();
  await world.remove();
});

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** A request through the front door, from the host itself. */
async function ask(path: string, args: readonly string[] = [], stdin = ""): Promise<Answer> {
  const { stdout } = await world.host.exec(
    [
      ...["curl", "--silent", "--insecure", "--resolve", `${world.domain}:443:127.0.0.1`],
      ...["--write-out", "\n%{http_code}", ...args, `https://${world.domain}${path}`],
    ],
    { stdin },
  );
  const end = stdout.lastIndexOf("\n");
  return { status: Number(stdout.slice(end + 1)), body: stdout.slice(0, end) };
}

async function asTester(path: string): Promise<Answer> {
  return ask(path, ["--header", `x-vs-tester: green:${await world.project.getConfig("testerSecret")}`]);
}

async function chunksOf(path: string): Promise<readonly string[]> {
  const { body } = await ask(path);
  const chunks = [...new Set(body.match(/\/_next\/static\/[^"\\]+\.js/g) ?? [])];
  expect(chunks.length).toBeGreaterThan(2);
  return chunks;
}

/** Sends an event as Stripe does: the time and the body, signed with the endpoint's secret. */
async function deliver(body: string, secret: string): Promise<Answer> {
  const time = Math.floor(Date.now() / 1000);
  const signature = createHmac("sha256", secret).update(`${time}.${body}`).digest("hex");
  const header = `stripe-signature: t=${time},v1=${signature}`;
  return ask("/api/business/wallet/webhook", ["--header", header, "--data-binary", "@-"], body);
}

test.each(["/", "/business/wallet", "/admin"])("%s is a page of the release that serves", async (path) => {
  const { status, body } = await ask(path);
  expect(status).toBe(200);
  expect(body).toContain("Version v0.9.9, blue.");
});

test("an event is taken in once by an instance, and only with Stripe's signature", async () => {
  const event = JSON.stringify({
    ...{ id: "evt_1", object: "event", type: "payment_intent.succeeded" },
    data: { object: { amount: 1000 } },
  });
  expect((await deliver(event, "not-the-secret")).status).toBe(400);
  const answers: Answer[] = [];
  for (let delivery = 0; delivery < 6; delivery++) answers.push(await deliver(event, SECRET));
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  // Without a database each of the two instances has a memory of its own.
  const fresh = answers.filter(({ body }) => !(JSON.parse(body) as { duplicate: boolean }).duplicate);
  expect(fresh.length).toBeGreaterThan(0);
  expect(fresh.length).toBeLessThanOrEqual(2);
});

test("a canary under load, to everyone and to stable: no request fails", async () => {
  const run = await startLoad({ ...world.loadTarget(), protocol: "http1", rate: RATE, connections: 20 });
  endLoad = () => run.stop();
  await world.up({ greenVersion: "v1.0.0" });
  expect((await asTester("/")).body).toContain("Version v1.0.0, green.");
  for (const canaryWeight of [5, 100]) {
    await world.up({ canaryWeight });
    await run.afterRequests(2 * RATE);
  }
  await world.up({ stable: "green", canaryWeight: 0 });
  await run.afterRequests(2 * RATE);
  endLoad = () => Promise.resolve();
  const { total } = await run.stop();
  expect(total.incidents).toEqual([]);
  expect(total.answers.byColour["green"] ?? 0).toBeGreaterThan(3 * RATE);
  expect((await ask("/")).body).toContain("Version v1.0.0, green.");
});

test("a version that starts and is not well is refused, and nothing of what serves is touched", async () => {
  const before = await world.status();
  const { exitCode, stdout, stderr } = await world.tryUp({ blueVersion: "v1.0.1" });
  expect(exitCode).not.toBe(0);
  const words = stdout + stderr;
  expect(words).toContain("blue-act");
  expect(words).toMatch(/v1\.0\.1 on blue did not become healthy/);
  expect(words).toMatch(/answers \/api\/health with 500/);
  const { colours, traffic } = await world.status();
  expect({ colours, traffic }).toEqual({ colours: before.colours, traffic: before.traffic });
  expect((await ask("/")).body).toContain("Version v1.0.0, green.");
});

test("chunks of the first version are there after two more, though no colour runs it", async () => {
  await world.up({ blueVersion: "v1.1.0" });
  await world.up({ stable: "blue", canaryWeight: 0, greenVersion: "v1.0.0" });
  expect((await ask("/")).body).toContain("Version v1.1.0, blue.");
  const now = await chunksOf("/");
  expect(oldChunks.filter((chunk) => !now.includes(chunk)).length).toBeGreaterThan(0);
  for (const chunk of oldChunks)
    expect({ chunk, status: (await ask(chunk)).status }).toEqual({ chunk, status: 200 });
});
