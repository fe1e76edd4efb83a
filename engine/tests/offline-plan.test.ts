import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { EngineBundle, Workspace } from "./harness";

jest.setTimeout(600_000);

const CANARY = "canary-of-plan";

let engine: EngineBundle;
let shelf: string;
let workspace: Workspace;
beforeAll(async () => {
  engine = await EngineBundle.build();
  shelf = await engine.buildShelf();
});
afterAll(() => {
  engine.remove();
});
afterEach(() => {
  workspace.remove();
});

interface PlannedStep {
  readonly op: string;
  readonly urn: string;
  readonly newState?: { readonly inputs?: Record<string, unknown> };
  readonly diffReasons?: string[];
}

/** The steps of an offline plan, by name, and what it says of itself. */
async function plan(words = ""): Promise<{ steps: Map<string, PlannedStep>; told: string[] }> {
  const text = await workspace.succeed(`preview --json --offline-plan${words}`);
  expect(text).not.toContain(CANARY);
  const { steps, diagnostics } = JSON.parse(text) as {
    steps: PlannedStep[];
    diagnostics: { message: string }[];
  };
  const named = steps.map((step): [string, PlannedStep] => [step.urn.split("::").at(-1) ?? "", step]);
  return { steps: new Map(named), told: diagnostics.map(({ message }) => message) };
}

const box = (name: string, args: object = {}, options: object = {}): object => ({
  name,
  args: { label: name, size: 2, note: { $secret: "token" }, ...args },
  options,
});

describe("a program whose provider is a plugin", () => {
  beforeEach(async () => {
    workspace = new Workspace(engine, "plugin");
    await workspace.succeed("stack init dev");
    await workspace.pulumi("config set --secret token", {}, CANARY);
  });

  it("is planned without the plugin, without a stack and for production", async () => {
    await workspace.succeed("config set environment production");
    await workspace.succeed("stack rm --yes --preserve-config");
    workspace.table(
      [
        box("one"),
        { name: "attic", kind: "provider", args: { place: { $output: "one.owner" } } },
        box("two", { size: { $output: "one.volume" } }, { provider: "attic" }),
        { name: "found", kind: "get", get: "id-found" },
        { name: "measured", kind: "call", call: "shelf:index:measure", args: { size: 3 } },
        box("three", { size: { $output: "measured.volume" }, owner: { $output: "found.owner" } }),
      ],
      { volume: { $output: "two.volume" } },
    );
    const before = workspace.files(".pulumi");
    const { steps, told } = await plan(" --stack dev");
    expect([...steps].map(([name, { op }]) => [name, op])).toEqual(
      expect.arrayContaining([
        ["one", "create"],
        ["attic", "create"],
        ["two", "create"],
        ["found", "read"],
        ["three", "create"],
      ]),
    );
    expect(steps.get("one")?.newState?.inputs).toMatchObject({ size: 2, note: "[secret]" });
    expect(steps.get("two")?.newState?.inputs).toMatchObject({ size: "[unknown]" });
    expect(steps.get("three")?.newState?.inputs).toMatchObject({ size: "[unknown]", owner: "[unknown]" });
    expect(told).toEqual([
      "offline plan: nobody is asked and nothing is checked by shelf; what comes from there is unknown, and what these functions answer: shelf:index:measure",
    ]);
    expect(workspace.text("calls")).toBe("");
    expect(workspace.files(".pulumi")).toEqual(before);
    expect((await workspace.pulumi("up --yes --skip-preview --stack dev")).code).not.toBe(0);
    expect((await workspace.pulumi("preview --offline-plan --refresh --stack dev")).code).toBe(2);
  });

  it("is compared with the state, by what the program itself says", async () => {
    symlinkSync(shelf, workspace.path("plugin"));
    const found = { name: "found", kind: "get", get: "id-one" };
    const six = box("six", { size: { $output: "found.volume" } });
    workspace.table([box("one"), box("two", { size: 3 }), box("three"), box("four")]);
    await workspace.succeed("up --yes --skip-preview");
    workspace.table([box("one"), box("two", { size: 3 }), box("three"), box("four"), found, six]);
    await workspace.succeed("up --yes --skip-preview");
    const calls = workspace.text("calls");
    // Bridged providers note their defaults, so that an input that was taken away can be told from them.
    const file = workspace.path(".pulumi/stacks/table/dev.json");
    const state = JSON.parse(readFileSync(file, "utf8")) as {
      checkpoint: { latest: { resources: { urn: string; inputs?: Record<string, unknown> }[] } };
    };
    const four = state.checkpoint.latest.resources.find(({ urn }) => urn.endsWith("::four"));
    Object.assign(four?.inputs ?? {}, { __defaults: ["name"], lid: true });
    writeFileSync(file, JSON.stringify(state));

    workspace.table([box("one"), box("two", { size: 4 }), box("four"), box("five"), found, six]);
    const { steps } = await plan();
    expect([...steps].map(([name, { op, diffReasons = [] }]) => [name, op, ...diffReasons]).sort()).toEqual([
      ["five", "create"],
      ["found", "read"],
      ["four", "update", "lid"],
      ["table-dev", "same"],
      ["three", "delete"],
      ["two", "update", "size"],
    ]);
    expect(workspace.text("calls")).toBe(calls);
    workspace.table([
      box("one"),
      box("two", { size: 3 }),
      box("three"),
      box("four", { lid: true }),
      found,
      six,
    ]);
    expect(await workspace.succeed("preview --offline-plan --expect-no-changes")).toContain("6 unchanged");
  });
});

it("asks neither a dynamic provider nor runs a command, and has what needs nobody", async () => {
  workspace = new Workspace(engine, "dynamic");
  await workspace.succeed("stack init dev");
  await workspace.pulumi("config set --secret token", {}, CANARY);
  const rows = (fault: object = {}): void => {
    workspace.table([
      { name: "one", args: { kind: "a", weight: 1, secret: { $secret: "token" }, ...fault } },
      { name: "user", provider: "plain", args: { value: { $output: "one.made" } } },
    ]);
  };
  rows({ fault: "check fails" });
  const { steps, told } = await plan();
  expect(steps.get("user")?.newState?.inputs).toMatchObject({ value: "[unknown]" });
  expect(told.join()).toContain("by the program's dynamic providers;");
  expect(workspace.text("log")).toBe("");

  rows();
  await workspace.succeed("up --yes --skip-preview");
  const log = workspace.text("log");
  expect(await workspace.succeed("preview --offline-plan --expect-no-changes")).toContain("3 unchanged");
  expect(workspace.text("log")).toBe(log);
  workspace.remove();

  workspace = new Workspace(engine, "table");
  await workspace.succeed("stack init dev");
  workspace.table([
    { name: "ran", args: { create: "touch ran" } },
    { name: "pet", type: "unknown", args: { of: { $output: "ran.stdout" } } },
    { name: "word", type: "RandomString", args: { length: -1 } },
  ]);
  const end = await workspace.pulumi("preview --offline-plan");
  expect([end.code, end.stdout]).toEqual([1, expect.stringContaining("property length has a problem")]);
  workspace.table([
    { name: "ran", args: { create: "touch ran" } },
    { name: "pet", type: "unknown", args: { of: { $output: "ran.stdout" } } },
  ]);
  const shown = await workspace.succeed("preview --offline-plan");
  expect(shown).toContain("+ 3 to create");
  expect(shown).toContain("nothing is checked by elsewhere; what comes from there is unknown\n");
  expect(workspace.text("ran")).toBe("");
});
