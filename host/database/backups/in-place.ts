import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { escapeIdentifier, escapeLiteral, type Client } from "pg";
import { Failed } from "../../conductor/faults";
import { runCommand } from "../../conductor/system/command";
import { LIBPQ_KEEPALIVE, libpqEnvironment, type Address } from "../connection";
import type { StoredManifest } from "./manifest";
import { BARE_ENVIRONMENT, bound, majorOf, type Programs } from "./programs";

/** How many lines of an error are told. */
const TOLD_LINES = 12;

/** How long the head of a script is, in bytes, where pg_restore sets what an older server may not know. */
const HEAD = 4096;

/** How much of its end is held back, in bytes: its last words are in it. */
const TAIL = 4096;

/** Longest time that pg_restore takes to write what schemas are made by, in seconds: it reads the dump to its end. */
const SCRIPT_SECONDS = 600;

/** What is asked before a database is changed in place. */
export interface InPlaceOrder {
  readonly file: string;
  readonly manifest: StoredManifest;
  readonly address: Address;
  readonly programs: Programs;
  /** Schemas that go: see {@link schemasToReplace}. */
  readonly schemas: readonly string[];
  /** List of the schemas' own entries, where the dump holds others beside them; null where all of it is restored. */
  readonly list: string | null;
  /** Version of the server now. */
  readonly server: string;
  /** Longest wait for who still uses the database, in seconds. */
  readonly lockWaitSeconds: number;
}

/** The schemas that a restore in place replaces: those of the backup, or all but the system's and `left`. */
export async function schemasToReplace(
  session: Client,
  manifest: StoredManifest,
  left: readonly string[],
): Promise<string[]> {
  if (manifest.schemas.length > 0) return manifest.schemas;
  const { rows } = await session.query<{ name: string }>(`
    select nspname as name from pg_namespace
    where nspname !~ '^pg_' and nspname <> 'information_schema' order by 1`);
  return rows.map(({ name }) => name).filter((name) => !left.includes(name));
}

/**
 * Restores a dump over what is there, for roles that may make no database: the schemas of the backup go, and come from the
 * dump, in one transaction that ends in a comparison of the rows. What depends on those schemas from outside of them would go
 * as well, and nothing would bring it back: then nothing is done.
 * @throws Failed with what Postgres said; the database is as it was
 */
export async function restoreInPlace(order: InPlaceOrder): Promise<void> {
  const { file, address, programs, server, list, schemas } = order;
  // Before the reader starts, whose output nobody would keep meanwhile.
  const ofSchemas = Buffer.from(list === null ? "" : await scriptOfSchemas(programs, list, file));
  const part = list === null ? [] : schemas.map((name) => `--schema=${name}`);
  const [restore = "", ...restoreArgs] = bound([
    join(programs.directory, "pg_restore"),
    // In one transaction, or its large objects would have transactions of their own.
    ...["--file=-", "--single-transaction", "--no-subscriptions", ...part, file],
  ]);
  const [psql = "", ...psqlArgs] = bound([
    join(programs.directory, "psql"),
    ...["--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--output=/dev/null"],
    `--dbname=${LIBPQ_KEEPALIVE}`,
  ]);
  const env = { ...BARE_ENVIRONMENT, ...libpqEnvironment(address) };
  const reader = spawn(restore, restoreArgs, { env: BARE_ENVIRONMENT, stdio: ["ignore", "pipe", "pipe"] });
  const writer = spawn(psql, psqlArgs, { env, stdio: ["pipe", "ignore", "pipe"] });
  const ends = [endOf(reader, "pg_restore"), endOf(writer, "psql")] as const;
  // A psql that has ended is told by how it ended.
  writer.stdin.on("error", () => undefined);
  try {
    const write = async (text: string | Buffer): Promise<void> => {
      if (writer.stdin.destroyed || writer.stdin.write(text)) return;
      await Promise.race([once(writer.stdin, "drain").catch(() => undefined), ends[1]]);
    };
    await write(prelude(order));
    let head = majorOf(server) < 17;
    await write(head ? withoutUnknownSettings(ofSchemas) : ofSchemas);
    let held: Buffer = Buffer.alloc(0);
    for await (const chunk of reader.stdout as AsyncIterable<Buffer>) {
      held = Buffer.concat([held, chunk]);
      if (held.length < HEAD + TAIL) continue;
      const ready = held.subarray(0, held.length - TAIL);
      await write(head ? withoutUnknownSettings(ready) : ready);
      held = held.subarray(held.length - TAIL);
      head = false;
    }
    const failed = await ends[0];
    // Without its end nothing of the transaction stays.
    if (failed !== null) throw new Failed(failed);
    await write(withoutCommit(head ? withoutUnknownSettings(held) : held));
    await write(epilogue(order.manifest));
    writer.stdin.end();
    const fault = await ends[1];
    if (fault !== null)
      throw new Failed(`the backup cannot be restored in place, and nothing was changed: ${fault}`);
  } finally {
    reader.kill("SIGKILL");
    reader.stdout.destroy();
    writer.stdin.destroy();
    await Promise.all(ends);
  }
}

