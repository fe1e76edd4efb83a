import type { Op, Step } from "../deployment/planner";
import { isDefaultProvider } from "../deployment/provider-resources";
import { sameValue } from "../values/diff";
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
  read: { sign: "> ", plan: "read", doing: "reading", done: "read" },
  "read-replacement": {
    sign: ">>",
    plan: "read replacement",
    doing: "reading replacement",
    done: "read replacement",
  },
  discard: { sign: "< ", plan: "discard", doing: "discarding", done: "discarded" },
  "discard-replaced": {
    sign: "<<",
    plan: "discard original",
    doing: "discarding original",
    done: "discarded original",
  },
};

/** Whether the step belongs to a provider that the program did not ask for by itself; those are not shown or counted. */
export function isInternal({ urn }: Step): boolean {
  return isDefaultProvider(urn);
}

/** The two halves of a replacement, which is told by itself. */
export const HALVES: readonly Op[] = [
  "create-replacement",
  "delete-replaced",
  "read-replacement",
  "discard-replaced",
];

/** Operations that leave everything outside of the state as it is. */
const HARMLESS: readonly string[] = ["same", "read", "discard"];

/** Whether steps with this summary change anything. */
export function hasChanges(summary: Partial<Record<Op, number>>): boolean {
  return Object.keys(summary).some((op) => !HARMLESS.includes(op));
}

/** Whether the summary has the step: as with the CLI, a resource that is only read counts where it was another before. */
function isCounted(step: Step): boolean {
  return step.op !== "read" || (step.old !== undefined && !isUnchangedRead(step));
}

/** Whether a resource that is only read is as it was. */
export function isUnchangedRead({ op, old, next }: Step): boolean {
  return op === "read" && old !== undefined && sameValue(old.outputs, next?.outputs);
}

/** How often each operation happens among the steps; the two halves of a replacement count as one `replace`. */
export function changeSummary(steps: readonly Step[]): Partial<Record<Op, number>> {
  const summary: Partial<Record<Op, number>> = {};
  for (const step of steps) {
    if (isInternal(step) || HALVES.includes(step.op) || !isCounted(step)) continue;
    summary[step.op] = (summary[step.op] ?? 0) + 1;
  }
  return summary;
}

/** The summary as a line: `+ 3 created, 12 unchanged`. */
export function summaryLine(steps: readonly Step[], planned: boolean): string {
  const summary = changeSummary(steps);
  const order: Op[] = [
    ...(["create", "update", "replace", "delete", "remove-pending-replace"] as const),
    ...(["read", "discard", "same"] as const),
  ];
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
