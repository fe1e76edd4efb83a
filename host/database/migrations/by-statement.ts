import { Failed, Refused } from "../../conductor/faults";
import type { MigrationFile } from "../protocol";
import type { AppliedFile, ApplyOptions } from "../surroundings";
import { changedHalfway, changedSince } from "./comparison";
import { IndexMaker, isConcurrent } from "./concurrent-index";
import { fileFailed, needsNoTransaction, othersInTheWay } from "./failure";
import { enterFor, Patience, type Standing, type Workplace } from "./gate";
import { LockWatch } from "./lock-watch";
import { fileName, statementDigest, type Script, type Statement } from "./script";
import { endsSession } from "./session";

/**
 * Applies a file that cannot be in one transaction, statement by statement. A statement that can be in a transaction is in
 * one, with the word that it is done; of any other, the word that it was begun is written before, and that it is done
 * after. So a file goes on where it was when its run died.
 * @throws Refused, Failed
 */
export async function applyByStatement(
  place: Workplace,
  file: MigrationFile,
  script: Script,
  options: ApplyOptions,
): Promise<AppliedFile> {
  const { session } = place;
  try {
    const standing = await enterFor(place, "session", file, options);
    if ("outcome" in standing) return standing;
    const began = performance.now();
    await new Steps(place, file, script, standing).all();
    const milliseconds = Math.round(performance.now() - began);
    await finish(place, file, script, milliseconds);
    return { outcome: "applied", milliseconds, locks: [] };
  } catch (error) {
    if (error instanceof Failed || error instanceof Refused) throw error;
    throw fileFailed(file, error, { script }, "Run `pulumi up` again: it goes on where this file is");
  } finally {
    // Gives the lock of the files back, too.
    await session.abandon();
  }
}

async function finish(
  { session }: Workplace,
  file: MigrationFile,
  script: Script,
  ms: number,
): Promise<void> {
  await session.query("reset session authorization; reset role");
  await session.query(
    `with history as (
       insert into supabase_migrations.schema_migrations (version, name, statements) values ($1, $2, $3)
     )
     update deployment.files set finished_at = clock_timestamp(), milliseconds = $4 where version = $1`,
    [file.version, file.name, script.recorded, ms],
  );
}

/** The statements of one file, in order. */
class Steps {
  private readonly done: readonly string[];
  private readonly patience: Patience;
  private readonly index: IndexMaker;

  constructor(
    private readonly place: Workplace,
    private readonly file: MigrationFile,
    private readonly script: Script,
    private readonly standing: Standing,
  ) {
    this.done = standing.done ?? [];
    this.patience = new Patience(place.limits);
    this.index = new IndexMaker(place);
  }

  async all(): Promise<void> {
    const changed = await changedSince(this.done, this.script.statements);
    if (changed !== null) throw new Refused(changedHalfway(this.file, changed, this.done.length));
    await this.begin();
    for (const [at, statement] of this.script.statements.entries()) {
      if (at >= this.done.length) await this.step(statement, await statementDigest(statement.text));
      // What a statement sets holds for those after it, in this session only.
      else if ("VariableSetStmt" in statement.node) await this.place.session.run(statement.text);
    }
  }

  private async begin(): Promise<void> {
    const { session, run, progress } = this.place;
    const { version, name, sha256 } = this.file;
    const from = this.done.length;
    progress(
      from === 0 && this.standing.running === null
        ? `${fileName(this.file)} cannot be in a transaction; applying it statement by statement`
        : `${fileName(this.file)} was interrupted; going on at statement ${from + 1}`,
    );
    await session.query(
      `insert into deployment.files (version, name, sha256, origin, run, started_at)
       values ($1, $2, $3, 'applied', $4, clock_timestamp())
       on conflict (version) do update set name = excluded.name, sha256 = excluded.sha256, run = excluded.run,
         done = case when files.finished_at is null then files.done else '{}' end,
         running = case when files.finished_at is null then files.running end, finished_at = null`,
      [version, name, sha256, run],
    );
  }

  private async step(statement: Statement, digest: string): Promise<void> {
    const interrupted =
      this.standing.running === digest && statement === this.script.statements[this.done.length];
    if (interrupted && (await this.index.endedWell(statement))) {
      await this.mark("done", digest);
      return;
    }
    for (;;) {
      const { session, watch, limits } = this.place;
      const look = new LockWatch(watch, await session.open(), limits.lockTimeoutMs);
      try {
        const done = !interrupted && (await this.inTransaction(statement, digest));
        if (!done) await this.alone(statement, digest);
        return;
      } catch (error) {
        await look.stop();
        await this.orAgain(statement, error, look.obstacle());
      } finally {
        await look.stop();
      }
    }
  }

  /** @returns false where it cannot be in one */
  private async inTransaction({ text }: Statement, digest: string): Promise<boolean> {
    const { session } = this.place;
    try {
      await session.query("begin");
      await session.run(text);
      await this.mark("done", digest);
      await session.query("commit");
      return true;
    } catch (error) {
      if (!endsSession(error)) await session.query("rollback");
      if (needsNoTransaction(error)) return false;
      throw error;
    }
  }

  private async alone(statement: Statement, digest: string): Promise<void> {
    await this.mark("begun", digest);
    try {
      await (isConcurrent(statement) ? this.index.run(statement) : this.place.session.run(statement.text));
    } catch (error) {
      // What the server refused is not under way: an index of that name which is there now is another one.
      if (!endsSession(error)) await this.mark("failed", digest);
      throw error;
    }
    await this.mark("done", digest);
  }

  private async mark(what: "begun" | "failed" | "done", digest: string): Promise<void> {
    await this.place.session.query(
      `update deployment.files set running = case when $3 = 'begun' then $2::text end,
         done = case when $3 = 'done' then done || $2::text else done end
       where version = $1`,
      [this.file.version, digest, what],
    );
  }

  /** Returns where the statement is to be tried again. */
  private async orAgain(statement: Statement, error: unknown, obstacle: string | null): Promise<void> {
    const name = `${fileName(this.file)}, statement ${statement.number}`;
    const waits = `${name} waits for ${obstacle ?? "a lock that others hold"}`;
    if (othersInTheWay(error)) {
      const again = await this.patience.again((ms) =>
        this.place.progress(`${waits}; trying again in ${ms} ms`),
      );
      if (again) return;
    }
    const before =
      statement.number === 1
        ? "Nothing of this file was applied"
        : `Its ${statement.number - 1} statements before are applied`;
    throw fileFailed(
      this.file,
      error,
      { script: this.script, statement },
      `${othersInTheWay(error) ? `${waits} (${this.patience.toString()}). ` : ""}${before}, and the files before it are. ` +
        "Leave what is applied as it is, correct the rest, and run `pulumi up` again: it goes on at this statement",
    );
  }
}
