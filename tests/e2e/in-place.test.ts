import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { join } from "node:path";
import { startLoad, type LoadRun } from "../../sandbox/load/run";
import { waitFor } from "../../sandbox/processes";
import { editConfig } from "./support/config-file";
import { startUp, type RunningUp } from "./support/running-up";
import { answeredBy, lossesIn, Users } from "./support/users";
import { conductorPid, killConductor } from "./support/victims";
import { SLOW_MS, TestWorld } from "./support/world";

/*
 * A site with one colour alone, whose next version is put in its place: users are answered by a version that is well, or
 * by the maintenance page, and by nothing else, whatever becomes of the new version and of the conductor.
 */

// A build, a closed site and a second proof: on a busy machine that is slow, and none the worse.
jest.setTimeout(4 * SLOW_MS);

/** Longest wait for a condition, in seconds. */
const WAIT_SECONDS = 60;
/** How long a release has to become healthy: one that will, also on a busy machine, and one that never does. */
const [AMPLE_SECONDS, SHORT_SECONDS] = [200, 40];

let world: TestWorld;
let users: Users;
/** People, who get a page. */
let people: LoadRun;

beforeAll(async () => {
  world = await TestWorld.create("in-place");
  editConfig(world.project, {
    strategy: "in-place",
    "application.health": { path: "/api/health", intervalMs: 100, deadlineSeconds: AMPLE_SECONDS },
    "site.drainSeconds": 5,
  });
  await world.up({ blueVersion: "v0.9.9" });
  users = await Users.start(world.loadTarget(), { http1: 300, http2: 100 });
  const pages = {
    method: "GET",
    path: "/",
    answer: "any",
    rate: 20,
    connections: 4,
    timeoutMs: 60_000,
  } as const;
  people = await startLoad({ ...world.loadTarget(), ...pages, protocol: "http1" });
}, SLOW_MS);

