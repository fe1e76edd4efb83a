import { Pool } from "pg";

import { memoryEventLog, postgresEventLog, type Queryable } from "../lib/event-log";
import type { EventLog } from "../lib/webhook";

/** Connections of one instance: two colours of two instances each have to fit into a small database. */
const CONNECTIONS = 5;
/** Longest wait for a connection, in milliseconds. */
const CONNECT_TIMEOUT_MS = 5000;

/*
 * On the process and not in the module: Next may load a module once for pages and once more for routes, and each would
 * have a pool, or worse, a memory of its own.
 */
interface Shared {
  readonly database: Queryable | null;
  readonly events: EventLog;
}
const holder = globalThis as { vehicleservice?: Shared };

function shared(): Shared {
  if (holder.vehicleservice === undefined) {
    const database = openDatabase(process.env["DATABASE_URL"] ?? "");
    const events = database === null ? memoryEventLog() : postgresEventLog(database);
    holder.vehicleservice = { database, events };
  }
  return holder.vehicleservice;
}

function openDatabase(connectionString: string): Queryable | null {
  if (connectionString === "") return null;
  const pool = new Pool({ connectionString, max: CONNECTIONS, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  // Without a listener an idle connection that breaks would end the process.
  pool.on("error", (error) => console.error(`database: ${error.message}`));
  return { query: (text, values) => pool.query(text, values === undefined ? undefined : [...values]) };
}

/** The database, or null where `DATABASE_URL` names none. It is connected to when it is first asked. */
export function database(): Queryable | null {
  return shared().database;
}

/** Stripe's events: in the database where there is one, otherwise in this process. */
export function events(): EventLog {
  return shared().events;
}
