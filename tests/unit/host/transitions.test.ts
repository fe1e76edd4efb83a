import type { Conductor } from "../../../host/conductor/conductor";
import { Refused } from "../../../host/conductor/faults";
import { planSteps, refusalOf } from "../../../host/conductor/plan";
import {
  COLOURS,
  otherColour,
  type Colour,
  type PlanAct,
  type ReleaseAct,
  type SiteStatus,
} from "../../../host/conductor/protocol";
import { isSameIntent, RETIRED, type ColourState, type Site } from "../../../host/conductor/site";
import { drawMoves, seedOfRun, targetOf } from "../../e2e/support/moves";
import { observed, SiteModel, type Wanted } from "../../e2e/support/site-model";
import { FakeHost } from "./support/fake-host";
import { desiredOf, intentOf, removeDirectories, serving, siteOf } from "./support/fixtures";

/*
 * From any state to any state, against a model that was written from the design's words. The end-to-end test of the same
 * name takes some of these ways on a booted host, under load.
 */

afterAll(removeDirectories);

const VERSIONS = ["v1", "v2", "v3"];
const silent = (): void => undefined;

function planOf({ stable, weight, versions }: Wanted): PlanAct {
  const intent = (colour: Colour) => (versions[colour] === "" ? null : intentOf(versions[colour]));
  return {
    act: "plan",
    releases: { blue: intent("blue"), green: intent("green") },
    traffic: { stable, weight },
  };
}

/** Every state that can be asked for. */
function* allStates(): Generator<Wanted> {
  for (const stable of COLOURS)
    for (const weight of [0, 5, 50, 100])
      for (const blue of ["", ...VERSIONS])
        for (const green of ["", ...VERSIONS]) yield { stable, weight, versions: { blue, green } };
}

/** The truth of a site that serves a state and has served nothing else. */
function siteThatServes({ stable, weight, versions }: Wanted): Site {
  const state = (colour: Colour): ColourState =>
    versions[colour] === "" ? RETIRED : serving(versions[colour], { wasStable: colour === stable });
  return siteOf({ blue: state("blue"), green: state("green") }, { stable, weight });
}

/** Can it be live? */
function isPossible({ stable, weight, versions }: Wanted): boolean {
  return versions[stable] !== "" && (weight === 0 || versions[otherColour(stable)] !== "");
}

it("the plan allows what the design allows and refuses the rest, from every state to every other", () => {
  const wrong: string[] = [];
  let judged = 0;
  for (const from of [...allStates()].filter(isPossible)) {
    const site = siteThatServes(from);
    for (const to of allStates()) {
      const why = new SiteModel(from).refusal(to);
      const refused = isRefused(site, to);
      const foreseen = refusalOf(site, desiredOf(planOf(to))) !== null;
      judged++;
      if (refused !== (why !== null) || foreseen !== refused)
        wrong.push(JSON.stringify({ from, to, why, refused, foreseen }));
    }
  }
  expect(wrong.slice(0, 5)).toEqual([]);
  expect(judged).toBe((24 + 18 * 3) * 128);
});

function isRefused(site: Site, to: Wanted): boolean {
  try {
    planSteps(site, planOf(to));
    return false;
  } catch (error) {
    expect(error).toBeInstanceOf(Refused);
    return true;
  }
}

/** Sends what an `up` sends: the plan, each release that changed, the share. */
async function up(conductor: Conductor, site: Site, to: Wanted): Promise<void> {
  const plan = planOf(to);
  await conductor.take(plan, silent);
  const acts = COLOURS.map((colour): ReleaseAct => ({
    act: "release",
    colour,
    release: plan.releases[colour],
  }));
  for (const act of acts.filter(({ colour, release }) => changes(site, colour, release))) {
    await conductor.take(act, silent);
  }
  await conductor.take({ act: "traffic", ...plan.traffic }, silent);
}

function changes(site: Site, colour: Colour, wanted: ReleaseAct["release"]): boolean {
  const running = site.colours[colour].release;
  return running === null || wanted === null ? running !== wanted : !isSameIntent(running.intent, wanted);
}

const seed = seedOfRun();

it(`a walk of 400 moves (TEST_SEED=${seed}) ends each where it should, and touches no colour with users`, async () => {
  const first: Wanted = { stable: "blue", weight: 0, versions: { blue: "v1", green: "" } };
  const model = new SiteModel(first);
  const host = new FakeHost();
  const { conductor, store } = await host.become(siteThatServes(first));
  let prior = first;
  const seen = { taken: 0, refused: 0 };
  for (const move of drawMoves(seed, 400, VERSIONS)) {
    const to = targetOf(move, model.wanted, prior);
    const { generation } = store.site;
    // Nothing is foreseen of what is there already: no act is sent.
    if (to !== null && JSON.stringify(to) !== JSON.stringify(model.wanted))
      expect(refusalOf(store.site, desiredOf(planOf(to))) !== null).toBe(model.refusal(to) !== null);
    if (to === null) {
      if (move.kind === "abort") model.abort();
      else model.acknowledge();
      await conductor.take(
        move.kind === "abort" ? { act: "abort", reason: "by the test" } : { act: "ack" },
        silent,
      );
    } else if (model.refusal(to) === null) {
      prior = model.wanted;
      await up(conductor, store.site, to);
      model.accept(to);
      seen.taken++;
    } else {
      await expect(up(conductor, store.site, to)).rejects.toThrow(Refused);
      expect(store.site.generation).toBe(generation);
      seen.refused++;
    }
    expect(observed((await conductor.take({ act: "status" }, silent)) as SiteStatus)).toEqual(
      model.expected(),
    );
    expect(host.violations).toEqual([]);
  }
  expect(Math.min(seen.taken, seen.refused)).toBeGreaterThan(50);
});
