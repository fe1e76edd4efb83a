import { isDeepStrictEqual } from "node:util";
import type { CommandResult } from "../../sandbox/command";
import {
  unannouncedCloses,
  type Incident,
  type LoadReport,
  type LoadSegment,
} from "../../sandbox/load/report";
import { startLoad, type LoadRun } from "../../sandbox/load/run";
import { editConfig, editLevers } from "./support/config-file";
import { drawMoves, seedOfRun, targetOf } from "./support/moves";
import { observed, SiteModel, type Wanted } from "./support/site-model";
import { answersOfAll, TIMEOUT_MS } from "./support/users";
import { SLOW_MS, TestWorld } from "./support/world";

/*
 * From any state to any state by one `up`, under 1,000 requests a second. A model that was written from the design tells
 * which ways there have to be. Where there is one: no request fails, and what was asked for is live. Where there is none:
 * the `up` is refused, nothing was changed, and users are answered as before. The unit test of the same name judges
 * every pair of states; this one takes a sample of the ways.
 */

// A test of many `up`s: one that is slow on a busy machine is none the worse.
jest.setTimeout(4 * SLOW_MS);

const VERSIONS = ["v0.9.9", "v1.0.0", "v1.1.0"] as const;
const FIRST: Wanted = { stable: "blue", weight: 0, versions: { blue: "v0.9.9", green: "v1.0.0" } };
/** `up`s of the walk, beside those that are always made. */
const DRAWN = 37;
/** So that no user being answered is no accident: at 5 percent, nobody of 400 is on the candidate once in 10^9 runs. */
const USERS = 400;

const seed = seedOfRun();
let world: TestWorld;
const loads: LoadRun[] = [];
let http1: LoadRun;
/** What the design says is live. */
let model: SiteModel;
/** The config of the last `up` that was taken, and of the one before. */
let [lastTaken, prior] = [FIRST, FIRST];
let ups = { taken: 0, refused: 0 };

beforeAll(async () => {
  world = await TestWorld.create("transitions");
  editConfig(world.project, {
    // Every version is built once, so that what follows is all transition.
    "application.releasesKept": 20,
    "application.health": { path: "/api/health", intervalMs: 100 },
  });
  for (const green of ["v1.1.0", "v1.0.0"]) await bring({ ...FIRST, versions: { blue: "v0.9.9", green } });
  model = new SiteModel(FIRST);
  const target = { ...world.loadTarget(), method: "POST", timeoutMs: TIMEOUT_MS };
  http1 = await startLoad({ ...target, protocol: "http1", rate: 850, connections: 100, users: USERS });
  loads.push(http1);
  loads.push(await startLoad({ ...target, protocol: "http2", rate: 150, connections: 4, users: 100 }));
}, SLOW_MS);

afterAll(async () => {
  await Promise.all(loads.map((load) => load.stop()));
  await world.remove();
});

function bring(to: Wanted): Promise<CommandResult> {
  editLevers(world.project, to);
  return world.project.up();
}

/** One `up`, judged by the model. */
async function step(to: Wanted): Promise<"taken" | "refused"> {
  const label = `${JSON.stringify(model.wanted)} aborted ${String(model.aborted)} -> ${JSON.stringify(to)}`;
  const why = model.refusal(to);
  const before = await world.status();
  await Promise.all(loads.map((load) => load.mark(label)));
  editLevers(world.project, to);
  const { exitCode, stdout, stderr } = await world.project.up([], { check: false });
  const after = await world.status();
  const told = { label, why, output: exitCode === 0 ? "" : stdout + stderr };
  expect({ ...told, refused: exitCode !== 0 }).toEqual({ ...told, refused: why !== null });
  if (why === null) {
    [prior, lastTaken] = [lastTaken, to];
    model.accept(to);
  } else {
    // By the config's own rules, or by the host's, which names the resource that asked it.
    expect(stdout + stderr).toMatch(
      /web-drift|plan-act|in the configuration of stack sandbox; nothing was changed/,
    );
    expect(after).toEqual(before);
  }
  expect({ label, live: observed(after) }).toEqual({ label, live: model.expected() });
  await expectAnswers(label);
  const outcome = why === null ? "taken" : "refused";
  ups = { ...ups, [outcome]: ups[outcome] + 1 };
  return outcome;
}

/** Nobody lost a request on the way, and everyone is answered by what shall be live. */
async function expectAnswers(label: string): Promise<void> {
  const onTheWay = await http1.snapshot();
  expect({ label, ...lost(onTheWay) }).toEqual({ label, ...NOTHING_LOST });
  await http1.mark(`after ${label}`);
  const { answers, users } = await answersOfAll(http1, USERS, USERS + 20);
  const serving = model.serving();
  expect({ label, colours: Object.keys(users.byColour).sort() }).toEqual({
    label,
    colours: Object.keys(serving).sort(),
  });
  expect({ label, versions: Object.keys(answers.byVersion).sort() }).toEqual({
    label,
    versions: [...new Set(Object.values(serving))].sort(),
  });
}

const NOTHING_LOST: Lost = { failed: 0, incidents: [], closed: 0 };

/** What users noticed. */
interface Lost {
  readonly failed: number;
  readonly incidents: readonly Incident[];
  readonly closed: number;
}

function lost(segment: LoadSegment): Lost {
  const { failed, incidents } = segment;
  return {
    failed,
    incidents,
    closed: unannouncedCloses(segment) + segment.connections.closedAnnounced,
  };
}

/** Abort or ack on the host, as the engineer on call does it. */
async function onHost(...words: string[]): Promise<void> {
  await world.host.exec(["vehicleservice-conductor", ...words]);
}

