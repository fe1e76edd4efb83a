import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { escapeIdentifier, type Client } from "pg";
import { runCommand } from "../../conductor/system/command";
import type { StoredManifest } from "./manifest";
import { BARE_ENVIRONMENT, bound, type Programs } from "./programs";

/** Longest time that pg_restore takes to list what is in a dump, in seconds. */
const LIST_SECONDS = 600;

/** Is the role of a session a member of `owner`, and so may give things to it? Superusers are of all. */
const mayOwn = (owner: string): string => `pg_has_role(current_user, ${owner}, 'member')`;

/** Things of a schema that have an owner, and are no extension's. */
const OWNED = [
  "select relnamespace as schema, relowner as owner, 'pg_class'::regclass as class, oid from pg_class",
  "select pronamespace, proowner, 'pg_proc'::regclass, oid from pg_proc",
  "select typnamespace, typowner, 'pg_type'::regclass, oid from pg_type where typelem = 0",
  "select oid, nspowner, 'pg_namespace'::regclass, oid from pg_namespace",
].join(" union all ");

/**
 * Schemas with something that belongs to somebody whom the role of a session cannot give things to: a platform's own, as
 * Supabase's `auth`. They can neither be made anew nor be replaced by that role.
 */
export async function schemasOfOthers(session: Client): Promise<string[]> {
  const { rows } = await session.query<{ name: string }>(`
    select distinct n.nspname as name
    from (${OWNED}) as o join pg_namespace n on n.oid = o.schema
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and not ${mayOwn("o.owner")}
      and not exists (select from pg_depend d where d.classid = o.class and d.objid = o.oid and d.deptype = 'e')
    order by 1`);
  return rows.map(({ name }) => name);
}

/** The manifest of a part of a backup of everything, as if only these schemas had been dumped. */
export function manifestOfPart(
  manifest: StoredManifest,
  schemas: readonly string[],
  extensions: readonly string[],
): StoredManifest {
  const isOf = (name: string): boolean =>
    schemas.some((schema) => belongsTo(name, schema)) ||
    extensions.some((extension) => name.endsWith(`extension ${quoted(extension)}`));
  return {
    ...manifest,
    schemas: [...schemas],
    rows: Object.fromEntries(
      Object.entries(manifest.rows).filter(([table]) =>
        schemas.some((schema) => table.startsWith(`${schema}.`)),
      ),
    ),
    catalog: Object.fromEntries(Object.entries(manifest.catalog).filter(([name]) => isOf(name))),
  };
}

/** Does an object of a catalog, by its kind and name as Postgres writes them, belong to a schema? */
function belongsTo(name: string, schema: string): boolean {
  const written = quoted(schema);
  return (
    name.includes(` ${written}.`) ||
    name.endsWith(`schema ${written}`) ||
    name.includes(` in schema ${written} on `)
  );
}

/** A name as Postgres writes it. */
function quoted(name: string): string {
  return /^[a-z_][a-z0-9_$]*$/.test(name) ? name : escapeIdentifier(name);
}

/**
 * Writes the list of what stands outside of all schemas and has to come before the things in them: the schemas themselves,
 * and extensions. pg_restore leaves these away where it is asked for some schemas.
 * @returns the list's file, in `directory`
 */
export async function writeListOfSchemas({
  file,
  programs,
  schemas,
  extensions,
  directory,
}: {
  readonly file: string;
  readonly programs: Programs;
  readonly schemas: readonly string[];
  readonly extensions: readonly string[];
  readonly directory: string;
}): Promise<string> {
  const argv = bound([join(programs.directory, "pg_restore"), "--list", file]);
  const list = await runCommand({ argv, env: BARE_ENVIRONMENT, timeoutSeconds: LIST_SECONDS });
  const path = join(directory, "schemas.list");
  await writeFile(path, entriesOfSchemas(list, schemas, extensions).join("\n"));
  return path;
}

/** The lines of pg_restore's list that are about these schemas and extensions themselves. */
export function entriesOfSchemas(
  list: string,
  schemas: readonly string[],
  extensions: readonly string[],
): string[] {
  const names = [
    // A name stands as it is in its own entry, and as Postgres writes it in those about it.
    ...schemas.flatMap((name) => [`SCHEMA - ${name} `, ...about("SCHEMA", name)]),
    ...extensions.flatMap((name) => [`EXTENSION - ${name} `, ...about("EXTENSION", name)]),
  ];
  return list.split("\n").filter((line) => {
    const entry = /^\d+; \d+ \d+ (.*)$/.exec(line)?.[1];
    return entry !== undefined && names.some((name) => `${entry} `.startsWith(name));
  });
}

function about(kind: string, name: string): string[] {
  return [name, quoted(name)].flatMap((written) => [
    `ACL - ${kind} ${written} `,
    `COMMENT - ${kind} ${written} `,
  ]);
}
