import { writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import TestRunner from "jest-runner";
import { removeDirectories, temporaryDirectory } from "./host/support/fixtures";

type Arguments = Parameters<TestRunner["runTests"]>;
type Runner = new (globalConfig: unknown, context: unknown) => TestRunner;
// Jest loads it by its path, and so is it loaded here.
// eslint-disable-next-line @typescript-eslint/no-require-imports
const LoadAwareRunner = require("../e2e/support/load-aware-runner.js") as Runner;

afterAll(removeDirectories);

const USERS = 'import { Users } from "./support/users";\n';
const files = { "load-1": USERS, "load-2": USERS, "load-3": USERS, "plain-1": "", "plain-2": "" };

/** Runs the files by two workers, each file as many turns as it says, and tells which ones ran at the same time. */
async function together(
  turns: Readonly<Record<string, number>>,
  interrupted = false,
): Promise<readonly string[]> {
  const directory = temporaryDirectory();
  const paths = Object.entries(files).map(([name, text]) => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  });
  const running = new Set<string>();
  const seen: string[] = [];
  const run = jest.spyOn(TestRunner.prototype, "runTests").mockImplementation(async ([test]) => {
    const name = basename(test!.path);
    running.add(name);
    seen.push([...running].sort().join(" + "));
    for (let left = turns[name] ?? 1; left > 0; left--) await turn();
    running.delete(name);
  });
  const runner = new LoadAwareRunner({ maxWorkers: 2 }, {});
  const tests = paths.map((path) => ({ path })) as unknown as Arguments[0];
  const watcher = { isInterrupted: () => interrupted } as unknown as Arguments[1];
  await runner.runTests(tests, watcher, { serial: false });
  run.mockRestore();
  return seen;
}

test("one file with a load at a time, beside those without", async () => {
  const seen = await together({ "plain-1": 10, "plain-2": 10, "load-1": 2, "load-2": 2, "load-3": 50 });
  expect(seen).toEqual([
    "load-1",
    "load-1 + plain-1",
    "load-2 + plain-1",
    "load-3 + plain-1",
    "load-3 + plain-2",
  ]);
});

test("where only files with a load are left, two of them: no processor is idle", async () => {
  const seen = await together({ "load-1": 50 });
  expect(seen.slice(-2)).toEqual(["load-1 + load-2", "load-1 + load-3"]);
});

test("nothing new begins once it was interrupted", async () => {
  expect(await together({}, true)).toEqual([]);
});
