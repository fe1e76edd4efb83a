import { setTimeout as pause } from "node:timers/promises";
import fc from "fast-check";
import { COLOURS, otherColour } from "../../host/conductor/protocol";
import { FAILURES, type Failure, type LoadSegment } from "../../sandbox/load/report";
import { startLoad, type LoadRun } from "../../sandbox/load/run";
import { waitFor } from "../../sandbox/processes";
import { editConfig, editLevers } from "./support/config-file";
import { seedOfRun } from "./support/moves";
import { slowBuild } from "./support/slow-build";
import { startUp } from "./support/running-up";
import { observed, SiteModel, type Wanted } from "./support/site-model";
import { VICTIMS, type Notice, type Victim } from "./support/victims";
import { answersRightly, INSTANCES, instancesAnswer } from "./support/visitor";
import { SLOW_MS, TestWorld } from "./support/world";

/*
 * `kill -9` of anything at any point of a release, under load. What users may notice follows from what died (`Notice`),
 * and never from how much was lost; afterwards the next `up` brings what was asked for.
 */

jest.setTimeout(2 * SLOW_MS);

const FIRST: Wanted = { stable: "blue", weight: 50, versions: { blue: "v0.9.9", green: "v1.0.0" } };
const VERSIONS = ["v0.9.9", "v1.0.0", "v1.1.0"] as const;

/** What dies; in an order, and at moments, that are drawn. */
const DEATHS: readonly (keyof typeof VICTIMS)[] = [
  ...(["engine", "engine", "engine", "conductor", "conductor", "conductor", "conductor"] as const),
  ...(["master", "master", "workers", "workers", "blue", "blue", "green", "green"] as const),
  ...(["build", "build", "reboot", "powerCut", "powerCut"] as const),
];

/** How long an `up` with a release takes here, roughly, in milliseconds: deaths are spread over it. */
const RELEASE_MS = 4000;

/** Requests take their time, so that some are under way at every moment. */
const path = "/api/orders?ms=20";
const LOAD = {
  http1: { protocol: "http1", path, rate: 250, connections: 50, users: 50, timeoutMs: 30_000 },
  http2: { protocol: "http2", path, rate: 50, connections: 2, users: 20, timeoutMs: 30_000 },
} as const;
/** Instances of a colour die one after the other. A user has one request under way at any moment; who lost one may lose the next in the instance that dies last. */
const MOST_IN_FLIGHT = { http1: INSTANCES * LOAD.http1.users, http2: INSTANCES * LOAD.http2.users };

/** How a request may fail that cannot be sent, or is cut, since the front door went away. */
const CUT: readonly Failure[] = ["connect", "closed", "truncated", "refused", "reset"];
const ALLOWED: Readonly<Record<Notice, readonly Failure[]>> = {
  nothing: [],
  // The front door is there and says that nobody answered.
  inFlight: ["status5xx"],
  colour: ["status5xx"],
  frontDoor: CUT,
  host: FAILURES,
};

const seed = seedOfRun();
let world: TestWorld;
let model: SiteModel;

beforeAll(async () => {
  world = await TestWorld.create("deaths");
  editConfig(world.project, {
    "site.drainSeconds": 10,
    "application.releasesKept": 10,
    "application.health": { path: "/api/health", intervalMs: 100 },
  });
  for (const green of ["v1.1.0", "v1.0.0"]) {
    editLevers(world.project, { ...FIRST, versions: { ...FIRST.versions, green } });
    await world.up();
  }
  model = new SiteModel(FIRST);
}, SLOW_MS);

afterAll(() => world.remove());

/** A load that a failed test left behind would keep this process from ever ending. */
afterEach(() => Promise.all(loads.splice(0).map((load) => load.stop())));

const loads: Load[] = [];

/** Both protocols at once. */
class Load {
  private constructor(private readonly runs: Readonly<Record<keyof typeof LOAD, LoadRun>>) {}

  static async start(): Promise<Load> {
    const [http1, http2] = await Promise.all([
      startLoad({ ...world.loadTarget(), ...LOAD.http1 }),
      startLoad({ ...world.loadTarget(), ...LOAD.http2 }),
    ]);
    const load = new Load({ http1, http2 });
    loads.push(load);
    return load;
  }

