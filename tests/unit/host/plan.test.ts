import { Refused } from "../../../host/conductor/faults";
import { planSteps, refusalOf, requireReplaceable } from "../../../host/conductor/plan";
import type {
  Colour,
  DesiredState,
  PlanAct,
  ReleaseIntent,
  SchemaRange,
} from "../../../host/conductor/protocol";
import { emptySite, type Site } from "../../../host/conductor/site";
import { desiredOf, intentOf, released, serving, siteOf } from "./support/fixtures";

/** A plan in short: blue's version, green's version, stable, weight. */
function plan(blue: string, green: string, stable: Colour, weight: number): PlanAct {
  const intent = (version: string): ReleaseIntent | null => (version === "" ? null : intentOf(version));
  return { act: "plan", releases: { blue: intent(blue), green: intent(green) }, traffic: { stable, weight } };
}

const fresh = emptySite("k");
const alone = siteOf({ blue: serving("v1") });
const tested = siteOf({ blue: serving("v1"), green: released("v2") });
const canary = siteOf({ blue: serving("v1"), green: serving("v2") }, { stable: "blue", weight: 25 });
const promoted = siteOf(
  { blue: serving("v1", { wasStable: true }), green: serving("v2") },
  { stable: "green", weight: 0 },
);
const sickCanary = siteOf(
  { blue: serving("v1"), green: serving("v2", { healthy: false }) },
  { stable: "blue", weight: 25 },
);
const sickStable = siteOf(
  { blue: serving("v1", { healthy: false }), green: serving("v2") },
  { stable: "blue", weight: 25 },
);

describe("planSteps", () => {
  it.each<[string, Site, PlanAct, string[]]>([
    [
      "a first site",
      fresh,
      plan("v1", "", "blue", 0),
      ["blue: nothing -> v1", "traffic: 100 % to blue, 0 % to green"],
    ],
    [
      "both at once, before anybody is served",
      fresh,
      plan("v1", "v2", "blue", 5),
      ["blue: nothing -> v1", "green: nothing -> v2", "traffic: 95 % to blue, 5 % to green"],
    ],
    ["nothing to do", canary, plan("v1", "v2", "blue", 25), []],
    ["a weight", canary, plan("v1", "v2", "blue", 50), ["traffic: 50 % to blue, 50 % to green"]],
    ["a candidate", alone, plan("v1", "v2", "blue", 0), ["green: nothing -> v2"]],
    [
      "another candidate, while it has users",
      canary,
      plan("v1", "v3", "blue", 25),
      ["green: its users go to blue first; v2 -> v3"],
    ],
    ["another candidate, without users", tested, plan("v1", "v3", "blue", 0), ["green: v2 -> v3"]],
    [
      "a new stable beside a canary",
      canary,
      plan("v3", "v2", "blue", 25),
      ["blue: its users go to green first; v1 -> v3"],
    ],
    ["a promotion", canary, plan("v1", "v2", "green", 0), ["traffic: 100 % to green, 0 % to blue"]],
    [
      "a new stable beside the way back",
      promoted,
      plan("v1", "v3", "green", 0),
      ["green: its users go to blue first; v2 -> v3"],
    ],
    ["the next candidate after a promotion", promoted, plan("v3", "v2", "green", 0), ["blue: v1 -> v3"]],
    ["a retirement", promoted, plan("", "v2", "green", 0), ["blue: retire v1"]],
    [
      "a sick canary's replacement",
      sickCanary,
      plan("v1", "v3", "blue", 0),
      ["green: v2 -> v3", "traffic: 100 % to blue, 0 % to green"],
    ],
    ["a sick stable's replacement", sickStable, plan("v3", "v2", "blue", 25), ["blue: v1 -> v3"]],
  ])("%s", (_, site, act, steps) => {
    expect(planSteps(site, act)).toEqual(steps);
  });

  it.each<[string, Site, PlanAct, string]>([
    [
      "stable without a version",
      fresh,
      plan("", "v2", "blue", 0),
      "blue shall be stable and has no version; set blueVersion",
    ],
    [
      "a share without a version",
      alone,
      plan("v1", "", "blue", 5),
      "green shall get 5 % and has no version; set greenVersion, or canaryWeight 0",
    ],
    [
      "the only colour",
      alone,
      plan("v3", "", "blue", 0),
      "blue serves everyone, and green cannot take them over (it runs nothing); put the new version on green",
    ],
    [
      "the only colour, with a new one beside it",
      alone,
      plan("v3", "v3", "blue", 0),
      "blue serves everyone, and green changes too",
    ],
    [
      "stable beside a testers' release",
      siteOf({ blue: serving("v1"), green: serving("v2") }),
      plan("v3", "v2", "blue", 0),
      "(it never had a share)",
    ],
    [
      "stable beside a changed colour",
      tested,
      plan("v3", "v2", "blue", 0),
      "(it was changed since traffic was set)",
    ],
    ["stable beside a sick canary", sickCanary, plan("v3", "v2", "blue", 25), "(it is not healthy)"],
    [
      "a canary in stable's place that is sick",
      sickStable,
      plan("v1", "v3", "blue", 25),
      "green serves everyone, and blue cannot take them over (it is not healthy)",
    ],
    [
      "both colours of a canary",
      canary,
      plan("v3", "v4", "blue", 25),
      "blue serves 75 % of the users, and green changes too, so that nobody could take them over; change one colour at a time",
    ],
    [
      "what serves everyone, retired",
      siteOf({ green: serving("v2") }, { stable: "green", weight: 0 }),
      plan("v1", "", "blue", 0),
      "green serves everyone",
    ],
    [
      "more users for a candidate that is sick",
      sickCanary,
      plan("v1", "v2", "blue", 50),
      "green shall get 50 % and v2 on it is not healthy",
    ],
  ])("refuses %s", (_, site, act, reason) => {
    const refusal = (): string[] => planSteps(site, act);
    expect(refusal).toThrow(Refused);
    expect(refusal).toThrow(reason);
  });

  it("counts the same version, made in another way, as a change", () => {
    const wanted = plan("v1", "v2", "blue", 0);
    const green = intentOf("v2", { args: ["--other"] });
    expect(planSteps(tested, { ...wanted, releases: { ...wanted.releases, green } })).toEqual([
      "green: v2 -> v2, made anew",
    ]);
  });

  it("changes nothing of what it is given", () => {
    const copy = structuredClone(canary);
    planSteps(canary, plan("v1", "v3", "green", 5));
    expect(canary).toEqual(copy);
  });
});

