import { escapeIdentifier, escapeLiteral, type Client } from "pg";
import { setTimeout as pause } from "node:timers/promises";
import { Failed } from "../../conductor/faults";
import { connect, type Address } from "../connection";

/** How often sessions are ended while the names change, in milliseconds. */
const AGAIN_MS = 100;

/** Longest name of a database, in bytes. */
const LONGEST_NAME = 63;

/** Databases that a session may be in while another one changes its name. */
const MAINTENANCE = ["postgres", "template1"];

/** Settings of a database whose value is a list of names already quoted. */
const LISTS = ["search_path", "session_preload_libraries", "local_preload_libraries", "temp_tablespaces"];

/** A name that begins like another one, cut so that it fits. */
export function derivedName(name: string, suffix: string): string {
  let kept = name;
  while (Buffer.byteLength(`${kept}_${suffix}`) > LONGEST_NAME) kept = Array.from(kept).slice(0, -1).join("");
  return `${kept}_${suffix}`;
}

/** Tells whether the role of a session may make a database and change the name of this one. */
export async function maySwap(session: Client): Promise<boolean> {
  const { rows } = await session.query<{ may: boolean }>(`
    select rolsuper or (rolcreatedb and pg_has_role(datdba, 'usage')) as may
    from pg_roles, pg_database where rolname = current_user and datname = current_database()`);
  return rows[0]?.may === true;
}

/**
 * A session from which databases are made and renamed; in neither of them. Held by one restore at a time.
 * @throws Failed where there is no database to be in, or another restore runs
 */
export async function openMaintenance(address: Address, application: string): Promise<Client> {
  const session = await connectBeside(address, application);
  const { rows } = await session.query<{ free: boolean }>(
    "select pg_try_advisory_lock(hashtextextended($1, 1)) as free",
    [address.database],
  );
  if (rows[0]?.free === true) return session;
  await session.end();
  throw new Failed(`another restore of ${address.database} is under way: wait for its end`);
}

async function connectBeside(address: Address, application: string): Promise<Client> {
  const failures: string[] = [];
  for (const database of MAINTENANCE.filter((name) => name !== address.database)) {
    try {
      return await connect({ ...address, database }, application);
    } catch (error) {
      failures.push((error as Error).message);
    }
  }
  throw new Failed(failures.join("\n  "));
}

/** Removes what restores that were killed left: databases that never got the name. */
export async function dropLeftovers(maintenance: Client, name: string): Promise<void> {
  const digits = "00000000t000000z";
  const begins = derivedName(name, `restore_${digits}`).slice(0, -digits.length);
  const form = `^${begins.replace(/[^\w]/g, "\\$&")}[0-9]{8}t[0-9]{6}z$`;
  const { rows } = await maintenance.query<{ name: string }>(
    "select datname as name from pg_database where datname ~ $1",
    [form],
  );
  for (const { name: leftover } of rows) {
    await maintenance.query(`drop database if exists ${escapeIdentifier(leftover)} with (force)`);
  }
}

/**
 * Makes an empty database like another one: owner, encoding, locale, grants, settings, limit of connections. A dump holds
 * none of these.
 */
export async function createLike(maintenance: Client, original: string, fresh: string): Promise<void> {
  const { rows } = await maintenance.query<{ database: PgDatabase }>(
    `select to_jsonb(d) || jsonb_build_object('encoding', pg_encoding_to_char(d.encoding),
       'owner', pg_get_userbyid(d.datdba), 'comment', shobj_description(d.oid, 'pg_database')) as database
     from pg_database d where datname = $1`,
    [original],
  );
  const database = rows[0]?.database;
  if (database === undefined) throw new Failed(`the server has no database ${original}`);
  const name = escapeIdentifier(fresh);
  await maintenance.query(`create database ${name} template template0 ${options(database)}`);
  await copyGrants(maintenance, original, name);
  await copySettings(maintenance, original, name);
  if (database.comment !== null) {
    await maintenance.query(`comment on database ${name} is ${escapeLiteral(database.comment)}`);
  }
}

/** A row of `pg_database`, as far as it is looked at. Columns come and go with the version. */
interface PgDatabase {
  readonly encoding: string;
  readonly owner: string;
  readonly comment: string | null;
  readonly datcollate: string;
  readonly datctype: string;
  readonly datconnlimit: number;
  /** `c` (the system's), `i` (ICU), `b` (Postgres' own); since version 15. */
  readonly datlocprovider?: string;
  readonly daticulocale?: string | null;
  readonly datlocale?: string | null;
}

