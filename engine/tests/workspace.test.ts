import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { FileBackend } from "../state/backend";
import { isAbandoned, localProcesses, StackLock, type LockContent, type ProcessFacts } from "../state/lock";
import { checkConfig, resolveValue, withDefaults } from "../workspace/config";
import { loadProject } from "../workspace/project";
import { readPassphrase } from "../workspace/passphrase";
import { StackConfigFile, type StoredValue } from "../workspace/stack-config";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "engine-test-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});
const path = (name: string): string => join(directory, name);
const write = (name: string, text: string): string => {
  writeFileSync(path(name), text);
  return path(name);
};

describe("a project file", () => {
  it("is found from a directory below it, and read", () => {
    write(
      "Pulumi.yaml",
      "name: p\nruntime: nodejs\nmain: program\nstackConfigDir: stacks\nbackend: {url: file://x}\nconfig: {a: {type: integer, default: 1}, aws:region: eu-central-1}\n",
    );
    mkdirSync(path("program/deep"), { recursive: true });
    expect(loadProject(path("program/deep"))).toMatchObject({
      name: "p",
      root: directory,
      programDirectory: path("program"),
      entry: ".",
      stackConfigDirectory: path("stacks"),
      backendUrl: "file://x",
      config: new Map([
        ["p:a", { type: "integer", default: 1 }],
        ["aws:region", { default: "eu-central-1" }],
      ]),
    });
  });

  it("may name the file to run, and arguments for Node", () => {
    write(
      "Pulumi.yaml",
      "name: p\nruntime: {name: nodejs, options: {nodeargs: --trace-uncaught --no-warnings}}\nmain: src/index.ts\n",
    );
    expect(loadProject(directory)).toMatchObject({
      programDirectory: path("src"),
      entry: path("src/index.ts"),
      nodeArguments: ["--trace-uncaught", "--no-warnings"],
    });
  });

  it("is refused with all its faults at once", () => {
    write(
      "Pulumi.yaml",
      "runtime: python\nplugins: {languages: []}\ntemplates: {}\nconfig: {a: {type: text}, b: {secret: maybe}}\nmain: 7\n",
    );
    const load = (): unknown => loadProject(directory);
    for (const fault of [
      "name: missing",
      "plugins.languages: not supported",
      "templates: not supported",
      'runtime: the embedded engine runs "nodejs" only, not "python"',
      "config.a.type",
      "config.b.secret",
      "main: expected a string",
    ]) {
      expect(load).toThrow(fault);
    }
  });

  it("is missed by name", () => {
    expect(() => loadProject(directory)).toThrow(`no Pulumi.yaml in ${directory}`);
  });
});

describe("a backend", () => {
  it.each([
    ["file:///var/state", "/var/state/.pulumi"],
    ["file://.", "/base/.pulumi"],
    ["file://./state?no_tmp_dir=true", "/base/state/.pulumi"],
    ["file://~/state", join(process.env["HOME"] ?? "", "state/.pulumi")],
  ])("at %s is in %s", (url, expected) => {
    expect(FileBackend.at(url, "/base").directory).toBe(expected);
  });
  it.each(["s3://bucket", "https://api.example.com", "gs://x"])("at %s is refused", (url) => {
    expect(() => FileBackend.at(url, "/base")).toThrow(`the backend ${url} is not supported`);
  });
});

