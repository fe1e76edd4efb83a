/** A ratio that was measured, and the largest that is good enough. */
export interface Target {
  readonly what: string;
  readonly ratio: number;
  /** Largest ratio that meets the target; null where there is none. */
  readonly atMost: number | null;
}

/** What a benchmark found out. */
export interface BenchResult {
  readonly name: string;
  readonly headings: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly targets: readonly Target[];
  /** Everything that was measured, for the JSON. */
  readonly measured: unknown;
}

/** Renders rows as a table of Markdown, padded so that a terminal shows it as one as well. */
export function markdownTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = headings.map((_, column) =>
    Math.max(3, ...[headings, ...rows].map((cells) => cells[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, column) => (cells[column] ?? "").padEnd(width)).join(" | ")} |`;
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [line(headings), rule, ...rows.map(line)].join("\n");
}

/** Whether every target with a bound is met. */
export function targetsMet(targets: readonly Target[]): boolean {
  return targets.every(({ ratio, atMost }) => atMost === null || ratio <= atMost);
}

function describeTarget({ what, ratio, atMost }: Target): string {
  const verdict = atMost === null ? "" : ` (at most ${atMost}: ${ratio <= atMost ? "met" : "MISSED"})`;
  return `${what}: ${ratio.toFixed(2)}${verdict}`;
}

/**
 * Prints the table, the targets and, as the last line, everything as JSON. Sets the exit code to 1 where a target is
 * missed.
 */
export function printResult(result: BenchResult): void {
  const lines = [markdownTable(result.headings, result.rows), "", ...result.targets.map(describeTarget)];
  const { name, targets, measured } = result;
  process.stdout.write(`${lines.join("\n")}\n\n${JSON.stringify({ name, targets, measured })}\n`);
  if (!targetsMet(targets)) process.exitCode = 1;
}

/** Runs a benchmark's main function: prints what it found, or why it could not. */
export async function runBench(main: () => Promise<BenchResult>): Promise<void> {
  try {
    printResult(await main());
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exitCode = 2;
  }
}

/** Tells what is going on, on standard error. */
export function progress(line: string): void {
  process.stderr.write(`${line}\n`);
}
