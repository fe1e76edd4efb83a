import { loadModule, parseSync } from "libpg-query";
import { Failed } from "../conductor/faults";
import { anonReads } from "./checks-anon";
import { withoutRowLevelSecurity } from "./checks-row-level-security";
import { details, serverError } from "./migrations/failure";
import { settings, type Workplace } from "./migrations/gate";
import type { CheckFile } from "./protocol";

/** Rows of a check that its error shows. */
const SHOWN_ROWS = 5;

/** What checks run on. */
export type CheckPlace = Pick<Workplace, "session" | "limits" | "progress">;

/** A check that was made: null where it could not be. */
export type Verdict = "passed" | "skipped" | { readonly fault: string };

/**
 * Makes all checks, each in a transaction that can change nothing, and the two that are built in.
 * @returns names of those that passed
 * @throws Failed that names every one that did not, with its first rows
 */
export async function runChecks(place: CheckPlace, checks: readonly CheckFile[]): Promise<string[]> {
  await loadModule();
  const all: [string, () => Promise<Verdict>][] = [
    ...checks.map((check): [string, () => Promise<Verdict>] => [check.name, () => noRows(place, check)]),
    ["row-level-security", () => withoutRowLevelSecurity(place)],
    ["anon", () => anonReads(place)],
  ];
  const passed: string[] = [];
  const faults: string[] = [];
  for (const [name, check] of all) {
    const verdict = await check();
    if (verdict === "passed") passed.push(name);
    else if (verdict !== "skipped") faults.push(`${name}: ${verdict.fault}`);
  }
  if (faults.length > 0) {
    throw new Failed(
      `the migrations are applied, but these checks of the database do not pass:\n${faults.join("\n")}\n` +
        "Correct the data or the schema by a new file, and run `pulumi up` again",
    );
  }
  return passed;
}

/** Runs SQL in a transaction that can change nothing and leaves nothing behind. */
export async function readOnly<T>(
  { session, limits }: CheckPlace,
  more: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    await session.query(`begin read only; ${settings(limits, "local")} ${more}`);
    session.hold();
    return await work();
  } finally {
    await session.abandon();
  }
}

async function noRows(place: CheckPlace, { sql }: CheckFile): Promise<Verdict> {
  try {
    const parsed = parseSync(sql).stmts ?? [];
    if (parsed.length === 0) return { fault: "has no query" };
    if (parsed.some(({ stmt }) => stmt !== undefined && "TransactionStmt" in stmt)) {
      return { fault: "a check is one transaction: take BEGIN, COMMIT and ROLLBACK out" };
    }
  } catch (error) {
    return { fault: (error as Error).message };
  }
  try {
    const { rowCount, firstRows } = await readOnly(place, "", () =>
      place.session.run(sql.replace(/^\ufeff/, ""), SHOWN_ROWS),
    );
    if (rowCount === 0) return "passed";
    const rows = firstRows.map((row) => `  ${JSON.stringify(row)}`).join("\n");
    return {
      fault: `${rowCount} rows where none should be${rowCount > SHOWN_ROWS ? `; the first ${SHOWN_ROWS}` : ""}:\n${rows}`,
    };
  } catch (error) {
    const cause = serverError(error);
    return { fault: `${cause?.message ?? (error as Error).message}${details(cause)}` };
  }
}
