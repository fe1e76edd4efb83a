import type { IncomingHttpHeaders } from "node:http";
import { Client, DatabaseError, escapeIdentifier } from "pg";

import type { Answer, ManagedProjects } from "./management";
import type { Call } from "./stand-in";

/*
 * PostgREST, as far as this program asks it: https://docs.postgrest.org/en/stable/references/api/tables_views.html (read rows,
 * limit), .../functions.html (call by POST), .../errors.html (codes); and Supabase's gateway, which takes a key in `apikey`:
 * https://supabase.com/docs/guides/api/api-keys.
 */

/** A real Postgres with Supabase's roles. */
export class RestDatabase {
  /**
   * @param url Of a role that may become `anon`, `authenticated` and `service_role`.
   * @param lintUrl What the supabase CLI gets as an argument, which everybody on the machine can read: without a password.
   */
  constructor(
    private readonly url: string,
    readonly lintUrl: string,
  ) {}

  /** Runs work in a transaction as one of the API's roles, as PostgREST does. */
  async as<T>(role: string, work: (client: Client) => Promise<T>): Promise<T> {
    return this.transaction("begin", async (client) => {
      await client.query(`set local role ${escapeIdentifier(role)}`);
      await client.query("select set_config('request.jwt.claims', $1, true)", [JSON.stringify({ role })]);
      return work(client);
    });
  }

  /** Runs a query that can change nothing. */
  async readOnly(query: string): Promise<readonly unknown[]> {
    return this.transaction(
      "begin read only",
      async (client) => (await client.query(query)).rows as unknown[],
    );
  }

  private async transaction<T>(begin: string, work: (client: Client) => Promise<T>): Promise<T> {
    const client = new Client({ connectionString: this.url });
    await client.connect();
    try {
      await client.query(begin);
      const result = await work(client);
      await client.query("commit");
      return result;
    } finally {
      await client.end();
    }
  }
}

interface Place {
  readonly projects: ManagedProjects;
  readonly database: RestDatabase;
}

/** Answers a call; null for one that is not known. */
export async function answerRest(
  { method, path, body }: Call,
  headers: IncomingHttpHeaders,
  { projects, database }: Place,
): Promise<Answer | null> {
  const role = roleOf(projects, String(headers["apikey"] ?? ""));
  if (role === null) return { status: 401, body: { message: "Invalid API key" } };
  const url = new URL(path, "http://localhost");
  const [, called] = /^\/rest\/v1\/rpc\/(\w+)$/.exec(url.pathname) ?? [];
  const [, table] = /^\/rest\/v1\/(\w+)$/.exec(url.pathname) ?? [];
  try {
    if (called !== undefined && method === "POST" && url.search === "")
      return await database.as(role, (client) => call(client, called, body));
    if (table !== undefined && method === "GET" && knowsAll(url.searchParams))
      return await database.as(role, (client) => read(client, table, url.searchParams.get("limit")));
    return null;
  } catch (error) {
    if (error instanceof DatabaseError) return failed(error, role, { table, called });
    throw error;
  }
}

function knowsAll(parameters: URLSearchParams): boolean {
  const limit = parameters.get("limit");
  return (
    [...parameters.keys()].every((key) => key === "select" || key === "limit") &&
    parameters.get("select") === "*" &&
    (limit === null || /^\d+$/.test(limit))
  );
}

/** The role that a key stands for; null for a key that no project has. */
function roleOf(projects: ManagedProjects, key: string): string | null {
  const found = projects.list().flatMap(({ keys }) => keys.find(({ api_key }) => api_key === key) ?? []);
  const [known] = found;
  if (known === undefined) return null;
  if (known.type === "legacy") return known.name;
  return known.type === "publishable" ? "anon" : "service_role";
}

async function read(client: Client, table: string, limit: string | null): Promise<Answer> {
  const rows = await client.query(
    `select * from public.${escapeIdentifier(table)}${limit === null ? "" : ` limit ${limit}`}`,
  );
  return { status: 200, body: rows.rows };
}

async function call(client: Client, name: string, body: string): Promise<Answer> {
  const values = Object.entries((body === "" ? {} : JSON.parse(body)) as Record<string, unknown>);
  const named = values.map(([key], index) => `${escapeIdentifier(key)} => $${String(index + 1)}`).join(", ");
  const rows = await client.query(
    `select * from public.${escapeIdentifier(name)}(${named})`,
    values.map(([, value]) => value),
  );
  return { status: 200, body: rows.rows };
}

/** PostgREST's codes for what Postgres said. */
function failed(
  { code = "", message }: DatabaseError,
  role: string,
  { table, called }: { readonly table: string | undefined; readonly called: string | undefined },
): Answer {
  if (code === "42P01" && table !== undefined) {
    const text = `Could not find the table 'public.${table}' in the schema cache`;
    return { status: 404, body: { code: "PGRST205", message: text, details: null, hint: null } };
  }
  if (code === "42883" && called !== undefined) {
    const text = `Could not find the function public.${called} in the schema cache`;
    return { status: 404, body: { code: "PGRST202", message: text, details: null, hint: null } };
  }
  const status = code === "42501" ? (role === "anon" ? 401 : 403) : 400;
  return { status, body: { code, message, details: null, hint: null } };
}
