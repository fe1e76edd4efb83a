import type { EventLog, StripeEvent } from "./webhook";

/** The part of a `pg` pool that the application uses. */
export interface Queryable {
  query(text: string, values?: readonly unknown[]): Promise<{ readonly rows: readonly unknown[] }>;
}

/** An event log of this process alone, which ends with it: for a site without a database. */
export function memoryEventLog(): EventLog {
  const taken = new Map<string, StripeEvent>();
  return {
    take(event) {
      const isNew = !taken.has(event.id);
      if (isNew) taken.set(event.id, event);
      return Promise.resolve(isNew);
    },
    balance: () => Promise.resolve([...taken.values()].reduce((sum, { amount }) => sum + amount, 0)),
  };
}

/**
 * Makes the table where it is missing. The lock is there for instances that start at the same time: two of
 * `CREATE TABLE IF NOT EXISTS` at once fail on each other.
 */
const CREATE_TABLE = `
  BEGIN;
  SELECT pg_advisory_xact_lock(hashtext('stripe_events'));
  CREATE TABLE IF NOT EXISTS stripe_events (
    id text PRIMARY KEY,
    type text NOT NULL,
    amount bigint NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
  );
  COMMIT;`;

/** An event log in Postgres: an event's row is what it does to the wallet, so neither can be there without the other. */
export function postgresEventLog(database: Queryable): EventLog {
  let table: Promise<unknown> | undefined;
  const ready = async (): Promise<void> => {
    table ??= database.query(CREATE_TABLE);
    try {
      await table;
    } catch (error) {
      table = undefined; // The next request tries again: the database may be back by then.
      throw error;
    }
  };
  return {
    async take({ id, type, amount }) {
      await ready();
      const insert =
        "INSERT INTO stripe_events (id, type, amount) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING RETURNING id";
      return (await database.query(insert, [id, type, amount])).rows.length === 1;
    },
    async balance() {
      await ready();
      const { rows } = await database.query(
        "SELECT coalesce(sum(amount), 0)::text AS balance FROM stripe_events",
      );
      return Number((rows[0] as { balance: string }).balance);
    },
  };
}
