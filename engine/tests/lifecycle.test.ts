import { existsSync, readFileSync, writeFileSync } from "node:fs";
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
/** A command that notes in a file what happened to it. */
const noting = (name: string, more: object = {}): object => ({
  create: `echo create ${name} >> log; echo made ${name}`,
  update: `echo update ${name} >> log; echo made ${name}`,
  delete: `echo delete ${name} >> log`,
  ...more,
});
const log = (): string[] =>
  workspace
    .text("log")
    .split("\n")
    .filter((line) => line !== "");

it("creates, keeps, updates and deletes, in the order of dependencies", async () => {
  const rows = [
    { name: "base", args: noting("base") },
    { name: "group", type: "component" as const },
    {
      name: "user",
      args: noting("user", { environment: { BASE: { $output: "base.stdout" } } }),
      options: { parent: "group" },
    },
  ];
  workspace.table(rows, { made: { $output: "user.stdout" } });
  const preview = await workspace.succeed("preview");
  expect(preview).toContain("command:local:Command base create");
  expect(log()).toEqual([]);
  const first = await workspace.succeed(up);
  expect(first).toMatch(/Resources: \+ 4 created\n/);
  expect(log()).toEqual(["create base", "create user"]);
  expect(workspace.names().sort()).toEqual(["base", "group", "user"]);
  expect(await workspace.succeed("stack output made")).toBe("made user\n");
  expect(workspace.checkpoint().resources?.at(-1)).toMatchObject({
    urn: "urn:pulumi:dev::table::table:index:Group$command:local:Command::user",
    id: expect.stringMatching(/^user[0-9a-f]{8}$/),
    outputs: { stdout: "made user", stderr: "" },
    dependencies: ["urn:pulumi:dev::table::command:local:Command::base"],
  });

  const before = workspace.text(".pulumi/stacks/table/dev.json");
  expect(await workspace.succeed(`${up} --expect-no-changes`)).toContain("Resources: 4 unchanged");
  expect(workspace.text(".pulumi/stacks/table/dev.json")).toBe(before);

  const changed = { name: "base", args: noting("base", { environment: { A: "1" } }) };
  workspace.table([changed, ...rows.slice(1)]);
  expect((await workspace.pulumi("preview --expect-no-changes")).code).toBe(7);
  await workspace.succeed(up);
  expect(log().slice(2)).toEqual(["update base"]);

  workspace.table([changed]);
  expect(await workspace.succeed(up)).toContain("- 2 deleted");
  expect(log().slice(3)).toEqual(["delete user"]);
  expect(await workspace.succeed("destroy --yes")).toContain("- 2 deleted");
  expect(log().slice(4)).toEqual(["delete base"]);
  expect(workspace.checkpoint().resources).toBeUndefined();
});

it("passes the previous output to the next command", async () => {
  const args = {
    create: "printf '%s\\n' first; echo problem >&2",
    update: 'echo "$PULUMI_COMMAND_STDOUT/$PULUMI_COMMAND_STDERR"',
  };
  workspace.table([{ name: "c", args }]);
  await workspace.succeed(up);
  workspace.table([{ name: "c", args: { ...args, environment: { A: "1" } } }], {
    c: { $output: "c.stdout" },
  });
  await workspace.succeed(up);
  expect(await workspace.succeed("stack output c")).toBe("first/problem\n");
  workspace.table([{ name: "c", args: { ...args, addPreviousOutputInEnv: false } }], {
    c: { $output: "c.stdout" },
  });
  await workspace.succeed(up);
  expect(await workspace.succeed("stack output c")).toBe("/\n");
});

it("replaces: the new one first, or the old one with all that depends on it", async () => {
  const rows = (version: string, options: object): Parameters<Workspace["table"]>[0] => [
    { name: "root", args: noting("root", { triggers: [version] }), options },
    { name: "user", args: noting("user", { triggers: [{ $output: "root.stdout" }] }) },
    { name: "idle", args: noting("idle"), options: { dependsOn: ["root"] } },
  ];
  workspace.table(rows("1", {}));
  await workspace.succeed(up);
  workspace.table(rows("2", {}));
  expect(await workspace.succeed(up)).toContain("+- 1 replaced, 3 unchanged");
  expect(log().slice(3)).toEqual(["create root", "delete root"]);
  workspace.table(rows("3", { deleteBeforeReplace: true }));
  expect(await workspace.succeed(up)).toContain("+- 2 replaced");
  expect(log().slice(5)).toEqual(["delete user", "delete root", "create root", "create user"]);
  expect(workspace.names().sort()).toEqual(["idle", "root", "user"]);
});