function scriptOfSchemas(programs: Programs, list: string, file: string): Promise<string> {
  const argv = bound([join(programs.directory, "pg_restore"), "--file=-", `--use-list=${list}`, file]);
  return runCommand({ argv, env: BARE_ENVIRONMENT, timeoutSeconds: SCRIPT_SECONDS });
}

/** pg_restore sets, since version 17, what older servers do not know. */
export function withoutUnknownSettings(chunk: Buffer): Buffer {
  const head = chunk.subarray(0, HEAD).toString("latin1");
  const without = head.replace(/^SET transaction_timeout = 0;\n/m, "");
  return Buffer.concat([Buffer.from(without, "latin1"), chunk.subarray(HEAD)]);
}

/**
 * Takes the last word of a script away, which would end the transaction before it is compared.
 * @throws Failed where the script ends otherwise
 */
export function withoutCommit(tail: Buffer): Buffer {
  const text = tail.toString("latin1");
  const end = /\nCOMMIT;\n((?:--.*|\\unrestrict .*|)\n)*$/.exec(text);
  if (end === null) throw new Failed("pg_restore wrote a script whose end is unknown: nothing was changed");
  return Buffer.concat([tail.subarray(0, end.index), Buffer.from(end[0].replace("COMMIT;", ""), "latin1")]);
}

/** Everything that lives outside of the schemas and could go with them. */
function outside(schemas: readonly string[]): string {
  const list = schemas.map((name) => escapeLiteral(name)).join(", ");
  const elsewhere = `select oid from pg_catalog.pg_namespace where nspname not in (${list}) and nspname !~ '^pg_(toast|temp)'`;
  const of = (table: string, id: string, condition: string): string =>
    `select '${table}'::pg_catalog.regclass, ${id}::bigint from pg_catalog.${table} o ${condition}`;
  const relation = (column: string): string =>
    `join pg_catalog.pg_class c on c.oid = o.${column} where c.relnamespace in (${elsewhere})`;
  return [
    of("pg_class", "o.oid", `where o.relnamespace in (${elsewhere})`),
    of("pg_proc", "o.oid", `where o.pronamespace in (${elsewhere})`),
    of("pg_type", "o.oid", `where o.typnamespace in (${elsewhere})`),
    of("pg_constraint", "o.oid", `where o.connamespace in (${elsewhere})`),
    of("pg_trigger", "o.oid", `${relation("tgrelid")} and not o.tgisinternal`),
    of("pg_policy", "o.oid", relation("polrelid")),
    of("pg_attrdef", "o.oid", relation("adrelid")),
    of("pg_event_trigger", "o.oid", ""),
    // A range type brings a cast of its own.
    of(
      "pg_cast",
      "o.oid",
      "where not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_cast'::pg_catalog.regclass " +
        "and d.objid = o.oid and d.deptype = 'i')",
    ),
    `select 'pg_class'::pg_catalog.regclass, o.attrelid::bigint * 10000 + o.attnum from pg_catalog.pg_attribute o ` +
      `${relation("attrelid")} and o.attnum > 0 and not o.attisdropped`,
  ].join("\nunion all\n");
}

/**
 * Which publications hold the tables, as the statements that put them in again: a dump of some schemas has none of it, and a
 * table that goes leaves its publications. One of a table that the backup has not is left away.
 */
function publications(server: string, schemas: readonly string[]): string {
  const list = schemas.map((name) => escapeLiteral(name)).join(", ");
  const since15 = majorOf(server) >= 15;
  const columns = since15
    ? `coalesce(' (' || (select pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' order by a.attnum)
         from pg_catalog.pg_attribute a where a.attrelid = r.prrelid and a.attnum = any (r.prattrs)) || ')', '')
       || coalesce(' where ' || pg_catalog.pg_get_expr(r.prqual, r.prrelid), '')`
    : "''";
  const tables = `
    select n.nspname::text, c.relname::text, pg_catalog.format('alter publication %I add table only %I.%I',
      p.pubname, n.nspname, c.relname) || ${columns}
    from pg_catalog.pg_publication_rel r join pg_catalog.pg_publication p on p.oid = r.prpubid
    join pg_catalog.pg_class c on c.oid = r.prrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname in (${list})`;
  const whole = `
    union all
    select n.nspname, null, pg_catalog.format('alter publication %I add tables in schema %I', p.pubname, n.nspname)
    from pg_catalog.pg_publication_namespace s join pg_catalog.pg_publication p on p.oid = s.pnpubid
    join pg_catalog.pg_namespace n on n.oid = s.pnnspid where n.nspname in (${list})`;
  return `create temporary table restore_published (schema, name, sql) on commit drop as ${tables}${since15 ? whole : ""};`;
}