describe("a stack's config file", () => {
  const text = `# Who may read this: everyone.
encryptionsalt: v1:abc

config:
  # The release.
  p:version: v1.0.0 # keep in step
  other:flag: true
  p:site:
    hosts:
      - name: a
unknown: kept
`;

  it("keeps comments, order and unknown keys through an edit", async () => {
    const file = StackConfigFile.open(write("Pulumi.dev.yaml", text));
    file.set("p:version", [], "v1.0.1");
    file.set("p:site", ["hosts", 1, "name"], "b");
    file.set("p:new", [], "8080");
    file.remove("other:flag", []);
    await file.save();
    expect(readFileSync(path("Pulumi.dev.yaml"), "utf8")).toBe(`# Who may read this: everyone.
encryptionsalt: v1:abc

config:
  # The release.
  p:version: v1.0.1 # keep in step
  p:site:
    hosts:
      - name: a
      - name: b
  p:new: "8080"
unknown: kept
`);
  });

  it("gives back any string that was set, as a string", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: "binary" }).filter((value) => !/[\ud800-\udfff\ufeff]/.test(value)),
        async (value) => {
          const file = StackConfigFile.open(path("new.yaml"));
          file.set("p:key", [], value);
          await file.save();
          expect(StackConfigFile.open(path("new.yaml")).values().get("p:key")).toBe(value);
        },
      ),
      {
        numRuns: 60,
        examples: [
          ["true"],
          ["0x1f"],
          ["1e3"],
          ["null"],
          ["~"],
          [""],
          ["a: b # c"],
          ["line\nline\n"],
          ["'"],
          ["2026-01-01"],
        ],
      },
    );
  });

  it.each([
    ["", []],
    ["# nothing yet\n", []],
    ["config:\n", []],
    ["config:\n  p:config:old: x\n", [["p:old", "x"]]],
  ])("of %j has the values %j", (content, values) => {
    expect([...StackConfigFile.open(write("f.yaml", content)).values()]).toEqual(values);
  });

  it.each([
    ["a: [", "is not YAML"],
    ["- a", "expected a mapping"],
    ["secretsprovider: awskms://x", "secretsprovider"],
    ["environment: [a]", "ESC"],
  ])("of %j is refused", (content, reason) => {
    expect(() => StackConfigFile.open(write("f.yaml", content))).toThrow(reason);
  });

  it("refuses to set inside a plain value", () => {
    const file = StackConfigFile.open(write("f.yaml", "config:\n  p:a: x\n"));
    expect(() => {
      file.set("p:a", ["b"], "y");
    }).toThrow("cannot set inside");
  });
});

describe("config", () => {
  const project = (schema: string): ReturnType<typeof loadProject> => {
    write("Pulumi.yaml", `name: p\nruntime: nodejs\nconfig:\n${schema}`);
    return loadProject(directory);
  };
  const check = (schema: string, stored: Record<string, StoredValue>): void => {
    const loaded = project(schema);
    const values = withDefaults(loaded, new Map(Object.entries(stored)));
    checkConfig(
      loaded,
      "dev",
      new Map([...values].map(([key, value]) => [key, resolveValue(value, () => "clear")])),
    );
  };

  it.each<[string, StoredValue, boolean]>([
    ["string", "x", true],
    ["string", ["x"], false],
    ["integer", "12", true],
    ["integer", 12, true],
    ["integer", "1.5", false],
    ["integer", "", false],
    ["number", "1.5", true],
    ["number", "one", false],
    ["boolean", true, true],
    ["boolean", "yes", false],
    ["array", ["a"], true],
    ["array", "a", false],
    ["object", { a: 1 }, true],
    ["object", ["a"], false],
  ])("of type %s takes %j: %p", (type, value, fits) => {
    const run = (): void => {
      check(`  k: {type: ${type}}\n`, { "p:k": value });
    };
    if (fits) expect(run).not.toThrow();
    else expect(run).toThrow(`k: has to be of type '${type}'`);
  });

  it("tells all faults at once, and no secret", () => {
    const schema =
      "  a: {type: string}\n  b: {type: integer}\n  c: {type: string, secret: true}\n  d: {type: boolean, secret: true}\n  e: {type: string, default: x}\n";
    const run = (): void => {
      check(schema, { "p:b": "no number", "p:c": "in the open", "p:d": { secure: "v1:x:y" } });
    };
    for (const fault of [
      /a: missing/,
      /b: has to be of type 'integer', not "no number"/,
      /c: has to be encrypted/,
      /d: has to be of type 'boolean'$/m,
    ]) {
      expect(run).toThrow(fault);
    }
    expect(run).not.toThrow(/clear|: e/);
  });

  it("reaches a program as text, trees as JSON, with what is secret known", () => {
    const decrypt = (ciphertext: string): string => `<${ciphertext}>`;
    expect(resolveValue(5, decrypt)).toEqual({ value: "5", text: "5", secret: false });
    expect(resolveValue({ secure: "x" }, decrypt)).toEqual({ value: "<x>", text: "<x>", secret: true });
    expect(resolveValue({ a: [1, { secure: "x" }] }, decrypt)).toEqual({
      value: { a: [1, "<x>"] },
      text: '{"a":[1,"<x>"]}',
      secret: true,
    });
  });
});

