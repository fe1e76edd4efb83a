import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { repositoryRoot } from "../../sandbox/repository";
import { environmentsIn } from "../../scripts/ci/environments";
import { blocksIn, blocksOf } from "../support/document-blocks";

/* docs/production.md and the header of Pulumi.production.yaml: nothing in them that no test runs, or that is not there. */

const PAGE = "docs/production.md";
const blocks = blocksOf(PAGE);
const read = (file: string) => readFileSync(join(repositoryRoot(), file), "utf8");

test("each block of commands is run by a test, or says why not", () => {
  expect(blocks.length).toBeGreaterThan(8);
  for (const { line, run, notRun } of blocks) {
    expect({ line, marked: run !== undefined || (notRun?.length ?? 0) > 20 }).toEqual({ line, marked: true });
  }
});

test("the tests that they name run them, and no block has another one's name", () => {
  const named = blocks.flatMap(({ run }) => run ?? []);
  expect(new Set(named.map(({ name }) => name)).size).toBe(named.length);
  for (const { name, test: file } of named) {
    expect([file, existsSync(join(repositoryRoot(), file))]).toEqual([file, true]);
    const asks = { byName: read(file).includes(`"${name}"`), ofThisPage: read(file).includes(`"${PAGE}"`) };
    expect({ file, name, ...asks }).toEqual({ file, name, byName: true, ofThisPage: true });
  }
});

test("a block without a mark, and one whose mark is for another line, would be found", () => {
  const mark = "<!-- run: a tests/a.test.ts -->";
  const marks = (...lines: string[]) => blocksIn([...lines, "```sh", "x", "```"]).map(({ run }) => run?.name);
  expect(marks(mark, "")).toEqual(["a"]);
  expect(marks(mark, "Another text.")).toEqual([undefined]);
  expect(marks("<!-- run: a -->")).toEqual([undefined]);
  expect(blocksIn(["```", "$ x", "```"])).toHaveLength(1);
  expect(blocksIn(["```yaml", "a: 1", "```"])).toHaveLength(0);
  expect(() => blocksIn(["```sh", "x"])).toThrow("without an end");
});

/** Commands within a sentence: no test runs them. */
function inlineCommands(text: string): string[] {
  const prose = text.replace(/^ *(`{3,})[^]*?^ *\1$/gm, "");
  const spans = [...prose.matchAll(/`([^`]+)`/g)].map(([, span = ""]) => span.replace(/\s+/g, " "));
  return spans.filter((span) => /^(bin\/\w|(pulumi|aws|ssh|scp|git|npm|openssl|sudo|curl) )/.test(span));
}

/** Only a name may stand in a sentence: whoever copies options, files and quotes wants them to be right. */
const isName = (command: string) => /^[\w/-]+( [a-z0-9][\w-]*)*$/i.test(command);

test("a command within a sentence is a name: what somebody copies stands in a block", () => {
  const inline = inlineCommands(read(PAGE));
  expect(inline.length).toBeGreaterThan(5);
  for (const command of inline) expect([command, isName(command)]).toEqual([command, true]);
});

test("a command within a sentence that no test runs would be found", () => {
  const found = (text: string) => inlineCommands(text).filter((command) => !isName(command));
  expect(found('as root (`ssh admin@$(pulumi stack output address) sudo x abort "y"`)')).toHaveLength(1);
  expect(found("then `pulumi preview\n--refresh` shows")).toEqual(["pulumi preview --refresh"]);
  expect(found("`bin/ops status`, `npm ci`, `pulumi stack output address`, `--refresh`")).toEqual([]);
  expect(found("```sh\nx `aws y --z`\n```\nand")).toEqual([]);
});

test("words of bin/ops and outputs of the stack that the page names are there", () => {
  const words = [...read(PAGE).matchAll(/bin\/ops (\w+)/g)].map(([, word = ""]) => word);
  expect(words).toEqual(expect.arrayContaining(["status", "abort", "ack", "restore"]));
  for (const word of words) {
    const file = join(repositoryRoot(), "operations", "commands", `${word}.ts`);
    expect([word, existsSync(file)]).toEqual([word, true]);
  }
  const outputs = [...read(PAGE).matchAll(/pulumi stack output (\w+)/g)].map(([, name = ""]) => name);
  expect(outputs).toContain("address");
  const exports = [...read("index.ts").matchAll(/^export const (\w+|\{.*?\}) =/gm)].map(
    ([, names = ""]) => names,
  );
  for (const name of outputs) {
    const isExported = exports.some((names) => new RegExp(`\\b${name}\\b(?!:)`).test(names));
    expect([name, isExported]).toEqual([name, true]);
  }
});

const { config } = parse(read("Pulumi.yaml")) as { config: Record<string, unknown> };

test("keys, programs, files and workflows that the page names are there", () => {
  const keys = [...read(PAGE).matchAll(/config set (?:--\S+ )*'?"?([a-zA-Z]+)/g)].map(([, key = ""]) => key);
  expect(keys.length).toBeGreaterThan(10);
  for (const key of keys) expect([key, key in config || key === "aws"]).toEqual([key, true]);
  const paths = [...read(PAGE).matchAll(/(?<![\w/-])(?:bin|scripts|\.github|docs|tests)\/[\w./-]+\w/g)].map(
    ([path]) => path,
  );
  expect(paths.length).toBeGreaterThan(5);
  for (const path of paths) expect([path, existsSync(join(repositoryRoot(), path))]).toEqual([path, true]);
  for (const [, name = ""] of read(PAGE).matchAll(/\| `(\w+\.yml)`/g)) {
    expect([name, existsSync(join(repositoryRoot(), ".github", "workflows", name))]).toEqual([name, true]);
  }
});

test("the header of the stack's file says what the page says", () => {
  const commands = blocks.flatMap(({ commands: text }) => text.split("\n"));
  const header = read("Pulumi.production.yaml").split("\nconfig:")[0] ?? "";
  const told = [...header.matchAll(/^# {3}(pulumi .*|bin\/.*|openssl .*)$/gm)].map(
    ([, line = ""]) => line.split(/ {2,}/)[0],
  );
  expect(told.length).toBeGreaterThan(3);
  expect(commands).toEqual(
    expect.arrayContaining(told.filter((line) => line !== "pulumi stack init production")),
  );
  expect(environmentsIn(repositoryRoot())).toContain("production");
});
