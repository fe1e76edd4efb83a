import type { Change, Plan } from "./plan";

/** GitHub refuses comments of more than 65,536 characters: half for the table, half for what was said. */
const LONGEST_PART = 30_000;

/** More rows than anybody reads. */
const MOST_ROWS = 200;

/** Writes down for people what a preview found. Holds names of inputs and no values. */
export function planMarkdown(stack: string, plan: Plan): string {
  const parts = [`### Preview of \`${stack}\`: ${headline(plan)}`, table(plan.changes), messages(plan)];
  return parts.filter((part) => part !== "").join("\n\n");
}

/** Says in a few words what a preview found: `2 to create, 1 to update`. */
export function headline({ changes, failed }: Plan): string {
  const counts = new Map<string, number>();
  for (const { op } of changes) counts.set(op, (counts.get(op) ?? 0) + 1);
  const words = [...counts].map(([op, count]) => `${String(count)} to ${op}`).join(", ");
  if (failed) return words === "" ? "**failed**" : `**failed**, after ${words}`;
  return words === "" ? "no changes" : words;
}

function table(changes: readonly Change[]): string {
  if (changes.length === 0) return "";
  const rows: string[] = [];
  let length = 0;
  for (const { op, type, name, keys } of changes.slice(0, MOST_ROWS)) {
    const row = `| ${[op, type, name, keys.join(", ")].map(cell).join(" | ")} |`;
    if ((length += row.length + 1) > LONGEST_PART) break;
    rows.push(row);
  }
  const left = changes.length - rows.length;
  const rest = left > 0 ? [`\nand ${String(left)} more; the job's log has them all.`] : [];
  return ["| | type | name | inputs that differ |", "| --- | --- | --- | --- |", ...rows, ...rest].join("\n");
}

/** A name may hold anything; a table's cell must not end in it. */
function cell(text: string): string {
  return text.replace(/[\\|`<>]/g, (character) => `\\${character}`).replace(/\s+/g, " ");
}

function messages({ messages: all }: Plan): string {
  if (all.length === 0) return "";
  const text = all.map(({ severity, text: said }) => `${severity}: ${said}`).join("\n");
  const short = text.length > LONGEST_PART ? `${text.slice(0, LONGEST_PART)}\n... (see the log)` : text;
  // Longer than any run of backticks inside, so that no message ends the block.
  const runs = short.match(/`+/g) ?? [];
  const fence = "`".repeat(Math.max(3, ...runs.map((run) => run.length + 1)));
  return `${fence}text\n${short}\n${fence}`;
}
