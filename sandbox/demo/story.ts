import type { Observation } from "./traffic";

/** One step of the demo: what is typed, and what must then be seen. */
export interface Step {
  /** What it shows, in a few words. */
  readonly title: string;
  /** Config values that are set before the `up`, in this order. */
  readonly levers: Readonly<Record<string, string>>;
  /** Share of the users by version that must be measured after it, in percent. */
  readonly shares: Readonly<Record<string, number>>;
  /** Version that a tester of green must get after it; undefined where green has none. */
  readonly testers?: string;
}

const STABLE = "v0.9.9";
const CANDIDATE = "v1.0.0";

/** The state that the story begins with. */
export const FIRST_STEP: Step = {
  title: `${STABLE} on blue, live`,
  levers: { stable: "blue", canaryWeight: "0", blueVersion: STABLE, greenVersion: "" },
  shares: { [STABLE]: 100 },
};

/** The rest of it, under load. */
export const NEXT_STEPS: readonly Step[] = [
  {
    title: `${CANDIDATE} on green, testers only`,
    levers: { greenVersion: CANDIDATE },
    shares: { [STABLE]: 100 },
    testers: CANDIDATE,
  },
  {
    title: `canary at 5 %`,
    levers: { canaryWeight: "5" },
    shares: { [STABLE]: 95, [CANDIDATE]: 5 },
    testers: CANDIDATE,
  },
  {
    title: `everyone on ${CANDIDATE}`,
    levers: { canaryWeight: "100" },
    shares: { [CANDIDATE]: 100 },
    testers: CANDIDATE,
  },
  {
    title: `back to ${STABLE}`,
    levers: { canaryWeight: "0" },
    shares: { [STABLE]: 100 },
    testers: CANDIDATE,
  },
];

/** How far a measured share may be from one that is neither 0 nor 100, in percentage points: 2,000 users, five sigma. */
const TOLERANCE = 2.5;

/** Returns what is wrong with what the load saw after a step, in words; empty when it is as it must be. */
export function faultsOf(step: Step, seen: Observation): string[] {
  const versions = new Set([...Object.keys(step.shares), ...Object.keys(seen.shares)]);
  return [...versions].flatMap((version) => {
    const [want, got] = [step.shares[version] ?? 0, seen.shares[version] ?? 0];
    const allowed = want === 0 || want === 100 ? 0 : TOLERANCE;
    return Math.abs(want - got) > allowed
      ? [`${version} should serve ${want} % and serves ${got.toFixed(1)} %`]
      : [];
  });
}

/** Renders who serves what: `v0.9.9 95.2 %, v1.0.0 4.8 %`. */
export function formatShares(shares: Readonly<Record<string, number>>): string {
  const parts = Object.entries(shares)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([version, share]) => `${version} ${Number.isInteger(share) ? share : share.toFixed(1)} %`);
  return parts.join(", ") || "nobody answers";
}
