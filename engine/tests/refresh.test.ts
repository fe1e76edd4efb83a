import { symlinkSync, writeFileSync } from "node:fs";
import { EngineBundle, Workspace } from "./harness";

jest.setTimeout(600_000);

const CANARY = "canary-of-refresh";
const up = "up --yes --skip-preview";
const refresh = "refresh --yes --skip-preview";

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

type Properties = Record<string, unknown>;
type World = Record<string, Properties>;

function without(world: World, id: string): World {
  return Object.fromEntries(Object.entries(world).filter(([each]) => each !== id));
}

interface Kept {
  readonly urn: string;
  readonly id?: string;
  readonly inputs: Properties;
  readonly outputs: Properties;
  readonly dependencies?: string[];
  readonly parent?: string;
}

function kept(name: string): Kept | undefined {
  const all = (workspace.checkpoint().resources ?? []) as unknown as Kept[];
  return all.find(({ urn }) => urn.endsWith(`::${name}`));
}

const stateFile = ".pulumi/stacks/table/dev.json";

describe("what a plugin's resources are really like", () => {
  const world = (): World => JSON.parse(workspace.text("world.json")) as World;
  const change = (next: World): void => {
    writeFileSync(workspace.path("world.json"), JSON.stringify(next));
  };
  const box = (name: string, args: object = {}, options: object = {}): object => ({
    name,
    args: { label: name, size: 2, note: { $secret: "token" }, ...args },
    options,
  });
  const program = [
    box("one"),
    box("two", { size: { $output: "one.volume" } }, { parent: "one" }),
    box("three", {}, { dependsOn: ["one", "two"], parent: "two", deletedWith: "one" }),
  ];
  const calls = (): string[] =>
    workspace
      .text("calls")
      .split("\n")
      .filter((line) => /^(?:create|update|delete)/.test(line));

  beforeEach(async () => {
    workspace = new Workspace(engine, "plugin");
    symlinkSync(shelf, workspace.path("plugin"));
    await workspace.succeed("stack init dev");
    await workspace.pulumi("config set --secret token", {}, CANARY);
    workspace.table(program);
    await workspace.succeed(up);
  });

  it("is found, shown and, outside of a preview, kept", async () => {
    const untouched = workspace.text(stateFile);
    expect(await workspace.succeed(`${refresh} --expect-no-changes`)).toContain("Resources: 4 unchanged");
    // Nothing but the time of writing may differ.
    const bare = (text: string): string => text.replace(/"time": *"[^"]*"/, "");
    expect(bare(workspace.text(stateFile))).toBe(bare(untouched));

    const before = workspace.text(stateFile);
    change({ ...world(), "id-one": { ...world()["id-one"], size: 5, volume: 125 } });
    for (const words of ["refresh --preview-only", "preview --refresh"]) {
      const shown = await workspace.succeed(words);
      expect(shown).toContain(" ~  shelf:index:Box one update\n      ~ size: 2 => 5\n");
      expect(shown).not.toContain(CANARY);
    }
    expect(workspace.text(stateFile)).toBe(before);
    const end = await workspace.pulumi(`${refresh} --expect-no-changes`);
    expect([end.code, end.stdout]).toEqual([
      7,
      expect.stringMatching(/~ {2}shelf:index:Box one updated .*\n {6}~ size: 2 => 5\n/),
    ]);
    expect(kept("one")).toMatchObject({ inputs: { size: 5 }, outputs: { volume: 125 } });
    expect(await workspace.succeed(refresh)).toContain("4 unchanged");

    // The program has the last word.
    expect(await workspace.succeed(up)).toContain("~ 1 updated, 3 unchanged");
    expect(calls().at(-1)).toBe("update id-one");
    expect(kept("one")).toMatchObject({ inputs: { size: 2 }, outputs: { volume: 8 } });
    for (const text of workspace.files(".pulumi").values()) expect(text).not.toContain(CANARY);
  });

  it("is put right by one `up --refresh`, also where something is gone", async () => {
    change(without(world(), "id-two"));
    expect(await workspace.succeed("preview")).toContain("4 unchanged");
    const preview = await workspace.succeed("preview --refresh");
    expect(preview).toContain(" -  shelf:index:Box two delete\n");
    expect(preview).toContain("+ 1 to create, 3 unchanged");
    expect(kept("two")).toBeDefined();

    await workspace.succeed(refresh);
    expect(kept("two")).toBeUndefined();
    const [one, three] = [kept("one"), kept("three")];
    expect(three).toMatchObject({ dependencies: [one?.urn], parent: one?.urn });
    expect(await workspace.succeed("stack")).toContain("three");

    change({ ...world(), "id-one": { ...world()["id-one"], size: 7 } });
    expect(await workspace.succeed(`${up} --refresh`)).toContain("+ 1 created, ~ 1 updated, 2 unchanged");
    expect(calls().slice(-2).sort()).toEqual(["create two in ", "update id-one"]);
    expect(await workspace.succeed(`${up} --refresh --expect-no-changes`)).toContain("4 unchanged");
  });

  it("is looked at before a `destroy --refresh`, which does not delete what is gone", async () => {
    change(without(world(), "id-three"));
    await workspace.succeed("destroy --yes --refresh");
    expect(calls().slice(-2)).toEqual(["delete id-two from ", "delete id-one from "]);
    expect(workspace.checkpoint().resources ?? []).toEqual([]);
  });

  it("is left as it was where it cannot be looked at", async () => {
    change({ ...world(), "id-one": { ...world()["id-one"], size: 5 }, "id-two": { fault: "unreadable" } });
    const end = await workspace.pulumi(refresh);
    expect([end.code, end.stdout]).toEqual([1, expect.stringContaining("two: error: cannot be read")]);
    expect(kept("one")).toMatchObject({ inputs: { size: 5 } });
    expect(kept("two")).toMatchObject({ inputs: { size: 8 } });
  });

  it("is spared by --exclude-protected, with all that it needs", async () => {
    workspace.table([
      box("one"),
      box("two", { label: "guarded" }, { protect: true, dependsOn: ["one"] }),
      box("three", { label: "loose" }, { dependsOn: ["two"] }),
      box("four"),
    ]);
    await workspace.succeed(up);
    const refused = await workspace.pulumi("destroy --yes");
    expect([refused.code, refused.stdout]).toEqual([
      1,
      expect.stringMatching(/"[^"]*::two" cannot be deleted/),
    ]);
    expect(await workspace.succeed("destroy --yes --exclude-protected")).toContain(
      "All unprotected resources were destroyed. There are still 4 protected resources associated with this stack.",
    );
    expect(Object.keys(world()).sort()).toEqual(["id-guarded", "id-one"]);
    expect(await workspace.succeed("destroy --yes --exclude-protected")).toContain(
      "There were no unprotected resources",
    );
    expect(await workspace.succeed(up)).toContain("+ 2 created, 3 unchanged");
  });
});

