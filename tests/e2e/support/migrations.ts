import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { openMigrator } from "../../../host/database/migrations/migrator";
import type { MigrationFile, MigrationsResult } from "../../../host/database/protocol";
import type { AppliedFile, Migrator } from "../../../host/database/surroundings";
import { repositoryRoot } from "../../../sandbox/repository";
import { waitUntil } from "../../../host/conductor/system/wait";
import { TestPostgres } from "./postgres";

/** A migration: the n-th, unless a whole version is given. */
export function migration(version: number | string, sql: string, contract = false): MigrationFile {
  const sha256 = createHash("sha256").update(sql).digest("hex");
  const digits = typeof version === "string" ? version : `2025${String(version).padStart(10, "0")}`;
  return { version: digits, name: "change", sha256, sql, contract };
}

/** A migration that makes a table, the n-th. */
export function table(number: number): MigrationFile {
  return migration(number, `create table public.t${number} (id int primary key);`);
}

/** The first migrations that make a table each. */
export function tables(count: number): MigrationFile[] {
  return Array.from({ length: count }, (_, index) => table(index + 1));
}

/** Limits that make a test wait for milliseconds where a stack waits for seconds. */
const LIMITS = { lockTimeoutMs: 200, lockWaitSeconds: 20, statementTimeoutSeconds: 60 };

/** A database of a test's own. */
export class MigrationDatabase {
  private static made = 0;
  readonly name: string;
  readonly told: string[] = [];
  private readonly clients: Client[] = [];
  private readonly migrators: Migrator[] = [];

  constructor(private readonly postgres: TestPostgres) {
    MigrationDatabase.made += 1;
    this.name = `test_${MigrationDatabase.made}`;
  }

  /** Makes it, with Supabase's roles and what belongs to them. */
  static async make(postgres: TestPostgres): Promise<MigrationDatabase> {
    const database = new MigrationDatabase(postgres);
    const client = new Client({ connectionString: postgres.url("template1") });
    await client.connect();
    await client.query(`create database ${database.name} template postgres`);
    await client.end();
    return database;
  }

  get url(): string {
    return this.postgres.url(this.name);
  }

  async open(
    run = "run-1",
    limits: Partial<typeof LIMITS> = {},
    lease = true,
    url = this.url,
  ): Promise<Migrator> {
    const progress = (line: string): void => void this.told.push(line);
    const migrator = await openMigrator(url, { limits: { ...LIMITS, ...limits }, run, lease, progress });
    this.migrators.push(migrator);
    return migrator;
  }

  /** A session beside the migrator's. */
  async session(name = "a user"): Promise<Client> {
    const client = new Client({ connectionString: this.url, application_name: name });
    client.on("error", () => undefined);
    await client.connect();
    this.clients.push(client);
    return client;
  }

  /** Rows of a query as text, a line each. */
  query(sql: string): string {
    return this.postgres.run(sql, this.name);
  }

  /** Runs a file as `psql -f` does. */
  queryAlone(sql: string): void {
    this.postgres.runEach(sql, this.name);
  }

  /** Versions of the history, without the year, in order. */
  history(): string[] {
    const rows = this.query("select version from supabase_migrations.schema_migrations order by 1");
    return rows === "" ? [] : rows.split("\n").map((version) => String(Number(version.slice(4))));
  }

  /** Waits until a query gives a row. */
  async until(sql: string): Promise<void> {
    const client = await this.session();
    const came = await waitUntil(60_000, 10, async () => (await client.query(sql)).rows.length > 0);
    if (!came) throw new Error(`nothing came of ${sql}`);
  }

  /** The schema by its catalog, and every row, of what is not the migrator's own. */
  contents(): string {
    const schema = this.query(CATALOG);
    const tables = this.query(
      "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname = 'public' order by 1",
    );
    const rows = tables.split("\n").filter((table) => table !== "");
    return [
      schema,
      ...rows.map((table) => `${table}: ${this.query(`select t from ${table} as t order by t::text`)}`),
    ].join("\n");
  }

  async remove(): Promise<void> {
    await Promise.all([
      ...this.migrators.map((each) => each.close()),
      ...this.clients.map((each) => each.end()),
    ]);
    const client = new Client({ connectionString: this.postgres.url("template1") });
    await client.connect();
    await client.query(`drop database ${this.name} with (force)`);
    await client.end();
  }
}

const CATALOG = `
select 'column ' || attrelid::regclass || ' ' || attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull as line
from pg_attribute join pg_class on pg_class.oid = attrelid
where relnamespace = 'public'::regnamespace and attnum > 0 and not attisdropped
union all
select 'constraint ' || conrelid::regclass || ' ' || pg_get_constraintdef(oid) from pg_constraint
where connamespace = 'public'::regnamespace
union all
select 'index ' || pg_get_indexdef(indexrelid) || ' ' || indisvalid from pg_index
join pg_class on pg_class.oid = indexrelid where relnamespace = 'public'::regnamespace
union all
select 'function ' || pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
order by 1`;

/** A Postgres, and the databases that a test made in it. */
export class MigrationWorld {
  readonly postgres = TestPostgres.start();
  private readonly databases: MigrationDatabase[] = [];

  async fresh(): Promise<MigrationDatabase> {
    const database = await MigrationDatabase.make(this.postgres);
    this.databases.push(database);
    return database;
  }

  /** Drops the databases. */
  async clear(): Promise<void> {
    for (const database of this.databases.splice(0)) await database.remove();
  }

  remove(): void {
    this.postgres.remove();
  }
}

/** TypeScript of a program that applies one file, and tells its progress. */
export function program(
  database: MigrationDatabase,
  file: MigrationFile,
  after: MigrationFile | null,
): string {
  return `
    import { openMigrator } from "./host/database/migrations/migrator";
    void openMigrator(${JSON.stringify(database.url)}, {
      limits: ${JSON.stringify(LIMITS)}, run: "run-1", lease: true, progress: console.log,
    }).then((migrator) => migrator.apply(${JSON.stringify(file)}, { after: ${JSON.stringify(after)} }));
  `;
}

/** Compares, and applies what is pending. */
export async function applyPending(
  migrator: Migrator,
  files: readonly MigrationFile[],
  more: Partial<Parameters<Migrator["compare"]>[0]> = {},
): Promise<{ found: MigrationsResult; applied: AppliedFile[] }> {
  const found = await migrator.compare({ files, accept: [], baseline: null, holdContract: null, ...more });
  const applied: AppliedFile[] = [];
  for (const [index, file] of files.entries()) {
    if (found.pending.includes(file.version)) {
      applied.push(await migrator.apply(file, { after: files[index - 1] ?? null }));
    }
  }
  return { found, applied };
}

/** Runs the supabase CLI in a project that has these files. @returns what it said */
export function supabase(files: readonly MigrationFile[], ...args: string[]): string {
  const project = mkdtempSync(join(tmpdir(), "supabase-"));
  try {
    mkdirSync(join(project, "supabase", "migrations"), { recursive: true });
    for (const { version, name, sql } of files) {
      writeFileSync(join(project, "supabase", "migrations", `${version}_${name}.sql`), sql);
    }
    const ran = spawnSync(join(repositoryRoot(), "node_modules/.bin/supabase"), args, {
      cwd: project,
      encoding: "utf8",
      env: { ...process.env, DO_NOT_TRACK: "1", SUPABASE_TELEMETRY_DISABLED: "1" },
    });
    const said = `${ran.stdout}${ran.stderr}`;
    if (ran.status !== 0) throw new Error(said);
    return said;
  } finally {
    rmSync(project, { recursive: true });
  }
}