describe("the schema", () => {
  const range = { first: "20250107000000", last: "20250124000000" };
  const withSchema = (act: PlanAct, blue: SchemaRange | null, green: SchemaRange | null): PlanAct => ({
    ...act,
    schema: { blue, green },
  });
  const candidate = withSchema(plan("v1", "v2", "blue", 0), null, range);
  const steps = ["green: nothing -> v2"];

  it.each<[string, PlanAct, string | null]>([
    ["is where the range begins", candidate, "20250107000000"],
    ["is where the range ends", candidate, "20250124000000"],
    ["is in between", candidate, "20250110000000"],
    ["is not known", candidate, null],
    [
      "is far on, and the range has no end",
      withSchema(candidate, null, { ...range, last: null }),
      "20990101000000",
    ],
    ["is nobody's business", plan("v1", "v2", "blue", 0), "20250103000000"],
    [
      "has fewer digits, and is in between as a number",
      withSchema(candidate, null, { first: "9", last: "11" }),
      "010",
    ],
  ])("fits where it %s", (_, act, version) => {
    expect(planSteps(alone, act, version)).toEqual(steps);
  });

  it.each([
    ["before the range", "20250103000000", "green: v2 needs the schema from migration 20250107000000 on"],
    ["behind the range", "20250125000000", "green: v2 runs on the schema up to migration 20250124000000"],
  ])("refuses a release that is started %s", (_, version, reason) => {
    expect(() => planSteps(alone, candidate, version)).toThrow(Refused);
    expect(() => planSteps(alone, candidate, version)).toThrow(reason);
    expect(() => planSteps(alone, candidate, version)).toThrow(`the schema is at ${version}`);
  });

  it("is not held against a release that runs already, nor against its way out", () => {
    const out = { ...range, last: "20250107000000" };
    expect(planSteps(canary, withSchema(plan("v1", "v2", "blue", 0), null, out), "20250124000000")).toEqual([
      "traffic: 100 % to blue, 0 % to green",
    ]);
    expect(planSteps(tested, withSchema(plan("v1", "", "blue", 0), out, null), "20250124000000")).toEqual([
      "green: retire v2",
    ]);
  });
});

describe("refusalOf", () => {
  const desired = (...short: Parameters<typeof plan>): DesiredState => desiredOf(plan(...short));
  const aborted: Site = { ...canary, aborted: { colour: "green", at: "now", reason: "errors" } };

  it("foresees what the plan refuses whatever the environment is", () => {
    expect(refusalOf(alone, desired("v2", "", "blue", 0))).toMatch(
      /^blue serves everyone, .*put the new version on green/,
    );
    expect(refusalOf(aborted, desired("v1", "v2", "blue", 50))).toContain("green was aborted");
    expect(refusalOf(fresh, desired("", "", "blue", 0))).toContain("set blueVersion");
  });

  it("foresees nothing where another environment may make it reachable", () => {
    // A sick candidate with another environment is another release, which has to prove itself.
    const sick = siteOf({ blue: serving("v1"), green: serving("v2", { healthy: false }) });
    expect(() => planSteps(sick, plan("v1", "v2", "blue", 5))).toThrow("is not healthy");
    expect(refusalOf(sick, desired("v1", "v2", "blue", 5))).toBeNull();
  });

  it("foresees nothing of what is there already: no act is sent", () => {
    expect(() => planSteps(aborted, plan("v1", "v2", "blue", 25))).toThrow("green was aborted");
    expect(refusalOf(aborted, desired("v1", "v2", "blue", 25))).toBeNull();
  });

  it("allows what is reachable", () => {
    expect(refusalOf(aborted, desired("v1", "v2", "blue", 5))).toBeNull();
    expect(refusalOf(alone, { ...desired("v2", "", "blue", 0), inPlace: true })).toBeNull();
  });
});

describe("requireReplaceable", () => {
  it.each<[string, Site, Colour, boolean]>([
    ["nobody is served yet", siteOf({ blue: released("v1") }, null), "blue", true],
    ["a colour without users", tested, "green", true],
    ["the way back", promoted, "blue", true],
    ["a canary", canary, "green", true],
    ["stable with a canary to take over", canary, "blue", true],
    ["stable alone", alone, "blue", false],
    [
      "both sick: a sick answer is better than none",
      siteOf({ blue: serving("v1", { healthy: false }), green: serving("v2", { healthy: false }) }),
      "blue",
      false,
    ],
  ])("%s", (_, site, colour, allowed) => {
    const check = expect(() => requireReplaceable(site, colour));
    if (allowed) {
      check.not.toThrow();
    } else {
      check.toThrow(Refused);
    }
  });
});
