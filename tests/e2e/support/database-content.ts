import { Client, escapeIdentifier } from "pg";
import { readCatalog } from "../../../host/database/backups/catalog";

/** A database told by what is in it: no text of a dump, which prints the same thing in several ways. */
export interface DatabaseContent {
  /** A checksum of all rows, by table, materialised view and sequence. */
  readonly rows: Readonly<Record<string, string>>;
  /** A checksum of each large object, by its number. */
  readonly largeObjects: Readonly<Record<string, string>>;
  /** Every object's definition, by its kind and name. */
  readonly catalog: Readonly<Record<string, string>>;
  /** Texts of policies, defaults, functions and views. */
  readonly texts: readonly string[];
}

const TEXTS = `
select concat_ws(' ', 'policy', polname, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) as text
from pg_policy
union all
select concat_ws(' ', 'default', adrelid::regclass, adnum, pg_get_expr(adbin, adrelid))
from pg_attrdef where adrelid::regclass::text !~ '^pg_|Odd'
union all
select pg_get_functiondef(p.oid) from pg_proc p join pg_namespace n on n.oid = pronamespace
where nspname !~ '^pg_|information_schema' and prokind <> 'a'
union all
select concat_ws(' ', 'view', viewname, definition) from pg_views where schemaname !~ '^pg_|information_schema'
union all
select concat_ws(' ', 'comment', description) from pg_description where objoid > 16384
union all
select concat_ws(' ', 'published', pubname, prrelid::regclass, prattrs, pg_get_expr(prqual, prrelid))
from pg_publication_rel join pg_publication p on p.oid = prpubid
order by 1`;

/** Reads all of a database. Slow where it is large. */
export async function contentOf(url: string): Promise<DatabaseContent> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("set search_path = ''");
    const { rows: tables } = await client.query<{ schema: string; name: string; kind: string }>(
      `select nspname as schema, relname as name, relkind as kind from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where relkind in ('r', 'm', 'S') and nspname !~ '^pg_|information_schema' order by 1, 2`,
    );
    const rows: Record<string, string> = {};
    for (const { schema, name, kind } of tables) {
      // A sequence has a column that counts what was written ahead.
      const what = kind === "S" ? "row(last_value, is_called)" : "row(t.*)";
      const { rows: sums } = await client.query<{ sum: string }>(
        `select concat(count(*), ' ', md5(string_agg(md5(${what}::text), '' order by md5(${what}::text)))) as sum
         from only ${escapeIdentifier(schema)}.${escapeIdentifier(name)} as t`,
      );
      rows[`${schema}.${name}`] = sums[0]!.sum;
    }
    const { rows: objects } = await client.query<{ id: string; sum: string }>(
      "select oid::text as id, md5(lo_get(oid)) as sum from pg_largeobject_metadata",
    );
    const { rows: texts } = await client.query<{ text: string }>(TEXTS);
    return {
      rows,
      largeObjects: Object.fromEntries(objects.map(({ id, sum }) => [id, sum])),
      catalog: Object.fromEntries(await readCatalog(client, [])),
      texts: texts.map(({ text }) => text),
    };
  } finally {
    await client.end();
  }
}
