import { readOnly, type CheckPlace, type Verdict } from "./checks";

/** Tables of the schema that the API shows, but those that an extension brought, which nobody can change. */
export const PUBLIC_TABLES = `
from pg_catalog.pg_class as tables
where tables.relnamespace = to_regnamespace('public') and tables.relkind in ('r', 'p')
  and not exists (
    select from pg_catalog.pg_depend
    where classid = 'pg_catalog.pg_class'::regclass and objid = tables.oid and deptype = 'e'
  )`;

/**
 * By the catalog: every table of schema `public` has row level security, and a policy. A table with neither policy nor
 * readers is safe, but one that was forgotten looks the same. Partitions count, for they can be asked by name.
 */
export async function withoutRowLevelSecurity(place: CheckPlace): Promise<Verdict> {
  const rows = await readOnly(place, "", () =>
    place.session.queryLast<{ name: string; secured: boolean }>(
      `select tables.relname as name, tables.relrowsecurity as secured ${PUBLIC_TABLES}
         and (not tables.relrowsecurity or not exists (select from pg_catalog.pg_policy where polrelid = tables.oid))
       order by 1`,
    ),
  );
  if (rows.length === 0) return "passed";
  const named = rows.map(({ name, secured }) => `  public.${name} ${secured ? "has no policy" : "has none"}`);
  return {
    fault:
      `tables that the API shows without row level security, or without a policy ` +
      `(alter table ... enable row level security; create policy ...):\n${named.join("\n")}`,
  };
}