/** What a dump of everything makes, and that belongs to no schema. */
const BELONGS_TO_NO_SCHEMA = `
do $restore$
declare sql text;
begin
  for sql in
    select pg_catalog.format('drop publication %I', pubname) from pg_catalog.pg_publication
    union all select pg_catalog.format('drop event trigger %I', evtname) from pg_catalog.pg_event_trigger t
      where not exists (select from pg_catalog.pg_depend d where d.objid = t.oid and d.deptype = 'e')
    union all select pg_catalog.format('drop foreign data wrapper %I cascade', fdwname) from pg_catalog.pg_foreign_data_wrapper w
      where not exists (select from pg_catalog.pg_depend d where d.objid = w.oid and d.deptype = 'e')
  loop
    execute sql;
  end loop;
end
$restore$;
`;

function prelude({ schemas, manifest, list, server, lockWaitSeconds }: InPlaceOrder): string {
  const names = schemas.map((name) => escapeIdentifier(name)).join(", ");
  const whole = manifest.schemas.length === 0;
  // A dump of everything takes the schema public, with its first grants, as there.
  const publicAgain =
    (whole || list !== null) && schemas.includes("public")
      ? "create schema public authorization pg_database_owner; grant usage on schema public to public;"
      : "";
  const largeObjects = whole
    ? "select pg_catalog.lo_unlink(oid) from pg_catalog.pg_largeobject_metadata;"
    : "";
  return `
begin;
set local statement_timeout = 0;
set local client_min_messages = warning;
set local lock_timeout = '${String(lockWaitSeconds)}s';
${whole ? BELONGS_TO_NO_SCHEMA : ""}
${publications(server, schemas)}
create temporary table restore_outside (class, id) on commit drop as select class::pg_catalog.oid::bigint, id::bigint from (
${outside(schemas)}
) as o (class, id);
drop schema if exists ${names} cascade;
do $restore$
declare lost text;
begin
  select pg_catalog.string_agg(distinct class::pg_catalog.oid::pg_catalog.regclass::text, ', ') into lost from (
    select class, id from restore_outside
    except select class::pg_catalog.oid::bigint, id::bigint from (
${outside(schemas)}
    ) as o (class, id)
  ) as gone;
  if lost is not null then
    raise exception 'objects in other schemas depend on what the backup replaces, and it does not hold them (see %)', lost
      using hint = 'name their schemas in database.schemas before the next backup, or restore as a role that may create databases';
  end if;
end
$restore$;
${publicAgain}
${largeObjects}
`;
}

function epilogue(manifest: StoredManifest): string {
  const wanted = Object.entries(manifest.rows).map(
    ([name, rows]) => `(${escapeLiteral(name)}, ${String(rows)}::bigint)`,
  );
  return `
set local row_security = off;
do $restore$
declare
  one record;
  found bigint;
begin
  for one in
    select p.sql from pg_temp.restore_published p
    where p.name is null or pg_catalog.to_regclass(pg_catalog.format('%I.%I', p.schema, p.name)) is not null
  loop
    execute one.sql;
  end loop;
  for one in
    select wanted.name, wanted.count, n.nspname, c.relname
    from (values ${["(null, 0::bigint)", ...wanted].join(", ")}) as wanted (name, count)
    left join (pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace)
      on n.nspname || '.' || c.relname = wanted.name and c.relkind = 'r'
    where wanted.name is not null
  loop
    if one.relname is null then raise exception 'what was restored is not the backup: no table %', one.name; end if;
    execute pg_catalog.format('select pg_catalog.count(*) from only %I.%I', one.nspname, one.relname) into found;
    if found <> one.count then
      raise exception 'what was restored is not the backup: % has % rows, not %', one.name, found, one.count;
    end if;
  end loop;
end
$restore$;
commit;
`;
}

/** How a program ended, in words with its last lines; null for well. Never rejects. */
function endOf(child: ReturnType<typeof spawn>, name: string): Promise<string | null> {
  let errors = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (errors = (errors + text).slice(-4000)));
  return new Promise((resolve) => {
    child.once("error", ({ message }) => resolve(`${name} could not be started (${message})`));
    child.once("close", (code, signal) => {
      const lines = errors.trim().split("\n").slice(-TOLD_LINES).join("\n  ");
      const how = signal === null ? `ended with exit code ${String(code)}` : `was ended by ${signal}`;
      resolve(code === 0 ? null : `${name} ${how}\n  ${lines}`);
    });
  });
}
