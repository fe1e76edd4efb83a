import { setTimeout as pause } from "node:timers/promises";
import { escapeLiteral, type QueryResultRow } from "pg";
import { Failed, Refused } from "../../conductor/faults";
import type { MigrationFile, MigrationName } from "../protocol";
import type { AppliedFile, ApplyOptions } from "../surroundings";
import { FILE_LOCK } from "./bookkeeping";
import { Lease } from "./lease";
import { fileName } from "./script";
import type { Session } from "./session";

/** How gently a database is changed. */
export interface Limits {
  /** Longest wait for one lock, in milliseconds. */
  readonly lockTimeoutMs: number;
  /** How long a file is tried again where others hold its locks, in seconds. */
  readonly lockWaitSeconds: number;
  /** Longest statement, in seconds. */
  readonly statementTimeoutSeconds: number;
}

/** What a file needs to be applied. */
export interface Workplace {
  /** Where files run. */
  readonly session: Session;
  /** Where one looks from while a file runs. */
  readonly watch: Session;
  /** Null for a database that is nobody else's. */
  readonly lease: Lease | null;
  readonly limits: Limits;
  readonly run: string;
  readonly progress: (line: string) => void;
}

/** What the database says of a file, once nobody else can change that. */
export interface Standing {
  readonly applied: boolean;
  /** Null where we wrote nothing down of it. */
  readonly sha256: string | null;
  /** Digests of the statements that are applied; null unless it is half applied, without a transaction. */
  readonly done: readonly string[] | null;
  /** Digest of the statement that was begun and did not end. */
  readonly running: string | null;
}

/** Whether some of a file is applied, which was not in a transaction. */
export function isHalfApplied({ done, running }: Standing): boolean {
  return (done?.length ?? 0) > 0 || running !== null;
}

/** What every transaction of ours begins with, as a session that was cleaned has no settings. */
export function settings({ lockTimeoutMs, statementTimeoutSeconds }: Limits, scope: "" | "local"): string {
  return `set ${scope} lock_timeout = ${lockTimeoutMs};
    set ${scope} statement_timeout = '${statementTimeoutSeconds}s';
    set ${scope} client_connection_check_interval = '1s';`;
}

/** How often one asks for the lock of the files that another session has. */
const ASK_AGAIN_MS = 100;

/**
 * Gets the lock that whoever changes the schema holds, in a transaction that is begun here or for the session. It is asked
 * for, not waited for: who waits in a transaction would be waited for by an index that is made concurrently.
 * @param question Query that is asked behind the lock, on the same way there and back.
 * @returns rows of the question
 * @throws Failed that says who has it
 */
export async function enter<R extends QueryResultRow>(
  place: Workplace,
  scope: "transaction" | "session",
  question = "",
): Promise<R[]> {
  const end = performance.now() + Math.max(place.limits.lockWaitSeconds * 1000, ASK_AGAIN_MS);
  let told = false;
  for (;;) {
    const answer = await ask<R>(place, scope, question);
    if (answer !== null) {
      place.session.hold();
      return answer;
    }
    if (scope === "transaction") await place.session.query("rollback");
    if (!told) place.progress("another session changes the schema; waiting for its end");
    told = true;
    if (performance.now() > end) throw new Failed(await occupied(place));
    await pause(ASK_AGAIN_MS);
  }
}

/** @returns null where another session has the lock */
async function ask<R extends QueryResultRow>(
  { session, limits }: Workplace,
  scope: "transaction" | "session",
  question: string,
): Promise<R[] | null> {
  const text =
    scope === "transaction"
      ? `begin isolation level read committed; ${settings(limits, "local")}
         select pg_try_advisory_xact_lock(${FILE_LOCK}) as mine`
      : `${settings(limits, "")} select pg_try_advisory_lock(${FILE_LOCK}) as mine`;
  const answers = await session.queryAll(`${text}; ${question}`);
  const lock = answers.findIndex((rows) => rows[0] !== undefined && "mine" in rows[0]);
  return answers[lock]?.[0]?.["mine"] === true ? ((answers[lock + 1] ?? []) as R[]) : null;
}

