import { z } from "zod";

/**
 * The vocabulary of the configuration: what a version, a domain or a path may be.
 *
 * Every rule is an allow list of characters. What passes is inert wherever it ends up: in Nginx's configuration, in a
 * file's name, in a Git ref or in an argument list.
 */

// What zod would compile for a schema is of use where it checks many values. A configuration is checked once.
z.config({ jitless: true });

/** What a fault says about the value that broke a rule. */
export interface Rule {
  /** What the value has to be, as the end of the sentence "it has to be ...". */
  readonly rule: string;
  /** A value that keeps the rule: for a list or a group as YAML, else as typed behind `pulumi config set KEY`. */
  readonly example: string;
}

/** Rule and example of each schema that can break. Filled by {@link ruled}. */
export const rules = z.registry<Rule>();

/** Attaches a rule and an example to a schema, and returns the schema. */
export function ruled<S extends z.ZodType>(schema: S, rule: string, example: string): S {
  rules.add(schema, { rule, example });
  return schema;
}

/** What the deployment guide writes where the reader's own value belongs. */
const GUIDE_PLACEHOLDERS = [/\[[^\][\n]{1,60}\]/, /\byourdomain\.com\b/i, /\byour-org\b/i];

/** Returns the guide's placeholder inside `value`, or undefined. */
export function placeholderIn(value: string): string | undefined {
  for (const placeholder of GUIDE_PLACEHOLDERS) {
    const found = placeholder.exec(value);
    if (found !== null) return found[0];
  }
  return undefined;
}

/** A text that a pattern allows as a whole. */
export function text(longest: number, allowed: (value: string) => boolean, rule: string, example: string) {
  const keepsRule = (value: string) => value.length <= longest && allowed(value);
  return ruled(z.string().refine(keepsRule), rule, example);
}

/** What can stand as one argument, or as one line. */
export const ONE_LINE = /^\P{Cc}{1,4096}$/u;

/** Configuration hands numbers over as text, too. */
export function wholeNumber(value: unknown): unknown {
  return typeof value === "string" && /^(0|[1-9]\d{0,14})$/.test(value) ? Number(value) : value;
}

/** An integer. */
export function integer(smallest: number, largest: number, unit: string, example: number) {
  return ruled(
    z.preprocess(wholeNumber, z.int().min(smallest).max(largest)),
    `a whole number from ${String(smallest)} to ${String(largest)}${unit === "" ? "" : ` (${unit})`}`,
    String(example),
  );
}

/** Does a path hold a segment that is empty, or that means "here" or "above"? */
export function hasOddSegment(path: string): boolean {
  return path.split("/").some((segment) => segment === "" || segment === "." || segment === "..");
}

/** Yes or no; configuration hands it over as text, too. */
export function flag(example: boolean) {
  const truth = (value: unknown) => ({ true: true, false: false })[String(value)] ?? value;
  return ruled(z.preprocess(truth, z.boolean()), "true or false", String(example));
}
