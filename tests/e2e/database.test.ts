import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DatabaseStatusResult, RestoreResult } from "../../host/database/protocol";
import { run, type CommandOptions, type CommandResult } from "../../sandbox/command";
import { SandboxDatabase } from "../../sandbox/database";
import { startLoad } from "../../sandbox/load/run";
import { waitFor } from "../../sandbox/processes";
import { repositoryRoot } from "../../sandbox/repository";
import { worldNamed } from "../../sandbox/world";
import { block } from "../support/document-blocks";
import { argumentsDuring } from "./support/argument-watch";
import { startUp } from "./support/running-up";
import { killed } from "./support/victims";
import { SLOW_MS, TestWorld } from "./support/world";

/*
 * The database's part of an `up`, whole: program, SSH, conductor, worker, Postgres, S3. What each room of it does with the odd
 * and the broken is tested where it can be done a hundred times (migrations*, backups, rehearsal, restore).
 */

jest.setTimeout(4 * SLOW_MS);

let world: TestWorld;
let database: SandboxDatabase;
let directory: string;
const migrations = (): string => join(world.project.directory, "migrations");

beforeAll(async () => {
  world = await TestWorld.create("database");
  directory = mkdtempSync(join(tmpdir(), "database-"));
  database = await SandboxDatabase.start(worldNamed(), { directory, address: world.host.gateway });
  await database.configure(world.project);
  // The daily backup would be one more than a test's own where it falls into it.
  const dropIn = "/etc/systemd/system/vehicleservice-backup.timer.d";
  await world.host.exec(["mkdir", "-p", dropIn]);
  await world.host.exec(["tee", `${dropIn}/never.conf`], {
    stdin: "[Timer]\nOnCalendar=\nOnCalendar=2199-01-01\n",
  });
  cpSync(join(repositoryRoot(), "migrations"), migrations(), { recursive: true });
  await world.setGroupValue("database.migrationsDirectory", "migrations");
}, SLOW_MS);

afterAll(async () => {
  await world.remove();
  await database.remove();
  rmSync(directory, { recursive: true, force: true });
});

/** Puts a migration into the folder, with the limits that the lint asks for. */
function write(name: string, sql: string, leading = ""): void {
  const limits = "set lock_timeout = '2s';\nset statement_timeout = '60s';\n";
  writeFileSync(join(migrations(), `${name}.sql`), `${leading}${limits}${sql}\n`);
}

const query = (sql: string): string => database.postgres.asSuperuser(sql);
const history = (): string[] =>
  query("select version from supabase_migrations.schema_migrations order by 1").split("\n");

async function databaseStatus(): Promise<DatabaseStatusResult> {
  const act = '{"act":"database-status","details":true}';
  const { stdout } = await world.host.exec(["vehicleservice-conductor", "act"], { stdin: act });
  return JSON.parse(stdout) as DatabaseStatusResult;
}

async function outputs(): Promise<Record<string, unknown>> {
  const { stdout } = await world.project.pulumi(["stack", "output", "--json"]);
  return JSON.parse(stdout) as Record<string, unknown>;
}

const ALL = 7;

test("a fresh database: backup, rehearsal, migrations, checks, and only then a release; the password in no argument list", async () => {
  const password = decodeURIComponent(new URL(database.postgres.url).password);
  let words = "";
  const found = await argumentsDuring(password, async () => {
    const { stdout, stderr } = await world.up({ blueVersion: "v0.9.9" });
    words = stdout + stderr;
  });
  expect(found).toEqual([]);
  expect(words).not.toContain(password);
  expect(history()).toHaveLength(ALL);
  const { schemaVersion, backup, rehearsal, pending, details } = await databaseStatus();
  expect({ schemaVersion, pending }).toEqual({ schemaVersion: history().at(-1), pending: [] });
  expect(rehearsal?.key).toBe(backup?.key);
  expect(rehearsal?.files).toHaveLength(ALL);
  expect(details?.backups).toEqual([backup]);
  expect(await outputs()).toMatchObject({
    schemaVersion,
    lastBackup: backup?.name,
    measuredRestoreSeconds: rehearsal?.restoreSeconds,
  });
});

test("an `up` without a change, and one that moves traffic, ask nothing of the database", async () => {
  expect((await world.up()).stdout).toMatch(/\b\d+ unchanged/);
  const { stdout } = await world.up({ greenVersion: "v0.9.9", canaryWeight: 5 });
  const [steps] = stdout.split("Outputs:");
  expect(steps).toMatch(/traffic-act/);
  expect(steps).not.toMatch(/database|migration-|rehearsal/);
  expect((await databaseStatus()).details?.backups).toHaveLength(1);
  await world.up({ canaryWeight: 0, greenVersion: "" });
});