it("keeps what failed, deletes nothing, and takes it up again", async () => {
  // After "good" each time, lest it is a matter of luck who comes first.
  const options = { dependsOn: ["good"] };
  const failing = {
    name: "bad",
    args: { create: "echo to stdout; echo to stderr >&2; test -e allowed" },
    options,
  };
  workspace.table([
    { name: "good", args: noting("good") },
    { name: "old", args: noting("old"), options },
  ]);
  await workspace.succeed(up);
  workspace.table([
    { name: "good", args: noting("good", { environment: { A: "1" } }) },
    failing,
    { name: "after", args: noting("after"), options: { dependsOn: ["bad"] } },
  ]);
  const end = await workspace.pulumi(up);
  expect(end.code).toBe(1);
  expect(end.stdout).toMatch(
    /bad: error: exit status 1: running "echo to stdout; echo to stderr >&2; test -e allowed":\n {4}bad: error: to stdout\n {4}bad: error: to stderr/,
  );
  expect(end.stdout.match(/error:.*exit status 1/g)).toHaveLength(1);
  expect(workspace.names()).toEqual(["good", "old"]);
  expect(log()).toEqual(["create good", "create old", "update good"]);
  writeFileSync(workspace.path("allowed"), "");
  expect(await workspace.succeed(up)).toContain("+ 2 created, - 1 deleted, 2 unchanged");
  expect(log().slice(3)).toEqual(["create after", "delete old"]);
});

it("tells what failed, and nothing of what the program could not register because of that", async () => {
  // The program wants `after` only when `slow` is done, and that is after `bad` ended the run; `bad` fails once `slow` is at work.
  const waitFor = (file: string): string => `until test -e ${file}; do sleep 0.02; done`;
  workspace.table([
    { name: "bad", args: { create: `${waitFor("begun")}; exit 3` } },
    { name: "slow", args: { create: `touch begun; ${waitFor("told")}; echo done` } },
    { name: "after", args: { create: "true", environment: { SEEN: { $output: "slow.stdout" } } } },
  ]);
  const child = workspace.start(up.split(" "));
  const ending = ended(child);
  let printed = "";
  child.stdout?.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  await until("it is told that `bad` failed", () => /Command bad \S+ failed/.test(printed));
  writeFileSync(workspace.path("told"), "");
  const end = await ending;
  expect(end.code).toBe(1);
  expect(end.stdout).toContain("exit status 3");
  expect(end.stdout + end.stderr).not.toMatch(/unhandled exception|Channel/);
  expect(workspace.names()).toEqual(["slow"]);
});

it("keeps the old inputs of an update that failed", async () => {
  workspace.table([{ name: "c", args: { create: "true" } }]);
  await workspace.succeed(up);
  workspace.table([{ name: "c", args: { create: "exit 3" } }]);
  expect((await workspace.pulumi(up)).stdout).toContain("exit status 3");
  expect(workspace.checkpoint().resources?.at(-1)).toMatchObject({ inputs: { create: "true" } });
});

it("honours protect, retainOnDelete, ignoreChanges and deletedWith", async () => {
  const row = (
    name: string,
    options: object,
    more: object = {},
  ): Parameters<Workspace["table"]>[0][number] => ({ name, args: noting(name, more), options });
  workspace.table([
    row("guarded", { protect: true }),
    row("kept", { retainOnDelete: true }),
    row("frozen", { ignoreChanges: ["environment.A"] }, { environment: { A: "1", B: "1" } }),
    row("companion", { deletedWith: "frozen" }),
  ]);
  await workspace.succeed(up);
  expect(log()).toHaveLength(4);

  const refused = await workspace.pulumi("destroy --yes --skip-preview");
  expect(refused.code).toBe(1);
  expect(refused.stdout).toContain('::guarded" cannot be deleted');
  expect(log()).toHaveLength(4);

  workspace.table([
    row("guarded", {}),
    row("frozen", { ignoreChanges: ["environment.A"] }, { environment: { A: "2", B: "1" } }),
    row("companion", { deletedWith: "frozen" }),
  ]);
  await workspace.succeed(up);
  expect(log()).toHaveLength(4);
  expect(workspace.names().sort()).toEqual(["companion", "frozen", "guarded"]);

  await workspace.succeed("destroy --yes --skip-preview");
  expect(log().slice(4).sort()).toEqual(["delete frozen", "delete guarded"]);
});

