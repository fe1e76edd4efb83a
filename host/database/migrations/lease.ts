import { hostname } from "node:os";
import { Refused } from "../../conductor/faults";
import type { Session } from "./session";

/** How often a run says that it is alive. */
const HEARTBEAT_MS = 5_000;

/** How old its last sign of life is before another run may take its place. Twelve of them were missed. */
const STALE_SECONDS = 60;

/** How long a run that looks dead may still be in the middle of a file before it is left alone. */
const STILL_AT_WORK = "2s";

interface LeaseRow {
  readonly run: string;
  readonly host: string;
  readonly since: string;
  readonly silent: number;
}

const READ = `select run, host, to_char(since at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since,
  round(extract(epoch from clock_timestamp() - heartbeat))::int as silent from deployment.lease`;

/**
 * One run at a time changes a database: a row that says who, kept alive from a connection of its own. Each file's
 * transaction locks the row by {@link Lease.FENCE}, so that nobody takes over in the middle of a file.
 */
export class Lease {
  /** Run in the transaction of a file; gives the run that has the lease. */
  static readonly FENCE = "select run from deployment.lease for key share";

  private constructor(
    private readonly session: Session,
    private readonly run: string,
    private readonly timer: NodeJS.Timeout,
  ) {}

  /**
   * Takes the lease: a free one, one's own, or that of a run that gives no sign of life any more.
   * @param session Connection that nothing long ever runs on.
   * @throws Refused that says who has it, and since when
   */
  static async take(session: Session, run: string, progress: (line: string) => void): Promise<Lease> {
    const values = [run, hostname()];
    const mine = await session.query(
      `insert into deployment.lease values (true, $1, $2, clock_timestamp(), clock_timestamp())
       on conflict (single) do update set host = excluded.host, heartbeat = excluded.heartbeat where lease.run = excluded.run`,
      values,
    );
    if (mine.rowCount !== 1) progress(await takeOver(session, run));
    const beat = (): void => {
      session
        .query("update deployment.lease set heartbeat = clock_timestamp() where run = $1", [run])
        .catch(() => undefined);
    };
    return new Lease(session, run, setInterval(beat, HEARTBEAT_MS).unref());
  }

  /** Throws unless this run has the lease: another one took it while this one gave no sign of life. */
  assertHeld(run: string | null): void {
    if (run === this.run) return;
    throw new Refused(
      `this run no longer has the lease of the database: ${run === null ? "it was given back" : `run ${run} took it over`}. ` +
        "Run `pulumi up` again",
    );
  }

  /** Gives it back. */
  async release(): Promise<void> {
    clearInterval(this.timer);
    await this.session
      .query("delete from deployment.lease where run = $1", [this.run])
      .catch(() => undefined);
  }
}

/** Takes the place of a run that is dead. @returns what to tell */
async function takeOver(session: Session, run: string): Promise<string> {
  const [holder] = await session.queryLast<LeaseRow>(READ);
  if (holder !== undefined && holder.silent < STALE_SECONDS) throw refusal(holder);
  try {
    // Waits for the end of a file that the dead run's session is still at.
    const [now] = await session.queryLast<LeaseRow>(
      `begin; set local lock_timeout = '${STILL_AT_WORK}'; ${READ} for update`,
    );
    session.hold();
    if (now !== undefined && now.silent < STALE_SECONDS) throw refusal(now);
    await session.query(
      `insert into deployment.lease values (true, $1, $2, clock_timestamp(), clock_timestamp())
       on conflict (single) do update
       set run = excluded.run, host = excluded.host, since = excluded.since, heartbeat = excluded.heartbeat`,
      [run, hostname()],
    );
    await session.query("commit");
    await session.clean();
  } catch (error) {
    await session.abandon();
    if (error instanceof Refused || holder === undefined) throw error;
    throw refusal(holder);
  }
  return holder === undefined
    ? "took the lease of the database"
    : `took over the lease of the database from run ${holder.run} on ${holder.host}, which gave no sign of life for ${holder.silent} s`;
}

function refusal({ run, host, since, silent }: LeaseRow): Refused {
  return new Refused(
    `run ${run} on ${host} changes this database since ${since} (last sign of life ${silent} s ago). Wait for its end; ` +
      `if it died, its lease is free ${STALE_SECONDS} s after its last sign of life`,
  );
}
