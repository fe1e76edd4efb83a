import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { ended, EngineBundle, until, Workspace } from "./harness";

jest.setTimeout(600_000);

let engine: EngineBundle;
let workspace: Workspace;
beforeAll(async () => {
  engine = await EngineBundle.build();
});
afterAll(() => {
  engine.remove();
});
beforeEach(async () => {
  workspace = new Workspace(engine, "table");
  await workspace.succeed("stack init dev");
});
afterEach(() => {
  workspace.remove();
});

const up = "up --yes --skip-preview";
const words = up.split(" ");

it("loses nothing when it is killed in the middle of a creation, and leaves nothing running", async () => {
  const slow = {
    create: "echo x >> attempts; touch started; test -e allowed || sleep 100; echo finished",
    delete: "echo deleted >> log",
  };
  workspace.table([
    { name: "before", args: { create: "echo before >> log" } },
    { name: "slow", args: slow, options: { dependsOn: ["before"] } },
  ]);
  const child = workspace.start(words);
  await until("the slow command runs", () => existsSync(workspace.path("started")));
  child.kill("SIGKILL");
  await ended(child);
  await until("every process has ended", () => workspace.processes().length === 0);
  expect(workspace.names()).toEqual(["before"]);
  expect(workspace.checkpoint().pending_operations).toMatchObject([
    { type: "creating", resource: { urn: expect.stringContaining("::slow") } },
  ]);
  expect(readdirSync(workspace.path(".pulumi/locks/organization/table/dev"))).toHaveLength(1);

  writeFileSync(workspace.path("allowed"), "");
  const next = await workspace.succeed(up);
  expect(next).toContain("took over the lock of a process that is gone");
  expect(next).toMatch(
    /warning: the last run was interrupted in the middle of 1 operation\(s\).*\n.*::slow, interrupted while creating/,
  );
  expect(next).toContain("+ 1 created, 2 unchanged");
  expect(workspace.names()).toEqual(["before", "slow"]);
  expect(workspace.checkpoint().pending_operations).toBeUndefined();
  expect(workspace.text("log")).toBe("before\n");
  expect(workspace.text("attempts")).toBe("x\nx\n");
  expect(readdirSync(workspace.path(".pulumi/locks/organization/table/dev"))).toEqual([]);
  expect(await workspace.succeed(`${up} --expect-no-changes`)).not.toMatch(/warning|notice/);
});

it("converges from wherever it is killed", async () => {
  const rows = ["a", "b", "c", "d"].map((name, index) => ({
    name,
    args: { create: `echo ${name} >> made`, delete: `echo ${name} >> unmade` },
    options: index === 0 ? {} : { dependsOn: [["a", "b", "c", "d"][index - 1]!] },
  }));
  workspace.table(rows);
  // Each command's trace is the moment at which the engine is killed: right after the effect, before it can be noted.
  for (const lines of [1, 2, 3]) {
    const child = workspace.start(words);
    const end = ended(child);
    await until("a command ran", () => workspace.text("made").split("\n").length > lines);
    child.kill("SIGKILL");
    await end;
    JSON.parse(readFileSync(workspace.path(".pulumi/stacks/table/dev.json"), "utf8"));
  }
  await workspace.succeed(up);
  expect(workspace.names()).toEqual(["a", "b", "c", "d"]);
  await workspace.succeed("destroy --yes --skip-preview");
  expect(workspace.text("unmade")).toBe("d\nc\nb\na\n");
});

it("finishes what is under way when it is interrupted, and stops there", async () => {
  workspace.table([
    {
      name: "first",
      args: { create: "touch started; until test -e allowed; do sleep 0.02; done; echo done" },
    },
    { name: "second", args: { create: "touch second" }, options: { dependsOn: ["first"] } },
  ]);
  const child = workspace.start(words);
  const end = ended(child);
  let errors = "";
  child.stderr?.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  await until("the first command runs", () => existsSync(workspace.path("started")));
  child.kill("SIGINT");
  await until("the interrupt is seen", () => errors.includes("interrupt again"));
  writeFileSync(workspace.path("allowed"), "");
  expect(await end).toMatchObject({ code: 8, stderr: expect.stringContaining("the update was cancelled") });
  expect(workspace.names()).toEqual(["first"]);
  expect(existsSync(workspace.path("second"))).toBe(false);
  await until("every process has ended", () => workspace.processes().length === 0);
});

it("ends at once when it is interrupted again", async () => {
  const endless = (name: string): object => ({ name, args: { create: `touch ${name}; sleep 100` } });
  workspace.table([endless("one"), endless("two"), { name: "waiting", args: { create: "touch waiting" } }]);
  const child = workspace.start([...words, "--parallel", "2"]);
  const end = ended(child);
  let errors = "";
  child.stderr?.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  await until("two commands run", () => ["one", "two"].every((name) => existsSync(workspace.path(name))));
  child.kill("SIGINT");
  await until("the first interrupt is seen", () => errors.includes("interrupt again"));
  child.kill("SIGINT");
  expect((await end).code).toBe(8);
  expect(workspace.names()).toEqual([]);
  // Its turn came when the others were ended.
  expect(existsSync(workspace.path("waiting"))).toBe(false);
  await until("every process has ended", () => workspace.processes().length === 0);
});

it("refuses a stack that another one is working on, until it is cancelled", async () => {
  workspace.table([
    { name: "slow", args: { create: "touch started; until test -e allowed; do sleep 0.02; done" } },
  ]);
  const child = workspace.start(words);
  const end = ended(child);
  await until("the command runs", () => existsSync(workspace.path("started")));
  const refused = await workspace.pulumi(up);
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining(`(pid ${String(child.pid)})`)]);
  expect(await workspace.succeed("cancel")).toContain("removed 1 lock(s)");
  writeFileSync(workspace.path("allowed"), "");
  expect((await end).code).toBe(0);
});