afterAll(async () => {
  await Promise.all([users, people].map((load) => load.stop()));
  await world.remove();
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** Asks for the home page, as a new user on a connection of its own. */
async function visit(): Promise<Answer> {
  const { address, host = "", tls } = world.loadTarget();
  const options = { host: address, servername: host, ca: tls.ca, agent: false, path: "/", headers: { host } };
  const [incoming] = (await once(request(options).end(), "response")) as [IncomingMessage];
  let body = "";
  for await (const chunk of incoming.setEncoding("utf8")) body += String(chunk);
  return { status: incoming.statusCode ?? 0, headers: incoming.headers, body };
}

/** What the next person is told who finds the site closed, once an `up` has built what it brings. */
async function closedPage(up: RunningUp): Promise<Answer> {
  expect(await up.printed(/blue: in place: users see the maintenance page from now on/)).toBe(true);
  return waitFor("the site to be closed", WAIT_SECONDS, async () => {
    const answer = await visit();
    return answer.status === 200 ? undefined : answer;
  });
}

/** Begins to count. */
async function mark(label: string): Promise<void> {
  await Promise.all([users, people].map((load) => load.mark(label)));
}

/** Since the mark users met the page and one of these versions, and lost nothing beside; now they meet `version` alone. */
async function expectPageMeanwhile(versions: readonly string[], version: string): Promise<void> {
  await users.afterRequests(100);
  const segments = [...(await users.snapshot()), await people.snapshot()];
  for (const segment of segments) {
    expect(lossesIn(segment, ["maintenance"])).toEqual([]);
    expect(segment.failures.maintenance).toBeGreaterThan(0);
    expect(segment.connections).toMatchObject({ closedIdle: 0, closedInFlight: 0, goaways: {} });
  }
  expect(answeredBy(segments, "byVersion")).toEqual(versions);
  await mark(`open with ${version}`);
  await Promise.all([users, people].map((load) => load.afterRequests(40)));
  const now = [...(await users.snapshot()), await people.snapshot()];
  expect(now.flatMap((segment) => lossesIn(segment))).toEqual([]);
  expect(answeredBy(now, "byVersion")).toEqual([version]);
  const { closed, maintenance, underWay, colours } = await world.status();
  expect({ closed, maintenance, underWay }).toEqual({ closed: false, maintenance: false, underWay: null });
  expect(colours).toMatchObject({ blue: { version, healthy: true }, green: { version: null } });
}

const WARNING =
  "strategy is in-place: a version that is put on the colour that serves everyone closes the site";
const isThere = async (path: string): Promise<boolean> =>
  (await world.host.exec(["test", "-d", path], { check: false })).exitCode === 0;

test("another version in its place: users meet the page meanwhile, and nothing worse", async () => {
  const before = (await world.status()).colours.blue.directory ?? "";
  world.setConfig({ blueVersion: "v1.0.0" });
  const preview = await world.project.pulumi(["preview"]);
  expect(preview.stdout + preview.stderr).toContain(WARNING);
  expect((await world.status()).colours.blue.version).toBe("v0.9.9");

  await mark("in place");
  const up = startUp(world.project);
  const page = await closedPage(up);
  const { exitCode, output } = await up.ended;
  expect({ exitCode, output }).toEqual({ exitCode: 0, output: expect.stringContaining(WARNING) });
  expect(page).toMatchObject({
    status: 503,
    headers: { "content-type": "text/html; charset=utf-8", "retry-after": "120" },
    body: expect.stringContaining("We will be back shortly"),
  });
  await expectPageMeanwhile(["v0.9.9", "v1.0.0"], "v1.0.0");
  expect(await isThere(before)).toBe(true);
  await world.up({}, ["--expect-no-changes"]);
});

test("a version that is not healthy: the one before is back, the site open, and the error says what to do", async () => {
  await world.source.addTag("v1.0.1", (directory) => {
    const file = join(directory, "server.js");
    const text = readFileSync(file, "utf8");
    const sick = text.replace('200, { status: "ok" }', '500, { status: "no database" }');
    expect(sick).not.toBe(text);
    writeFileSync(file, sick);
  });
  await world.setGroupValue("application.health.deadlineSeconds", String(SHORT_SECONDS));
  await mark("not healthy");
  const { exitCode, stdout, stderr } = await world.tryUp({ blueVersion: "v1.0.1" });
  await world.setGroupValue("application.health.deadlineSeconds", String(AMPLE_SECONDS));
  expect(exitCode).not.toBe(0);
  const told = stdout + stderr;
  expect(told).toContain("blue-act");
  expect(told).toContain(`v1.0.1 on blue did not become healthy within ${SHORT_SECONDS} s`);
  expect(told).toMatch(/answers \/api\/health with 500/);
  expect(told).toMatch(/Way out: correct the release/);
  expect(told).toContain("blue runs v1.0.0, as before");
  // The one that is not healthy never answered anyone.
  await expectPageMeanwhile(["v1.0.0"], "v1.0.0");
  await world.up({ blueVersion: "v1.0.0" });
  await world.up({}, ["--expect-no-changes"]);
});

test("the conductor killed while the site is closed: the next one finishes, and opens it", async () => {
  // It takes so long to begin that the site is still closed when the conductor is gone.
  await world.source.addTag("v1.2.0", (directory) => {
    const file = join(directory, "server.js");
    const text = readFileSync(file, "utf8");
    writeFileSync(file, text.replace(/^main\(process\.env\);$/m, "setTimeout(main, 3000, process.env);"));
  });
  await mark("killed");
  world.setConfig({ blueVersion: "v1.2.0" });
  const up = startUp(world.project);
  await closedPage(up);
  const conductor = await killConductor(world);
  expect((await visit()).status).toBe(503);
  const { exitCode, output } = await up.ended;
  expect({ exitCode, output }).toEqual({ exitCode: 0, output });
  const successor = await conductorPid(world.host);
  expect(["0", conductor]).not.toContain(successor);
  await expectPageMeanwhile(["v1.0.0", "v1.2.0"], "v1.2.0");
  await world.up({}, ["--expect-no-changes"]);
});
