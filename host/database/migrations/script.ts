import { loadModule, parseSync, scanSync, type Node } from "libpg-query";
import { createHash } from "node:crypto";
import { Refused } from "../../conductor/faults";
import type { MigrationFile, MigrationName } from "../protocol";

/** A statement of a file. */
export interface Statement {
  /** Counts from 1. */
  readonly number: number;
  /** Line of the file that it begins in, from 1. */
  readonly line: number;
  /** Its text, without the semicolon. */
  readonly text: string;
  readonly node: Node;
}

/** A file, read by Postgres' own parser. */
export interface Script {
  /** What is sent: the file's text on the same lines, without byte order mark and outer BEGIN and COMMIT. */
  readonly text: string;
  /** What is in {@link Script.text}. */
  readonly statements: readonly Statement[];
  /** All statements of the file, as the history keeps them. */
  readonly recorded: readonly string[];
  /** False where the file says `-- transaction: none`. */
  readonly transaction: boolean;
}

/** Words that begin or end a transaction; those of savepoints do not. */
const ENDS_OR_BEGINS = new Set([
  "TRANS_STMT_BEGIN",
  "TRANS_STMT_START",
  "TRANS_STMT_COMMIT",
  "TRANS_STMT_ROLLBACK",
  "TRANS_STMT_PREPARE",
  "TRANS_STMT_COMMIT_PREPARED",
  "TRANS_STMT_ROLLBACK_PREPARED",
]);

/** What people call a file. */
export function fileName({ version, name }: Pick<MigrationName, "version" | "name">): string {
  return `${version}_${name}.sql`;
}

/** SHA-256 of a text as UTF-8, in hex. */
export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/**
 * Reads a file: its statements, and whether it is one transaction.
 * @throws Refused that names the file, the line and the way out, where a part of it could be applied without the rest
 */
export async function readScript(file: MigrationFile): Promise<Script> {
  await loadModule();
  const refuse = (line: number, why: string): never => {
    throw new Refused(`${fileName(file)}, line ${line}: ${why}`);
  };
  if (sha256(file.sql) !== file.sha256) refuse(1, "the text is not the one that its SHA-256 was taken of");
  if (file.sql.includes("\0"))
    refuse(lineAt(file.sql, file.sql.indexOf("\0")), "holds a NUL, which ends a statement's text");
  const text = file.sql.replace(/^\ufeff/, "");
  const transaction = wantsTransaction(text, refuse);
  const parsed = parse(text, refuse);
  for (const statement of parsed) refuseUnresumable(statement, refuse);
  const outer = outerTransaction(parsed, transaction, refuse);
  return {
    text: blank(text, outer),
    statements: parsed.filter((statement) => !outer.includes(statement)),
    recorded: parsed.map((statement) => statement.text),
    transaction,
  };
}

/** Names a statement by what Postgres reads: neither comments nor white space nor a word's case make another one. */
export async function statementDigest(text: string): Promise<string> {
  await loadModule();
  return sha256(tokens(text).join("\n"));
}

/** Whether two texts are the same to Postgres: only comments, white space and semicolons differ. */
export async function sameSql(one: string, other: string): Promise<boolean> {
  await loadModule();
  return tokens(one).join("\n") === tokens(other).join("\n");
}

/** Line that a place is in, counted from 1. */
export function lineAt(text: string, index: number): number {
  return text.slice(0, index).split("\n").length;
}

function tokens(text: string): string[] {
  if (text.trim() === "") return [];
  try {
    return scanSync(text.replace(/^\ufeff/, ""))
      .tokens.filter(({ tokenName }) => !["SQL_COMMENT", "C_COMMENT", "ASCII_59"].includes(tokenName))
      .map((token) => (token.keywordName === "NO_KEYWORD" ? token.text : token.text.toLowerCase()));
  } catch {
    // What another tool wrote into the history need not be SQL.
    return text.split(/\s+/);
  }
}

type Refuse = (line: number, why: string) => never;

interface Located extends Statement {
  /** In bytes of the text as UTF-8, with the semicolon. */
  readonly start: number;
  readonly end: number;
}

