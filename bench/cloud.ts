/**
 * What does the whole stack cost, from accounts with nothing in them? The first `up`; then, in turns in one run, an `up` without a change
 * against the skeleton's (a host that is there, and nothing else), and previews against an empty program's.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { CloudSite } from "../sandbox/cloud-site";
import { run } from "../sandbox/command";
import { takeDown } from "../sandbox/down";
import { repositoryRoot } from "../sandbox/repository";
import type { Site } from "../sandbox/site";
import { worldNamed } from "../sandbox/world";
import { type BenchResult, progress, runBench } from "./result";
import { withBenchSite } from "./site";
import { median, percentile } from "./statistics";
import { timed } from "./timed";

const ROUNDS = 9;
/** Longest that the first `up` may take, in milliseconds. */
const FROM_NOTHING_MS = 240_000;

const NAMES = {
  fromNothing: "the first `up`: network, machine, bucket, schema, release, alarms",
  noChange: "`up` of the whole stack, no change",
  skeleton: "`up` of the skeleton, no change",
  preview: "`preview` of the whole stack, no change",
  offlinePlan: "`preview --offline-plan` of the whole stack, no change",
  emptyPreview: "`preview` of an empty program",
} as const;
type Measures = Record<keyof typeof NAMES, number[]>;

/** A project of the embedded engine's whose program makes nothing. */
class EmptyProject {
  private readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), "bench-empty-"));
  private readonly environment = { ...process.env, PULUMI_CONFIG_PASSPHRASE: "none" };

  async prepare(): Promise<void> {
    const write = (name: string, text: string): void =>
      fs.writeFileSync(path.join(this.directory, name), text);
    write("Pulumi.yaml", "name: empty\nruntime: nodejs\nbackend: { url: 'file://.' }\n");
    write("package.json", JSON.stringify({ name: "empty", main: "index.ts" }));
    write("index.ts", 'import "@pulumi/pulumi";\n');
    fs.symlinkSync(path.join(repositoryRoot(), "node_modules"), path.join(this.directory, "node_modules"));
    await this.pulumi("stack", "init", "empty");
  }

  async preview(): Promise<void> {
    await this.pulumi("preview", "--stack", "empty");
  }

  remove(): void {
    fs.rmSync(this.directory, { recursive: true });
  }

  private async pulumi(...words: string[]): Promise<void> {
    const program = path.join(repositoryRoot(), "bin", "pulumi");
    await run([program, "-C", this.directory, ...words], { env: this.environment });
  }
}

async function measureRound(
  measures: Measures,
  { site, skeleton, empty }: { site: CloudSite; skeleton: Site; empty: EmptyProject },
): Promise<void> {
  const { project } = site;
  measures.noChange.push(await timed(() => project.up(["--expect-no-changes"])));
  measures.skeleton.push(await timed(() => skeleton.project.up(["--expect-no-changes"])));
  measures.preview.push(await timed(() => project.pulumi(["preview", "--expect-no-changes"])));
  measures.offlinePlan.push(await timed(() => project.pulumi(["preview", "--offline-plan"])));
  measures.emptyPreview.push(await timed(() => empty.preview()));
}

const noMeasures = (): Measures =>
  Object.fromEntries(Object.keys(NAMES).map((name) => [name, []])) as unknown as Measures;

async function measureAll(site: CloudSite, skeleton: Site): Promise<Measures> {
  const measures = noMeasures();
  measures.fromNothing.push(await timed(() => site.project.up()));
  const empty = new EmptyProject();
  try {
    await empty.prepare();
    // Once for the caches: of the kernel, of the transpiler.
    await measureRound(noMeasures(), { site, skeleton, empty });
    for (let round = 0; round < ROUNDS; round += 1) {
      progress(`round ${round + 1} of ${ROUNDS}`);
      await measureRound(measures, { site, skeleton, empty });
    }
  } finally {
    empty.remove();
  }
  return measures;
}

async function measureInWorld(skeleton: Site): Promise<Measures> {
  const world = worldNamed("bench-cloud");
  await takeDown(world);
  try {
    const projectDirectory = fs.mkdtempSync(path.join(os.tmpdir(), "bench-cloud-"));
    return await measureAll(await CloudSite.open({ world, projectDirectory }), skeleton);
  } finally {
    await takeDown(world);
  }
}

async function main(): Promise<BenchResult> {
  const measures = await withBenchSite("bench-skeleton", measureInWorld);
  const seconds = (ms: number): string => (ms / 1000).toFixed(2);
  const ratio = (of: keyof Measures, to: keyof Measures): number =>
    median(measures[of]) / median(measures[to]);
  return {
    name: "cloud",
    headings: ["command", "runs", "median s", "p95 s"],
    rows: (Object.keys(NAMES) as (keyof Measures)[]).map((name) => [
      NAMES[name],
      String(measures[name].length),
      seconds(median(measures[name])),
      seconds(percentile(measures[name], 95)),
    ]),
    targets: [
      {
        what: "from nothing / four minutes",
        ratio: median(measures.fromNothing) / FROM_NOTHING_MS,
        atMost: 1,
      },
      { what: "no change / the skeleton's, medians", ratio: ratio("noChange", "skeleton"), atMost: 3 },
      { what: "preview / an empty program's, medians", ratio: ratio("preview", "emptyPreview"), atMost: 2 },
      {
        what: "offline plan / an empty program's preview, medians",
        ratio: ratio("offlinePlan", "emptyPreview"),
        atMost: null,
      },
    ],
    measured: measures,
  };
}

void runBench(main);
