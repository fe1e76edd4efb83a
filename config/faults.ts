import { RunError } from "@pulumi/pulumi/errors.js";
import { placeholderIn } from "./rules/rule";

/** One thing that is wrong with the configuration. */
export interface Fault {
  /** The key as the user would type it, e.g. `vehicleservice:host.address`. */
  readonly key: string;
  /** The value seen, made fit for a terminal by {@link shown}. */
  readonly value: string;
  /** What the value has to be. */
  readonly rule: string;
  /** What to do about it: as a rule a command to type. */
  readonly remedy: string;
}

/** Where a value stands: keys of groups and indices of lists. */
export type Path = readonly (string | number)[];

/** All that is wrong with a configuration, in one message. Pulumi shows it without a stack trace. */
export class ConfigError extends RunError {
  /** @param faults At least one fault, in the order in which they are to be shown. */
  constructor(
    readonly faults: readonly Fault[],
    stack: string,
  ) {
    const count = faults.length === 1 ? "1 fault" : `${String(faults.length)} faults`;
    const blocks = faults.map(
      ({ key, value, rule, remedy }) =>
        `  ${key}\n    value   ${value}\n    rule    it has to be ${rule}\n    remedy  ${remedy}`,
    );
    super(
      `${count} in the configuration of stack ${stack}; nothing was changed.\n\n${blocks.join("\n\n")}\n`,
    );
  }
}

const LONGEST_SHOWN = 80;

/** Characters that a terminal would act on, or that make a text look like another one. */
const INVISIBLE = /[\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/**
 * Shows a value in a message: control and invisible characters escaped, long values cut, secrets masked (also those that
 * stand where they do not belong: a password in a URL, a pasted private key).
 */
export function shown(value: unknown, secret: boolean): string {
  if (value === undefined || value === null || value === "") return "(not set)";
  if (secret) return "[secret]";
  const text = JSON.stringify(value).replace(
    INVISIBLE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  if (text.includes("PRIVATE KEY")) return "[secret]";
  const masked = text.replace(/:\/\/[^/@"]*:[^/"]*@/g, "://[secret]@");
  if (masked.length <= LONGEST_SHOWN) return masked;
  return `${masked.slice(0, LONGEST_SHOWN)}... (${String(masked.length)} characters)`;
}

/** The path inside a configuration as `pulumi config --path` takes it, e.g. `site.domains[0]`. */
export function pathText(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === "number") return `${text}[${String(step)}]`;
    if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(step)) return `${text}[${shown(step, false)}]`;
    return text === "" ? step : `${text}.${step}`;
  }, "");
}

/** `pulumi config <verb>` for a path, as it is typed in a shell. */
export function configCommand(verb: "set" | "set --secret" | "rm", path: Path): string {
  const text = pathText(path);
  const quoted = /^[A-Za-z0-9_.-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
  return `pulumi config ${verb} ${path.length > 1 ? "--path " : ""}${quoted}`;
}

/** What a value's rule says once the value still holds a placeholder of the guide. */
export function placeholderRule(value: unknown, rule: string): string {
  const placeholder = typeof value === "string" ? placeholderIn(value) : undefined;
  return placeholder === undefined
    ? rule
    : `your own value in place of the guide's placeholder ${shown(placeholder, false).slice(1, -1)}: ${rule}`;
}

/** Steps from one word to another, each a character put in, taken out or replaced. */
function editDistance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let line = 0; line < one.length; line++) {
    const next = [line + 1];
    for (let column = 0; column < other.length; column++) {
      const replaced = (row[column] ?? 0) + (one[line] === other[column] ? 0 : 1);
      next.push(Math.min(replaced, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

/** The known word nearest to a mistyped one, if one is near enough to be meant. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const lower = word.slice(0, 64).toLowerCase();
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(lower, candidate.toLowerCase()) }))
    .sort((one, other) => one.distance - other.distance);
  const [best] = ranked;
  return best !== undefined && best.distance <= Math.max(2, best.candidate.length / 3)
    ? best.candidate
    : undefined;
}