  async mark(label: string): Promise<void> {
    await Promise.all([this.runs.http1.mark(label), this.runs.http2.mark(label)]);
  }

  async stop(): Promise<Readonly<Record<keyof typeof LOAD, readonly LoadSegment[]>>> {
    const [http1, http2] = await Promise.all([this.runs.http1.stop(), this.runs.http2.stop()]);
    return { http1: http1.segments, http2: http2.segments };
  }
}

interface Death {
  readonly victim: Victim;
  /** After the start of the `up`, in milliseconds. */
  readonly afterMs: number;
  readonly to: Wanted;
}

/** Draws the deaths. Each comes during an `up` that puts another version on the candidate, and perhaps makes it stable. */
function drawDeaths(): readonly Death[] {
  const order = fc.shuffledSubarray([...DEATHS], { minLength: DEATHS.length });
  const [victims = []] = fc.sample(order, { seed, numRuns: 1 });
  const draw = fc.record({
    // Without a bias to the ends.
    afterMs: fc.noBias(fc.integer({ min: 0, max: RELEASE_MS })),
    swap: fc.boolean(),
    weight: fc.constantFrom(5, 50),
  });
  const plan = new SiteModel(FIRST);
  const draws = fc.sample(draw, { seed, numRuns: victims.length });
  return victims.map((name, round) => {
    const { afterMs, swap, weight } = draws[round]!;
    const { stable, versions } = plan.wanted;
    const candidate = otherColour(stable);
    // A build can die only where there is something to build.
    const next =
      name === "build"
        ? `v2.0.${round}`
        : VERSIONS.find((version) => !Object.values(versions).includes(version))!;
    const to = { stable: swap ? candidate : stable, weight, versions: { ...versions, [candidate]: next } };
    if (plan.refusal(to) !== null) throw new Error(`no way to ${JSON.stringify(to)}`);
    plan.accept(to);
    return { victim: VICTIMS[name], afterMs: name === "build" ? 0 : afterMs, to };
  });
}

/** One death, under a load of its own, and the way back to what was asked for. */
async function die({ victim, afterMs, to }: Death): Promise<void> {
  if (Object.values(to.versions).some((version) => version.startsWith("v2"))) await publish(to);
  editLevers(world.project, to);
  const load = await Load.start();
  const up = startUp(world.project);
  await pause(afterMs);
  await load.mark("death");
  const notice = await victim.strike(world, up);
  // A host that is gone leaves connections behind that cannot even fail: a new load asks whether all is well again.
  const during = notice === "host" ? await load.stop() : null;
  const after = notice === "host" ? await Load.start() : load;
  if (during === null) await load.mark("afterwards");
  const { exitCode, output } = await up.ended;
  if (victim.upSurvives) expect({ exitCode, output }).toMatchObject({ exitCode: 0 });
  await settled();
  await converge(to);
  const segments = await after.stop();
  judge(notice, during ?? segments, during === null ? {} : segments);
}

/** Brings the site to a state by one `up`, and waits until what died is well again. */
async function converge(to: Wanted): Promise<void> {
  editLevers(world.project, to);
  const { exitCode, stdout, stderr } = await world.project.up([], { check: false });
  expect({ exitCode, stdout, stderr }).toMatchObject({ exitCode: 0 });
  // What died took its requests with it: nothing is left to be waited for.
  expect(stdout).not.toMatch(/closing \d+ still open/);
  model.accept(to);
  await settled();
  expect(observed(await world.status())).toEqual(model.expected());
}

type Segments = Partial<Record<keyof typeof LOAD, readonly LoadSegment[]>>;

function judge(notice: Notice, during: Segments, afterwards: Segments): void {
  for (const protocol of ["http1", "http2"] as const) {
    const [before, death, ...rest] = during[protocol] ?? [];
    const wrong = [
      // Sent before the death, ended by it.
      ...faults(before, ALLOWED[notice], MOST_IN_FLIGHT[protocol]),
      ...faults(death, ALLOWED[notice], notice === "inFlight" ? MOST_IN_FLIGHT[protocol] : Infinity),
      ...[...rest, ...(afterwards[protocol] ?? [])].flatMap((segment) => faults(segment, [], 0)),
    ];
    expect({ protocol, wrong }).toEqual({ protocol, wrong: [] });
  }
}

