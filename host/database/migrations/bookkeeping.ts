import { Failed } from "../../conductor/faults";
import type { Acceptance, MigrationFile } from "../protocol";
import type { FileRow, HistoryRow, Recorded } from "./comparison";
import { readScript } from "./script";
import type { Session } from "./session";

/**
 * What a database knows of its migrations: the supabase CLI's history, made as the CLI makes it so that both tools
 * agree, and beside it a schema of our own that nobody is granted.
 */

/** Name of the advisory lock that whoever changes the schema holds: meant, with no hash of anything. */
export const FILE_LOCK = "7020250, 1";

/** Held while the tables of this file are made. */
const SET_UP_LOCK = "7020250, 2";

const TABLES = `
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
alter table supabase_migrations.schema_migrations add column if not exists statements text[];
alter table supabase_migrations.schema_migrations add column if not exists name text;
create schema if not exists deployment;
revoke all on schema deployment from public;
create table if not exists deployment.lease (
  single boolean primary key default true check (single),
  run text not null,
  host text not null,
  since timestamptz not null,
  heartbeat timestamptz not null
);
create table if not exists deployment.files (
  version text primary key,
  name text not null,
  sha256 text not null,
  origin text not null check (origin in ('applied', 'adopted', 'baseline')),
  run text not null,
  started_at timestamptz not null,
  finished_at timestamptz,
  milliseconds integer,
  done text[] not null default '{}',
  running text
);
comment on column deployment.files.done is 'Digests of the statements that are applied, of a file without a transaction.';
comment on column deployment.files.running is 'Digest of the statement that was begun outside of a transaction.';
create table if not exists deployment.acceptances (
  version text not null,
  sha256 text not null,
  reason text not null,
  run text not null,
  accepted_at timestamptz not null,
  primary key (version, sha256)
);
`;

/** Makes the tables, unless they are there. */
export async function setUp(session: Session): Promise<void> {
  const [there] = await session.queryLast<{ complete: boolean }>(
    `select to_regclass('deployment.acceptances') is not null and count(*) = 3 as complete
     from pg_catalog.pg_attribute
     where attrelid = to_regclass('supabase_migrations.schema_migrations') and attname in ('version', 'name', 'statements')`,
  );
  if (there?.complete === true) return;
  try {
    await session.query(`
      begin; set local lock_timeout = '10s'; set local client_min_messages = 'error';
      select pg_advisory_xact_lock(${SET_UP_LOCK}); ${TABLES} commit`);
  } catch (error) {
    await session.query("rollback").catch(() => undefined);
    throw new Failed(
      `the tables that keep the history of migrations could not be made: ${(error as Error).message}. ` +
        "The role of databaseUrl has to be allowed to make schemas",
    );
  }
}

/** Returns the newest version in the history; null for none. Makes nothing. */
export async function newestVersion(session: Session): Promise<string | null> {
  const [there] = await session.queryLast<{ there: boolean }>(
    "select to_regclass('supabase_migrations.schema_migrations') is not null as there",
  );
  if (there?.there !== true) return null;
  const [row] = await session.queryLast<{ version: string }>(
    `select version from supabase_migrations.schema_migrations order by version collate "C" desc limit 1`,
  );
  return row?.version ?? null;
}

/** Reads all. A statement's text is read only where we did not write the row ourselves. */
export async function readRecorded(session: Session): Promise<Recorded> {
  const history = await session.query<HistoryRow>(
    `select version, history.name, case when files.version is null then statements end as statements
     from supabase_migrations.schema_migrations as history left join deployment.files using (version)`,
  );
  const files = await session.query<FileRow>(
    "select version, name, sha256, done, finished_at is not null as finished from deployment.files",
  );
  const accepted = await session.query<Recorded["accepted"][number]>(
    "select version, sha256 from deployment.acceptances",
  );
  return { history: history.rows, files: files.rows, accepted: accepted.rows };
}

/** Writes down files that were applied by somebody else, or whose edit was accepted. */
export async function recordAdopted(
  session: Session,
  files: readonly MigrationFile[],
  origin: "adopted" | "baseline",
  run: string,
): Promise<void> {
  const column = (key: "version" | "name" | "sha256"): string[] => files.map((file) => file[key]);
  if (origin === "baseline") {
    const recorded = await Promise.all(files.map(readScript));
    for (const [index, file] of files.entries()) {
      await session.query(
        "insert into supabase_migrations.schema_migrations (version, name, statements) values ($1, $2, $3)",
        [file.version, file.name, recorded[index]?.recorded ?? []],
      );
    }
  }
  await session.query(
    `insert into deployment.files (version, name, sha256, origin, run, started_at, finished_at)
     select version, name, sha256, $4, $5, now(), now() from unnest($1::text[], $2::text[], $3::text[]) as f (version, name, sha256)
     on conflict (version) do update set sha256 = excluded.sha256, name = excluded.name`,
    [column("version"), column("name"), column("sha256"), origin, run],
  );
}

/** Writes down what was accepted, and by which run. */
export async function recordAccepted(
  session: Session,
  accepted: readonly Acceptance[],
  run: string,
): Promise<void> {
  for (const { version, sha256, reason } of accepted) {
    await session.query(
      `insert into deployment.acceptances values ($1, $2, $3, $4, now())
       on conflict (version, sha256) do update set reason = excluded.reason where acceptances.reason <> excluded.reason`,
      [version, sha256 ?? "", reason, run],
    );
  }
}