test("a migration that fails is found out by the rehearsal: nothing of it reaches the database", async () => {
  write("20250201000000_notes", "create table public.notes (id bigint primary key);\nselect 1 / 0;");
  const { exitCode, stdout, stderr } = await world.tryUp();
  expect(exitCode).not.toBe(0);
  const words = stdout + stderr;
  expect(words).toContain("database-rehearsal-act");
  expect(words).toMatch(/20250201000000_notes\.sql/);
  expect(words).toMatch(/division by zero/);
  expect(history()).toHaveLength(ALL);
  expect((await world.status()).colours.blue.healthy).toBe(true);
});

test("a table without row level security does not pass the rehearsal, either", async () => {
  write("20250201000000_notes", "create table public.notes (id bigint primary key);");
  const { exitCode, stdout, stderr } = await world.tryUp();
  expect(exitCode).not.toBe(0);
  expect(stdout + stderr).toMatch(/row-level-security[\s\S]*notes/);
  expect(history()).toHaveLength(ALL);
});

const POLICY = `
create table public.notes (id bigint primary key, words text not null default '');
alter table public.notes enable row level security;
create policy notes_read on public.notes for select to authenticated using (true);`;

test("the mended file is backed up for, rehearsed, applied", async () => {
  write("20250201000000_notes", POLICY);
  await world.up();
  expect(history().at(-1)).toBe("20250201000000");
  expect((await databaseStatus()).rehearsal?.files).toHaveLength(1);
});

describe("a death", () => {
  /** What dies, by a pattern of its command line on the host; null for the engine itself. */
  const VICTIMS: readonly (readonly [string, RegExp | null])[] = [
    ["the worker", /vehicleservice\/database\.js/],
    ["the conductor", /vehicleservice\/conductor\.js/],
    ["SSH", /^sshd-session: root@notty/],
    ["the engine", null],
  ];
  /** What goes on after these died may end at any moment; what a conductor or a worker was at is undone at once. */
  const LEAVES_THE_ACT: ReadonlySet<string> = new Set(["SSH", "the engine"]);
  /** The product's own database sleeps in a file: what is printed of its resource may come before its connection is open. */
  const inTheFile = (): Promise<true> =>
    waitFor("a migration that is at it", 60, () =>
      Promise.resolve(
        query(
          "select count(*) from pg_stat_activity where datname = current_database() and state = 'active' and query ~ 'pg_sleep' and pid <> pg_backend_pid()",
        ) === "1" || undefined,
      ),
    );
  /** Where it dies: something that is printed in each phase, and what is waited for after it. */
  const PHASES: readonly (readonly [string, RegExp, () => Promise<true>])[] = [
    ["backup", /dumping postgres to/, () => Promise.resolve(true)],
    ["rehearsal", /into a database that is thrown away/, () => Promise.resolve(true)],
    ["migration", /database-rehearsal-act.*\n[\s\S]*migration-2025/, inTheFile],
  ];
  let count = 0;

  test.each(VICTIMS.flatMap((victim) => PHASES.map((phase) => [...victim, ...phase] as const)))(
    "of %s (%p) in the phase %s: nothing half, and the next `up` converges",
    async (who, pattern, phase, sign, begun) => {
      const version = String(20250301000000 + ++count);
      write(
        `${version}_more`,
        // A migration that is met at work is at it for longer than it takes to see that, and to kill.
        `alter table public.notes add column more_${count} text;\nselect pg_sleep(${phase === "migration" ? 6 : 1});`,
      );
      const up = startUp(world.project);
      expect(await up.printed(sign)).toBe(true);
      await begun();
      const pids = pattern === null ? [up.pid] : world.host.pidsOf(pattern);
      expect(pids.length).toBeGreaterThan(0);
      pids.forEach(killed);
      const { exitCode } = await up.ended;
      const half = query(
        `select count(*) from information_schema.columns where table_name = 'notes' and column_name = 'more_${count}'`,
      );
      if (LEAVES_THE_ACT.has(who)) expect(exitCode).not.toBe(0);
      else expect(Number(half)).toBe(history().includes(version) ? 1 : 0);
      if (pattern === null) await world.project.pulumi(["cancel"]);
      await waitFor("an `up` that converges", 180, async () =>
        (await world.tryUp()).exitCode === 0 ? true : undefined,
      );
      expect(history().filter((one) => one === version)).toEqual([version]);
      expect((await world.status()).closed).toBe(false);
    },
  );
});

test("without S3 no migration starts", async () => {
  const before = history();
  await database.s3.stop();
  write("20250401000000_late", "alter table public.notes add column late text;");
  const { exitCode, stdout, stderr } = await world.tryUp();
  expect(exitCode).not.toBe(0);
  expect(stdout + stderr).toContain("database-backup-act");
  expect(history()).toEqual(before);
  await database.s3.resume();
  await world.up();
  expect(history().at(-1)).toBe("20250401000000");
});

