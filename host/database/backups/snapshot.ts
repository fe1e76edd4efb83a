import { createHash } from "node:crypto";
import { escapeIdentifier, escapeLiteral, type Client } from "pg";
import { readCatalog, type Catalog } from "./catalog";
import type { Role, StoredManifest } from "./manifest";

/** Schemas that a backup of some schemas holds as well, where they are there: without the history its files would run again. */
const ALWAYS = ["supabase_migrations", "deployment"];

/** How many tables one query counts. */
const TABLES_A_QUERY = 50;

/** Where the number of large objects stands among the rows. */
export const LARGE_OBJECTS = "pg_catalog.pg_largeobject_metadata";

/** What is asked of the server at once. */
export interface DatabaseFacts {
  readonly name: string;
  /** Version of the server, e.g. `17.6`. */
  readonly server: string;
  readonly encoding: string;
  readonly owner: string;
  readonly role: string;
  readonly bytes: number;
}

/** Asks what the database is. */
export async function databaseFacts(client: Client): Promise<DatabaseFacts> {
  const { rows } = await client.query<DatabaseFacts & { bytes: string }>(`
    select datname as name, split_part(current_setting('server_version'), ' ', 1) as server,
      pg_encoding_to_char(encoding) as encoding, pg_get_userbyid(datdba) as owner, current_user as role,
      pg_database_size(datname)::text as bytes
    from pg_database where datname = current_database()`);
  const [facts] = rows;
  if (facts === undefined) throw new Error("the server does not know its own database");
  return { ...facts, bytes: Number(facts.bytes) };
}

/**
 * Begins a transaction that sees one moment of the database until it ends, and that waits for no lock for long. Row level
 * security hides nothing: what it would hide fails instead.
 */
export async function beginSnapshot(client: Client, lockTimeoutMs: number): Promise<void> {
  await client.query("begin isolation level repeatable read read only");
  await client.query(`
    select set_config(name, '0', true) from pg_settings
    where name in ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`);
  await client.query(
    `set local lock_timeout = ${String(lockTimeoutMs)}; set local row_security = off; set local search_path = pg_catalog`,
  );
}

/** The schemas that a dump of these ones holds; none for all. */
export async function schemasOfDump(client: Client, wanted: readonly string[]): Promise<string[]> {
  if (wanted.length === 0) return [];
  const { rows } = await client.query<{ name: string }>(
    "select nspname as name from pg_namespace where nspname::text = any ($1) order by 1",
    [[...wanted, ...ALWAYS]],
  );
  return rows.map(({ name }) => name);
}

/** Tables whose rows a dump holds, as `schema.table`: extensions fill theirs themselves. */
export async function tablesOf(client: Client, schemas: readonly string[]): Promise<[string, string][]> {
  const { rows } = await client.query<{ schema: string; name: string }>(
    `select n.nspname as schema, c.relname as name
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
       and (cardinality($1::text[]) = 0 or n.nspname::text = any ($1))
       and not exists (
         select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
     order by 1, 2`,
    [schemas],
  );
  return rows.map(({ schema, name }) => [schema, name]);
}

/**
 * Counts the rows of every table that a dump of these schemas holds, by `schema.table`, and the large objects where it
 * holds all schemas.
 */
export async function countRows(client: Client, schemas: readonly string[]): Promise<Record<string, number>> {
  const tables = await tablesOf(client, schemas);
  const queries = tables.map(
    ([schema, name]) =>
      `select ${escapeLiteral(`${schema}.${name}`)} as name, count(*)::text as rows ` +
      `from only ${escapeIdentifier(schema)}.${escapeIdentifier(name)}`,
  );
  if (schemas.length === 0) {
    queries.push(`select '${LARGE_OBJECTS}', count(*)::text from ${LARGE_OBJECTS}`);
  }
  const counts: Record<string, number> = {};
  for (let first = 0; first < queries.length; first += TABLES_A_QUERY) {
    const batch = queries.slice(first, first + TABLES_A_QUERY).join(" union all ");
    const { rows } = await client.query<{ name: string; rows: string }>(batch);
    for (const { name, rows: count } of rows) counts[name] = Number(count);
  }
  return counts;
}

/** Digests of what the schemas consist of: see {@link readCatalog}. */
export async function catalogOf(client: Client, schemas: readonly string[]): Promise<Catalog> {
  const entries = [...(await readCatalog(client, schemas))].map(([name, detail]) => [
    name,
    createHash("md5").update(detail).digest("hex"),
  ]);
  return Object.fromEntries(entries.sort(([a = ""], [b = ""]) => (a < b ? -1 : 1))) as Catalog;
}

/** The server's roles, but its own. */
export async function rolesOf(client: Client): Promise<Role[]> {
  const { rows } = await client.query<Role>(`
    select rolname as name, rolsuper as superuser, rolinherit as inherit, rolcreaterole as "createRole",
      rolcreatedb as "createDatabase", rolbypassrls as "bypassRowSecurity",
      array(select pg_get_userbyid(roleid)::text from pg_auth_members where member = pg_roles.oid order by 1) as "memberOf"
    from pg_roles where rolname !~ '^pg_' order by 1`);
  return rows;
}

/** What roles may do with the database itself; null for what Postgres gives by itself. */
export async function grantsOf(client: Client): Promise<StoredManifest["grants"]> {
  const { rows } = await client.query<{ grants: StoredManifest["grants"] }>(`
    select case when datacl is not null then (
      select coalesce(jsonb_agg(jsonb_build_object(
        'role', case grantee when 0 then 'public' else pg_get_userbyid(grantee) end, 'privilege', privilege_type)), '[]')
      from aclexplode(datacl)) end as grants
    from pg_database where datname = current_database()`);
  return rows[0]?.grants ?? null;
}

/** Names of the extensions in a dump of these schemas. */
export async function extensionsOf(client: Client, schemas: readonly string[]): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select extname as name from pg_extension e join pg_namespace n on n.oid = e.extnamespace
     where cardinality($1::text[]) = 0 or n.nspname::text = any ($1) order by 1`,
    [schemas],
  );
  return rows.map(({ name }) => name);
}

/** The newest version in the history of migrations; null for none. */
export async function newestVersion(client: Client): Promise<string | null> {
  const history = "supabase_migrations.schema_migrations";
  const { rows: there } = await client.query<{ oid: string | null }>("select to_regclass($1)::text as oid", [
    history,
  ]);
  if ((there[0]?.oid ?? null) === null) return null;
  const { rows } = await client.query<{ version: string }>(
    `select version from ${history} where version ~ '^[0-9]+$' order by version::numeric desc limit 1`,
  );
  return rows[0]?.version ?? null;
}
