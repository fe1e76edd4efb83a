import { isDeepStrictEqual } from "node:util";
import { COLOURS } from "../../host/conductor/protocol";
import type { LoadReport } from "../../sandbox/load/report";
import { unannouncedCloses } from "../../sandbox/load/report";
import { startLoad } from "../../sandbox/load/run";
import { waitFor } from "../../sandbox/processes";
import { instancesAnswer } from "./support/visitor";
import { answersOfAll, TIMEOUT_MS } from "./support/users";
import { SLOW_MS, TestWorld } from "./support/world";

/*
 * The walking skeleton, from a bare host to a moving canary: what serves is looked at through the front door, and what
 * is lost is counted by a load client that repeats nothing.
 */

jest.setTimeout(4 * SLOW_MS);

/** Longest wait for what died to be back, in seconds. */
const WAIT_SECONDS = 120;

let world: TestWorld;

beforeAll(async () => {
  world = await TestWorld.create("canary");
  await world.up({ blueVersion: "v0.9.9" });
}, SLOW_MS);

afterAll(() => world.remove());

/** Asks the front door who answers, as a new user or with the headers given. */
async function whoAnswers(headers: Readonly<Record<string, string>> = {}): Promise<string> {
  const args = Object.entries(headers).flatMap(([name, value]) => ["--header", `${name}: ${value}`]);
  const resolve = `${world.domain}:443:127.0.0.1`;
  const url = `https://${world.domain}/api/whoami`;
  const answer = await world.host.exec([
    "curl",
    "--silent",
    "--insecure",
    "--resolve",
    resolve,
    ...args,
    url,
  ]);
  const { colour, version } = JSON.parse(answer.stdout) as { colour: string; version: string };
  return `${colour} ${version}`;
}

/** Waits until the front door answers again after something was killed. */
async function serving(): Promise<string> {
  return waitFor("the front door to answer", WAIT_SECONDS, () => whoAnswers().catch(() => undefined));
}

/** What the conductor says is live, but for the count of changes. */
async function live(): Promise<unknown> {
  return { ...(await world.status()), generation: 0 };
}

describe("one release", () => {
  test("it serves", async () => {
    expect(await whoAnswers()).toBe("blue v0.9.9");
  });

  test("a second `up` changes nothing", async () => {
    const { stdout } = await world.up({}, ["--expect-no-changes"]);
    expect(stdout).toMatch(/unchanged/);
  });
});

describe("a candidate", () => {
  test("at 0 percent is the testers' alone", async () => {
    await world.up({ greenVersion: "v1.0.0", canaryWeight: 0 });
    const secret = await world.project.getConfig("testerSecret");
    expect(await whoAnswers({ "x-vs-tester": `green:${secret}` })).toBe("green v1.0.0");
    expect(await whoAnswers({ cookie: `x_vs_tester=green:${secret}` })).toBe("green v1.0.0");
    expect(await whoAnswers({ "x-vs-tester": "green:wrong" })).toBe("blue v0.9.9");
    const { green } = (await world.status()).colours;
    expect(green).toMatchObject({ version: "v1.0.0", healthy: true, admitted: false });
  });

  test("gets its share of the users, who stay where they are while it rises", async () => {
    const run = await startLoad({
      ...world.loadTarget(),
      timeoutMs: TIMEOUT_MS,
      protocol: "http1",
      rate: 1000,
      connections: 100,
      users: 4000,
      cookies: "keep",
      method: "GET",
      path: "/api/whoami",
    });
    // Every user has an id after its first answer.
    await run.afterRequests(4000);
    for (const weight of [5, 25, 50, 75]) {
      await world.up({ canaryWeight: weight });
      await run.mark(`${weight}`);
      const { users } = await answersOfAll(run, 4000, 500);
      const green = users.byColour["green"] ?? 0;
      // Who is on the candidate is drawn: three times in a million runs it is further off than five standard deviations.
      const deviation = Math.sqrt((weight * (100 - weight)) / 4000);
      expect(Math.abs((100 * green) / 4000 - weight)).toBeLessThan(5 * deviation);
    }
    const { total } = await run.stop();
    expect(total.users.moves["green>blue"] ?? 0).toBe(0);
    expect(total.failed).toBe(0);
  });

  test("the prior config restores the prior state exactly", async () => {
    await world.up({ canaryWeight: 5 });
    const before = await live();
    await world.up({ stable: "green", canaryWeight: 0 });
    expect(await live()).not.toEqual(before);
    await world.up({ stable: "blue", canaryWeight: 5 });
    expect(await live()).toEqual(before);
    await world.up({}, ["--expect-no-changes"]);
  });
});

