import { existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { ended, EngineBundle, until, Workspace } from "./harness";

jest.setTimeout(600_000);

const CANARY = "canary-of-plugin";
const up = "up --yes --skip-preview";

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

interface Row {
  readonly name: string;
  readonly kind?: string;
  readonly args?: object;
  readonly options?: object;
  readonly get?: string;
  readonly call?: string;
}

/** A stack whose plugin takes what SHELF_PROTOCOL says. */
async function open(protocol = "handshake"): Promise<void> {
  workspace = new Workspace(engine, "plugin", { SHELF_PROTOCOL: protocol });
  symlinkSync(shelf, workspace.path("plugin"));
  await workspace.succeed("stack init dev");
  await workspace.pulumi("config set --secret token", {}, CANARY);
  await workspace.pulumi("config set --secret shelf:key", {}, `${CANARY}-key`);
  await workspace.succeed("config set shelf:place cellar");
}

function rows(...list: Row[]): void {
  workspace.table(list);
}

/** What the plugin did, without what it was only asked. */
function calls(): string[] {
  const lines = workspace.text("calls").split("\n");
  return lines.filter((line) => /^(?:create|update|delete|invoke|read)/.test(line));
}

interface Kept {
  readonly urn: string;
  readonly id: string;
  readonly type: string;
  readonly inputs: Record<string, unknown>;
  readonly outputs: Record<string, unknown>;
  readonly provider?: string;
  readonly initErrors?: string[];
  readonly external?: boolean;
}

function kept(name: string): Kept[] {
  const all = (workspace.checkpoint().resources ?? []) as unknown as Kept[];
  return all.filter(({ urn }) => urn.endsWith(`::${name}`));
}

function refuseCanary(...texts: string[]): void {
  for (const text of [...texts, ...workspace.files(".pulumi").values()]) expect(text).not.toContain(CANARY);
}

const note = { $secret: "token" };
const box = (name: string, args: object = {}, options: object = {}): Row => ({
  name,
  args: { label: name, size: 2, note, ...args },
  options,
});

describe.each(["handshake", "configure", "plain"])("a plugin that says what it takes by %s", (protocol) => {
  beforeEach(() => open(protocol));

  it("creates, updates, replaces either way and deletes, with its config and the marks that it takes", async () => {
    rows(box("one"));
    const first = await workspace.succeed("up --yes");
    expect(calls()).toEqual(["create one in cellar"]);
    expect(first).toContain("making it with [secret]");
    const deep = protocol === "plain" ? "" : "deep";
    expect(workspace.text("calls")).toContain(`configure default_1_2_3 cellar ${CANARY}-key ${deep}`);
    if (protocol === "handshake") expect(workspace.text("calls")).toContain("handshake true");
    const [provider] = kept("default_1_2_3");
    const expected = {
      place: "cellar",
      version: "1.2.3",
      ...(protocol === "plain" ? {} : { depth: "deep" }),
    };
    expect(provider).toMatchObject({ inputs: expected, outputs: expected });
    expect(kept("one")).toMatchObject([
      { id: "id-one", inputs: { label: "one", size: 2 }, outputs: { volume: 8, place: "cellar" } },
    ]);
    expect(kept("one")[0]?.provider).toBe(`${provider?.urn ?? ""}::${provider?.id ?? ""}`);
    refuseCanary(first);
    const madeName = kept("one")[0]?.inputs["name"];
    expect(madeName).toMatch(/^box-[0-9a-f]{8}$/);

    const again = await workspace.succeed(`${up} --expect-no-changes`);
    expect(again).toContain("2 unchanged");
    expect(kept("default_1_2_3")).toEqual([provider]);

    rows(box("one", { size: 3 }));
    expect(await workspace.succeed(up)).toContain("~ 1 updated, 1 unchanged");
    expect(kept("one")).toMatchObject([
      { id: "id-one", inputs: { name: madeName }, outputs: { volume: 27 } },
    ]);

    // A new one beside the old one has a made-up name of its own; one that has to wait for the old one's end has, too.
    rows(box("one", { name: "chosen", label: "two" }));
    expect(await workspace.succeed(up)).toContain("+- 1 replaced, 1 unchanged");
    rows(box("one", { name: "chosen", label: "three", material: "oak" }));
    expect(await workspace.succeed(up)).toContain("+- 1 replaced, 1 unchanged");
    await workspace.succeed("destroy --yes");
    expect(calls()).toEqual([
      ...["create one in cellar", "update id-one", "create two in cellar", "delete id-one from cellar"],
      ...["delete id-two from cellar", "create three in cellar", "delete id-three from cellar"],
    ]);
    expect(workspace.checkpoint().resources ?? []).toEqual([]);
    await until("every process has ended", () => workspace.processes().length === 0);
  });

  it("previews what it knows, and calls functions", async () => {
    rows(
      box("one"),
      box("two", { size: { $output: "one.volume" } }),
      { name: "early", kind: "plain call", call: "shelf:index:measure", args: { size: 3 } },
      { name: "late", kind: "call", call: "shelf:index:measure", args: { size: { $output: "one.volume" } } },
      box("three", { size: { $output: "early.volume" } }),
    );
    const { stdout } = await workspace.pulumi("preview --json");
    const { steps } = JSON.parse(stdout) as {
      steps: { urn: string; newState: { inputs?: Record<string, unknown> } }[];
    };
    const sizes = steps.map(({ urn, newState }) => [urn.split("::").at(-1), newState.inputs?.["size"]]);
    expect(Object.fromEntries(sizes)).toEqual({
      "table-dev": undefined,
      one: 2,
      // Only a plugin that can be asked in a preview knows the volume of what is not there.
      two: protocol === "plain" ? "[unknown]" : 8,
      three: 27,
    });
    expect(existsSync(workspace.path("world.json"))).toBe(false);
    expect(calls()).toEqual([
      expect.stringMatching(/^invoke shelf:index:measure \{"size":3\} in a preview$/),
    ]);
    await workspace.succeed(up);
    expect(calls().filter((line) => line.startsWith("invoke"))).toEqual([
      'invoke shelf:index:measure {"size":3} in a preview',
      'invoke shelf:index:measure {"size":3}',
      'invoke shelf:index:measure {"size":8}',
    ]);
    expect(kept("two")).toMatchObject([{ outputs: { volume: 512 } }]);
  });
});

describe("a plugin", () => {
  beforeEach(() => open());

  it("makes outputs secret whose arguments are, and tells why a function fails, which the program may survive", async () => {
    workspace.table(
      [
        box("one", { size: 4 }),
        { name: "known", kind: "call", call: "shelf:index:measure", args: { size: 3, note } },
      ],
      { volume: { $output: "known.volume" } },
    );
    const first = await workspace.succeed(up);
    expect(first).toContain('+ volume: "[secret]"');
    expect(calls()).toContain(`invoke shelf:index:measure {"note":"${CANARY}","size":3}`);
    for (const [args, message] of [
      [{ size: "big" }, "has to be a number (size)"],
      [{ size: 13, note }, "no box measures 13, [secret]"],
    ] as const) {
      rows({ name: "bad", kind: "plain call", call: "shelf:index:measure", args });
      const end = await workspace.pulumi("preview");
      expect([end.code, end.stdout]).toEqual([1, expect.stringContaining(message)]);
      refuseCanary(end.stdout, end.stderr);
    }
    rows({ name: "bad", kind: "plain call", call: "pulumi:pulumi:readStackOutputs", args: {} });
    expect((await workspace.pulumi("preview")).stdout).toContain(
      "the embedded engine does not support the function pulumi:pulumi:readStackOutputs",
    );
  });

  it("serves each provider resource with its own config, and replaces what moves to another", async () => {
    const provider = (place: unknown): Row => ({
      name: "attic",
      kind: "provider",
      args: { place, key: note },
    });
    rows(provider("attic"), box("one", {}, { provider: "attic" }), box("two"));
    const first = await workspace.succeed("up --yes");
    expect(calls().sort()).toEqual(["create one in attic", "create two in cellar"]);
    refuseCanary(first);
    expect(kept("attic")).toMatchObject([
      { inputs: { place: "attic", depth: "deep", version: "1.2.3" }, outputs: { depth: "deep" } },
    ]);
    expect(await workspace.succeed(`${up} --expect-no-changes`)).toContain("4 unchanged");

    // DiffConfig says that another place is another shelf: what is on the old one is deleted there.
    rows(provider("loft"), box("one", {}, { provider: "attic" }), box("two"));
    expect(await workspace.succeed(up)).toContain("+- 2 replaced, 2 unchanged");
    expect(calls().slice(2)).toEqual(["create one in loft", "delete id-one from attic"]);

    // A key is none.
    rows(
      { name: "attic", kind: "provider", args: { place: "loft", key: "other" } },
      box("one", {}, { provider: "attic" }),
      box("two"),
    );
    expect(await workspace.succeed(up)).toContain("~ 1 updated, 3 unchanged");
    await workspace.succeed("destroy --yes");
    expect(calls().slice(4).sort()).toEqual(["delete id-one from loft", "delete id-two from cellar"]);
  });

  it("previews resources of a provider whose config is not known yet", async () => {
    rows(
      box("one"),
      { name: "later", kind: "provider", args: { place: { $output: "one.owner" } } },
      box("two", { size: 5 }, { provider: "later" }),
      {
        ...{ name: "measured", kind: "call", call: "shelf:index:measure" },
        ...{ args: { size: 3 }, options: { provider: "later" } },
      },
      box("three", { size: { $output: "measured.volume" } }),
    );
    const preview = await workspace.succeed("preview");
    expect(preview).toContain("+ 5 to create");
    expect(workspace.text("calls")).not.toContain("later");
    expect(calls()).toEqual([]);
  });

  it("refuses config, inputs and creations, keeps what was done by half, and shows no secret", async () => {
    const attempt = async (words = up): Promise<string> => {
      const { code, stdout, stderr } = await workspace.pulumi(words);
      refuseCanary(stdout, stderr);
      return `${String(code)} ${stdout}${stderr}`;
    };
    rows({ name: "bad", kind: "provider", args: { place: "nowhere", key: note } });
    expect(await attempt("preview")).toMatch(/^1 [^]*property place has a problem: nowhere with \[secret\]/);
    rows(
      { name: "bad", kind: "provider", args: { place: "locked", key: note } },
      box("one", {}, { provider: "bad" }),
    );
    expect(await attempt("preview")).toMatch(/^1 [^]*bad: error: no entry with \[secret\]/);
    rows(box("one", { size: -1 }));
    expect(await attempt("preview")).toMatch(
      /^1 [^]*property size has a problem: -1 is too small for "\[secret\]"/,
    );
    rows(box("one", { fault: "throws" }));
    expect(await attempt()).toMatch(/^1 [^]*one: error: no room for \[secret\]/);
    rows(box("one", { fault: "ends" }));
    expect(await attempt()).toMatch(
      /^1 [^]*one: error: the provider plugin of package shelf ended with exit code 3\. It had printed:\n.*out of wood/,
    );
    expect(kept("one")).toEqual([]);

    rows(box("one", { fault: "half way" }));
    expect(await attempt()).toMatch(/^1 [^]*one: error: .*not closed, \[secret\]/);
    expect(kept("one")).toMatchObject([{ id: "id-one", initErrors: ["not closed, [secret]"] }]);
    rows(box("one"));
    expect(await attempt()).toMatch(/^0 [^]*~ 1 updated/);
    expect(kept("one")[0]).not.toHaveProperty("initErrors");

    rows(box("one", { size: 3, fault: "throws" }));
    expect(await attempt()).toMatch(/^1 [^]*one: error: update fails with \[secret\]/);
    expect(kept("one")).toMatchObject([{ inputs: { size: 2 }, outputs: { volume: 8 } }]);
  });

  it("is refused where it is not there, and asked for by name where none is named", async () => {
    rows(box("one"));
    const project = readFileSync(workspace.path("Pulumi.yaml"), "utf8");
    const tryWith = async (text: string): Promise<string> => {
      writeFileSync(workspace.path("Pulumi.yaml"), text);
      const { code, stdout, stderr } = await workspace.pulumi("preview");
      return `${String(code)} ${stdout}${stderr}`;
    };
    expect(await tryWith(project.replace("./plugin", "./elsewhere"))).toMatch(
      /^1 [^]*the provider plugin of package shelf is not there: .*\/elsewhere\/pulumi-resource-shelf/,
    );
    expect(await tryWith("name: table\nruntime: nodejs\n")).toMatch(
      /^1 [^]*no provider for package shelf in the embedded engine [^]*plugins\.providers/,
    );
    expect(
      await tryWith("name: table\nruntime: nodejs\nplugins: {analyzers: [], providers: [{name: x}]}\n"),
    ).toMatch(
      /^2 [^]*plugins\.analyzers: not supported[^]*plugins\.providers\[0\]: expected a package's name and the path/,
    );
  });

  it("reads what is not the stack's, and gives it back untouched", async () => {
    rows(box("one"));
    await workspace.succeed(up);
    rows(
      box("one"),
      { name: "found", kind: "get", get: "id-one" },
      box("two", { size: { $output: "found.volume" } }),
    );
    expect(await workspace.succeed("preview")).toContain(" >  shelf:index:Box found read\n");
    expect(await workspace.succeed(up)).toContain("+ 1 created, 2 unchanged");
    expect(kept("found")).toMatchObject([{ id: "id-one", external: true, outputs: { volume: 8 } }]);
    expect(kept("two")).toMatchObject([{ outputs: { volume: 512 } }]);
    expect(await workspace.succeed(`${up} --expect-no-changes`)).not.toContain("read");

    // What the stack had under that name is its own, and goes.
    rows(box("one"), { name: "two", kind: "get", get: "id-one" });
    expect(await workspace.succeed(up)).toContain("+- 1 replaced");
    expect(calls().slice(-2)).toEqual(["read id-one", "delete id-two from cellar"]);
    rows(box("one"), { name: "two", kind: "get", get: "id-none" });
    expect((await workspace.pulumi(up)).stdout).toContain("two: error: resource 'id-none' does not exist");
    rows(box("one"), box("two", { label: "own" }));
    expect(await workspace.succeed(up)).toContain("+- 1 replaced, 2 unchanged");
    expect(calls().slice(-1)).toEqual(["create own in cellar"]);
    rows({ name: "one", kind: "get", get: "id-one" });
    expect(await workspace.succeed(up)).toContain("- 1 deleted");
    const before = calls().length;
    await workspace.succeed("destroy --yes");
    expect(calls().slice(before)).toEqual([]);
    expect(Object.keys(JSON.parse(workspace.text("world.json")) as object)).toEqual(["id-one"]);
  });

  it("is used as the options of its resources say", async () => {
    rows(
      box("guarded", {}, { protect: true }),
      box("kept", {}, { retainOnDelete: true }),
      box("one"),
      box("inside", {}, { deletedWith: "one" }),
      box("loose", { size: 5 }, { ignoreChanges: ["size", "lid"], additionalSecretOutputs: ["volume"] }),
    );
    await workspace.succeed(up);
    expect(kept("loose")[0]?.outputs["volume"]).toHaveProperty("ciphertext");
    rows(
      box("guarded", { material: "oak" }, { protect: true }),
      box("loose", { size: 6, lid: true }, { ignoreChanges: ["size", "lid"] }),
    );
    const end = await workspace.pulumi(up);
    expect([end.code, end.stdout]).toEqual([1, expect.stringContaining("currently marked for protection")]);
    expect(workspace.text("calls")).not.toContain("diff id-loose size");

    rows(
      box("guarded", {}, { protect: true }),
      box("loose", { size: 6, lid: true }, { ignoreChanges: ["size", "lid"] }),
    );
    const before = calls().length;
    expect(await workspace.succeed(up)).toContain("- 3 deleted, 3 unchanged");
    expect(calls().slice(before)).toEqual(["delete id-one from cellar"]);
    expect(workspace.text("calls")).toContain("diff id-loose  ignoring size,lid");
    expect(kept("loose")).toMatchObject([{ inputs: { size: 5 } }]);
    expect(kept("loose")[0]?.inputs).not.toHaveProperty("lid");

    rows(box("guarded", {}, { protect: true }), box("loose", { size: 7 }, { replaceOnChanges: ["size"] }));
    expect(await workspace.succeed(up)).toContain("+- 1 replaced, 2 unchanged");
    rows(box("loose", { size: 7 }));
    const refused = await workspace.pulumi(up);
    expect([refused.code, refused.stdout]).toEqual([
      1,
      expect.stringMatching(/::guarded" cannot be deleted/),
    ]);
    rows(box("guarded", {}, { protect: false }), box("loose", { size: 7 }, { import: "id-elsewhere" }));
    expect((await workspace.pulumi("preview")).stdout).toContain('does not support "import" on resources');
  });

  it("ends with a run that is interrupted twice, or killed", async () => {
    rows(box("one", { fault: "hangs" }));
    for (const signals of [["SIGINT", "SIGINT"], ["SIGKILL"]] as const) {
      const attempts = calls().length;
      const child = workspace.start(up.split(" "));
      const end = ended(child);
      let printed = "";
      child.stderr?.on("data", (chunk: Buffer) => (printed += chunk.toString()));
      await until("the plugin is at work", () => calls().length > attempts);
      for (const [index, signal] of signals.entries()) {
        if (index > 0) await until("the first interrupt is told", () => printed.includes("stopping when"));
        child.kill(signal);
      }
      const { code, stdout } = await end;
      if (signals.length > 1)
        expect([code, stdout]).toEqual([8, expect.stringContaining("one: error: interrupted")]);
      await until("every process has ended", () => workspace.processes().length === 0);
    }
  });
});
