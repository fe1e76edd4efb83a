import { assign } from "../workspace/assignments";
import { openSession, Stack } from "../workspace/session";
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
  workspace = new Workspace(engine, "typescript");
  await workspace.succeed("stack init dev");
  await workspace.succeed("config set --path names[0] one");
  await workspace.succeed("config set --path names[1] two");
  await workspace.succeed("config set --secret token canary-of-program");
});
afterEach(() => {
  workspace.remove();
});

const up = "up --yes --skip-preview";

it("runs TypeScript with what only a transpiler can run, and hands it its config", async () => {
  await workspace.succeed(up);
  expect(JSON.parse(await workspace.succeed("stack output --json"))).toEqual({
    sum: 5,
    named: "plain: one two",
    token: "[secret]",
    stack: "dev",
  });
  expect(await workspace.succeed("stack output token --show-secrets")).toBe("canary-of-program\n");
});

it("reports a program's error once, with the place in its source", async () => {
  await workspace.succeed(up);
  const end = await workspace.pulumi(up, { FAIL: "throw" });
  expect(end.code).toBe(1);
  expect(end.stdout.match(/Error: thrown on purpose/g)).toHaveLength(1);
  expect(end.stdout).toMatch(/parts\/fail\.ts:6:\d+/);
  expect(end.stdout).toMatch(/index\.ts:13:\d+/);
  expect(end.stdout).not.toContain("\u001b");
  // The outputs of the last good run stay.
  expect(JSON.parse(await workspace.succeed("stack output --json"))).toMatchObject({ sum: 5 });
});

it("ends a program whose engine was killed, whatever it is doing", async () => {
  const child = workspace.start(up.split(" "), { FAIL: "linger" });
  const end = ended(child);
  let printed = "";
  child.stdout?.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  await until("the program runs", () => printed.includes("lingering"));
  // The engine and the program; a transpiler beside it where the program was not in the cache.
  expect(workspace.processes().length).toBeGreaterThan(1);
  child.kill("SIGKILL");
  await end;
  await until("the program has ended", () => workspace.processes().length === 0);
});

it("deletes nothing where a program ends before it is done", async () => {
  await workspace.succeed(up);
  const end = await workspace.pulumi(up, { FAIL: "exit" });
  expect([end.code, end.stdout]).toEqual([1, expect.stringContaining("error: the program ended")]);
  expect((await workspace.succeed("stack")).split("\n")).toContainEqual(
    expect.stringContaining("pulumi:pulumi:Stack"),
  );
});

it("tells all that is wrong with a stack's config before it runs anything", async () => {
  await workspace.succeed("config rm names");
  await workspace.succeed("config set count many");
  await workspace.succeed("config set token open");
  const end = await workspace.pulumi(up);
  expect(end.code).toBe(2);
  for (const fault of [
    "names: missing",
    "count: has to be of type 'integer', not \"many\"",
    "token: has to be encrypted",
  ]) {
    expect(end.stderr).toContain(fault);
  }
  expect(end.stdout).toBe("");
});

it("has its config set from within another program, too, as `config set` does it", async () => {
  const stack = await Stack.open(openSession({ cwd: workspace.directory }, workspace.variables), {
    stack: "dev",
  });
  await assign(stack, [
    { key: "names[1]", text: "a=b", path: true },
    { key: "more.count", text: "2", path: true },
    { key: "more.key", text: "canary-of-many", path: true, secret: true },
    { key: "count", text: "7" },
  ]);
  expect(JSON.parse(await workspace.succeed("config --json --show-secrets"))).toMatchObject({
    "typescript:names": { objectValue: ["one", "a=b"], secret: false },
    "typescript:more": { objectValue: { count: 2, key: "canary-of-many" }, secret: true },
    "typescript:count": { value: "7", secret: false },
    "typescript:token": { value: "canary-of-program", secret: true },
  });
  expect(workspace.text("Pulumi.dev.yaml")).not.toContain("canary-of-many");
});

it("finds its project from below, and from elsewhere", async () => {
  expect(await workspace.succeed(`config -C ${workspace.path("program/parts")} --json`)).toContain(
    '"typescript:count"',
  );
  expect(await workspace.succeed(`preview --cwd=${workspace.path("program")}`)).toContain("to create");
});
