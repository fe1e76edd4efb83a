import { setTimeout as pause } from "node:timers/promises";
import { normalizeSync } from "libpg-query";
import type { HeldLock } from "../protocol";
import type { Session } from "./session";

/** Modes of table locks, weakest first. */
const MODES = [
  "AccessShareLock",
  "RowShareLock",
  "RowExclusiveLock",
  "ShareUpdateExclusiveLock",
  "ShareLock",
  "ShareRowExclusiveLock",
  "ExclusiveLock",
  "AccessExclusiveLock",
];

/** Longest query of somebody else that an error shows. */
const SHOWN_QUERY = 80;

/** How often one looks. */
const SHORTEST_LOOK_MS = 20;
const LONGEST_LOOK_MS = 250;

/**
 * Longest wait for a look, in milliseconds. The server may have gone away without a word, and who waits holds the locks of
 * a file.
 */
const LOOK_LIMIT_MS = 2000;

/** Who is in the way. */
interface Blocker {
  readonly pid: number;
  readonly lock: string;
  readonly mode: string;
  readonly user: string | null;
  readonly application: string | null;
  readonly state: string | null;
  readonly seconds: number | null;
  readonly query: string | null;
}

/** The lock that a session waits for, and who holds it. */
const WAITING = `
select blocker.pid, wanted.mode, coalesce(wanted.name, wanted.locktype) as lock, activity.usename as user,
  activity.application_name as application, activity.state, activity.query,
  round(extract(epoch from clock_timestamp() - activity.xact_start))::int as seconds
from unnest(pg_catalog.pg_blocking_pids($1)) as blocker (pid)
left join pg_catalog.pg_stat_activity as activity on activity.pid = blocker.pid
left join lateral (
  select locks.mode, locks.locktype, space.nspname || '.' || class.relname as name
  from pg_catalog.pg_locks as locks
  left join pg_catalog.pg_class as class on class.oid = locks.relation
  left join pg_catalog.pg_namespace as space on space.oid = class.relnamespace
  where locks.pid = $1 and not locks.granted limit 1
) as wanted on true
order by activity.xact_start nulls last limit 3`;

/** Locks of a session on tables that others see: seen from outside, its own new tables are not there. */
const HELD = `
select space.nspname || '.' || class.relname as "table", locks.mode
from pg_catalog.pg_locks as locks
join pg_catalog.pg_class as class on class.oid = locks.relation and class.relkind in ('r', 'p', 'm', 'f')
join pg_catalog.pg_namespace as space on space.oid = class.relnamespace
where locks.pid = $1 and locks.granted and locks.mode <> 'AccessShareLock'
  and space.nspname not in ('pg_catalog', 'pg_toast', 'information_schema', 'deployment', 'supabase_migrations')`;

/** Watches the locks of another session while that runs a file. */
export class LockWatch {
  private readonly held = new Map<string, { mode: string; since: number }>();
  private blockers: readonly Blocker[] = [];
  private looked = performance.now();
  private timer: NodeJS.Timeout | null = null;
  private looking: Promise<void> = Promise.resolve();

  /**
   * @param session Where to look from.
   * @param pid Whom to look at.
   * @param lockTimeoutMs How long that waits for a lock: it is looked at more often than that.
   */
  constructor(
    private readonly session: Session,
    private readonly pid: number,
    lockTimeoutMs: number,
  ) {
    const everyMs = Math.max(SHORTEST_LOOK_MS, Math.min(LONGEST_LOOK_MS, lockTimeoutMs / 3));
    let busy = false;
    this.timer = setInterval(() => {
      if (busy) return;
      busy = true;
      this.looking = this.look().finally(() => {
        busy = false;
      });
    }, everyMs).unref();
  }

  /** Ends the watch before the locks go. @returns the locks that are held, with how long they were */
  async heldLocks(version: string): Promise<HeldLock[]> {
    await this.stop();
    await withinLimit(this.lookAtHeld());
    const now = performance.now();
    return [...this.held].map(([table, { mode, since }]) => ({
      version,
      table,
      mode,
      milliseconds: Math.round(now - since),
    }));
  }

  /** Ends the watch. */
  async stop(): Promise<void> {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    await withinLimit(this.looking);
  }

  /** Says which lock was waited for, and who had it; null if nothing was seen. */
  obstacle(): string | null {
    const [first] = this.blockers;
    if (first === undefined) return null;
    const who = this.blockers.map((blocker) => describe(blocker)).join("; ");
    return `${first.mode} on ${first.lock}; in the way: ${who}`;
  }

  private async look(): Promise<void> {
    try {
      const { rows } = await this.session.query<Blocker>(WAITING, [this.pid]);
      if (rows.length > 0) this.blockers = rows;
      await this.lookAtHeld();
    } catch {
      // What cannot be seen is not told; the file goes on.
    }
  }

  private async lookAtHeld(): Promise<void> {
    const before = this.looked;
    this.looked = performance.now();
    const { rows } = await this.session
      .query<{ table: string; mode: string }>(HELD, [this.pid])
      .catch(() => ({ rows: [] }));
    for (const { table, mode } of rows) {
      const known = this.held.get(table);
      // A lock was taken after the look before it: counted from there, so that it is never told too short.
      if (known === undefined || MODES.indexOf(mode) > MODES.indexOf(known.mode)) {
        this.held.set(table, { mode, since: before });
      }
    }
  }
}

function withinLimit(look: Promise<void>): Promise<void> {
  const limit = async (): Promise<void> => {
    // In two parts: where all stood still, only one of them is over before an answer that is there is read.
    for (let part = 0; part < 2; part++) await pause(LOOK_LIMIT_MS / 2, undefined, { ref: false });
  };
  return Promise.race([look, limit()]);
}

function describe({ pid, user, application, state, seconds, query }: Blocker): string {
  const name = application === null || application === "" ? "" : ` (${application})`;
  const since = seconds === null ? "" : `, in a transaction of ${seconds} s`;
  const text = query === null || query === "" ? "" : `, ${state ?? "last"}: ${withoutValues(query)}`;
  return `process ${pid} of ${user ?? "another user"}${name}${since}${text}`;
}

/** A query as the field's tools show it: its values may be a user's. */
function withoutValues(query: string): string {
  let shown: string;
  try {
    shown = normalizeSync(query);
  } catch {
    // Cut off by the server, or not there yet.
    shown = query.split(/['"$\d]/, 1)[0] ?? "";
  }
  const line = shown.replace(/\s+/g, " ").trim();
  return line.length > SHOWN_QUERY ? `${line.slice(0, SHOWN_QUERY)}...` : line;
}
