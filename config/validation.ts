import { z } from "zod";
import { configCommand, type Fault, nearest, type Path, pathText, placeholderRule, shown } from "./faults";
import { type Rule, rules } from "./rules/rule";
import { GROUPS, SECRETS, stackSchema, type StackValues } from "./schema/stack";

/** What Pulumi hands over, before anything is known about it. */
export interface RawConfig {
  /** Namespace of the keys: the project's name. */
  readonly namespace: string;
  /** Name of the stack, for the remedies that are edits of its file. */
  readonly stack: string;
  /** Values by key without namespace: text, or what a group's JSON says. */
  readonly values: Readonly<Record<string, unknown>>;
  /** Keys that the stack keeps encrypted; their values are never shown. */
  readonly encrypted: ReadonlySet<string>;
  /** Region of the AWS provider, `aws:region`; undefined where none is set. */
  readonly awsRegion?: string | undefined;
}

/** Takes off what a schema is wrapped in: defaults and optionality. */
function unwrapped(schema: z.ZodType): z.ZodType {
  let current = schema;
  while (
    current instanceof z.ZodDefault ||
    current instanceof z.ZodPrefault ||
    current instanceof z.ZodOptional
  ) {
    current = current.unwrap() as z.ZodType;
  }
  return current;
}

/** The schema one step below, or undefined. */
function below(schema: z.ZodType, step: string | number): z.ZodType | undefined {
  const current = unwrapped(schema);
  if (current instanceof z.ZodObject) return (current.shape as Record<string, z.ZodType>)[step];
  if (current instanceof z.ZodArray) return current.element as z.ZodType;
  if (current instanceof z.ZodRecord) return current.valueType as z.ZodType;
  return undefined;
}

/** The schema at a path, or undefined where there is none. */
export function schemaAt(path: Path): z.ZodType | undefined {
  return path.reduce<z.ZodType | undefined>(
    (schema, step) => (schema === undefined ? undefined : below(schema, step)),
    stackSchema,
  );
}

/** Keys that the group at a path has. */
function keysAt(path: Path): readonly string[] {
  const schema = schemaAt(path);
  const group = schema === undefined ? undefined : unwrapped(schema);
  return group instanceof z.ZodObject ? Object.keys(group.shape) : [];
}

/** What stands at a path, be it at fault; undefined for nothing. */
export function valueAt(values: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, step) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, step)
        ? (value as Record<string | number, unknown>)[step]
        : undefined,
    values,
  );
}

/** Is a key set to something, be it at fault? */
export function isSet(raw: RawConfig, path: Path): boolean {
  const value = valueAt(raw.values, path);
  return value !== undefined && value !== null && value !== "";
}

function ruleAt(path: Path): Rule {
  const schema = schemaAt(path);
  const rule = schema === undefined ? undefined : rules.get(unwrapped(schema));
  return rule ?? { rule: `a group of the keys ${keysAt(path).join(", ")}`, example: "{}" };
}

/** What the keys of the record at a path have to be. */
function keyRuleAt(path: Path): string {
  const schema = schemaAt(path);
  const record = schema === undefined ? undefined : unwrapped(schema);
  const rule = record instanceof z.ZodRecord ? rules.get(record.keyType as z.ZodType) : undefined;
  return `as its key ${rule?.rule ?? "one of the known ones"}`;
}

/** Is the value at a path typed behind `config set`, or is it a list or a group, which is written into the file? */
function isScalar(path: Path): boolean {
  const schema = schemaAt(path);
  const inner = schema === undefined ? undefined : unwrapped(schema);
  return !(inner instanceof z.ZodArray || inner instanceof z.ZodRecord || inner instanceof z.ZodObject);
}

/** What to do so that the value at a path keeps its rule. */
function remedyFor(raw: RawConfig, path: Path): string {
  const { example } = ruleAt(path);
  const [group = "", ...rest] = path.map(String);
  if (isScalar(path)) {
    return `${configCommand(SECRETS.has(group) ? "set --secret" : "set", path)} ${example}`;
  }
  const above = [`${raw.namespace}:${group}`, ...rest.slice(0, -1)].join(" > ");
  return `write \`${rest.at(-1) ?? group}: ${example}\` under ${above} in Pulumi.${raw.stack}.yaml`;
}

/** A fault of the value at a path; rule and remedy are the schema's where the caller has none. */
export function faultAt(raw: RawConfig, path: Path, rule?: string, remedy?: string): Fault {
  const value = valueAt(raw.values, path);
  const key = String(path[0]);
  const isSecret = SECRETS.has(key) || raw.encrypted.has(key);
  const whole = rule ?? ruleAt(path).rule;
  return {
    key: `${raw.namespace}:${pathText(path)}`,
    value: shown(value, isSecret),
    // A secret may hold what only looks like a placeholder.
    rule: isSecret ? whole : placeholderRule(value, whole),
    remedy: remedy ?? remedyFor(raw, path),
  };
}

function unknownKeyFault(raw: RawConfig, path: Path): Fault {
  const group = path.slice(0, -1);
  const known = keysAt(group);
  const meant = nearest(String(path.at(-1)), known);
  return faultAt(
    raw,
    path,
    `one of the keys ${known.join(", ")}`,
    meant === undefined
      ? configCommand("rm", path)
      : `did you mean ${pathText([...group, meant])}? ${configCommand("rm", path)}`,
  );
}

/** One fault a path: the first issue says it all, for each message is the whole rule. */
function faultsOf(raw: RawConfig, issues: readonly z.core.$ZodIssue[]): Fault[] {
  const faults = new Map<string, Fault>();
  const add = (path: Path, fault: Fault) => {
    if (!faults.has(pathText(path))) faults.set(pathText(path), fault);
  };
  for (const issue of issues) {
    const path = issue.path as Path;
    if (issue.code === "unrecognized_keys") {
      for (const key of issue.keys) add([...path, key], unknownKeyFault(raw, [...path, key]));
    } else if (issue.code === "invalid_key") {
      add(path, faultAt(raw, path, keyRuleAt(path.slice(0, -1)), configCommand("rm", path)));
    } else {
      add(path, faultAt(raw, path));
    }
  }
  return [...faults.values()];
}

/** Groups come as JSON; a group that is not set is one without keys, so that each missing key is named. */
export function readGroups(raw: RawConfig): RawConfig {
  const values: Record<string, unknown> = { ...raw.values };
  for (const group of GROUPS) {
    const value = values[group];
    if (value === undefined || value === "") values[group] = {};
    else if (typeof value === "string") values[group] = parsedGroup(value);
  }
  return { ...raw, values };
}

/** What a group's JSON says; what is no JSON stays text, which no group's schema takes. */
function parsedGroup(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Checks every value by its own rule. */
export function checkValues(raw: RawConfig): { values?: StackValues; faults: readonly Fault[] } {
  const result = stackSchema.safeParse(raw.values);
  return result.success
    ? { values: result.data, faults: [] }
    : { faults: faultsOf(raw, result.error.issues) };
}

/** The value at a path if it keeps its own rule (or its default), else undefined. */
export function soundAt(raw: RawConfig, path: Path): unknown {
  const schema = schemaAt(path);
  const result = schema?.safeParse(valueAt(raw.values, path));
  return result?.success === true ? result.data : undefined;
}
