/** The provider of what everybody on the internet can do with a project, tried as everybody: by its REST API and public key. */
import { setTimeout as pause } from "node:timers/promises";
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import type {
  CreateResult,
  DiffResult,
  ReadResult,
  ResourceProvider,
  UpdateResult,
} from "@pulumi/pulumi/dynamic";
import { type ApiAccess, isOtherProject, SupabaseApi } from "./supabase-api";

/** A function that has to answer. */
export interface ApiFunction {
  readonly name: string;
  /** What it is called with, value by name. */
  readonly arguments: Readonly<Record<string, string>>;
}

/** What the program gives. */
export interface PublicApiInputs extends ApiAccess {
  readonly ref: string;
  /** Where the REST API is; without a path. */
  readonly url: string;
  /** The key that everybody may have. */
  readonly anonKey: string;
  readonly functions: readonly ApiFunction[];
  /** What the schema is, an entry a migration: a new one is tried. */
  readonly migrations: readonly string[];
}

/** What is kept. */
export interface PublicApiState extends PublicApiInputs {
  /** Tables that were tried. */
  readonly tables: readonly string[];
}

/** PostgREST's word for a function or table that its copy of the schema does not have, which is renewed in the background. */
const NOT_IN_CACHE = ["PGRST202", "PGRST205"];
const CACHE = { tries: 20, pauseMs: 500 };

/** PostgREST and Postgres: the role may not. */
const DENIED = ["42501"];

/** Longest wait for one answer, in milliseconds. */
const ANSWER_MS = 15_000;

/** Tables of schema public, and the policies that let everybody read some of their rows. */
const TABLES = `
select class.relname as name,
  coalesce((select string_agg(polname, ', ' order by polname) from pg_catalog.pg_policy
   where class.relrowsecurity and polrelid = class.oid and polpermissive and polcmd in ('r', '*')
     and (0 = any (polroles) or to_regrole('anon')::oid = any (polroles))), '') as policies
from pg_catalog.pg_class as class
where class.relnamespace = to_regnamespace('public') and class.relkind in ('r', 'p')
  and not exists (select from pg_catalog.pg_depend
    where classid = 'pg_catalog.pg_class'::regclass and objid = class.oid and deptype = 'e')
order by 1`;

/** Tried once for each new migration, key and function. */
export const publicApi: ResourceProvider<PublicApiInputs, PublicApiState> = {
  diff,
  create,
  update,
  read: (id, state) =>
    Promise.resolve<ReadResult<PublicApiState>>(state === undefined ? {} : { id, props: state }),
  delete: () => Promise.resolve(),
};

function diff(_id: string, olds: PublicApiState, news: PublicApiInputs): Promise<DiffResult> {
  return Promise.resolve({ changes: isNew(olds, news), replaces: [] });
}

function isNew(olds: PublicApiState, news: PublicApiInputs): boolean {
  const known = new Set(olds.migrations);
  return (
    news.migrations.some((one) => !known.has(one)) ||
    isOtherProject(olds.ref, news.ref) ||
    JSON.stringify([olds.url, olds.anonKey, olds.functions]) !==
      JSON.stringify([news.url, news.anonKey, news.functions])
  );
}

async function create(inputs: PublicApiInputs): Promise<CreateResult<PublicApiState>> {
  return { id: inputs.ref, outs: { ...inputs, tables: await tryAll(inputs) } };
}

async function update(
  _id: string,
  _olds: PublicApiState,
  news: PublicApiInputs,
): Promise<UpdateResult<PublicApiState>> {
  return { outs: { ...news, tables: await tryAll(news) } };
}

/**
 * Reads every table and calls every function as everybody.
 * @returns the tables
 * @throws Error that names every table that shows rows and has no policy that says so, and every function without an answer
 */
async function tryAll(inputs: PublicApiInputs): Promise<readonly string[]> {
  const { ref, url, anonKey, functions } = inputs;
  const rows = await new SupabaseApi(inputs).read(ref, TABLES);
  const client = createClient(url, anonKey, {
    auth: { persistSession: false, autoRefreshToken: false },
    global: { fetch: (input, init) => fetch(input, { ...init, signal: AbortSignal.timeout(ANSWER_MS) }) },
  });
  const faults: string[] = [];
  const tables = rows.map(({ name, policies }) => ({ name: String(name), policies: String(policies) }));
  for (const table of tables) {
    const fault = await tryTable(client, table);
    if (fault !== null) faults.push(`  ${fault}`);
  }
  for (const one of functions) {
    const fault = await tryFunction(client, one);
    if (fault !== null) faults.push(`  ${fault}`);
  }
  if (faults.length > 0) {
    throw new Error(
      `the REST API of project ${ref} (${url}), asked with the public key, is not as it has to be:\n` +
        `${faults.join("\n").replaceAll(anonKey, "[key]")}\nPut it right by a new migration, or correct the key`,
    );
  }
  return tables.map(({ name }) => name);
}

interface Answer {
  readonly data: unknown;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly status: number;
}

/** Asks until the API's copy of the schema has what it is asked for. */
async function ask(question: () => PromiseLike<Answer>): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    const answer = await question();
    const isStale = answer.error !== null && NOT_IN_CACHE.includes(answer.error.code);
    if (!isStale || attempt >= CACHE.tries) return answer;
    await pause(CACHE.pauseMs);
  }
}

async function tryTable(
  client: SupabaseClient,
  { name, policies }: { readonly name: string; readonly policies: string },
): Promise<string | null> {
  const { data, error, status } = await ask(() => client.from(name).select("*").limit(1));
  if (error !== null) {
    if (DENIED.includes(error.code)) return null;
    return `table ${name} could not be tried: ${status} ${error.code} ${error.message}`;
  }
  if (!Array.isArray(data) || data.length === 0) return null;
  if (policies === "")
    return `table ${name} shows its rows to everybody, and no policy says so: enable row level security, or revoke it from anon`;
  console.error(`Supabase: everybody reads rows of ${name}, as its policies say: ${policies}`);
  return null;
}

async function tryFunction(client: SupabaseClient, one: ApiFunction): Promise<string | null> {
  const { error, status } = await ask(() => client.rpc(one.name, one.arguments));
  return error === null
    ? null
    : `function ${one.name} gives no answer: ${status} ${error.code} ${error.message}; where the site does not have it, take it out of supabase.apiFunctions`;
}
