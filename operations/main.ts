/** The entry of `bin/ops`. */
import { readdirSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { styleText } from "node:util";
import { askHost } from "../components/ask-host";
import { run } from "./program";
import { openStack } from "./stack";

/** Asks on standard error, for standard output is the answer's. Ctrl-C is an empty answer. */
async function ask(question: string): Promise<string> {
  const { input } = await import("@inquirer/prompts");
  try {
    return await input({ message: question }, { output: process.stderr });
  } catch (error) {
    if ((error as Error).name === "ExitPromptError") return "";
    throw error;
  }
}

/** Whoever reads the first lines only, such as `head`, is no fault. */
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

void run(process.argv.slice(2), {
  openStack: (reference) => openStack(reference, process.env),
  askHost,
  machine: {
    home: homedir(),
    read: (path) => readFileSync(path, "utf8"),
    bytes: (path) => readFileSync(path),
    list: (path) => readdirSync(path),
  },
  directory: process.cwd(),
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
  // Looks at NO_COLOR, FORCE_COLOR, and at whether this is a terminal.
  paint: (colour, text) => styleText(colour, text, { stream: process.stdout }),
  ask: process.stdin.isTTY && process.stderr.isTTY ? ask : null,
  now: () => new Date(),
}).then((code) => {
  process.exitCode = code;
});