function options(database: PgDatabase): string {
  const locale = database.datlocale ?? database.daticulocale ?? null;
  const provider = { i: "icu", b: "builtin" }[database.datlocprovider ?? "c"];
  return [
    `owner ${escapeIdentifier(database.owner)}`,
    `encoding ${escapeLiteral(database.encoding)}`,
    `lc_collate ${escapeLiteral(database.datcollate)}`,
    `lc_ctype ${escapeLiteral(database.datctype)}`,
    `connection limit ${String(database.datconnlimit)}`,
    ...(provider === undefined || locale === null
      ? []
      : [`locale_provider ${provider}`, `${provider}_locale ${escapeLiteral(locale)}`]),
  ].join(" ");
}

async function copyGrants(maintenance: Client, original: string, name: string): Promise<void> {
  const { rows } = await maintenance.query<{ sql: string }>(
    `select 'grant ' || x.privilege_type || ' on database ${name.replaceAll("'", "''")} to '
       || case x.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(x.grantee)) end
       || case when x.is_grantable then ' with grant option' else '' end as sql
     from pg_database d cross join lateral aclexplode(d.datacl) x
     where d.datname = $1 and d.datacl is not null`,
    [original],
  );
  if (rows.length === 0) return;
  await maintenance.query(`revoke all on database ${name} from public`);
  for (const { sql } of rows) await maintenance.query(sql);
}

async function copySettings(maintenance: Client, original: string, name: string): Promise<void> {
  const { rows } = await maintenance.query<{ role: string | null; setting: string; value: string }>(
    `select nullif(s.setrole, 0)::regrole::text as role, split_part(c.line, '=', 1) as setting,
       substr(c.line, strpos(c.line, '=') + 1) as value
     from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase cross join lateral unnest(s.setconfig) c (line)
     where d.datname = $1`,
    [original],
  );
  for (const { role, setting, value } of rows) {
    const whose = role === null ? `database ${name}` : `role ${role} in database ${name}`;
    const parts = setting
      .split(".")
      .map((part) => escapeIdentifier(part))
      .join(".");
    const to = LISTS.includes(setting) && value !== "" ? value : escapeLiteral(value);
    await maintenance.query(`alter ${whose} set ${parts} to ${to}`);
  }
}

/** Names of databases that change places. */
export interface SwapNames {
  readonly live: string;
  readonly fresh: string;
  /** What the live one is called afterwards. */
  readonly before: string;
}

/**
 * Gives the live database's name to the fresh one, and another name to the live one. Both in one transaction: whatever dies,
 * there is always one of the two under the name. Ends all sessions in them.
 * @param maintenance Session in another database.
 * @param address Of the server, to end sessions from, while the first session waits.
 * @throws Failed where sessions cannot be ended; both names are as they were then
 */
export async function swapNames(
  maintenance: Client,
  address: Address,
  { live, fresh, before }: SwapNames,
): Promise<void> {
  const helper = await connect({ ...address, database: maintenance.database ?? "postgres" }, "restore");
  // A rename waits five seconds for the others to leave, and lets nobody in meanwhile.
  const renamed = rename(maintenance, { live, fresh, before });
  const ending = new AbortController();
  const ended = keepEnding(helper, [live, fresh], ending.signal);
  try {
    await renamed;
  } catch (error) {
    await maintenance.query("rollback").catch(() => undefined);
    // Where the answer to the commit was lost, the commit was not.
    if (!(await isThere(address, helper.database, before))) throw swapFailure(live, error);
  } finally {
    ending.abort();
    await ended;
    await helper.end().catch(() => undefined);
  }
}

/** Tells whether the server has a database of this name, asked by a connection that nothing has happened to. */
async function isThere(address: Address, beside: string | undefined, name: string): Promise<boolean> {
  const session = await connect({ ...address, database: beside ?? "postgres" }, "restore");
  try {
    const { rowCount } = await session.query("select from pg_database where datname = $1", [name]);
    return rowCount === 1;
  } finally {
    await session.end();
  }
}

async function rename(session: Client, { live, fresh, before }: SwapNames): Promise<void> {
  await session.query("begin");
  await session.query(`alter database ${escapeIdentifier(live)} rename to ${escapeIdentifier(before)}`);
  await session.query(`alter database ${escapeIdentifier(fresh)} rename to ${escapeIdentifier(live)}`);
  await session.query("commit");
}

function swapFailure(live: string, error: unknown): Failed {
  return new Failed(
    `${live} cannot change its name: ${(error as Error).message}. It is as it was. Sessions of other roles are ended only by a ` +
      "superuser or a member of pg_signal_backend",
  );
}

/** Ends all sessions in these databases, again and again. Never rejects: the rename tells that somebody stays. */
async function keepEnding(session: Client, databases: readonly string[], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await session
      .query("select pg_terminate_backend(pid) from pg_stat_activity where datname = any ($1)", [databases])
      .catch(() => undefined);
    await pause(AGAIN_MS, undefined, { signal }).catch(() => undefined);
  }
}
