import type { Client } from "pg";
import { addressOf, connect } from "../../database/connection";
import type { DatabaseSettings } from "../../database/protocol";
import type { Complaints } from "../complaints";
import { BUSINESS_UNIT, METRICS } from "../protocol";
import { figure, type Figure } from "./figure";

/** What was found in the database. */
export interface DatabaseFigures {
  readonly figures: readonly Figure[];
  /** The database's own time of the business's figures, to the microsecond: where the next interval begins. */
  readonly clock: string | null;
}

/** What the database is asked. */
export interface DatabaseQuestions {
  readonly settings: DatabaseSettings;
  /** Name of the session, as others see it. */
  readonly session: string;
  /** Query by the metric's name. */
  readonly business: Readonly<Record<string, string>>;
  /** Where the interval begins: the last {@link DatabaseFigures.clock}, or else a time of this host. */
  readonly since: string;
}

/** Longest wait for a session, in milliseconds. */
const CONNECT_TIMEOUT_MS = 10_000;

/** Nothing here waits for a lock, or keeps anybody waiting; a statement is given up after its limit. */
const BEGIN = `begin isolation level repeatable read read only;
  set local statement_timeout = '5s'; set local lock_timeout = '1s'; set local idle_in_transaction_session_timeout = '10s'`;

/**
 * The time before which all that was written is to be seen, by who begins a transaction after this statement. A row's own time is
 * when its transaction began, mostly, and nobody sees it before that has ended. One that has been open for a minute is not
 * waited for, and what it writes may be missing. Sessions of other roles are seen by who is in pg_monitor.
 */
const HORIZON = `
  select to_char(greatest($1::timestamptz, least(now(), min(xact_start))) at time zone 'UTC',
    'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as horizon
  from pg_stat_activity
  where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
    and xact_start > now() - interval '1 minute'`;

/** The guide's three. */
const GUIDE = `
  select (select count(*) from pg_stat_activity where backend_type = 'client backend')::float8 as connections,
    (select count(*) from pg_stat_activity
     where state <> 'idle' and now() - query_start > interval '5 minutes' and pid <> pg_backend_pid())::float8 as long,
    pg_database_size(current_database())::float8 as size`;

/**
 * Asks the database, by one session that ends with the answer. One that does not let this host in is a figure, and no error;
 * a query that fails has no figure, and keeps no other one from having its own.
 */
export async function databaseFigures(
  questions: DatabaseQuestions,
  complaints: Complaints,
): Promise<DatabaseFigures> {
  let session: Client;
  try {
    session = await connectSoon(questions);
    complaints.end("database");
  } catch (error) {
    complaints.begin("database", (error as Error).message);
    return { figures: [figure(METRICS.databaseReachable, 0)], clock: null };
  }
  try {
    const figures = [figure(METRICS.databaseReachable, 1)];
    await attempt("database figures", complaints, async () => figures.push(...(await guideFigures(session))));
    const { business } = questions;
    if (Object.keys(business).length === 0) return { figures, clock: null };
    const clock = await attempt("business figures", complaints, () =>
      businessFigures(session, questions, complaints, figures),
    );
    return { figures, clock };
  } finally {
    // A server that hangs is not waited for.
    session.end().catch(() => undefined);
  }
}

/** Connects, or gives up in time for the interval; a session that comes later is ended. */
async function connectSoon({ settings, session }: DatabaseQuestions): Promise<Client> {
  const connecting = connect(addressOf(settings.url), session);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      connecting.then((client) => client.end()).catch(() => undefined);
      reject(new Error(`the database does not answer within ${String(CONNECT_TIMEOUT_MS / 1000)} s`));
    }, CONNECT_TIMEOUT_MS);
  });
  return Promise.race([connecting, late]).finally(() => clearTimeout(timer));
}

async function guideFigures(session: Client): Promise<Figure[]> {
  await session.query(BEGIN);
  const { rows } = await session.query<{ connections: number; long: number; size: number }>(GUIDE);
  await session.query("rollback");
  const [{ connections, long, size } = { connections: 0, long: 0, size: 0 }] = rows;
  return [
    figure(METRICS.databaseConnections, connections),
    figure(METRICS.databaseLongQueries, long),
    figure(METRICS.databaseSize, size),
  ];
}

/** All queries see the same rows, and count those of the time from `since` to the one that is returned. */
async function businessFigures(
  session: Client,
  { business, since }: DatabaseQuestions,
  complaints: Complaints,
  into: Figure[],
): Promise<string> {
  const { rows } = await session.query<{ horizon: string }>(HORIZON, [since]);
  const until = rows[0]?.horizon ?? since;
  await session.query(BEGIN);
  for (const [name, text] of Object.entries(business)) {
    await session.query("savepoint query");
    const value = await attempt(`query of ${name}`, complaints, () => valueOf(session, text, [since, until]));
    await session.query("rollback to savepoint query");
    if (value !== null) into.push(figure({ name, unit: BUSINESS_UNIT, byColour: false }, value));
  }
  await session.query("rollback");
  return until;
}

/** The extended protocol takes one statement, so that none can end the transaction that nothing is written in. */
async function valueOf(session: Client, text: string, interval: readonly string[]): Promise<number> {
  // As many as it names: a host may have been told of queries that go by the beginning alone.
  const values = interval.filter((_, index) => text.includes(`$${String(index + 1)}`));
  const query = { text, values, queryMode: "extended" };
  const { rows } = await session.query<Record<string, unknown>>(query);
  // The sum of nothing is null.
  const value = Number(Object.values(rows[0] ?? {})[0] ?? 0);
  if (!Number.isFinite(value)) throw new Error("it gives no number");
  return value;
}

async function attempt<T>(what: string, complaints: Complaints, work: () => Promise<T>): Promise<T | null> {
  try {
    const result = await work();
    complaints.end(what);
    return result;
  } catch (error) {
    complaints.begin(what, (error as Error).message);
    return null;
  }
}
