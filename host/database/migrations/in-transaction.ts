import { Failed, Refused } from "../../conductor/faults";
import type { MigrationFile } from "../protocol";
import type { AppliedFile, ApplyOptions } from "../surroundings";
import { endsSession, StatementError } from "./session";
import { fileFailed, needsNoTransaction, othersInTheWay } from "./failure";
import { enterFor, isHalfApplied, Patience, type Workplace } from "./gate";
import { LockWatch } from "./lock-watch";
import { fileName, type Script } from "./script";

const NOTHING = "Nothing of this file was applied; the files before it are.";

/**
 * Applies a file in one transaction, together with its place in the history.
 * @returns null where the file cannot be in a transaction, or is half applied without one; nothing was changed then
 * @throws Refused, Failed
 */
export async function applyInTransaction(
  place: Workplace,
  file: MigrationFile,
  script: Script,
  options: ApplyOptions,
): Promise<AppliedFile | null> {
  const patience = new Patience(place.limits);
  for (;;) {
    const tried = await attempt(place, file, script, options);
    if (!(tried instanceof InTheWay)) return tried;
    const obstacle = tried.obstacle ?? "a lock that others hold";
    const again = await patience.again((pauseMs) => {
      place.progress(`${fileName(file)} waits for ${obstacle}; trying again in ${pauseMs} ms`);
    });
    if (!again) {
      throw fileFailed(
        file,
        tried.error,
        { script },
        `It waited for ${obstacle} (${patience.toString()}). ${NOTHING} ` +
          "Let that end, or end it by pg_terminate_backend, then run `pulumi up` again; database.lockWaitSeconds waits longer",
      );
    }
  }
}

/** A try that others were in the way of. */
class InTheWay {
  constructor(
    readonly error: unknown,
    readonly obstacle: string | null,
  ) {}
}

async function attempt(
  place: Workplace,
  file: MigrationFile,
  script: Script,
  options: ApplyOptions,
): Promise<AppliedFile | InTheWay | null> {
  const { session } = place;
  let committing = false;
  let watch: LockWatch | null = null;
  try {
    const standing = await enterFor(place, "transaction", file, options);
    if ("outcome" in standing || isHalfApplied(standing)) {
      await session.abandon();
      return "outcome" in standing ? standing : null;
    }
    const began = performance.now();
    watch = new LockWatch(place.watch, await session.open(), place.limits.lockTimeoutMs);
    await record(place, file, script);
    if (script.statements.length > 0) await session.run(script.text);
    const locks = await watch.heldLocks(file.version);
    const milliseconds = Math.round(performance.now() - began);
    committing = true;
    await commit(place, file, script, milliseconds);
    await session.clean().catch(() => session.close());
    return { outcome: "applied", milliseconds, locks };
  } catch (error) {
    await watch?.stop();
    return await explain(place, { file, script, options, watch, committing }, error);
  }
}

/** The file's rows come first: a file may change role and settings, and they hold until the end. */
async function record({ session, run }: Workplace, file: MigrationFile, script: Script): Promise<void> {
  await session.query(
    `with history as (
       insert into supabase_migrations.schema_migrations (version, name, statements) values ($1, $2, $3)
     )
     insert into deployment.files (version, name, sha256, origin, run, started_at, finished_at)
     values ($1, $2, $4, 'applied', $5, clock_timestamp(), clock_timestamp())
     on conflict (version) do update set name = excluded.name, sha256 = excluded.sha256, run = excluded.run,
       started_at = excluded.started_at, finished_at = excluded.finished_at, done = '{}', running = null`,
    [file.version, file.name, script.recorded, file.sha256, run],
  );
}

async function commit(
  { session }: Workplace,
  file: MigrationFile,
  script: Script,
  milliseconds: number,
): Promise<void> {
  try {
    await session.query(
      `reset session authorization; reset role;
       update deployment.files set milliseconds = ${milliseconds}, finished_at = clock_timestamp()
       where version = '${file.version}';
       commit`,
    );
  } catch (error) {
    // A constraint that is deferred fails after the last statement.
    throw new StatementError(error as Error, script.statements.length);
  }
}

/** Cleans up after an error, and says what it means. */
async function explain(
  place: Workplace,
  attempted: {
    readonly file: MigrationFile;
    readonly script: Script;
    readonly options: ApplyOptions;
    readonly watch: LockWatch | null;
    readonly committing: boolean;
  },
  error: unknown,
): Promise<AppliedFile | InTheWay | null> {
  const { file, script, watch, committing } = attempted;
  const ours = error instanceof Failed || error instanceof Refused;
  await place.session.abandon();
  if (needsNoTransaction(error)) return null;
  if (othersInTheWay(error)) return new InTheWay(error, watch?.obstacle() ?? null);
  if (ours) throw error;
  if (endsSession(error) && committing) return await lookWhatBecame(place, attempted, error);
  throw fileFailed(
    file,
    error,
    { script },
    endsSession(error)
      ? `${NOTHING} See that the database is up, then run \`pulumi up\` again`
      : `${NOTHING} Correct this one, and run \`pulumi up\` again`,
  );
}

/** Nobody heard the answer to COMMIT: the history knows, once the session that was asked is gone. */
async function lookWhatBecame(
  place: Workplace,
  { file, script, options }: { file: MigrationFile; script: Script; options: ApplyOptions },
  error: unknown,
): Promise<AppliedFile> {
  place.progress(`${fileName(file)}: the connection broke at COMMIT; asking the history`);
  let standing;
  try {
    standing = await enterFor(place, "transaction", file, options);
    await place.session.abandon();
  } catch (second) {
    throw fileFailed(
      file,
      error,
      { script },
      `Nobody knows yet whether this file was applied (${(second as Error).message}); all of it was, or nothing. ` +
        "Run `pulumi up` again, which asks the history first",
    );
  }
  if ("outcome" in standing) return { ...standing, outcome: "applied" };
  throw fileFailed(file, error, { script }, `${NOTHING} Run \`pulumi up\` again`);
}
