import { type Fault, shown } from "../config/faults";
import { type Finding, lint } from "./lint";
import type { Migration } from "./migrations-folder";
import { isOneTransaction, type ParsedSql, parseSql } from "./statements";
import { mayTakeAway, type Taking, takingsOf } from "./takes-away";

/** What the files of a folder do, and what is wrong with it. */
export interface LintResult {
  /** What each file takes away, by its version; a file that takes nothing away is not in it. */
  readonly takings: ReadonlyMap<string, readonly Taking[]>;
  readonly faults: readonly Fault[];
}

/**
 * Lints migrations. Two programs look at them: squawk at all, Postgres' own parser at those that may take something away,
 * or begin a transaction, or puzzle squawk.
 * @param isOld Is a file, by its version, none that is judged? What it takes away is told all the same.
 */
export function lintMigrations(
  folder: string,
  migrations: readonly Migration[],
  isOld: (version: string) => boolean,
): LintResult {
  const judged = migrations.filter(({ version }) => !isOld(version));
  const first = lint(
    judged.filter(({ alone }) => !alone),
    { inTransaction: true },
  );
  const has = (rule: string, file: string) =>
    first.some((finding) => finding.rule === rule && finding.file === file);
  const parsed = parseThose(
    migrations,
    ({ file, sql }) => mayTakeAway(sql) || has("transaction-nesting", file) || has("syntax-error", file),
  );
  const wrapped = judged.filter(({ file, alone }) => {
    const sql = parsed.get(file);
    return !alone && has("transaction-nesting", file) && sql !== undefined && isOneTransaction(sql);
  });
  const ownWay = judged.filter((migration) => migration.alone || wrapped.includes(migration));
  const findings = [
    ...first.filter(({ file }) => !wrapped.some((migration) => migration.file === file)),
    ...lint(ownWay, { inTransaction: false }),
  ];
  const faults = judged.flatMap((migration) => [
    ...syntaxFaults(folder, migration, findings, parsed),
    ...findings
      .filter(({ file, rule }) => file === migration.file && rule !== "syntax-error")
      .map((finding) => faultOf(folder, migration, finding)),
  ]);
  return { takings: takings(migrations, parsed), faults };
}

/** Parses some of the files; by file's name. */
function parseThose(
  migrations: readonly Migration[],
  which: (migration: Migration) => boolean,
): ReadonlyMap<string, ParsedSql> {
  const chosen = migrations.filter(which);
  const parsed = parseSql(chosen.map(({ sql }) => sql));
  return new Map(chosen.flatMap(({ file }, index) => (parsed[index] ? [[file, parsed[index]]] : [])));
}

function takings(migrations: readonly Migration[], parsed: ReadonlyMap<string, ParsedSql>) {
  return new Map(
    migrations.flatMap(({ version, file }) => {
      const found = takingsOf(parsed.get(file)?.statements ?? []);
      return found.length === 0 ? [] : [[version, found] as const];
    }),
  );
}

/**
 * Postgres decides what is SQL. squawk's own parser may not know all of it, and then says nothing else of the file: that is
 * told, too, for such a file is not linted.
 */
function syntaxFaults(
  folder: string,
  migration: Migration,
  findings: readonly Finding[],
  parsed: ReadonlyMap<string, ParsedSql>,
): Fault[] {
  const { file, sql } = migration;
  const puzzling = findings.find((finding) => finding.file === file && finding.rule === "syntax-error");
  const { error = null } = parsed.get(file) ?? (puzzling && parseSql([sql])[0]) ?? {};
  if (error !== null) {
    return [
      {
        key: `${folder}/${file}:${String(error.line)}`,
        value: lineOf(migration, error.line),
        rule: `SQL as Postgres takes it: ${error.message}`,
        remedy: "put it right; psql's own commands, such as \\i, are no SQL",
      },
    ];
  }
  if (puzzling === undefined || /^-- squawk-ignore-file\s*$/m.test(sql)) return [];
  return [
    {
      key: `${folder}/${file}:${String(puzzling.line)}`,
      value: lineOf(migration, puzzling.line),
      rule: `SQL that squawk can read: it knows less than Postgres, and has linted nothing of the file (${puzzling.message})`,
      remedy: "give that statement a file of its own, with its reason and the line `-- squawk-ignore-file`",
    },
  ];
}

/** What else helps against some findings, beside what squawk says. */
const HELP: Readonly<Record<string, string>> = {
  "transaction-nesting":
    "put BEGIN first and COMMIT last, and neither in between, or leave both out: the file is one transaction anyway",
  "ban-concurrent-index-creation-in-transaction":
    "give the index a file of its own, with `-- transaction: none` above its first statement",
  "require-concurrent-index-creation":
    "`create index concurrently`, in a file of its own with `-- transaction: none` above its first statement",
};

function faultOf(folder: string, migration: Migration, { line, rule, message, help }: Finding): Fault {
  const remedies = [
    HELP[rule] ?? help,
    `say why it does no harm, in the line above: -- squawk-ignore ${rule}`,
  ];
  return {
    // A line can have several, and the last one is as good as the first.
    key: `${folder}/${migration.file}:${String(line)} ${rule}`,
    value: lineOf(migration, line),
    rule: `a statement that squawk has nothing against: ${message}`,
    remedy: remedies.filter((remedy) => remedy !== null).join(" Or "),
  };
}

function lineOf({ sql, secret }: Migration, line: number): string {
  return shown(sql.split(/\r?\n/)[line - 1]?.trim() ?? "", secret);
}
