import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";

/** Something that squawk has to say against a file. */
export interface Finding {
  readonly file: string;
  /** Number of the line, from 1. */
  readonly line: number;
  /** Name of the rule, as `-- squawk-ignore` takes it. */
  readonly rule: string;
  readonly message: string;
  /** What to do instead; null where squawk does not say. */
  readonly help: string | null;
}

/** Rules of squawk that are not asked for. */
const EXCLUDED = [
  // Matters of taste, which endanger nobody.
  ...["ban-char-field", "prefer-bigint-over-int", "prefer-bigint-over-smallint", "prefer-identity"],
  ...["prefer-repack", "prefer-text-field", "prefer-timestamptz"],
  // A file is one transaction, or is resumed at the statement where it died: it need not bear being run again.
  "prefer-robust-stmts",
  // Asked of the releases in use, which know what they need: `-- phase: contract`.
  ...["ban-drop-column", "ban-drop-table", "renaming-column", "renaming-table"],
];

/** The oldest Postgres that the rules allow for: what is fast in a later one only is a finding. */
const POSTGRES = "15.0";

const DEADLINE_MS = 60_000;

const report = z.array(
  z.object({
    file: z.string(),
    line: z.number(),
    rule_name: z.string(),
    message: z.string(),
    help: z.string().nullable(),
  }),
);

/**
 * Has squawk look at migrations, all of them in one go. They are written into a directory of this run's own, without their
 * byte order marks, which squawk does not know.
 * @param inTransaction Whether each file is run in a transaction that it does not begin itself.
 * @throws Error where squawk cannot be run
 */
export function lint(
  files: readonly { readonly file: string; readonly sql: string }[],
  { inTransaction }: { readonly inTransaction: boolean },
): Finding[] {
  if (files.length === 0) return [];
  const directory = mkdtempSync(join(tmpdir(), "migrations-lint-"));
  try {
    for (const { file, sql } of files) writeFileSync(join(directory, file), sql.replace(/^\uFEFF/, ""));
    // Its own configuration, so that none is looked for in the directories above.
    writeFileSync(join(directory, ".squawk.toml"), "");
    return runSquawk(
      directory,
      files.map(({ file }) => file),
      inTransaction,
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function runSquawk(directory: string, names: readonly string[], inTransaction: boolean): Finding[] {
  const options = [
    ...["--reporter", "json", "--pg-version", POSTGRES, "--config", ".squawk.toml"],
    ...EXCLUDED.map((rule) => `--exclude=${rule}`),
    ...(inTransaction ? ["--assume-in-transaction"] : []),
  ];
  const { status, stdout, stderr, error } = spawnSync(squawk(), [...options, "--", ...names], {
    cwd: directory,
    encoding: "utf8",
    env: {},
    timeout: DEADLINE_MS,
    maxBuffer: 256 * 1024 * 1024,
  });
  // 1 is its answer where it found something.
  if (error !== undefined || (status !== 0 && status !== 1)) {
    throw new Error(`squawk does not run: ${error?.message ?? stderr}; run \`npm ci\``);
  }
  return report.parse(JSON.parse(stdout)).map(({ file, line, rule_name: rule, message, help }) => ({
    file,
    line: line + 1,
    rule,
    message,
    help,
  }));
}

/** squawk's own program, from the package for this machine: its launcher would cost a second Node. */
function squawk(): string {
  const { resolve } = createRequire(require.resolve("squawk-cli/package.json"));
  const platform = `${process.platform}-${process.arch}`;
  try {
    return resolve(`@squawk-cli/${platform}/bin/squawk${process.platform === "win32" ? ".exe" : ""}`);
  } catch {
    throw new Error(
      `squawk is not installed for ${platform}; run \`npm ci --include=optional\` on a machine that it is made for: ` +
        "linux-x64, linux-arm64, darwin-x64, darwin-arm64, win32-x64",
    );
  }
}
