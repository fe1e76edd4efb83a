import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot } from "../../sandbox/repository";

/*
 * A page whose commands are run by tests. Above each block of commands stands a comment, which readers do not see:
 *   <!-- run: NAME TEST-FILE -->   the test runs the block that it asks for by `block(page, NAME)`
 *   <!-- not run: REASON -->       no test does, and why
 */

/** A block of commands. */
export interface Block {
  /** Line of the page that it begins in, counted from 1. */
  readonly line: number;
  readonly commands: string;
  /** Which test runs it, under which name. */
  readonly run?: { readonly name: string; readonly test: string };
  /** Why none does. */
  readonly notRun?: string;
}

/** Reads the blocks of commands (`sh`) of a page of this repository, in their order. */
export function blocksOf(page: string): Block[] {
  const lines = readFileSync(join(repositoryRoot(), page), "utf8").split("\n");
  return blocksIn(lines);
}

/** Reads the blocks of commands in the lines of a page. */
export function blocksIn(lines: readonly string[]): Block[] {
  const blocks: Block[] = [];
  for (let index = 0; index < lines.length; index += 1) {
    const [, fence, language] = /^ *(`{3,}|~{3,})(\w*)/.exec(lines[index] ?? "") ?? [];
    if (fence === undefined) continue;
    const end = lines.findIndex((line, at) => at > index && line.trim() === fence);
    if (end < 0) throw new Error(`line ${String(index + 1)}: a block without an end`);
    if (
      language === "sh" ||
      language === "bash" ||
      language === "shell" ||
      language === "console" ||
      language === ""
    ) {
      const commands = lines.slice(index + 1, end).join("\n");
      blocks.push({ line: index + 1, commands, ...markAbove(lines, index) });
    }
    index = end;
  }
  return blocks;
}

function markAbove(lines: readonly string[], index: number): Pick<Block, "run" | "notRun"> {
  const above = lines.slice(0, index).findLast((line) => line.trim() !== "") ?? "";
  const [, name, test] = /^<!-- run: ([a-z0-9-]+) (\S+) -->$/.exec(above) ?? [];
  if (name !== undefined && test !== undefined) return { run: { name, test } };
  const [, notRun] = /^<!-- not run: (\S.*) -->$/.exec(above) ?? [];
  return notRun === undefined ? {} : { notRun };
}

/** Returns the commands of a block that a test runs. */
export function block(page: string, name: string): string {
  const found = blocksOf(page).find(({ run }) => run?.name === name);
  if (found === undefined) throw new Error(`${page} has no block that is run as ${name}`);
  return found.commands;
}
