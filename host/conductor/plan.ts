import { Refused } from "./faults";
import {
  COLOURS,
  otherColour,
  type Colour,
  type DesiredState,
  type PlanAct,
  type ReleaseIntent,
  type TrafficIntent,
} from "./protocol";
import { isAdmitted, isSameIntent, keepsSettings, routeOf, shareNow, shareOf, type Site } from "./site";

/**
 * Finds the steps from what is live to what is asked for. Pure.
 * @param schemaVersion The newest migration in the database; null where that is not known, or there is none.
 * @returns the steps in words; none where all is as asked.
 * @throws Refused where it cannot be reached without taking users to something unproven, with the way out.
 */
export function planSteps(site: Site, plan: PlanAct, schemaVersion: string | null = null): string[] {
  const { releases, traffic, inPlace } = plan;
  const candidate = otherColour(traffic.stable);
  if (releases[traffic.stable] === null) {
    throw new Refused(`${traffic.stable} shall be stable and has no version; set ${traffic.stable}Version`);
  }
  if (traffic.weight > 0 && releases[candidate] === null) {
    throw new Refused(
      `${candidate} shall get ${traffic.weight} % and has no version; set ${candidate}Version, or canaryWeight 0`,
    );
  }
  const asked = COLOURS.filter((colour) => !runs(site, colour, releases[colour]));
  const keeping = inPlace === true ? [] : asked.filter((colour) => keeps(site, colour, releases[colour]));
  const changed = asked.filter((colour) => !keeping.includes(colour));
  const closing = changed.filter((colour) => whyNotReplaceable(site, colour, changed) !== null);
  for (const colour of inPlace === true ? closing.filter((one) => releases[one] === null) : closing) {
    requireReplaceable(site, colour, changed);
  }
  for (const colour of changed) requireFit(plan, colour, schemaVersion);
  requireServable(site, traffic, changed);
  return [
    ...changed.map((colour) => describeChange(site, colour, releases[colour]?.version ?? "", closing)),
    ...keeping.map((colour) => describePending(site, colour, releases[colour])),
    ...describeTraffic(site, plan),
  ];
}

/**
 * Why {@link planSteps} would refuse a desired state whatever the environment of its releases will be, and whatever the schema: what
 * a preview can tell before anything is touched. The plan itself judges the rest. Pure.
 * @returns null where it need not be refused, and where nothing is asked for that is not there: then no act is sent.
 */
export function refusalOf(site: Site, desired: DesiredState): string | null {
  const [asItIs, ...changed] = ENVIRONMENTS.map((environments) => planWith(site, desired, environments));
  if (asItIs === undefined || asksForNothing(site, asItIs)) return null;
  const refusal = refusalOfPlan(site, asItIs);
  return changed.every((plan) => refusalOfPlan(site, plan) !== null) ? refusal : null;
}

/** Which colours' releases may find another environment than they run with: one that has it already, the other, both, none. */
const ENVIRONMENTS: readonly (readonly Colour[])[] = [[], ["blue"], ["green"], [...COLOURS]];

/** No environment's hash. */
const ANOTHER = "another";

function planWith(site: Site, desired: DesiredState, changed: readonly Colour[]): PlanAct {
  const whole = (colour: Colour): ReleaseIntent | null => {
    const release = desired.releases[colour];
    const now = site.colours[colour].release?.intent.environment ?? ANOTHER;
    return release && { ...release, environment: changed.includes(colour) ? ANOTHER : now };
  };
  return { ...desired, act: "plan", releases: { blue: whole("blue"), green: whole("green") } };
}

function asksForNothing(site: Site, plan: PlanAct): boolean {
  return (
    COLOURS.every((colour) => runs(site, colour, plan.releases[colour])) &&
    describeTraffic(site, plan).length === 0
  );
}

function refusalOfPlan(site: Site, plan: PlanAct): string | null {
  try {
    planSteps(site, plan);
    return null;
  } catch (error) {
    if (error instanceof Refused) return error.message;
    throw error;
  }
}

/**
 * A release is started only on a schema that it runs on.
 * @throws Refused otherwise, with what would fit.
 */
function requireFit({ releases, schema }: PlanAct, colour: Colour, schemaVersion: string | null): void {
  const range = schema?.[colour] ?? null;
  if (range === null || schemaVersion === null) {
    return;
  }
  const version = releases[colour]?.version ?? "";
  const now = `the schema is at ${schemaVersion}`;
  if (BigInt(schemaVersion) < BigInt(range.first)) {
    throw new Refused(
      `${colour}: ${version} needs the schema from migration ${range.first} on, and ${now}; have that migration applied ` +
        "first: a migration that takes something away, and all after it, wait until no other release is on the host",
    );
  }
  if (range.last !== null && BigInt(schemaVersion) > BigInt(range.last)) {
    throw new Refused(
      `${colour}: ${version} runs on the schema up to migration ${range.last}, and ${now}; take a release that runs on ` +
        "it, or put back what was taken away by a migration of its own, and say so in the release's record",
    );
  }
}

function runs(site: Site, colour: Colour, wanted: ReleaseIntent | null): boolean {
  const { release } = site.colours[colour];
  return release === null || wanted === null ? release === wanted : isSameIntent(release.intent, wanted);
}

