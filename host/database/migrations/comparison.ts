import type { Acceptance, MigrationFile, MigrationName, MigrationsResult } from "../protocol";
import { orderFaults } from "./order";
import { fileName, readScript, sameSql, statementDigest } from "./script";

/** A version that the history has, by the table that the supabase CLI writes too. */
export interface HistoryRow {
  readonly version: string;
  /** Null where a hand wrote it. */
  readonly name: string | null;
  /** Null where a hand wrote it. */
  readonly statements: readonly string[] | null;
}

/** What we wrote down of a file, beside the history. */
export interface FileRow extends MigrationName {
  /** False while a file without a transaction is half applied. */
  readonly finished: boolean;
  /** Digests of the statements that are applied, of a file without a transaction. */
  readonly done: readonly string[];
}

/** What a database knows of its migrations. */
export interface Recorded {
  readonly history: readonly HistoryRow[];
  readonly files: readonly FileRow[];
  /** What was accepted before; an empty SHA-256 where the file is gone. */
  readonly accepted: readonly { readonly version: string; readonly sha256: string }[];
}

/** What is asked of the database. */
export interface Wanted {
  readonly files: readonly MigrationFile[];
  readonly accept: readonly Acceptance[];
  /** Files up to it count as applied where the history is empty. */
  readonly baseline: string | null;
  /** Why contract files, and all after them, have to wait; null if they need not. */
  readonly holdContract: string | null;
}

/** What a comparison found. */
export interface Comparison {
  /** What does not fit, each with its file's name and the way out. Nothing else counts unless it is empty. */
  readonly faults: readonly string[];
  /** Files to be written down as applied by hand. */
  readonly baseline: readonly MigrationFile[];
  /** Files to be written down that another tool applied, or whose edit is accepted. */
  readonly adopted: readonly MigrationFile[];
  /** Acceptances that were needed. */
  readonly accepted: readonly Acceptance[];
  readonly result: MigrationsResult;
}

/** Compares files with what a database knows. Touches nothing. */
export async function compareFiles(recorded: Recorded, wanted: Wanted): Promise<Comparison> {
  const order = orderFaults(wanted.files);
  if (order.length > 0) return refusal(order);
  const byHand = recorded.history.length === 0 ? baselineFiles(wanted) : [];
  if (byHand === null) {
    return refusal([`database.baseline is ${String(wanted.baseline)}, which is no file's version`]);
  }
  const judge = new Judge(recorded, wanted);
  const applied = new Set([...recorded.history, ...byHand].map(({ version }) => version));
  for (const file of wanted.files) {
    if (applied.has(file.version)) await judge.known(file);
    else await judge.unknown(file);
  }
  judge.removed();
  const pending = wanted.files.filter(({ version }) => !applied.has(version)).map(({ version }) => version);
  const contract = wanted.files.find(({ version, contract }) => contract && pending.includes(version));
  const held = wanted.holdContract === null || contract === undefined ? null : contract.version;
  return {
    faults: judge.faults,
    baseline: byHand,
    adopted: judge.adopted,
    accepted: judge.accepted,
    result: {
      schemaVersion: [...applied].sort().at(-1) ?? null,
      pending: pending.filter((version) => held === null || version < held),
      waiting: pending.filter((version) => held !== null && version >= held),
    },
  };
}

function refusal(faults: readonly string[]): Comparison {
  const result = { schemaVersion: null, pending: [], waiting: [] };
  return { faults, baseline: [], adopted: [], accepted: [], result };
}

function baselineFiles({ files, baseline }: Wanted): readonly MigrationFile[] | null {
  if (baseline === null) return [];
  const last = files.findIndex(({ version }) => version === baseline);
  return last < 0 ? null : files.slice(0, last + 1);
}

/** Judges file by file, and keeps what it found. */
class Judge {
  readonly faults: string[] = [];
  readonly adopted: MigrationFile[] = [];
  readonly accepted: Acceptance[] = [];
  private readonly history: ReadonlyMap<string, HistoryRow>;
  private readonly ours: ReadonlyMap<string, FileRow>;
  private readonly newest: string;

