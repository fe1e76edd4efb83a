import type { Client, QueryResultRow } from "pg";
import { inTime } from "../../conductor/system/wait";
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

/** Longest wait for an answer, in milliseconds, of a server that does not even tell that a statement took too long. */
const SILENCE_MS = 10_000;

/** How `pg` tells of one. Nothing comes by that session any more. */
const SILENT = "Query read timeout";

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

/** Asks for rows, of a server that may say nothing. */
type Ask = <Row extends QueryResultRow>(text: string, values?: readonly string[]) => Promise<readonly Row[]>;

/**
 * Asks the database, by one session that ends with the answer. One that does not let this host in, or that says nothing from
 * then on, is a figure, and no error; a query that fails has no figure, and keeps no other one from having its own.
 */
export async function databaseFigures(
  questions: DatabaseQuestions,
  complaints: Complaints,
  silenceMs = SILENCE_MS,
): Promise<DatabaseFigures> {
  try {
    const session = await connectSoon(questions);
    const ask: Ask = async <Row extends QueryResultRow>(text: string, values?: readonly string[]) => {
      // The extended protocol takes one statement, so that none can end the transaction that nothing is written in.
      const extended = values && { values: [...values], queryMode: "extended" };
      const query = { text, ...extended, query_timeout: silenceMs };
      return (await session.query<Row>(query)).rows;
    };
    try {
      const found = await figuresOf(ask, questions, complaints);
      complaints.end("database");
      return found;
    } finally {
      // A server that hangs is not waited for.
      session.end().catch(() => undefined);
    }
  } catch (error) {
    const { message } = error as Error;
    const silent = `it let this host in, and did not answer within ${String(silenceMs / 1000)} s`;
    complaints.begin("database", message === SILENT ? silent : message);
    return { figures: [figure(METRICS.databaseReachable, 0)], clock: null };
  }
}

async function figuresOf(
  ask: Ask,
  questions: DatabaseQuestions,
  complaints: Complaints,
): Promise<DatabaseFigures> {
  const figures = [figure(METRICS.databaseReachable, 1)];
  await attempt("database figures", complaints, async () => figures.push(...(await guideFigures(ask))));
  if (Object.keys(questions.business).length === 0) return { figures, clock: null };
  const clock = await attempt("business figures", complaints, () =>
    businessFigures(ask, questions, complaints, figures),
  );
  return { figures, clock };
}

/** Connects, or gives up in time for the interval; a session that comes later is ended. */
async function connectSoon({ settings, session }: DatabaseQuestions): Promise<Client> {
  const connecting = connect(addressOf(settings.url), session);
  try {
    return await inTime(CONNECT_TIMEOUT_MS, connecting);
  } catch (error) {
    connecting.then((client) => client.end()).catch(() => undefined);
    throw error;
  }
}

async function guideFigures(ask: Ask): Promise<Figure[]> {
  await ask(BEGIN);
  const rows = await ask<{ connections: number; long: number; size: number }>(GUIDE);
  await ask("rollback");
  const [{ connections, long, size } = { connections: 0, long: 0, size: 0 }] = rows;
  return [
    figure(METRICS.databaseConnections, connections),
    figure(METRICS.databaseLongQueries, long),
    figure(METRICS.databaseSize, size),
  ];
}

/** All queries see the same rows, and count those of the time from `since` to the one that is returned. */
async function businessFigures(
  ask: Ask,
  { business, since }: DatabaseQuestions,
  complaints: Complaints,
  into: Figure[],
): Promise<string> {
  const [row] = await ask<{ horizon: string }>(HORIZON, [since]);
  const until = row?.horizon ?? since;
  await ask(BEGIN);
  for (const [name, text] of Object.entries(business)) {
    await ask("savepoint query");
    const value = await attempt(`query of ${name}`, complaints, () => valueOf(ask, text, [since, until]));
    await ask("rollback to savepoint query");
    if (value !== null) into.push(figure({ name, unit: BUSINESS_UNIT, byColour: false }, value));
  }
  await ask("rollback");
  return until;
}

async function valueOf(ask: Ask, text: string, interval: readonly string[]): Promise<number> {
  // As many as it names: a host may have been told of queries that go by the beginning alone.
  const values = interval.filter((_, index) => text.includes(`$${String(index + 1)}`));
  const [row] = await ask<Record<string, unknown>>(text, values);
  // The sum of nothing is null.
  const value = Number(Object.values(row ?? {})[0] ?? 0);
  if (!Number.isFinite(value)) throw new Error("it gives no number");
  return value;
}

/** What the work gives; null where it fails, which is told, unless nothing is to be had any more. */
async function attempt<T>(what: string, complaints: Complaints, work: () => Promise<T>): Promise<T | null> {
  try {
    const result = await work();
    complaints.end(what);
    return result;
  } catch (error) {
    const { message } = error as Error;
    if (message === SILENT) throw error;
    complaints.begin(what, message);
    return null;
  }
}