function parse(text: string, refuse: Refuse): Located[] {
  if (text.trim() === "") return [];
  const bytes = Buffer.from(text);
  let counted = 0;
  let line = 1;
  return read(text, refuse).map(({ stmt, stmt_location: start = 0, stmt_len: length }, index) => {
    for (; counted < start; counted += 1) if (bytes[counted] === NEWLINE) line += 1;
    // The last statement of a file without a semicolon has no length.
    const end = length === undefined || length === 0 ? bytes.length : start + length;
    const statement = { number: index + 1, line, text: bytes.toString("utf8", start, end).trim() };
    return { ...statement, node: stmt ?? ({} as Node), start, end };
  });
}

const NEWLINE = 10;

function read(text: string, refuse: Refuse): { stmt?: Node; stmt_location?: number; stmt_len?: number }[] {
  try {
    return parseSync(text).stmts ?? [];
  } catch (error) {
    const { message, sqlDetails } = error as Error & { sqlDetails?: { cursorPosition: number } };
    const line = sqlDetails === undefined ? 1 : lineAt(text, sqlDetails.cursorPosition);
    const meta = text.split("\n")[line - 1]?.trimStart().startsWith("\\") === true;
    return refuse(line, `${message}${meta ? ": a line that begins with \\ is psql's, not SQL" : ""}`);
  }
}

/** The file's word about itself, among the comments that it begins with. */
function wantsTransaction(text: string, refuse: Refuse): boolean {
  for (const [index, line] of text.split("\n").entries()) {
    const trimmed = line.trim();
    if (trimmed !== "" && !trimmed.startsWith("--")) break;
    const said = /^--\s*transaction\s*:\s*(.*)$/.exec(trimmed)?.[1];
    if (said === "none") return false;
    if (said !== undefined) refuse(index + 1, "`-- transaction:` takes `none`, or is not there");
  }
  return true;
}

/** BEGIN and COMMIT around everything but settings: taken away, for the file is one transaction anyway. */
function outerTransaction(all: readonly Located[], transaction: boolean, refuse: Refuse): readonly Located[] {
  const words = all.filter(({ node }) => ENDS_OR_BEGINS.has(transactionWord(node)?.kind ?? ""));
  const [first, last, ...more] = words;
  if (first === undefined) return [];
  const way = "Take BEGIN and COMMIT out (each file is one transaction), or make two files of it";
  if (!transaction) refuse(first.line, `a file without a transaction cannot begin or end one. ${way}`);
  const kinds = [first, last].map((statement) => statement && transactionWord(statement.node));
  const whole =
    last !== undefined &&
    more.length === 0 &&
    (kinds[0]?.kind === "TRANS_STMT_BEGIN" || kinds[0]?.kind === "TRANS_STMT_START") &&
    kinds[1]?.kind === "TRANS_STMT_COMMIT" &&
    all.every((each) => (each.start >= first.start && each.end <= last.end) || standsOutside(each.node));
  const [culprit] = more.length > 0 ? [last ?? first] : [first];
  if (!whole)
    refuse(
      culprit.line,
      `begins or ends a transaction in the middle of the file, which could be half applied. ${way}`,
    );
  if (kinds.some((kind) => kind?.options !== undefined || kind?.chain === true)) {
    refuse(
      first.line,
      "BEGIN and COMMIT with options are not kept. Write `set transaction ...` as the first statement",
    );
  }
  return words;
}

function transactionWord(node: Node): { kind?: string; options?: unknown; chain?: boolean } | undefined {
  return "TransactionStmt" in node ? node.TransactionStmt : undefined;
}

/** What means the same inside of the transaction. */
function standsOutside(node: Node): boolean {
  return "VariableSetStmt" in node || "NotifyStmt" in node;
}

function refuseUnresumable({ node, line }: Statement, refuse: Refuse): void {
  if ("IndexStmt" in node && node.IndexStmt.concurrent === true && node.IndexStmt.idxname === undefined) {
    refuse(
      line,
      "an index made CONCURRENTLY needs a name, or it could not be found again after an interruption",
    );
  }
  if ("CopyStmt" in node && node.CopyStmt.is_from === true && node.CopyStmt.filename === undefined) {
    refuse(line, "COPY FROM STDIN reads rows that are not in SQL. Write INSERT");
  }
}

/** Puts spaces in the place of statements, so that every line and every place stays where it is. */
function blank(text: string, statements: readonly Located[]): string {
  if (statements.length === 0) return text;
  const bytes = Buffer.from(text);
  for (const { start, end } of statements) {
    for (let at = start; at < end; at += 1) if (bytes[at] !== NEWLINE) bytes[at] = SPACE;
  }
  return bytes.toString("utf8");
}

const SPACE = 32;