it("keeps secrets out of everything it writes and prints", async () => {
  const canaries = ["canary-password-8241", "line-one-of-key-77\nline-two-of-key-78"];
  await workspace.pulumi("config set --secret password", {}, canaries[0]);
  await workspace.pulumi("config set --secret --path nested.keys[0]", {}, canaries[1]);
  await workspace.succeed("config set open visible");
  const secretRow = { $secret: "password" };
  workspace.table(
    [
      { name: "echo", args: { create: 'p=$(cat); echo "$p"; echo "in part: $p" >&2', stdin: secretRow } },
      { name: "env", args: { create: 'echo "$P"', environment: { P: secretRow } } },
      {
        name: "marked",
        args: { create: "echo computed-canary-$((4 + 5))", logging: "none" },
        options: { additionalSecretOutputs: ["stdout"] },
      },
      { name: "passed", args: { create: "cat", stdin: { $output: "marked.stdout" } } },
    ],
    { password: secretRow, stdout: { $output: "echo.stdout" }, marked: { $output: "marked.stdout" } },
  );
  const runs = [
    await workspace.pulumi("preview"),
    await workspace.pulumi("preview --json"),
    await workspace.pulumi("up --yes"),
    await workspace.pulumi("stack"),
    await workspace.pulumi("stack output --json"),
    await workspace.pulumi("config"),
  ];
  workspace.table([{ name: "echo", args: { create: "cat >&2; exit 1", stdin: secretRow } }]);
  // From here on everything that the engine printed and wrote is searched.
  runs.push(await workspace.pulumi(up));
  expect(runs.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0, 0, 1]);
  expect(runs.at(-1)?.stdout).toContain("[secret]");
  const printed = runs.map(({ stdout, stderr }) => stdout + stderr).join("");
  for (const canary of [
    "canary-password-8241",
    "line-one-of-key-77",
    "line-two-of-key-78",
    "computed-canary-9",
  ]) {
    expect(printed).not.toContain(canary);
    for (const [name, content] of [
      ...workspace.files(".pulumi"),
      ["config", workspace.text("Pulumi.dev.yaml")],
    ] as const) {
      expect(`${name}: ${content}`).not.toContain(canary);
    }
  }
  expect(await workspace.succeed("config get password")).toBe("canary-password-8241\n");
  expect(await workspace.succeed("config get --path nested.keys[0]")).toBe(`${canaries[1] ?? ""}\n`);
  expect((await workspace.pulumi("config", { PULUMI_CONFIG_PASSPHRASE: "wrong" })).code).toBe(0);
  const wrong = await workspace.pulumi("preview", { PULUMI_CONFIG_PASSPHRASE: "wrong" });
  expect([wrong.code, wrong.stderr]).toEqual([
    1,
    expect.stringContaining("the passphrase does not fit this stack"),
  ]);
});

it("masks secret outputs where they stand, unless they are asked for in clear", async () => {
  await workspace.succeed("config set --secret password canary-of-outputs");
  const secret = { $secret: "password" };
  workspace.table([], { open: "visible", token: secret, nested: { list: [secret, 1], open: true } });
  await workspace.succeed(up);
  const shown = (value: string): Record<string, string> => ({
    "stack output open": "visible\n",
    "stack output token": `${value}\n`,
    "stack output token --json": `"${value}"\n`,
    "stack output nested": `{"list":["${value}",1],"open":true}\n`,
    "stack output --json": `${JSON.stringify({ nested: { list: [value, 1], open: true }, open: "visible", token: value }, undefined, 2)}\n`,
    "stack output": `Current stack outputs (3):\n    nested  {"list":["${value}",1],"open":true}\n    open    visible\n    token   ${value}\n`,
  });
  for (const [words, printed] of Object.entries(shown("[secret]")))
    expect([words, await workspace.succeed(words)]).toEqual([words, printed]);
  for (const [words, printed] of Object.entries(shown("canary-of-outputs")))
    expect([words, await workspace.succeed(`${words} --show-secrets`)]).toEqual([words, printed]);
});