describe("40 weight changes under 1,000 requests a second", () => {
  /** As a user does it. Pulumi sends only what changed since its last one, so these differ from one to the next. */
  const byUp = (round: number): Promise<unknown> => world.up({ canaryWeight: round % 2 === 0 ? 100 : 5 });

  /** As the conductor gets it, so that changes follow one another more closely than any `up` could. */
  const byAct = (weight: number): Promise<unknown> => {
    const stdin = JSON.stringify({ act: "traffic", stable: "blue", weight });
    return world.host.exec(["vehicleservice-conductor", "act"], { stdin });
  };

  test.each([
    ["http1", 100],
    ["http2", 4],
  ] as const)("%s POSTs on %i connections: none fails, and none is closed", async (protocol, connections) => {
    const run = await startLoad({
      ...world.loadTarget(),
      timeoutMs: TIMEOUT_MS,
      protocol,
      rate: 1000,
      connections,
      users: 100,
    });
    for (let round = 0; round < 10; round++) {
      for (const weight of [0, 50, 25]) {
        await byAct(weight);
        await run.afterRequests(200);
      }
      await byUp(round);
      await run.afterRequests(200);
    }
    expectNothingLost(await run.stop());
  });
});

describe("what dies comes back with the same weights", () => {
  /** Kills what matches, and waits for what comes in its place: until then the site looks as if nothing had happened. */
  const kill = async (pattern: RegExp): Promise<void> => {
    const pids = world.host.pidsOf(pattern);
    expect(pids.length).toBeGreaterThan(0);
    pids.forEach((pid) => process.kill(pid, "SIGKILL"));
    await waitFor(`another ${String(pattern)}`, WAIT_SECONDS, () => {
      const now = world.host.pidsOf(pattern);
      return now.length > 0 && !now.some((pid) => pids.includes(pid)) ? true : undefined;
    });
  };

  test.each([
    ["Nginx", () => kill(/nginx: master/)],
    ["the conductor", () => kill(/conductor\.js/)],
    ["PM2 of the stable colour", () => kill(/pm2-runtime start \S*blue/)],
    ["the host, by a reboot", () => world.host.reboot()],
    ["the host, by a power cut", () => world.host.powerCut()],
  ])("%s", async (_what, die) => {
    await world.up({ canaryWeight: 25 });
    const before = await live();
    await die();
    expect(await serving()).toMatch(/^(blue v0\.9\.9|green v1\.0\.0)$/);
    for (const colour of COLOURS) {
      await waitFor(`the instances of ${colour}`, WAIT_SECONDS, async () =>
        (await instancesAnswer(world, colour)) ? true : undefined,
      );
    }
    // Asked after the instances, for the conductor needs a moment to see that one was gone.
    await waitFor("the colours to be healthy with the same weights", WAIT_SECONDS, async () =>
      isDeepStrictEqual(await live(), before) ? true : undefined,
    );
    await world.up({}, ["--expect-no-changes"]);
  });
});

function expectNothingLost({ total }: LoadReport): void {
  expect(total.incidents).toEqual([]);
  expect(total.failed).toBe(0);
  expect(total.ok).toBe(total.sent);
  expect(unannouncedCloses(total) + total.connections.closedAnnounced).toBe(0);
  expect(total.connections.goaways).toEqual({});
  // It did see both colours, so that a change was a change.
  expect(Object.keys(total.answers.byColour).sort()).toEqual(["blue", "green"]);
}
