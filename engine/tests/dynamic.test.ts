import { ended, EngineBundle, until, Workspace } from "./harness";

jest.setTimeout(600_000);

const CANARY = "canary-of-dynamic";

let engine: EngineBundle;
let workspace: Workspace;
beforeAll(async () => {
  engine = await EngineBundle.build();
});
afterAll(() => {
  engine.remove();
});
beforeEach(async () => {
  workspace = new Workspace(engine, "dynamic");
  await workspace.succeed("stack init dev");
  await workspace.pulumi("config set --secret token", {}, CANARY);
});
afterEach(() => {
  workspace.remove();
});

const up = "up --yes --skip-preview";
const log = (): string[] =>
  workspace
    .text("log")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("configured"));
const configured = (): string[] =>
  workspace
    .text("log")
    .split("\n")
    .filter((line) => line.startsWith("configured"));
const secret = { $secret: "token" };

/** One resource with a provider that has everything, with outputs of its own. */
function one(args: object, options: object = {}): void {
  workspace.table([{ name: "one", args: { secret, ...args }, options }], {
    made: { $output: "one.made" },
    echo: { $output: "one.echo" },
  });
}

interface Kept {
  readonly id: string;
  readonly inputs: Record<string, unknown>;
  readonly outputs: Record<string, unknown>;
  readonly initErrors?: string[];
  readonly delete?: boolean;
}

/** The dynamic resources of that name in the state. */
function kept(name = "one"): Kept[] {
  const resources = workspace.checkpoint().resources ?? [];
  return resources.filter(({ urn }) => urn.endsWith(`Thing::${name}`)) as unknown as Kept[];
}

it("creates, keeps, updates, replaces and deletes as the provider says", async () => {
  one({ kind: "a", weight: 1 });
  const first = await workspace.succeed("up --yes");
  expect(log()).toEqual(["create a 1"]);
  expect(first).toContain("printed [secret]\n");
  expect(first).not.toContain(CANARY);
  expect(await workspace.succeed("stack output made")).toBe("1\n");
  // An output of another name in which a secret shows up is one, too.
  expect(await workspace.succeed("stack output echo --show-secrets")).toBe(`has ${CANARY}\n`);
  expect(await workspace.succeed("stack output")).not.toContain(CANARY);
  for (const text of workspace.files(".pulumi").values()) expect(text).not.toContain(CANARY);
  expect(kept()).toMatchObject([
    { id: "id-a", inputs: { added: "by check", weight: 1 }, outputs: { made: "1" } },
  ]);

  // The source of the provider is another, and `diff` says that nothing changed.
  const [before] = kept();
  await workspace.succeed("config set edition a-longer-one");
  expect(await workspace.succeed(`${up} --expect-no-changes`)).toContain("2 unchanged");
  expect(log()).toHaveLength(1);
  expect(kept()[0]?.inputs["__provider"]).not.toEqual(before?.inputs["__provider"]);
  expect(configured().at(-1)).toBe("configured a-longer-one found in the program's directory");

  one({ kind: "a", weight: 2 });
  expect(await workspace.succeed(up)).toContain("~ 1 updated, 1 unchanged");
  one({ kind: "b", weight: 2 });
  expect(await workspace.succeed(up)).toContain("+- 1 replaced, 1 unchanged");
  one({ kind: "c", weight: 2, fault: "old one first" });
  expect(await workspace.succeed(up)).toContain("+- 1 replaced, 1 unchanged");
  expect(log().slice(1)).toEqual([
    ...["update id-a 1 2", "create b 2", "delete id-a 2"],
    ...["delete id-b 2", "create c 2"],
  ]);
  await workspace.succeed("destroy --yes");
  expect(log().slice(6)).toEqual(["delete id-c 2"]);
  await until("every process has ended", () => workspace.processes().length === 0);
});

it("compares the inputs where the provider has no opinion, and previews what is not known yet", async () => {
  const rows = (weight: number): Parameters<Workspace["table"]>[0] => [
    { name: "one", args: { kind: "a", weight } },
    { name: "user", provider: "plain", args: { value: { $output: "one.made" } } },
  ];
  workspace.table(rows(1));
  await workspace.succeed(up);
  expect(kept("user")).toMatchObject([{ id: "plain", inputs: { value: "1" }, outputs: { made: "1" } }]);
  workspace.table(rows(2));
  const end = await workspace.pulumi("preview --json");
  const document = JSON.parse(end.stdout) as { steps: { op: string; urn: string; diffReasons?: string[] }[] };
  expect(
    document.steps.map(({ op, urn, diffReasons = [] }) => [op, urn.split("::").at(-1), ...diffReasons]),
  ).toEqual([
    ["same", "table-dev"],
    ["update", "one"],
    ["update", "user", "value"],
  ]);
  expect(log()).toEqual(["create a 1"]);
});

