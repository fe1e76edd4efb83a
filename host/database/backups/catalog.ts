import type { Client } from "pg";

/** What a schema consists of: a digest, or a text, for every object, by its kind and name. */
export type Catalog = Readonly<Record<string, string>>;

/**
 * Everything in the schemas given, or in all but the system's, from the catalog. Expressions (defaults, checks, conditions of
 * policies and indexes) count as there or not there: Postgres prints some otherwise after a restore. What belongs to an
 * extension is the extension's.
 */
const CATALOG = `
with
schemas as (
  select oid, nspname, nspowner, nspacl from pg_namespace
  where nspname !~ '^pg_' and nspname <> 'information_schema'
    and (cardinality($1::text[]) = 0 or nspname::text = any ($1))
),
members as (select classid, objid from pg_depend where deptype = 'e'),
relations as (
  select c.* from pg_class c join schemas s on s.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f', 'c')
    and not exists (select from members where classid = 'pg_class'::regclass and objid = c.oid)
),
functions as (
  select p.* from pg_proc p join schemas s on s.oid = p.pronamespace
  where not exists (select from members where classid = 'pg_proc'::regclass and objid = p.oid)
    -- Constructors of a range type come with it, and keep the owner of who made it.
    and not exists (select from pg_depend where classid = 'pg_proc'::regclass and objid = p.oid and deptype = 'i')
),
types as (
  select t.* from pg_type t join schemas s on s.oid = t.typnamespace
  where t.typtype in ('e', 'd', 'r')
    and not exists (select from members where classid = 'pg_type'::regclass and objid = t.oid)
),
objects (class, id, column_number, owner, acl, kind, detail) as (
  select 'pg_namespace'::regclass, oid, 0, nspowner, coalesce(nspacl, acldefault('n', nspowner)), 'n', ''
  from schemas
  where not exists (select from members where classid = 'pg_namespace'::regclass and objid = schemas.oid)
  union all
  select 'pg_class'::regclass, oid, 0, relowner,
    coalesce(relacl, acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner)), 'r',
    concat_ws(' ', relkind, relpersistence, relrowsecurity, relforcerowsecurity, relispartition, relreplident, reloptions,
      (select array_agg(inhparent::regclass::text order by inhseqno) from pg_inherits where inhrelid = relations.oid),
      (select row(seqtypid::regtype, seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle)
       from pg_sequence where seqrelid = relations.oid))
  from relations
  union all
  select 'pg_class'::regclass, a.attrelid, a.attnum, r.relowner, coalesce(a.attacl, acldefault('c', r.relowner)), 'c',
    concat_ws(' ', row_number() over (partition by a.attrelid order by a.attnum),
      format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated, a.atthasdef, a.attstorage,
      a.attcollation::regcollation)
  from pg_attribute a join relations r on r.oid = a.attrelid and r.relkind <> 'S'
  where a.attnum > 0 and not a.attisdropped
  union all
  select 'pg_class'::regclass, i.indexrelid, 0, null, null, 'i',
    concat_ws(' ', m.amname, i.indisunique, i.indisprimary, i.indisvalid, i.indnkeyatts, i.indoption, i.indpred is not null,
      (select array_agg(coalesce(a.attname, '(expression)') order by k.ordinality)
       from unnest(i.indkey) with ordinality as k (number, ordinality)
       left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number and k.number > 0),
      (select array_agg(o.opcname order by k.ordinality)
       from unnest(i.indclass) with ordinality as k (class, ordinality) join pg_opclass o on o.oid = k.class))
  from pg_index i join relations r on r.oid = i.indrelid
  join pg_class x on x.oid = i.indexrelid join pg_am m on m.oid = x.relam
  union all
  select 'pg_constraint'::regclass, k.oid, 0, null, null, 'k',
    concat_ws(' ', k.contype, k.condeferrable, k.condeferred, k.convalidated, k.conislocal, k.confupdtype, k.confdeltype,
      k.confmatchtype, nullif(k.confrelid, 0)::regclass,
      (select array_agg(attname order by ordinality) from unnest(k.conkey) with ordinality as u (number, ordinality)
       join pg_attribute on attrelid = k.conrelid and attnum = number),
      (select array_agg(attname order by ordinality) from unnest(k.confkey) with ordinality as u (number, ordinality)
       join pg_attribute on attrelid = k.confrelid and attnum = number))
  from pg_constraint k left join relations r on r.oid = k.conrelid left join types t on t.oid = k.contypid
  where (r.oid is not null or t.oid is not null) and k.contype <> 'n'
  union all
  select 'pg_proc'::regclass, oid, 0, proowner, coalesce(proacl, acldefault('f', proowner)), 'f',
    concat_ws(' ', prokind, prosecdef, proleakproof, proisstrict, proretset, provolatile, proparallel,
      prorettype::regtype, (select lanname from pg_language where oid = prolang), proargnames, pronargdefaults,
      proconfig, md5(prosrc))
  from functions
  union all
  select 'pg_trigger'::regclass, g.oid, 0, null, null, 'g',
    concat_ws(' ', g.tgfoid::regprocedure, g.tgtype, g.tgenabled, g.tgattr, g.tgqual is not null, encode(g.tgargs, 'hex'),
      g.tgdeferrable, g.tginitdeferred, g.tgoldtable, g.tgnewtable)
  from pg_trigger g join relations r on r.oid = g.tgrelid where not g.tgisinternal
  union all
  select 'pg_policy'::regclass, p.oid, 0, null, null, 'p',
    concat_ws(' ', p.polcmd, p.polpermissive, p.polqual is not null, p.polwithcheck is not null,
      (select array_agg(coalesce(rolname, 'public') order by rolname) from unnest(p.polroles) as u (role)
       left join pg_roles on pg_roles.oid = u.role))
  from pg_policy p join relations r on r.oid = p.polrelid
  union all
  select 'pg_type'::regclass, t.oid, 0, t.typowner, coalesce(t.typacl, acldefault('T', t.typowner)), 't',
    concat_ws(' ', t.typtype, t.typnotnull, nullif(t.typbasetype, 0)::regtype, t.typtypmod, t.typdefault is not null,
      (select array_agg(enumlabel order by enumsortorder) from pg_enum where enumtypid = t.oid),
      (select rngsubtype::regtype from pg_range where rngtypid = t.oid))
  from types t
  union all
  select d.classid::regclass, d.oid, 0, null, null, 'x', d.detail
  from (
    select 'pg_rewrite'::regclass, w.oid, concat_ws(' ', w.ev_type, w.is_instead, w.ev_enabled)
    from pg_rewrite w join relations r on r.oid = w.ev_class
    union all
    select 'pg_statistic_ext'::regclass, x.oid, concat_ws(' ', x.stxrelid::regclass, x.stxkeys, x.stxkind)
    from pg_statistic_ext x join schemas s on s.oid = x.stxnamespace
    union all
    select 'pg_operator'::regclass, o.oid, o.oprcode::text from pg_operator o join schemas s on s.oid = o.oprnamespace
    union all
    select 'pg_opclass'::regclass, o.oid, o.opcdefault::text from pg_opclass o join schemas s on s.oid = o.opcnamespace
    union all
    select 'pg_collation'::regclass, o.oid, concat_ws(' ', o.collprovider, o.collisdeterministic)
    from pg_collation o join schemas s on s.oid = o.collnamespace
    union all
    select 'pg_ts_config'::regclass, o.oid, '' from pg_ts_config o join schemas s on s.oid = o.cfgnamespace
    union all
    select 'pg_ts_dict'::regclass, o.oid, '' from pg_ts_dict o join schemas s on s.oid = o.dictnamespace
    union all
    select 'pg_extension'::regclass, e.oid, '' from pg_extension e join schemas s on s.oid = e.extnamespace
    union all
    select 'pg_default_acl'::regclass, a.oid, '' from pg_default_acl a join schemas s on s.oid = a.defaclnamespace
    union all
    select 'pg_event_trigger'::regclass, v.oid, concat_ws(' ', v.evtevent, v.evtenabled, v.evttags, v.evtfoid::regproc)
    from pg_event_trigger v where cardinality($1::text[]) = 0
    union all
    select 'pg_publication'::regclass, u.oid, concat_ws(' ', u.puballtables, u.pubinsert, u.pubupdate, u.pubdelete)
    from pg_publication u where cardinality($1::text[]) = 0
    union all
    select 'pg_cast'::regclass, c.oid, concat_ws(' ', c.castfunc::regprocedure, c.castcontext)
    from pg_cast c where c.oid >= 16384 and cardinality($1::text[]) = 0
  ) as d (classid, oid, detail)
  where not exists (select from members m where m.classid = d.classid and m.objid = d.oid)
),
named as (
  select i.type || ' ' || i.identity as name, o.*
  from objects o cross join lateral pg_identify_object(o.class, o.id, o.column_number) i
)
select name, detail from named
union all
select 'owner of ' || name, pg_get_userbyid(owner) from named where owner is not null and kind <> 'c'
union all
select 'grants on ' || name, string_agg(line, ' ' order by line)
from (
  select n.name, coalesce(r.rolname, 'public') || ':' || x.privilege_type || case when x.is_grantable then '*' else '' end
  from named n cross join lateral aclexplode(n.acl) x left join pg_roles r on r.oid = x.grantee
  -- Postgres 17 and later count it among what an owner may do.
  where n.acl is not null and x.privilege_type <> 'MAINTAIN'
) as grants (name, line)
group by name
`;