/** What was lost in a segment beyond what is allowed, in words. */
function faults(segment: LoadSegment | undefined, allowed: readonly Failure[], most: number): string[] {
  if (segment === undefined) throw new Error("there was no load");
  const { label, failed, failures, incidents } = segment;
  const told = FAILURES.filter((kind) => failures[kind] > 0 && !allowed.includes(kind));
  const wrong = told.map((kind) => `${label}: ${failures[kind]} ${kind}`);
  if (failed > most) wrong.push(`${label}: ${failed} failed, at most ${most} were under way`);
  return wrong.length === 0 ? [] : [...wrong, JSON.stringify(incidents)];
}

/** Publishes versions whose build takes its time, so that it is met before it has ended. */
async function publish({ versions }: Wanted): Promise<void> {
  for (const version of Object.values(versions)) {
    if (!version.startsWith("v2")) continue;
    await world.source.addTag(version, slowBuild(3000));
  }
}

/** Waits until no act is under way and what runs is well: the site is at rest, though perhaps not where it should be. */
async function settled(): Promise<void> {
  await waitFor("the site to be at rest", 180, async () => {
    const { underWay, colours } = await world.status();
    const running = COLOURS.filter((colour) => colours[colour].version !== null);
    if (
      underWay !== null ||
      !(await Promise.all(running.map((colour) => instancesAnswer(world, colour)))).every(Boolean)
    )
      return undefined;
    // Asked after the instances, for the conductor needs a moment to see that one is gone.
    const now = (await world.status()).colours;
    return running.every((colour) => now[colour].healthy) ? true : undefined;
  });
}

describe(`drawn with TEST_SEED=${seed}`, () => {
  const deaths = drawDeaths();
  test.each(deaths.map((death, round) => [round, death.victim.name, death.afterMs, death] as const))(
    "%i: %s dies after %i ms of a release",
    async (_round, _name, _afterMs, death) => die(death),
  );

  test("then there is nothing left to do", async () => {
    await world.up({}, ["--expect-no-changes"]);
  });
});

test("an abort outlives the death of everything 10 ms later, and the next `up`", async () => {
  const to: Wanted = { ...model.wanted, weight: 50 };
  await converge(to);
  await world.host.exec(["vehicleservice-conductor", "abort", "payments fail"]);
  await pause(10);
  await world.host.powerCut();
  model.abort();
  await settled();
  expect(observed(await world.status())).toEqual(model.expected());
  // Refused, for it asks for more of the same.
  editLevers(world.project, { ...to, weight: 100 });
  expect(await world.project.up([], { check: false })).toMatchObject({ exitCode: 1 });
  await converge({ ...to, weight: 5 });
  expect(model.aborted).not.toBeNull();
  await world.host.exec(["vehicleservice-conductor", "ack"]);
  model.acknowledge();
  await converge(to);
});

test("a truth that was cut short: the site serves on, and the way out that is told works", async () => {
  const truth = "/var/lib/vehicleservice/site.json";
  await converge({ ...model.wanted, weight: 100 });
  const load = await Load.start();
  await world.host.exec(["truncate", "--size=200", truth]);
  await VICTIMS.conductor.strike(world);
  const to: Wanted = { ...model.wanted, weight: 5 };
  editLevers(world.project, to);
  const { exitCode, stdout, stderr } = await world.project.up([], { check: false });
  const told = stdout + stderr;
  expect({ exitCode, told }).toMatchObject({ exitCode: 1 });
  expect(told).toMatch(/web-drift|plan-act/);
  expect(told).toMatch(/site\.json is damaged.*the site keeps serving.*Put a sound copy back/s);
  const [, copy = ""] = /in (\/\S+\.previous)\)/.exec(told) ?? [];
  await world.host.exec(["cp", copy, truth]);
  await world.host.exec(["systemctl", "restart", "vehicleservice-conductor"]);
  await converge(to);
  for (const segments of Object.values(await load.stop())) {
    expect(segments.flatMap((segment) => faults(segment, [], 0))).toEqual([]);
  }
  await waitFor("an answer to a new user", 60, async () =>
    (await answersRightly(world)) ? true : undefined,
  );
});