async function occupied({ watch, limits }: Workplace): Promise<string> {
  const [classId, objectId] = FILE_LOCK.split(", ");
  const [row] = await watch
    .queryLast<{ who: string }>(
      `select format('process %s of %s (%s) since %s', locks.pid, usename, application_name, xact_start) as who
       from pg_catalog.pg_locks as locks join pg_catalog.pg_stat_activity using (pid)
       where locktype = 'advisory' and classid = ${classId ?? ""} and objid = ${objectId ?? ""} and granted
         and locks.database = (select oid from pg_catalog.pg_database where datname = current_database())`,
    )
    .catch(() => []);
  return (
    `another session still changes the schema after ${limits.lockWaitSeconds} s: ${row?.who ?? "one that is not seen"}. ` +
    "It may be what an earlier run left behind: wait, or end it by pg_terminate_backend, then run `pulumi up` again"
  );
}

/**
 * Gets the lock, see {@link enter}, and reads what the database says of a file.
 * @returns what to answer where the file is applied, else how it stands
 * @throws Failed, Refused where the lease is lost, the file before it is not applied, or the file was edited
 */
export async function enterFor(
  place: Workplace,
  scope: "transaction" | "session",
  file: MigrationFile,
  { after }: ApplyOptions,
): Promise<AppliedFile | Standing> {
  const has = (version: string): string =>
    `exists (select from supabase_migrations.schema_migrations where version = ${escapeLiteral(version)})`;
  const [row] = await enter<Standing & { predecessor: boolean; run: string | null }>(
    place,
    scope,
    `with lease as (${place.lease === null ? "select null as run" : Lease.FENCE})
     select (select run from lease), ${has(file.version)} as applied, ${after === null ? "true" : has(after.version)} as predecessor, files.sha256,
       case when finished_at is null then done end as done,
       case when finished_at is null then running end as running
     from (select 1) as one left join deployment.files on version = ${escapeLiteral(file.version)}`,
  );
  if (row === undefined) throw new Error("a query of one row gave none");
  place.lease?.assertHeld(row.run);
  if (row.applied && row.sha256 !== null && row.sha256 !== file.sha256) throw edited(file);
  if (row.applied) return { outcome: "was applied", milliseconds: 0, locks: [] };
  if (!row.predecessor && after !== null) {
    throw new Refused(
      `${fileName(file)} comes after ${fileName(after)}, which is not applied. Apply that first`,
    );
  }
  return row;
}

/**
 * Holds the lease where it is until the transaction ends.
 * @throws Refused where another run has it
 */
export async function assertLease({ session, lease }: Workplace): Promise<void> {
  if (lease === null) return;
  const [holder] = await session.queryLast<{ run: string }>(Lease.FENCE);
  lease.assertHeld(holder?.run ?? null);
}

function edited(file: MigrationName): Refused {
  return new Refused(
    `${fileName(file)} was edited after it was applied. Put back what was applied, and change the schema by a new file`,
  );
}

/** Counts the tries of a file whose locks others hold. */
export class Patience {
  private readonly end: number;
  private next = FIRST_PAUSE_MS;
  private tries = 0;

  constructor(private readonly limits: Limits) {
    this.end = performance.now() + limits.lockWaitSeconds * 1000;
  }

  /**
   * Waits before the next try, longer each time and never for the same time, so that two do not meet again and again;
   * users' requests that queued behind the lock go meanwhile.
   * @returns false where there is no time for another try
   */
  async again(tell: (pauseMs: number) => void): Promise<boolean> {
    this.tries += 1;
    const pauseMs = Math.round(this.next * (0.5 + Math.random() / 2));
    if (performance.now() + pauseMs > this.end) return false;
    this.next = Math.min(this.next * 2, LONGEST_PAUSE_MS);
    tell(pauseMs);
    await pause(pauseMs);
    return true;
  }

  /** Says how hard it was tried. */
  toString(): string {
    return `${this.tries} ${this.tries === 1 ? "try" : "tries"} of ${this.limits.lockTimeoutMs} ms in ${this.limits.lockWaitSeconds} s`;
  }
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 8_000;
