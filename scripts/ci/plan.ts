import { createHash } from "node:crypto";
import { z } from "zod";
import type { CommandResult } from "../../sandbox/command";
import { StepError } from "./faults";

/** One resource that an `up` would change. */
export interface Change {
  /** What would be done, in Pulumi's word: `create`, `update`, `replace`, `delete`, ... */
  readonly op: string;
  /** Type of the resource, without the types of its parents. */
  readonly type: string;
  readonly name: string;
  /** Names of the inputs that differ; no values, for some are secrets and the others are long. */
  readonly keys: readonly string[];
}

/** Something that Pulumi, a provider or the program said. */
export interface Message {
  readonly severity: string;
  readonly text: string;
}

/** What a preview found. */
export interface Plan {
  readonly changes: readonly Change[];
  readonly messages: readonly Message[];
  /** The preview itself went wrong, so that {@link Plan.changes} may be a part only. */
  readonly failed: boolean;
  /**
   * SHA-256 of all that would be done, with every input that is no secret: two previews with the same one would do the
   * same.
   */
  readonly digest: string;
}

const PREVIEW = z.object({
  steps: z
    .array(
      z.object({
        op: z.string(),
        urn: z.string(),
        newState: z.object({ inputs: z.unknown().optional() }).optional(),
        diffReasons: z.array(z.string()).nullish(),
        replaceReasons: z.array(z.string()).nullish(),
        detailedDiff: z.record(z.string(), z.unknown()).nullish(),
      }),
    )
    .nullish(),
  diagnostics: z.array(z.object({ severity: z.string(), message: z.string() })).nullish(),
});

type Step = NonNullable<z.infer<typeof PREVIEW>["steps"]>[number];

/** What changes nothing, or is told by its `replace` already. */
const SILENT_OPS: readonly string[] = ["same", "read", "create-replacement", "delete-replaced"];

/**
 * Reads what `pulumi preview --json` left behind, of the Pulumi CLI or of the embedded engine.
 * @throws StepError where it is no preview, and did not fail either
 */
export function readPlan({ stdout, stderr, exitCode }: CommandResult): Plan {
  const document = parsed(stdout);
  if (document === undefined && exitCode === 0) {
    throw new StepError("`pulumi preview --json` ended well and printed no preview; see `pulumi version`");
  }
  const steps = (document?.steps ?? []).filter(isChange);
  const messages = (document?.diagnostics ?? [])
    .filter(({ severity }) => severity !== "debug")
    .map(({ severity, message }) => ({ severity, text: plain(message) }));
  const failed = exitCode !== 0 && !(stoppedByChanges(stderr) && steps.length > 0);
  // What goes wrong before the preview begins, such as a login, is told on standard error.
  const said = failed && plain(stderr) !== "" ? [{ severity: "error", text: plain(stderr) }] : [];
  return { changes: steps.map(changeOf), messages: [...messages, ...said], failed, digest: digestOf(steps) };
}

function parsed(stdout: string): z.infer<typeof PREVIEW> | undefined {
  try {
    const { data } = PREVIEW.safeParse(JSON.parse(stdout));
    return data;
  } catch {
    return undefined;
  }
}

/** With --expect-no-changes a preview that found changes ends as badly as one that broke; both engines say which it was. */
function stoppedByChanges(stderr: string): boolean {
  return /no changes were expected but changes (were proposed|occurred)/.test(stderr);
}

/** A refresh looks at every resource; it is told where it found something. */
function isChange({ op, detailedDiff }: Step): boolean {
  if (op === "refresh") return Object.keys(detailedDiff ?? {}).length > 0;
  return !SILENT_OPS.includes(op);
}

function changeOf(step: Step): Change {
  const [, , types = "", name = ""] = step.urn.replace(/^urn:pulumi:/, "").split("::");
  return { op: step.op, type: types.split("$").at(-1) ?? "", name, keys: keysOf(step) };
}

function keysOf({ diffReasons, replaceReasons, detailedDiff }: Step): string[] {
  const keys = [...(diffReasons ?? []), ...(replaceReasons ?? []), ...Object.keys(detailedDiff ?? {})];
  // `stdin.a.b` and `stdin["c"]` are both of `stdin`.
  return [...new Set(keys.map((key) => key.split(/[.[]/, 1)[0] ?? key))].sort();
}

function digestOf(steps: readonly Step[]): string {
  const told = steps.map((step) => [step.urn, step.op, keysOf(step), step.newState?.inputs ?? null]);
  const texts = told.map((step) => JSON.stringify(step, sortedKeys)).sort();
  return createHash("sha256").update(texts.join("\n")).digest("hex");
}

function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Colours are for terminals: the CLI's own marks, and escape sequences. */
function plain(text: string): string {
  // eslint-disable-next-line no-control-regex -- It is what an escape sequence begins with.
  return text.replace(/<\{%[a-z0-9 ]*%\}>|\u001b\[[0-9;]*m/gi, "").trim();
}