/**
 * Reads what the schemas consist of, as the session's transaction sees it.
 * @param schemas Their names; empty for all but the system's.
 * @returns the definition of each object as text
 */
export async function readCatalog(client: Client, schemas: readonly string[]): Promise<Map<string, string>> {
  // What is in no schema of the path is named with its schema: with an empty one that is everything.
  const { rows: before } = await client.query<{ path: string }>(
    "select current_setting('search_path') as path, set_config('search_path', 'pg_catalog', false)",
  );
  try {
    const { rows } = await client.query<{ name: string; detail: string }>(CATALOG, [schemas]);
    return new Map(rows.map(({ name, detail }) => [name, detail]));
  } finally {
    await client
      .query("select set_config('search_path', $1, false)", [before[0]?.path ?? ""])
      .catch(() => undefined);
  }
}

/** How two catalogs are compared. */
export interface CatalogComparison {
  /** Owners and grants count: not where a restore leaves them away. */
  readonly owners: boolean;
  /** Objects that are only in the copy count: not where a server of another version has kinds of its own. */
  readonly extras: boolean;
}

/** Names what differs between a catalog and its copy, a line each. */
export function catalogDifferences(
  original: Catalog,
  copy: Catalog,
  { owners, extras }: CatalogComparison,
): string[] {
  // Default privileges are grants of what is yet to come, and a restore leaves them away with the others.
  const counts = (name: string): boolean => owners || !/^(owner of|grants on|default acl) /.test(name);
  const lines = Object.keys(original)
    .filter(counts)
    .flatMap((name) => {
      const found = copy[name];
      if (found === undefined) return [`${name} is missing`];
      return found === original[name] ? [] : [`${name} differs`];
    });
  const more = extras
    ? Object.keys(copy).filter((name) => counts(name) && !Object.hasOwn(original, name))
    : [];
  return [...lines, ...more.map((name) => `${name} is not in the backup`)].sort();
}