it("refuses by name what it lacks", async () => {
  const refusals: [string, Parameters<Workspace["table"]>[0], string][] = [
    [
      "a package",
      [{ name: "x", type: "unknown" }],
      "no provider for package elsewhere in the embedded engine",
    ],
    ["an option", [{ name: "x", args: noting("x"), options: { import: "id" } }], 'does not support "import"'],
    [
      "an input",
      [{ name: "x", args: { create: "true", archivePaths: ["*"] } }],
      "property archivePaths has a problem: not supported",
    ],
    [
      "a name taken twice",
      [
        { name: "x", args: noting("x") },
        { name: "x", args: noting("x") },
      ],
      "Duplicate resource URN",
    ],
  ];
  for (const [, rows, reason] of refusals) {
    workspace.table(rows);
    const end = await workspace.pulumi("preview");
    expect([end.code, end.stdout]).toEqual([1, expect.stringContaining(reason)]);
  }
  for (const words of ["up --target x", "import a b c", "stack export"]) {
    const end = await workspace.pulumi(words);
    expect([words, end.code, end.stderr]).toEqual([
      words,
      2,
      expect.stringContaining("The embedded engine does not have it"),
    ]);
  }
});

it("leaves production to the CLI", async () => {
  await workspace.succeed("config set environment production");
  workspace.table([{ name: "x", args: noting("x") }]);
  for (const words of [up, "destroy --yes", "refresh --yes"]) {
    const end = await workspace.pulumi(words);
    expect([end.code, end.stderr]).toEqual([2, expect.stringContaining("Install the Pulumi CLI")]);
  }
  expect(await workspace.succeed("preview")).toContain("+ 2 to create");
});

it("asks nobody who is not there", async () => {
  workspace.table([]);
  for (const words of ["up", "up --non-interactive", "destroy"]) {
    const end = await workspace.pulumi(words);
    expect([end.code, end.stderr]).toEqual([2, expect.stringContaining("--yes")]);
  }
});

it("manages stacks", async () => {
  workspace.table([{ name: "x", args: noting("x") }], { list: [1, { a: "b" }] });
  await workspace.succeed("stack init organization/table/other");
  expect(await workspace.succeed("stack ls")).toMatch(/dev +0\nother\* +0\n/);
  await workspace.succeed(`${up} -s dev`);
  await workspace.succeed("stack select dev");
  expect(await workspace.succeed("stack output --json")).toBe(
    '{\n  "list": [\n    1,\n    {\n      "a": "b"\n    }\n  ]\n}\n',
  );
  expect(await workspace.succeed("stack")).toContain("command:local:Command  x");
  expect((await workspace.pulumi("stack rm --yes")).stderr).toContain("still has 3 resource(s)");
  await workspace.succeed("stack rm other --yes");
  expect(existsSync(workspace.path("Pulumi.other.yaml"))).toBe(false);
  for (const words of [
    "stack output nothing",
    "stack select none",
    "stack init dev",
    "up --yes -s none",
    "stack init a/b",
  ]) {
    expect([words, (await workspace.pulumi(words)).code]).not.toEqual([words, 0]);
  }
  expect((await workspace.pulumi("preview -s none")).code).toBe(6);
  expect(JSON.parse(readFileSync(workspace.path(".pulumi/stacks/table/dev.json"), "utf8"))).toMatchObject({
    version: 3,
    checkpoint: { stack: "organization/table/dev" },
  });
});

it("previews as JSON in the shape of the CLI's", async () => {
  workspace.table([
    { name: "same", args: { create: "true" } },
    { name: "new", args: { create: "true", triggers: ["1"] } },
  ]);
  await workspace.succeed(up);
  workspace.table([
    { name: "same", args: { create: "true" } },
    { name: "new", args: { create: "true", triggers: ["2"] } },
  ]);
  const document = JSON.parse(await workspace.succeed("preview --json")) as {
    steps: { op: string; urn: string }[];
  };
  expect(document).toMatchObject({ changeSummary: { same: 2, replace: 1 }, diagnostics: [], config: {} });
  expect(document.steps.map(({ op, urn }) => `${op} ${urn.split("::").at(-1) ?? ""}`).sort()).toEqual([
    "replace new",
    "same table-dev",
  ]);
  expect(document.steps.find(({ op }) => op === "replace")).toMatchObject({
    diffReasons: ["triggers"],
    detailedDiff: { "triggers[0]": { kind: "update-replace", inputDiff: false } },
  });
});