test("what takes something away waits, with all after it, until one release is left and a later `up`", async () => {
  await world.up({ greenVersion: "v1.0.0" });
  write(
    "20250501000000_drop_late",
    "alter table public.notes drop column late;",
    "-- phase: contract\n-- squawk-ignore-file ban-drop-column\n",
  );
  write("20250502000000_after", "alter table public.notes add column after_all text;");
  await world.up();
  expect(history().at(-1)).toBe("20250401000000");
  expect((await databaseStatus()).waiting).toEqual(["20250501000000", "20250502000000"]);
  await world.up({ stable: "green", canaryWeight: 0 });
  // The older release goes after the migrations had their turn.
  await world.up({ blueVersion: "" });
  expect(history().at(-1)).toBe("20250401000000");
  const preview = await world.project.pulumi(["preview"]);
  expect(preview.stdout + preview.stderr).toMatch(/20250501000000/);
  await world.up();
  expect(history().at(-1)).toBe("20250502000000");
  expect((await world.up()).stdout).toMatch(/\b\d+ unchanged/);
});

/** Runs `bin/ops` on the project, and returns its one document. */
async function ops(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const program = join(repositoryRoot(), "bin", "ops");
  return run([program, "-C", world.project.directory, "-s", "sandbox", "--json", ...args], options);
}

test("the daily backup is a timer's", async () => {
  await world.host.exec(["systemctl", "is-enabled", "vehicleservice-backup.timer"]);
  await world.host.exec(["systemctl", "start", "vehicleservice-backup.service"]);
  expect((await databaseStatus()).backup?.reason).toBe("daily");
});

test("ops status: releases, schema and backup on one screen", async () => {
  const { stdout } = await ops(["status"]);
  expect(JSON.parse(stdout)).toMatchObject({
    site: { colours: { green: { version: "v1.0.0" } } },
    database: { schemaVersion: "20250502000000", pending: [], unreachable: null },
  });
});

test("a restore brings every row back, keeps users out meanwhile, and lets them in again", async () => {
  query("insert into public.notes (id, words) values (1, 'kept')");
  await ops(["backup"]);
  query("delete from public.notes");

  const [, ...words] = block("docs/production.md", "restore").split(" ");
  const asked = await ops(words, { check: false });
  expect(asked.exitCode).toBe(3);
  expect(query("select count(*) from public.notes")).toBe("0");

  const load = await startLoad({ ...world.loadTarget(), protocol: "http1", rate: 100, connections: 10 });
  const { stdout } = await ops(["restore", "--backup", "latest", "--yes", "--i-accept-data-loss"]);
  const { total } = await load.stop();
  const answer = JSON.parse(stdout) as RestoreResult;
  expect(answer.loss.tables["public.notes"]).toEqual({ now: 0, then: 1 });
  // Supabase's own schemas belong to others.
  expect(answer.restored?.how).toBe("in place");
  expect(query("select words from public.notes")).toBe("kept");
  expect(total.failed).toBeGreaterThan(0);
  expect((await world.status()).closed).toBe(false);

  await world.setGroupValue("database.epoch", "1");
  await world.up();
  expect((await databaseStatus()).pending).toEqual([]);
});

test.each<[string, RegExp | null, boolean]>([
  ["the conductor", /vehicleservice\/conductor\.js/, false],
  ["the worker", /vehicleservice\/database\.js/, false],
  ["SSH", /^sshd-session: root@notty/, true],
  ["ops itself", null, true],
])("a death of %s in a restore keeps nobody out, and loses nothing", async (_, pattern, goesOn) => {
  const rows = (): string => query("select count(*) from public.notes");
  await ops(["backup"]);
  const kept = rows();
  query("insert into public.notes (id, words) select coalesce(max(id), 0) + 1, 'newer' from public.notes");
  const newer = rows();
  const program = join(repositoryRoot(), "bin", "ops");
  const words = ["restore", "--backup", "latest", "--yes", "--i-accept-data-loss"];
  const child = spawn(program, ["-C", world.project.directory, "-s", "sandbox", ...words]);
  let printed = "";
  child.stderr.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  const ended = once(child, "close");
  await waitFor("the site to be closed", 60, () =>
    printed.includes("backing up what is there") ? true : undefined,
  );
  const victims = pattern === null ? [child.pid!] : world.host.pidsOf(pattern);
  expect(victims.length).toBeGreaterThan(0);
  victims.forEach(killed);
  await ended;
  await waitFor("the site to be open", 60, async () => ((await world.status()).closed ? undefined : true));
  // The host goes on without whoever asked it. Else nothing was restored yet, or all of it was.
  expect(goesOn ? [kept] : [kept, newer]).toContain(rows());
});
