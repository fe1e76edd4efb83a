/**
 * What does a release cost, against the same git, npm and next commands by hand on that host? The Next.js sample, with
 * dependencies that the host has not seen and with an unchanged lock file, in turns.
 */
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import type { Site } from "../sandbox/site";
import { tagOf } from "../sandbox/source";
import { type BenchResult, progress, runBench } from "./result";
import { withBenchSite } from "./site";
import { median } from "./statistics";
import { timed } from "./timed";

const ROUNDS = 4;
const PARENT = "/var/www";
const BUILDER = "www-data";

const MEASURES = ["byHand", "newLock", "sameLock"] as const;
type Measures = Record<(typeof MEASURES)[number], number[]>;

const NAMES: Readonly<Record<(typeof MEASURES)[number], string>> = {
  byHand: "by hand: `git clone`, `npm ci`, `npm run build`, `npm prune`",
  newLock: "`up` with another version, new lock file",
  sameLock: "`up` with another version, unchanged lock file",
};

/** The guide's steps, in its order, as the user that builds our releases and with what our builds see. */
async function releaseByHand(site: Site, version: string, repository: string): Promise<void> {
  const directory = join(PARENT, "by-hand", version);
  const script = [
    `git clone --quiet --depth 1 --branch ${tagOf(version)} ${repository} ${directory}`,
    `cd ${directory}`,
    "npm ci",
    "npm run build",
    "npm prune --omit=dev",
  ].join(" && ");
  // A cache of its own, as warm as ours: the round before the first one is not counted.
  const environment = [
    ...[`HOME=${PARENT}/by-hand/home`, "CI=true", "NEXT_TELEMETRY_DISABLED=1"],
    ...[
      "NPM_CONFIG_AUDIT=false",
      "NPM_CONFIG_FUND=false",
      "NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt",
    ],
  ];
  await site.host.exec(["runuser", "--user", BUILDER, "--", "env", ...environment, "sh", "-c", script]);
}

/** From an empty green, so that each release prepares, starts and proves, and replaces nothing. */
async function releaseByUp(site: Site, version: string): Promise<number> {
  await site.project.setConfig("greenVersion", "");
  await site.project.up();
  await site.project.setConfig("greenVersion", version);
  const milliseconds = await timed(() => site.project.up());
  const found = (await site.status()).colours.green.version;
  if (found !== version)
    throw new Error(`after an up with greenVersion ${version} green runs ${String(found)}`);
  return milliseconds;
}

async function measureRound(
  site: Site,
  round: number,
  repository: string,
): Promise<Record<keyof Measures, number>> {
  const version = (kind: number): string => `v2.${round}.${kind}`;
  const relocked = (directory: string): void =>
    // What npm reads is part of what its result is a function of.
    appendFileSync(join(directory, ".npmrc"), `\n; round ${round}\n`);
  await site.source.addTag(version(0), relocked);
  await site.source.addTag(version(1), relocked);
  await site.source.addTag(version(2), relocked);
  const byHand = await timed(() => releaseByHand(site, version(0), repository));
  const newLock = await releaseByUp(site, version(1));
  const sameLock = await releaseByUp(site, version(2));
  await site.host.exec(["rm", "-rf", join(PARENT, "by-hand", version(0))]);
  return { byHand, newLock, sameLock };
}

async function measureAll(site: Site): Promise<Measures> {
  await site.host.exec(["install", "-d", "-o", BUILDER, `${PARENT}/by-hand`, `${PARENT}/by-hand/home`]);
  const repository = await repositoryOf(site);
  const measures: Measures = { byHand: [], newLock: [], sameLock: [] };
  progress("once for the caches");
  await measureRound(site, 0, repository);
  for (let round = 1; round <= ROUNDS; round += 1) {
    progress(`round ${round} of ${ROUNDS}`);
    const measured = await measureRound(site, round, repository);
    for (const name of MEASURES) measures[name].push(measured[name]);
  }
  return measures;
}

async function repositoryOf(site: Site): Promise<string> {
  const { stdout } = await site.project.pulumi(["config", "get", "--path", "source.repository"]);
  return stdout.trim();
}

async function main(): Promise<BenchResult> {
  const measures = await withBenchSite("bench-release", measureAll, "next");
  const ratio = (of: keyof Measures): number => median(measures[of]) / median(measures.byHand);
  return {
    name: "release",
    headings: ["way", "times", "median s", "shortest s", "longest s"],
    rows: MEASURES.map((name) => [
      NAMES[name],
      String(measures[name].length),
      ...[median(measures[name]), Math.min(...measures[name]), Math.max(...measures[name])].map((ms) =>
        (ms / 1000).toFixed(1),
      ),
    ]),
    targets: [
      { what: "new lock file / by hand, medians", ratio: ratio("newLock"), atMost: 1.1 },
      { what: "unchanged lock file / by hand, medians", ratio: ratio("sameLock"), atMost: 0.5 },
    ],
    measured: measures,
  };
}

void runBench(main);
