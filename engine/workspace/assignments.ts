import { EngineError, ExitCode } from "../errors";
import { parsePath, type PathElement } from "../values/path";
import { fullKey } from "./config";
import type { Stack } from "./session";
import type { StoredValue } from "./stack-config";

/** A key, and the place inside its value. */
export interface Target {
  readonly key: string;
  readonly path: readonly PathElement[];
}

/** A value that a key of a stack's config is given. */
export interface Assignment {
  readonly key: string;
  readonly text: string;
  /** The key is a path into a tree; else it is a key as it is. */
  readonly path?: boolean;
  /** It is kept encrypted. */
  readonly secret?: boolean;
}

/** Sets values as `config set` does one after the other, by a key that is derived once and a file that is written once. */
export async function assign(stack: Stack, assignments: readonly Assignment[]): Promise<void> {
  // The key is opened first: it may have to write its salt into the same file.
  const crypter = assignments.some(({ secret }) => secret) ? await stack.crypter() : undefined;
  for (const { key, text, path: isPath = false, secret = false } of assignments) {
    const { key: name, path } = parseTarget(stack.session.project.name, key, isPath);
    const stored =
      secret && crypter !== undefined ? { secure: crypter.encrypt(text) } : plainValue(text, isPath);
    stack.configFile.set(name, path, stored);
  }
  await stack.configFile.save();
}

/** Reads a key as the command line has it: with `--path` it leads into a value. */
export function parseTarget(project: string, key: string, isPath: boolean | undefined): Target {
  if (!isPath) return { key: fullKey(project, key), path: [] };
  const separator = key.indexOf(":");
  const namespace = separator < 0 ? project : key.slice(0, separator);
  const [head, ...path] = parsePath(key.slice(separator + 1));
  if (typeof head !== "string")
    throw new EngineError(`"${key}" is not a path to a config value`, ExitCode.configuration);
  return { key: fullKey(project, `${namespace}:${head}`), path };
}

/** Inside a tree, numbers and booleans are what they look like; at the top every value is a string. */
function plainValue(text: string, isPath: boolean): StoredValue {
  if (!isPath) return text;
  if (text === "true" || text === "false") return text === "true";
  return /^(?:0|-?[1-9]\d{0,14})$/.test(text) ? Number(text) : text;
}