it("tells what a provider rejects or throws, without secrets, and changes nothing", async () => {
  one({ kind: "a", weight: 1 });
  await workspace.succeed(up);
  const before = workspace.text(".pulumi/stacks/table/dev.json");
  for (const [fault, message] of [
    ["check fails", "property weight has a problem: 1 to 2 with [secret]"],
    ["check throws", "one: error: check of [secret]"],
    ["diff throws", "one: error: thrown by diff"],
  ] as const) {
    one({ kind: "a", weight: 2, fault });
    const end = await workspace.pulumi("preview");
    expect([end.code, end.stdout]).toEqual([1, expect.stringContaining(message)]);
    expect(end.stdout + end.stderr).not.toContain(CANARY);
  }
  one({ kind: "a", weight: 2, fault: "update throws" });
  expect((await workspace.pulumi(up)).stdout).toContain("one: error: thrown by update");
  expect(kept()).toMatchObject([{ inputs: { weight: 1 }, outputs: { made: "1" } }]);
  one({ kind: "b", weight: 2, fault: "create throws" });
  expect((await workspace.pulumi(up)).stdout).toContain("one: error: no room for [secret]");
  one({ kind: "b", weight: 2, fault: "create answers no data" });
  expect((await workspace.pulumi(up)).stdout).toContain(
    "one: error: the provider answered with undefined at outs.made[0]: only JSON values can be kept",
  );
  one({ kind: "c", weight: 2, fault: "create ends the process" });
  expect((await workspace.pulumi(up)).stdout).toContain(
    "one: error: the process of the dynamic providers ended with exit code 3",
  );
  expect(workspace.text(".pulumi/stacks/table/dev.json").length).toBe(before.length);
});

it("has the SDK, and the config by short names, for a provider that asks for them", async () => {
  workspace.table([{ name: "one", provider: "caller" }], { made: { $output: "one.made" } });
  expect((await workspace.pulumi(up)).stdout).toContain(
    'one: error: missing required configuration key "of-nobody"; set it with',
  );
  await workspace.succeed("config set of-nobody somebody");
  await workspace.succeed(up);
  expect(await workspace.succeed("stack output made")).toBe("table\n");
  expect(configured()).toEqual(["configured somebody"]);
});

it("keeps what was done by half, and finishes it", async () => {
  one({ kind: "a", weight: 1 });
  await workspace.succeed(up);
  one({ kind: "b", weight: 1, fault: "create stops half way" });
  const end = await workspace.pulumi(up);
  expect([end.code, end.stdout]).toEqual([
    1,
    expect.stringContaining("one: error: the resource exists, but is not ready: not ready; without [secret]"),
  ]);
  expect(kept().map(({ id, delete: condemned = false }) => [id, condemned])).toEqual([
    ["half", false],
    ["id-a", true],
  ]);
  expect(kept()[0]).toMatchObject({ initErrors: ["not ready", "without [secret]"], outputs: { half: true } });
  for (const text of workspace.files(".pulumi").values()) expect(text).not.toContain(CANARY);

  // Nothing else has changed: what is left to do is reason enough.
  expect(await workspace.succeed(up)).toContain("~ 1 updated");
  expect(log().slice(2)).toEqual(["update half 1 1", "delete id-a 1"]);
  expect(kept()).toMatchObject([{ id: "half", outputs: { made: "1" } }]);
  expect(kept()[0]).not.toHaveProperty("initErrors");
  expect(await workspace.succeed(`${up} --expect-no-changes`)).toContain("2 unchanged");

  one({ kind: "c", weight: 1, fault: "delete throws" });
  await workspace.succeed(up);
  workspace.table([]);
  expect((await workspace.pulumi(up)).stdout).toContain("one: error: thrown by delete");
  expect(kept()).toMatchObject([{ id: "id-c" }]);
});

it("ends the provider with a run that is interrupted twice, or killed", async () => {
  one({ kind: "a", weight: 1, fault: "create hangs" });
  for (const signals of [["SIGINT", "SIGINT"], ["SIGKILL"]] as const) {
    const attempts = log().length;
    const child = workspace.start(up.split(" "));
    const end = ended(child);
    let printed = "";
    child.stderr?.on("data", (chunk: Buffer) => (printed += chunk.toString()));
    await until("the provider is at work", () => log().length > attempts);
    for (const [index, signal] of signals.entries()) {
      if (index > 0) await until("the first interrupt is told", () => printed.includes("stopping when"));
      child.kill(signal);
    }
    const { code, stdout } = await end;
    if (signals.length > 1)
      expect([code, stdout]).toEqual([8, expect.stringContaining("one: error: interrupted")]);
    await until("every process has ended", () => workspace.processes().length === 0);
  }
  expect(workspace.checkpoint().pending_operations).toMatchObject([{ type: "creating" }]);
});