it("asks a dynamic provider's own `read`, and leaves what cannot be looked at", async () => {
  workspace = new Workspace(engine, "dynamic");
  await workspace.succeed("stack init dev");
  await workspace.pulumi("config set --secret token", {}, CANARY);
  workspace.table([
    { name: "one", args: { kind: "a", weight: 1, secret: { $secret: "token" } } },
    { name: "plain", provider: "plain", args: { value: "x" } },
  ]);
  await workspace.succeed(up);
  const before = kept("one");
  expect(await workspace.succeed(`${refresh} --expect-no-changes`)).toContain("3 unchanged");
  expect(workspace.text("log")).toContain("read id-a");
  expect(kept("one")).toEqual(before);
  writeFileSync(workspace.path("found.json"), JSON.stringify({ weight: 4 }));
  expect(await workspace.succeed(refresh)).toContain("~ 1 updated");
  expect(kept("one")?.outputs).toMatchObject({ weight: 4 });
  expect(await workspace.succeed(up)).toContain("~ 1 updated");
  expect(workspace.text("log")).toContain("update id-a 4 1");
  writeFileSync(workspace.path("found.json"), "null");
  expect(await workspace.succeed(refresh)).toContain("- 1 deleted, 2 unchanged");
  expect(kept("one")).toBeUndefined();
  for (const text of workspace.files(".pulumi").values()) expect(text).not.toContain(CANARY);
});
