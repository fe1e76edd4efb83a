/**
 * What does the engine cost? An `up` that changes nothing and one that changes the weight, against loading the SDK
 * alone, in one run, in turns.
 */
import { run } from "../sandbox/command";
import { repositoryRoot } from "../sandbox/repository";
import type { Site } from "../sandbox/site";
import { type BenchResult, progress, runBench } from "./result";
import { withBenchSite } from "./site";
import { median, percentile } from "./statistics";
import { timed } from "./timed";

const ROUNDS = 15;
/** Raised and taken back in turns. */
const WEIGHTS = ["5", "0"];

const MEASURES = ["require", "noChange", "weightChange"] as const;
type Measures = Record<(typeof MEASURES)[number], number[]>;

const NAMES: Readonly<Record<(typeof MEASURES)[number], string>> = {
  require: "`node -e 'require(\"@pulumi/pulumi\")'`",
  noChange: "`bin/pulumi up --yes --skip-preview`, no change",
  weightChange: "`bin/pulumi up --yes --skip-preview`, weight change",
};

async function requireSdk(): Promise<void> {
  await run([process.execPath, "-e", 'require("@pulumi/pulumi")'], { cwd: repositoryRoot() });
}

async function measureRound(site: Site, measures: Measures, weight: string): Promise<void> {
  measures.require.push(await timed(requireSdk));
  measures.noChange.push(await timed(() => site.project.up(["--expect-no-changes"])));
  await site.project.setConfig("canaryWeight", weight);
  measures.weightChange.push(await timed(() => site.project.up()));
  const { effectiveWeight } = await site.status();
  if (effectiveWeight !== Number(weight)) {
    throw new Error(`after an up with canaryWeight ${weight} the host says ${effectiveWeight}`);
  }
}

async function measureAll(site: Site): Promise<Measures> {
  const measures: Measures = { require: [], noChange: [], weightChange: [] };
  // Once for the caches: of the kernel, of the transpiler.
  await measureRound(site, { require: [], noChange: [], weightChange: [] }, "50");
  for (let round = 0; round < ROUNDS; round += 1) {
    progress(`round ${round + 1} of ${ROUNDS}`);
    await measureRound(site, measures, WEIGHTS[round % WEIGHTS.length] as string);
  }
  return measures;
}

async function main(): Promise<BenchResult> {
  const measures = await withBenchSite("bench-engine", measureAll);
  const seconds = (ms: number): string => (ms / 1000).toFixed(2);
  const ratio = (of: keyof Measures, to: keyof Measures): number =>
    median(measures[of]) / median(measures[to]);
  return {
    name: "engine",
    headings: ["command", "runs", "median s", "p95 s"],
    rows: MEASURES.map((name) => [
      NAMES[name],
      String(ROUNDS),
      seconds(median(measures[name])),
      seconds(percentile(measures[name], 95)),
    ]),
    targets: [
      { what: "no change / require, medians", ratio: ratio("noChange", "require"), atMost: 2.5 },
      { what: "weight change / no change, medians", ratio: ratio("weightChange", "noChange"), atMost: 1.5 },
    ],
    measured: measures,
  };
}

void runBench(main);
