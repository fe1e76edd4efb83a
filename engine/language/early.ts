import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { ProgramProcess } from "./host";

/** A program's process that was started before the command line was fully read. */
export interface EarlyStart {
  readonly process: ProgramProcess;
  /** The directory of the project file. */
  readonly root: string;
}

/** Flags that take a value as the next word. */
const VALUE_FLAGS = [
  "-s",
  "--stack",
  "-C",
  "--cwd",
  "-p",
  "--parallel",
  "--color",
  "--config-file",
  "-m",
  "--message",
];
const PROGRAM_COMMANDS = ["up", "update", "preview", "pre"];

/**
 * Starts the program's process where the command line looks like one that runs a program. It may look so wrongly: then
 * the process is ended unused.
 */
export function startEarly(
  words: readonly string[],
  launcher: string,
  cache: string,
): EarlyStart | undefined {
  const { command, cwd } = skim(words);
  if (
    command === undefined ||
    !PROGRAM_COMMANDS.includes(command) ||
    words.some((word) => word === "--help" || word === "-h")
  )
    return undefined;
  const root = findProject(resolve(cwd));
  // Arguments for Node are known only once the project file is read.
  if (root === undefined) return undefined;
  const text = readFileSync(join(root, "Pulumi.yaml"), "utf8");
  if (text.includes("nodeargs")) return undefined;
  return { process: ProgramProcess.spawn(launcher, programDirectoryOf(root, text), cache), root };
}

/** Where the SDK is most likely found from: the program's directory, which `main` names where it is not the project's. */
function programDirectoryOf(root: string, text: string): string {
  const [, , main = "."] = /^main:\s*(["']?)([^"'#\n]+?)\1\s*$/m.exec(text) ?? [];
  const target = resolve(root, main);
  const directory = /\.[cm]?[jt]s$/.test(main) ? dirname(target) : target;
  return existsSync(directory) ? directory : root;
}

function skim(words: readonly string[]): { readonly command: string | undefined; readonly cwd: string } {
  let cwd = ".";
  let command: string | undefined;
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    if (word.startsWith("--cwd=")) cwd = word.slice("--cwd=".length);
    else if (VALUE_FLAGS.includes(word)) {
      index++;
      if (word === "-C" || word === "--cwd") cwd = words[index] ?? ".";
    } else if (!word.startsWith("-")) command ??= word;
  }
  return { command, cwd };
}

// The same search as the project loader's, without the YAML parser that comes with it.
function findProject(start: string): string | undefined {
  for (let directory = start; ; directory = dirname(directory)) {
    if (existsSync(join(directory, "Pulumi.yaml"))) return directory;
    if (directory === dirname(directory)) return undefined;
  }
}