  constructor(
    private readonly recorded: Recorded,
    private readonly wanted: Wanted,
  ) {
    this.history = new Map(recorded.history.map((row) => [row.version, row]));
    this.ours = new Map(recorded.files.map((row) => [row.version, row]));
    this.newest = [...this.history.keys()].sort().at(-1) ?? "";
  }

  /** A file that the history has. */
  async known(file: MigrationFile): Promise<void> {
    const row = this.history.get(file.version);
    const ours = this.ours.get(file.version);
    if (row === undefined || ours?.sha256 === file.sha256) return;
    if (
      ours === undefined &&
      (row.statements === null || (await sameSql(row.statements.join(";\n"), file.sql)))
    ) {
      this.adopted.push(file);
    } else if (this.accepts(file.version, file.sha256)) {
      this.adopted.push(file);
    } else {
      this.faults.push(
        `${fileName(file)} was edited after it was applied${ours === undefined ? " by another tool" : ""}. ` +
          `Put back what was applied, and change the schema by a new file; or ${wayOut(file.version, file.sha256)}`,
      );
    }
  }

  /** A file that the history does not have. */
  async unknown(file: MigrationFile): Promise<void> {
    if (file.version < this.newest && !this.accepts(file.version, file.sha256)) {
      this.faults.push(
        `${fileName(file)} is not applied, but ${this.newest}, which comes after it, is. ` +
          `Give it a version of today; or, to apply it now, ${wayOut(file.version, file.sha256)}`,
      );
    }
    try {
      const { statements } = await readScript(file);
      const ours = this.ours.get(file.version);
      const done = ours === undefined || ours.finished ? [] : ours.done;
      const changed = await changedSince(done, statements);
      if (changed !== null) this.faults.push(changedHalfway(file, changed, done.length));
    } catch (error) {
      this.faults.push((error as Error).message);
    }
  }

  /** Versions of the history that have no file. Those above our last are a newer release's. */
  removed(): void {
    const last = this.wanted.files.at(-1)?.version ?? "";
    const there = new Set(this.wanted.files.map(({ version }) => version));
    for (const { version, name } of this.recorded.history) {
      if (there.has(version) || version > last || this.accepts(version, null)) continue;
      this.faults.push(
        `${name === null || name === "" ? version : fileName({ version, name })} is applied, but its file is gone. ` +
          `Put it back; or ${wayOut(version, null)}`,
      );
    }
  }

  private accepts(version: string, sha256: string | null): boolean {
    const now = this.wanted.accept.find((each) => each.version === version && each.sha256 === sha256);
    if (now !== undefined) this.accepted.push(now);
    return (
      now !== undefined ||
      this.recorded.accepted.some((each) => each.version === version && each.sha256 === (sha256 ?? ""))
    );
  }
}

/**
 * Finds the first statement of a file that is applied by now and was another one then.
 * @param done Digests of the statements that are applied.
 * @returns its index; null where the file begins as it did
 */
export async function changedSince(
  done: readonly string[],
  statements: readonly { readonly text: string }[],
): Promise<number | null> {
  for (const [index, digest] of done.entries()) {
    const statement = statements[index];
    if (statement === undefined || (await statementDigest(statement.text)) !== digest) return index;
  }
  return null;
}

/** Says that a half-applied file has another beginning than the one that was applied. */
export function changedHalfway(file: MigrationName, changed: number, done: number): string {
  return (
    `${fileName(file)} is applied up to its statement ${done}, and its statement ${changed + 1} was changed since. ` +
    "Put that back as it was, and change only what comes after"
  );
}

function wayOut(version: string, sha256: string | null): string {
  return (
    `accept it in the configuration, under database.accept: ` +
    `{version: "${version}", sha256: "${sha256 ?? ""}", reason: "..."}`
  );
}
