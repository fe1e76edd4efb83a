import { DatabaseError } from "pg";
import { Failed } from "../../conductor/faults";
import type { MigrationName } from "../protocol";
import { fileName, lineAt, type Script, type Statement } from "./script";
import { endsSession, StatementError } from "./session";

/** SQLSTATEs of what another session is the reason for: the same may work a little later. */
const OTHERS_IN_THE_WAY = new Set(["55P03", "40P01"]);

/** SQLSTATEs of things that are there already. */
const THERE_ALREADY = new Set(["42P07", "42701", "42710", "42P06", "42723"]);

/** What the server said; null if it said nothing. */
export function serverError(error: unknown): DatabaseError | null {
  const cause = error instanceof StatementError ? error.cause : error;
  return cause instanceof DatabaseError ? cause : null;
}

/** Whether it may work a little later: a lock that was not to be had, or a deadlock. */
export function othersInTheWay(error: unknown): boolean {
  return OTHERS_IN_THE_WAY.has(serverError(error)?.code ?? "");
}

/**
 * Whether a statement cannot be in a transaction: what says so itself (VACUUM, CREATE INDEX CONCURRENTLY), and a procedure
 * or block that commits. The first has a code that it shares with others, so that the place in the server decides, which
 * is in no language.
 */
export function needsNoTransaction(error: unknown): boolean {
  const cause = serverError(error);
  if (cause?.code === "2D000") return true;
  if (cause?.code !== "25001") return false;
  return cause.routine?.startsWith("PreventIn") ?? / cannot (run|be executed) /.test(cause.message);
}

/**
 * Makes the error of a file: where, what the server said, what became of the file, and the way out. Without what the
 * connection was made by.
 */
export function fileFailed(
  file: MigrationName,
  error: unknown,
  place: { readonly script: Script; readonly statement?: Statement },
  became: string,
): Failed {
  const cause = serverError(error);
  const where = locate(error, place.script, place.statement);
  const lost = endsSession(error) && cause === null ? "the connection broke: " : "";
  const message = cause?.message ?? (error as Error).message;
  return new Failed(`${fileName(file)}${where}: ${lost}${message}${details(cause)}\n${became}`);
}

function locate(error: unknown, script: Script, known: Statement | undefined): string {
  const completed = error instanceof StatementError ? error.completed : 0;
  if (known === undefined && !(error instanceof StatementError)) return "";
  const statement = known ?? script.statements[completed];
  if (statement === undefined) return ", at COMMIT";
  const position = Number(serverError(error)?.position ?? 0);
  // Of a statement that was sent alone, the place is in its own text.
  const line =
    position === 0
      ? statement.line
      : known === undefined
        ? lineAt(script.text, position - 1)
        : known.line + lineAt(known.text, position - 1) - 1;
  return `, statement ${statement.number}, line ${line}`;
}

/** Code, detail, hint and place of an error, each if there is one. */
export function details(cause: DatabaseError | null): string {
  if (cause === null) return "";
  const said = [
    cause.code === undefined ? "" : ` (SQLSTATE ${cause.code})`,
    cause.detail === undefined ? "" : `\nDetail: ${cause.detail}`,
    cause.hint === undefined ? "" : `\nHint: ${cause.hint}`,
    cause.where === undefined ? "" : `\nWhere: ${cause.where.split("\n", 1)[0] ?? ""}`,
    THERE_ALREADY.has(cause.code ?? "")
      ? "\nIf files were applied by hand before, write the version of the last one as database.baseline (only an empty history takes it)"
      : "",
  ];
  return said.join("");
}
