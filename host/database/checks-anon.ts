import { escapeIdentifier } from "pg";
import { readOnly, type CheckPlace, type Verdict } from "./checks";
import { PUBLIC_TABLES } from "./checks-row-level-security";
import { details, serverError } from "./migrations/failure";

/** Longest time that one table is read for, in seconds: a policy that hides all rows makes the server read them all. */
const TRY_SECONDS = 5;

const PERMISSION_DENIED = "42501";
const TIMED_OUT = "57014";

interface Table {
  readonly name: string;
  /** Policies that let `anon` read some rows: those for it, or for everybody, if row level security is on. */
  readonly policies: readonly string[];
  readonly view: boolean;
}

const TABLES = `
select tables.relname as name, false as view, array(
  select polname::text from pg_catalog.pg_policy
  where tables.relrowsecurity and polrelid = tables.oid and polpermissive and polcmd in ('r', '*')
    and (0 = any (polroles) or to_regrole('anon')::oid = any (polroles))
  order by 1
) as policies ${PUBLIC_TABLES}
union all
select relname, true, '{}' from pg_catalog.pg_class
where relnamespace = to_regnamespace('public') and relkind in ('v', 'm')
order by 1`;

/**
 * By trying: as `anon`, which is whoever has the public key of the API, no table of schema `public` gives a row.
 *
 * A table may give rows where row level security is on and a policy lets `anon` read: that policy is somebody's word that
 * the rows are public (a policy without TO is for everybody, and so for `anon`). Such tables are told by name, so that a
 * `using (true)` too many is seen. Any other row means that row level security is off, or that `anon` goes around it.
 * Views cannot say whose rows they show, so that one that gives rows is told and does not fail. A table that gives no row
 * within five seconds is told, too.
 */
export async function anonReads(place: CheckPlace): Promise<Verdict> {
  const [found] = await place.session.queryLast<{ role: boolean }>(
    "select to_regrole('anon') is not null as role",
  );
  if (found?.role !== true) {
    place.progress("there is no role anon: not tried what it can read");
    return "skipped";
  }
  const faults: string[] = [];
  for (const table of await place.session.queryLast<Table>(TABLES)) {
    const fault = await tryToRead(place, table);
    if (fault !== null) faults.push(fault);
  }
  return faults.length === 0
    ? "passed"
    : { fault: `what anyone on the internet reads:\n${faults.join("\n")}` };
}

async function tryToRead(place: CheckPlace, { name, view, policies }: Table): Promise<string | null> {
  const table = `public.${name}`;
  try {
    const { rowCount } = await readOnly(
      place,
      `set local role anon; set local statement_timeout = '${TRY_SECONDS}s'`,
      () => place.session.run(`select 1 from public.${escapeIdentifier(name)} limit 1`),
    );
    if (rowCount === 0) return null;
    if (view)
      place.progress(
        `anon reads rows of the view ${table}: see that it is meant (security_invoker = on goes by the tables' policies)`,
      );
    else if (policies.length > 0)
      place.progress(`anon reads rows of ${table}, as its policies say: ${policies.join(", ")}`);
    else return `  ${table}, and no policy says so: enable row level security, or revoke it from anon`;
    return null;
  } catch (error) {
    const cause = serverError(error);
    if (cause?.code === PERMISSION_DENIED && !cause.message.includes("set role")) return null;
    if (cause?.code === TIMED_OUT) {
      place.progress(`anon found no row of ${table} in ${TRY_SECONDS} s`);
      return null;
    }
    return `  ${table} could not be tried: ${cause?.message ?? (error as Error).message}${details(cause)}`;
  }
}
