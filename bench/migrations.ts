/**
 * What do migrations cost? A hundred small files against `supabase db push`, and what a pending file, and a database with
 * nothing pending, add to an `up`.
 */
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openMigrator } from "../host/database/migrations/migrator";
import type { MigrationFile } from "../host/database/protocol";
import { run } from "../sandbox/command";
import { SandboxDatabase } from "../sandbox/database";
import { STACK } from "../sandbox/project";
import { repositoryRoot } from "../sandbox/repository";
import type { Site } from "../sandbox/site";
import { worldNamed } from "../sandbox/world";
import { guarded } from "./guarded";
import { type BenchResult, progress, runBench } from "./result";
import { withBenchSite } from "./site";
import { median } from "./statistics";
import { timed } from "./timed";

const FILES = 100;
const ROUNDS = 3;

const LIMITS = { lockTimeoutMs: 2000, lockWaitSeconds: 60, statementTimeoutSeconds: 60 };

/** A table that nobody shows, and so needs no policy. */
function sqlOf(number: number): string {
  return [
    "set lock_timeout = '2s';",
    "set statement_timeout = '60s';",
    `create table bench.t${number} (id bigint primary key, words text not null default '');`,
    `create index on bench.t${number} (words);\n`,
  ].join("\n");
}

/** Files of a round, after those of the rounds before. */
function filesOf(first: number, count: number): MigrationFile[] {
  return Array.from({ length: count }, (_, index) => {
    const sql = sqlOf(first + index);
    return {
      version: String(20300101000000 + first + index),
      name: "bench",
      sql,
      sha256: createHash("sha256").update(sql).digest("hex"),
      contract: false,
    };
  });
}

/** Makes a database, and returns its URL. */
function freshDatabase(database: SandboxDatabase, name: string): string {
  const { postgres } = database;
  postgres.each(`drop database if exists ${name}; create database ${name} owner postgres`);
  postgres.asSuperuser("create schema bench authorization postgres", name);
  const url = new URL(postgres.url);
  url.pathname = `/${name}`;
  return url.toString();
}

/** As the worker does, which runs already when it comes to this. */
async function byOurs(url: string, files: readonly MigrationFile[]): Promise<void> {
  const migrator = await openMigrator(url, {
    limits: LIMITS,
    run: "bench",
    lease: true,
    progress: () => undefined,
  });
  const { pending } = await migrator.compare({ files, accept: [], baseline: null, holdContract: null });
  if (pending.length !== files.length) throw new Error(`${pending.length} files are pending`);
  for (const [index, file] of files.entries())
    await migrator.apply(file, { after: files[index - 1] ?? null });
  await migrator.close();
}

async function bySupabase(url: string, project: string): Promise<void> {
  const cli = join(repositoryRoot(), "node_modules", ".bin", "supabase");
  const environment = { ...process.env, DO_NOT_TRACK: "1", SUPABASE_TELEMETRY_DISABLED: "1" };
  await run([cli, "db", "push", "--db-url", `${url}?sslmode=disable`, "--yes", "--workdir", project], {
    env: environment,
  });
}

/** Times in milliseconds; `gaps` are those between the ends of two files that follow one another in one `up`. */
type Measures = Record<"ours" | "supabase" | "without" | "idle" | "one" | "many" | "gaps", number[]>;

/** The ends of the newest files' steps, as the state has them, told by the time between each two. */
function gapsOf(site: Site, count: number): number[] {
  const file = join(site.project.directory, ".pulumi", "stacks", "vehicleservice", `${STACK}.json`);
  const { checkpoint } = JSON.parse(readFileSync(file, "utf8")) as {
    checkpoint: { latest: { resources: { urn: string; created?: string }[] } };
  };
  const ends = checkpoint.latest.resources
    .filter(({ urn }) => /::migration-[0-9]+$/.test(urn))
    .map(({ created = "" }) => Date.parse(created))
    .toSorted((a, b) => a - b)
    .slice(-count);
  return ends.slice(1).map((end, index) => end - (ends[index] ?? end));
}

