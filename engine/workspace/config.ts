import { EngineError, ExitCode } from "../errors";
import type { ConfigSchema, ConfigType, Project } from "./project";
import type { StoredValue } from "./stack-config";

/** A config value ready for a program: secrets decrypted, and whether there were any. */
export interface ConfigValue {
  /** The value; strings, numbers and booleans of the top level are all strings, as the CLI has it. */
  readonly value: unknown;
  /** What a program gets: the string, or the JSON of a list or an object. */
  readonly text: string;
  readonly secret: boolean;
}

/** Whether a stored value is an encrypted one. */
export function isSecure(value: StoredValue | undefined): value is { secure: string } {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    Object.keys(value).length === 1 &&
    typeof value["secure"] === "string"
  );
}

/** Whether a stored value holds an encrypted one at any depth. */
export function hasSecure(value: StoredValue): boolean {
  if (isSecure(value)) return true;
  return typeof value === "object" && value !== null && Object.values(value).some(hasSecure);
}

/** Resolves a stored value; `decrypt` is asked for every encrypted one. */
export function resolveValue(stored: StoredValue, decrypt: (ciphertext: string) => string): ConfigValue {
  const resolve = (value: StoredValue): unknown => {
    if (isSecure(value)) return decrypt(value.secure);
    if (Array.isArray(value)) return value.map(resolve);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, element]) => [key, resolve(element)]));
  };
  return withText(resolve(stored), hasSecure(stored));
}

/** A value with the text that a program gets. */
export function withText(value: unknown, secret: boolean): ConfigValue {
  const isTree = typeof value === "object" && value !== null;
  const text = isTree ? JSON.stringify(value) : scalarText(value);
  return { value: isTree ? value : text, text, secret };
}

function scalarText(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The full form of a config key: a bare name is in the project's namespace. Fails where it is not a key. */
export function fullKey(project: string, key: string): string {
  if (/^[^:]+$/.test(key)) return `${project}:${key}`;
  if (/^[^:]+:[^:]+$/.test(key)) return key;
  throw new EngineError(
    `"${key}" is not a config key: expected NAME or NAMESPACE:NAME`,
    ExitCode.configuration,
  );
}

/** The stored values with the project's defaults for those that the stack does not set. */
export function withDefaults(
  project: Project,
  stored: ReadonlyMap<string, StoredValue>,
): Map<string, StoredValue> {
  const merged = new Map(stored);
  for (const [key, schema] of project.config) {
    if (!merged.has(key) && schema.default !== undefined) merged.set(key, schema.default as StoredValue);
  }
  return merged;
}

/**
 * Checks a stack's config against the project's schema. Fails with all missing keys, all wrong types and all secrets
 * in clear at once; values of secrets are not repeated in the message.
 */
export function checkConfig(project: Project, stack: string, values: ReadonlyMap<string, ConfigValue>): void {
  const faults: string[] = [];
  for (const [key, schema] of project.config) {
    const value = values.get(key);
    const name = key.startsWith(`${project.name}:`) ? key.slice(project.name.length + 1) : key;
    if (value === undefined) {
      if (key.startsWith(`${project.name}:`))
        faults.push(`${name}: missing; set it with \`pulumi config set ${setFlags(schema)}${name} VALUE\``);
    } else {
      faults.push(...faultsOf(name, schema, value));
    }
  }
  if (faults.length > 0) {
    const list = faults.map((fault) => `  - ${fault}`).join("\n");
    throw new EngineError(
      `the config of stack '${stack}' does not fit ${project.file}:\n${list}`,
      ExitCode.configuration,
    );
  }
}

function setFlags(schema: ConfigSchema): string {
  if (schema.secret) return "--secret ";
  return schema.type === "array" || schema.type === "object" ? "--path " : "";
}

function faultsOf(name: string, schema: ConfigSchema, { value, secret }: ConfigValue): string[] {
  const faults: string[] = [];
  // Nothing is no secret: it is what a secret that is not set has as its default.
  if (schema.secret && !secret && value !== "")
    faults.push(`${name}: has to be encrypted; set it with \`pulumi config set --secret ${name}\``);
  if (schema.type !== undefined && !hasType(schema.type, value)) {
    faults.push(
      `${name}: has to be of type '${schema.type}'${secret ? "" : `, not ${JSON.stringify(value)}`}`,
    );
  }
  return faults;
}

function hasType(type: ConfigType, value: unknown): boolean {
  switch (type) {
    case "string":
      return typeof value === "string";
    case "integer":
      return typeof value === "string" && /^[-+]?\d+$/.test(value);
    case "number":
      return typeof value === "string" && value.trim() !== "" && Number.isFinite(Number(value));
    case "boolean":
      return typeof value === "string" && /^(?:true|false|1|0|t|f)$/i.test(value);
    case "array":
      return Array.isArray(value);
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value);
  }
}