describe("ways that are always taken", () => {
  const on = (blue: string, green: string): Wanted["versions"] => ({ blue, green });

  test.each<[string, "taken" | "refused", readonly Wanted[]]>([
    ["a canary, up to everyone", "taken", [5, 50, 100].map((weight) => ({ ...FIRST, weight }))],
    [
      "at 100 % green: weight 0 and another green version, in one step",
      "taken",
      [{ ...FIRST, versions: on("v0.9.9", "v1.1.0") }],
    ],
    [
      "the prior config, and back",
      "taken",
      [
        { ...FIRST, weight: 100 },
        { stable: "green", weight: 0, versions: on("v0.9.9", "v1.0.0") },
        { ...FIRST, weight: 100 },
      ],
    ],
    ["both versions at once", "refused", [{ ...FIRST, weight: 100, versions: on("v1.1.0", "v1.1.0") }]],
    [
      "stable and candidate change places at half",
      "taken",
      [
        { ...FIRST, weight: 50 },
        { ...FIRST, weight: 50, stable: "green" },
      ],
    ],
    [
      "the candidate is retired at half",
      "taken",
      [{ stable: "green", weight: 0, versions: on("", "v1.0.0") }],
    ],
    [
      "the only colour gets another version",
      "refused",
      [{ stable: "green", weight: 0, versions: on("", "v1.1.0") }],
    ],
    [
      "stable moves to a version that is not there yet",
      "taken",
      [{ stable: "blue", weight: 0, versions: on("v0.9.9", "v1.0.0") }],
    ],
    [
      "a promotion that puts the next version on the other colour",
      "taken",
      [
        { ...FIRST, weight: 5 },
        { stable: "green", weight: 0, versions: on("v1.1.0", "v1.0.0") },
      ],
    ],
    [
      "a version on stable while nobody else may serve",
      "refused",
      [{ stable: "green", weight: 0, versions: on("v1.1.0", "v0.9.9") }],
    ],
  ])("%s: %s", async (_what, outcome, states) => {
    for (const to of states) expect(await step(to)).toBe(outcome);
  });

  test("an abort sticks through every `up` that asks for users, until it is acknowledged", async () => {
    const half: Wanted = { stable: "green", weight: 50, versions: on("v1.1.0", "v1.0.0") };
    await step(half);
    await onHost("abort", "by the test");
    model.abort();
    const outcomes = [];
    for (const to of [
      { ...half, weight: 100 },
      { ...half, weight: 5 },
      { ...half, weight: 5, versions: on("v0.9.9", "v1.0.0") },
      { ...half, weight: 0 },
      { ...half, weight: 0, versions: on("v0.9.9", "v1.0.0") },
      { ...half, stable: "blue" as const, weight: 0, versions: on("v0.9.9", "v1.0.0") },
    ])
      outcomes.push(await step(to));
    expect(outcomes).toEqual(["refused", "taken", "refused", "taken", "taken", "refused"]);
    await onHost("ack");
    model.acknowledge();
    expect(await step({ ...half, versions: on("v0.9.9", "v1.0.0") })).toBe("taken");
  });
});

test("what is refused is told by a preview, and touches nothing, whatever else the `up` would have changed", async () => {
  const { wanted } = model;
  const before = await world.status();
  editLevers(world.project, { ...wanted, versions: { blue: "v1.1.0", green: "v1.1.0" } });
  editConfig(world.project, { "site.headers": { "X-Frame-Options": "DENY" }, maintenance: true });
  for (const words of [["preview"], ["up", "--yes", "--skip-preview"]]) {
    const { exitCode, stdout, stderr } = await world.project.pulumi(words, { check: false });
    expect({ words, exitCode }).not.toEqual({ words, exitCode: 0 });
    expect(stdout + stderr).toMatch(
      /web-drift.*the host refuses .* nothing was changed: .*change one colour at a time/s,
    );
    expect(await world.status()).toEqual(before);
  }
  editLevers(world.project, wanted);
  editConfig(world.project, { "site.headers": undefined, maintenance: undefined });
  await world.project.up();
});

test(`a walk of ${DRAWN} more, drawn with TEST_SEED=${seed}`, async () => {
  const until = ups.taken + ups.refused + DRAWN;
  for (const move of drawMoves(seed, 10 * DRAWN, VERSIONS)) {
    if (ups.taken + ups.refused === until) break;
    const to = targetOf(move, model.wanted, prior);
    if (to !== null) {
      // What was asked for last is no change to Pulumi, whatever became of it on the host.
      if (!isDeepStrictEqual(to, lastTaken)) await step(to);
    } else if (move.kind === "abort") {
      await onHost("abort", "by the walk");
      model.abort();
    } else {
      await onHost("ack");
      model.acknowledge();
    }
  }
  expect(ups.taken + ups.refused).toBe(until);
});

test("at least 60 in all, both outcomes among them; over all of it nothing was lost", async () => {
  const reports: readonly LoadReport[] = await Promise.all(loads.map((load) => load.stop()));
  expect(ups.taken + ups.refused).toBeGreaterThanOrEqual(60);
  // Seeds differ: some draw few moves that are to be refused.
  expect(Math.min(ups.taken, ups.refused)).toBeGreaterThanOrEqual(3);
  for (const { total, segments } of reports) {
    const losing = segments.filter(
      (segment) => JSON.stringify(lost(segment)) !== JSON.stringify(NOTHING_LOST),
    );
    expect(losing.map(({ label, incidents }) => ({ label, incidents }))).toEqual([]);
    expect(total.connections.goaways).toEqual({});
    expect(total.ok).toBe(total.sent);
  }
});