async function measurePush(database: SandboxDatabase, directory: string, measures: Measures): Promise<void> {
  const files = filesOf(0, FILES);
  const project = join(directory, "supabase-project");
  mkdirSync(join(project, "supabase", "migrations"), { recursive: true });
  for (const { version, name, sql } of files)
    writeFileSync(join(project, "supabase", "migrations", `${version}_${name}.sql`), sql);
  for (let round = 0; round <= ROUNDS; round += 1) {
    progress(`push ${round} of ${ROUNDS}`);
    const ours = freshDatabase(database, "bench_ours");
    const theirs = freshDatabase(database, "bench_theirs");
    const took = [await timed(() => byOurs(ours, files)), await timed(() => bySupabase(theirs, project))];
    // Once for the caches.
    if (round === 0) continue;
    measures.ours.push(took[0] ?? 0);
    measures.supabase.push(took[1] ?? 0);
  }
}

async function measureUp(site: Site, database: SandboxDatabase, measures: Measures): Promise<void> {
  const up = (): Promise<unknown> => site.project.up();
  for (let round = 0; round < ROUNDS; round += 1) measures.without.push(await timed(up));
  const folder = join(site.project.directory, "migrations");
  cpSync(join(repositoryRoot(), "migrations"), folder, { recursive: true });
  await database.configure(site.project);
  await site.project.setConfig("database.migrationsDirectory", "migrations", { path: true });
  database.postgres.asSuperuser("create schema bench authorization postgres");
  await up();
  let next = 0;
  const add = (count: number): void => {
    for (const { version, name, sql } of filesOf(next, count))
      writeFileSync(join(folder, `${version}_${name}.sql`), sql);
    next += count;
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    progress(`up ${round + 1} of ${ROUNDS}`);
    measures.idle.push(await timed(up));
    add(1);
    measures.one.push(await timed(up));
    add(FILES);
    measures.many.push(await timed(up));
    measures.gaps.push(...gapsOf(site, FILES));
  }
}

async function main(): Promise<BenchResult> {
  const measures: Measures = { ours: [], supabase: [], without: [], idle: [], one: [], many: [], gaps: [] };
  const directory = mkdtempSync(join(tmpdir(), "bench-migrations-"));
  try {
    await withBenchSite("bench-migrations", async (site) => {
      const address = site.host.gateway;
      const started = await SandboxDatabase.start(worldNamed(), { directory, address });
      await guarded(started, async (database) => {
        await measurePush(database, directory, measures);
        await measureUp(site, database, measures);
      });
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  const { ours, supabase, without, idle, one, many, gaps } = measures;
  const row = (what: string, times: readonly number[], digits = 2): string[] => [
    what,
    String(times.length),
    (median(times) / 1000).toFixed(digits),
  ];
  // Round by round: the stack has a hundred resources more in each.
  const perFile = median(many.map((time, round) => (time - (one[round] ?? 0)) / (FILES - 1)));
  return {
    name: "migrations",
    headings: ["what", "runs", "median s"],
    rows: [
      row(`${FILES} files by the host's worker`, ours),
      row(`${FILES} files by \`supabase db push\``, supabase),
      row("`up` without a database, no change", without),
      row("`up` with a database, nothing pending (a hundred files more each time)", idle),
      row("`up` with one file pending", one),
      row(`\`up\` with ${FILES} files pending`, many),
      row("from the end of one of them to the end of the next", gaps, 3),
    ],
    targets: [
      { what: "100 files / `supabase db push`, medians", ratio: median(ours) / median(supabase), atMost: 1 },
      { what: "a pending file's share of `up` / 60 ms", ratio: perFile / 60, atMost: 1 },
      {
        what: "nothing pending, added to `up` at first / 1 s",
        ratio: ((idle[0] ?? 0) - median(without)) / 1000,
        atMost: 1,
      },
    ],
    measured: measures,
  };
}

void runBench(main);
