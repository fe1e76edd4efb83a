import { EngineBundle, Workspace, type Row } from "./harness";

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
const noted = (name: string, options: object = {}): Row => ({
  name,
  args: { create: "echo made >> ran", delete: "echo gone >> ran" },
  options,
});
const urns = (): string[] =>
  (workspace.checkpoint().resources ?? []).map(({ urn }) => urn.split("::").slice(2).join("::"));

it("keeps what is known under an earlier name, parent or parent's name, and who refers to it", async () => {
  workspace.table([
    { name: "group", type: "component" },
    noted("group-a", { parent: "group" }),
    noted("b", { dependsOn: ["group-a"] }),
    noted("left", { dependsOn: ["b"] }),
  ]);
  await workspace.succeed(up);
  const made = workspace.text("ran");

  // `left` is not registered any more, and is deleted last of all: until then it refers to what was renamed.
  const renamed = [
    { name: "circle", type: "component", options: { aliases: [{ name: "group" }] } },
    noted("circle-a", { parent: "circle" }),
    noted("c", {
      parent: "circle",
      dependsOn: ["circle-a"],
      aliases: ["urn:pulumi:dev::table::command:local:Command::b"],
    }),
  ];
  workspace.table([...renamed, noted("left", { dependsOn: ["c"] })]);
  const preview = await workspace.succeed("preview --expect-no-changes");
  expect(preview).toContain("5 unchanged");
  expect(urns()).toContain("command:local:Command::b");
  expect(await workspace.succeed(`${up} --expect-no-changes`)).toContain("5 unchanged");
  expect(urns().sort()).toEqual([
    "command:local:Command::left",
    "pulumi:providers:command::default_1_2_1",
    "pulumi:pulumi:Stack::table-dev",
    "table:index:Group$command:local:Command::c",
    "table:index:Group$command:local:Command::circle-a",
    "table:index:Group::circle",
  ]);
  expect(workspace.text("ran")).toBe(made);

  workspace.table([renamed[0] ?? noted("never")]);
  expect(await workspace.succeed(up)).toContain("- 3 deleted, 2 unchanged");
});

it("leaves a state that holds together where the run ends after a renaming", async () => {
  workspace.table([noted("a"), noted("b", { dependsOn: ["a"] })]);
  await workspace.succeed(up);
  workspace.table([
    noted("z", { aliases: [{ name: "a" }] }),
    { name: "broken", args: { create: "exit 1" }, options: { dependsOn: ["z"] } },
  ]);
  expect((await workspace.pulumi(up)).code).toBe(1);
  expect(urns()).toContain("command:local:Command::z");
  expect(urns()).not.toContain("command:local:Command::a");
  // Every reference in the state is checked when it is read.
  expect(await workspace.succeed("destroy --yes")).toContain("- 3 deleted");
});