describe("the passphrase", () => {
  it("comes from the environment or from a file", () => {
    expect(readPassphrase({ PULUMI_CONFIG_PASSPHRASE: "" })).toBe("");
    expect(readPassphrase({ PULUMI_CONFIG_PASSPHRASE_FILE: write("pass", " hush \n") })).toBe("hush");
    expect(() => readPassphrase({})).toThrow("set PULUMI_CONFIG_PASSPHRASE");
    expect(() => readPassphrase({ PULUMI_CONFIG_PASSPHRASE_FILE: path("none") })).toThrow("cannot be read");
  });
});

describe("a lock", () => {
  const facts = (running: Record<number, number>): ProcessFacts => ({
    bootId: "this boot",
    bootTime: Date.parse("2026-01-01T00:00:00Z"),
    hostname: "here",
    startTicks: (pid) => running[pid],
  });
  const lock = (more: Partial<LockContent>): LockContent => ({
    pid: 7,
    username: "u",
    hostname: "here",
    timestamp: "2026-01-01T01:00:00Z",
    ...more,
  });
  it.each<[string, Partial<LockContent>, Record<number, number>, boolean]>([
    ["whose process runs", { bootId: "this boot", startTicks: 100 }, { 7: 100 }, false],
    ["whose process is gone", { bootId: "this boot", startTicks: 100 }, {}, true],
    [
      "whose process id belongs to another one now",
      { bootId: "this boot", startTicks: 100 },
      { 7: 200 },
      true,
    ],
    ["of an earlier boot", { bootId: "an earlier boot", startTicks: 100 }, { 7: 100 }, true],
    ["of another machine", { hostname: "there" }, {}, false],
    ["of the CLI, whose process runs", {}, { 7: 100 }, false],
    ["of the CLI, whose process is gone", {}, {}, true],
    ["of the CLI, whose process id belongs to a younger one now", {}, { 7: 3_700_00 }, true],
  ])("%s: abandoned %#", (_what, content, running, abandoned) => {
    expect(isAbandoned(lock(content), facts(running))).toBe(abandoned);
  });

  it("knows this very process", () => {
    const { bootId, startTicks } = localProcesses();
    expect(
      isAbandoned(
        { ...lock({}), pid: process.pid, hostname: hostname(), timestamp: new Date().toISOString() },
        localProcesses(),
      ),
    ).toBe(false);
    expect(startTicks(process.pid)).toBeGreaterThan(0);
    expect(bootId).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("excludes a second holder, and says who holds it", async () => {
    const held = await StackLock.acquire(directory, () => undefined);
    await expect(StackLock.acquire(directory, () => undefined)).rejects.toThrow(
      new RegExp(`locked by 1 lock.*\\n.*pid ${String(process.pid)}`),
    );
    expect(readdirSync(directory)).toHaveLength(1);
    await held.release();
    await (await StackLock.acquire(directory, () => undefined)).release();
    expect(readdirSync(directory)).toEqual([]);
  });

  it("is taken over from a dead process, with a notice", async () => {
    write(
      "dead.json",
      JSON.stringify({
        pid: 2 ** 22 + 1,
        username: "someone",
        hostname: hostname(),
        timestamp: new Date().toISOString(),
      }),
    );
    const notices: string[] = [];
    const held = await StackLock.acquire(directory, (text) => notices.push(text));
    expect(notices).toEqual([
      expect.stringContaining("took over the lock of a process that is gone: someone@"),
    ]);
    await held.release();
    expect(readdirSync(directory)).toEqual([]);
  });
});