function keeps(site: Site, colour: Colour, wanted: ReleaseIntent | null): boolean {
  return wanted !== null && keepsSettings(site, colour, wanted);
}

/** A colour that keeps its environment, or how it was built and started, and what brings the new one to its users. */
export function describePending(site: Site, colour: Colour, wanted: ReleaseIntent | null): string {
  const other = otherColour(colour);
  const isEnvironment = site.colours[colour].release?.intent.environment !== wanted?.environment;
  const what = isEnvironment ? "its environment" : "the way it was built and started";
  return (
    `${colour}: serves users and keeps ${what} until its next release; ` +
    `to bring the new one to them, set ${other}Version ${runningVersion(site, colour)} and move the traffic to ${other}`
  );
}

function runningVersion(site: Site, colour: Colour): string {
  return site.colours[colour].release?.intent.version ?? "";
}

/**
 * A colour that serves users can be changed only while the other one takes them, and that one must itself stay as it is.
 * @throws Refused otherwise.
 */
export function requireReplaceable(site: Site, colour: Colour, changed: readonly Colour[] = []): void {
  const reason = whyNotReplaceable(site, colour, changed);
  if (reason !== null) {
    throw new Refused(reason);
  }
}

/** Why a colour cannot be changed without taking its users from them; null where it can. */
export function whyNotReplaceable(
  site: Site,
  colour: Colour,
  changed: readonly Colour[] = [],
): string | null {
  const share = shareNow(site, colour);
  const other = otherColour(colour);
  if (share === 0 || (isAdmitted(site, other) && !changed.includes(other))) {
    return null;
  }
  const who = share === 100 ? "everyone" : `${share} % of the users`;
  const why = changed.includes(other)
    ? `and ${other} changes too, so that nobody could take them over; change one colour at a time`
    : `and ${other} cannot take them over (${whyNotAdmitted(site, other)}); put the new version on ${other}`;
  return `${colour} serves ${who}, ${why}`;
}

function whyNotAdmitted(site: Site, colour: Colour): string {
  const { release, healthy, withdrawn } = site.colours[colour];
  if (release === null) {
    return "it runs nothing";
  }
  if (!healthy) {
    return "it is not healthy";
  }
  return withdrawn ? "it was changed since traffic was set" : "it never had a share";
}

/**
 * A colour gets more users than it has only while it is healthy. Less of the candidate is always allowed. A colour that
 * is about to change is judged after that.
 * @throws Refused otherwise.
 */
export function requireServable(site: Site, intent: TrafficIntent, changing: readonly Colour[] = []): void {
  const now = routeOf(site);
  requireNotAborted(site, intent);
  const isLessOfSame = site.traffic?.stable === intent.stable && intent.weight <= site.traffic.weight;
  for (const colour of COLOURS.filter((one) => !changing.includes(one))) {
    const share = colour === intent.stable ? 100 - intent.weight : intent.weight;
    const gains = site.traffic === null ? share > 0 : share > shareOf(now, colour);
    if (gains && !isLessOfSame) {
      requireHealthy(site, colour, share);
    }
  }
  if (site.colours[intent.stable].release === null && !changing.includes(intent.stable)) {
    throw new Refused(`${intent.stable} shall be stable and runs nothing; release a version on it first`);
  }
}

/** An abort is lifted by `ack` and by nothing else; less of the candidate than was asked for is still taken. */
function requireNotAborted(site: Site, intent: TrafficIntent): void {
  const { aborted, traffic } = site;
  if (aborted === null || (traffic?.stable === intent.stable && intent.weight < traffic.weight)) {
    return;
  }
  if (aborted.colour === intent.stable || intent.weight > 0) {
    throw new Refused(
      `${aborted.colour} was aborted at ${aborted.at} (${aborted.reason}); look into it and send \`ack\`, or set canaryWeight 0`,
    );
  }
}

function requireHealthy(site: Site, colour: Colour, share: number): void {
  const { release, healthy } = site.colours[colour];
  if (release === null || !healthy) {
    const why = release === null ? "it runs nothing" : `${release.intent.version} on it is not healthy`;
    throw new Refused(`${colour} shall get ${share} % and ${why}; nothing was changed`);
  }
}

function describeChange(site: Site, colour: Colour, version: string, closing: readonly Colour[]): string {
  const before = runningVersion(site, colour);
  const served = shareNow(site, colour) > 0;
  const away = closing.includes(colour)
    ? "in place, users see the maintenance page meanwhile; "
    : `its users go to ${otherColour(colour)} first; `;
  const first = served ? away : "";
  return version === ""
    ? `${colour}: ${first}retire ${before}`
    : `${colour}: ${first}${before || "nothing"} -> ${version}${before === version ? ", made anew" : ""}`;
}

function describeTraffic(site: Site, { traffic }: PlanAct): string[] {
  const now = site.traffic;
  const { stable, weight } = traffic;
  return now?.stable === stable && now.weight === weight
    ? []
    : [`traffic: ${100 - weight} % to ${stable}, ${weight} % to ${otherColour(stable)}`];
}
