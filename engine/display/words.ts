import type { Op, Step } from "../deployment/planner";
import { isDefaultProvider } from "../deployment/provider-resources";
import { redact, type PropertyValue } from "../values/property";

/** The longest value that is shown whole, in characters. */
const LONGEST_VALUE = 160;

interface OpWords {
  readonly sign: string;
  /** As a command: what a preview shows. */
  readonly plan: string;
  readonly doing: string;
  readonly done: string;
}

/** How each operation is shown. */
export const OP_WORDS: Readonly<Record<Op, OpWords>> = {
  same: { sign: "  ", plan: "", doing: "", done: "unchanged" },
  create: { sign: "+ ", plan: "create", doing: "creating", done: "created" },
  update: { sign: "~ ", plan: "update", doing: "updating", done: "updated" },
  delete: { sign: "- ", plan: "delete", doing: "deleting", done: "deleted" },
  replace: { sign: "+-", plan: "replace", doing: "replacing", done: "replaced" },
  "create-replacement": {
    sign: "++",
    plan: "create replacement",
    doing: "creating replacement",
    done: "created replacement",
  },
  "delete-replaced": {
    sign: "--",
    plan: "delete original",
    doing: "deleting original",
    done: "deleted original",
  },
  "remove-pending-replace": { sign: "- ", plan: "forget", doing: "forgetting", done: "forgotten" },
};

/** Whether the step belongs to a provider that the program did not ask for by itself; those are not shown or counted. */
export function isInternal({ urn }: Step): boolean {
  return isDefaultProvider(urn);
}

/** How often each operation happens among the steps; the two halves of a replacement count as one `replace`. */
export function changeSummary(steps: readonly Step[]): Partial<Record<Op, number>> {
  const summary: Partial<Record<Op, number>> = {};
  for (const step of steps) {
    if (isInternal(step) || step.op === "create-replacement" || step.op === "delete-replaced") continue;
    summary[step.op] = (summary[step.op] ?? 0) + 1;
  }
  return summary;
}

/** The summary as a line: `+ 3 created, 12 unchanged`. */
export function summaryLine(steps: readonly Step[], planned: boolean): string {
  const summary = changeSummary(steps);
  const order: Op[] = ["create", "update", "replace", "delete", "remove-pending-replace", "same"];
  const parts = order.flatMap((op) => {
    const count = summary[op];
    if (!count) return [];
    const { sign, plan, done } = OP_WORDS[op];
    if (op === "same") return [`${String(count)} unchanged`];
    return [`${sign.trim()} ${String(count)} ${planned ? `to ${plan}` : done}`];
  });
  return parts.length === 0 ? "none" : parts.join(", ");
}

/** A value on one line, with secrets masked and long ones cut. */
export function showValue(value: PropertyValue | undefined): string {
  if (value === undefined) return "";
  const text = JSON.stringify(redact(value));
  return text.length <= LONGEST_VALUE
    ? text
    : `${text.slice(0, LONGEST_VALUE)}... (${String(text.length)} characters)`;
}

/** A duration as the CLI shows it: `3s`, `1m4s`; below ten seconds with a decimal. */
export function showDuration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)}s`;
  const minutes = Math.floor(seconds / 60);
  const rest = `${String(Math.round(seconds % 60))}s`;
  return minutes === 0 ? rest : `${String(minutes)}m${rest}`;
}
