/**
 * The engine beside the Pulumi CLI: on what the CLI once wrote (`fixtures/cli`: its state, its stack config and what the
 * program registered), and on the CLI itself where it and the provider of `@pulumi/command` are on the PATH.
 */
import { execFile, execFileSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { EngineBundle, Workspace, type Row } from "./harness";

jest.setTimeout(600_000);

const fixtures = join(__dirname, "fixtures", "cli");
const run = promisify(execFile);

let engine: EngineBundle;
let workspace: Workspace;
beforeAll(async () => {
  engine = await EngineBundle.build();
});
afterAll(() => {
  engine.remove();
});
beforeEach(() => {
  workspace = new Workspace(engine, "table");
});
afterEach(() => {
  workspace.remove();
});

interface Preview {
  readonly changeSummary: Record<string, number>;
  readonly steps: {
    readonly op: string;
    readonly urn: string;
    readonly diffReasons?: string[];
    readonly replaceReasons?: string[];
    readonly detailedDiff?: Record<string, { readonly kind: string }> | null;
  }[];
}

/** What has to be the same in both previews; the order in which steps run is nobody's promise. */
function essence(text: string): unknown {
  const { changeSummary, steps } = JSON.parse(text) as Preview;
  const lines = steps.map(({ op, urn, diffReasons = [], replaceReasons = [], detailedDiff }) =>
    JSON.stringify([
      urn,
      op,
      [...diffReasons].sort(),
      replaceReasons,
      Object.entries(detailedDiff ?? {}).sort(),
    ]),
  );
  return { changeSummary, steps: lines.sort() };
}

describe("a state that the CLI wrote", () => {
  beforeEach(() => {
    mkdirSync(workspace.path(".pulumi/stacks/table"), { recursive: true });
    copyFileSync(join(fixtures, "dev.json"), workspace.path(".pulumi/stacks/table/dev.json"));
    copyFileSync(join(fixtures, "Pulumi.dev.yaml"), workspace.path("Pulumi.dev.yaml"));
    copyFileSync(join(fixtures, "table.json"), workspace.path("table.json"));
    cpSync(join(fixtures, "site"), workspace.path("site"), { recursive: true });
  });

  it("is unchanged to the engine", async () => {
    expect(await workspace.succeed("up --yes --expect-no-changes -s dev")).toContain("6 unchanged");
    expect(await workspace.succeed("stack output password --show-secrets -s dev")).toBe("kept-secret\n");
  });

  it("keeps everything that did not change", async () => {
    const table = JSON.parse(workspace.text("table.json")) as { rows: Row[]; outputs: object };
    workspace.table([...table.rows, { name: "added", args: { create: "true" } }], table.outputs);
    expect(await workspace.succeed("up --yes --skip-preview -s dev")).toContain("+ 1 created, 6 unchanged");
    const after = new Map(workspace.checkpoint().resources?.map((each) => [each.urn, comparable(each)]));
    const { checkpoint } = JSON.parse(readFileSync(join(fixtures, "dev.json"), "utf8")) as CheckpointText;
    const before = checkpoint.latest.resources.filter(({ type }) => !type.startsWith("pulumi:providers:"));
    expect(before).toHaveLength(6);
    for (const resource of before) expect(after.get(resource.urn)).toEqual(comparable(resource));
  });
});

/** A resource without its place in the source, and with one ciphertext for all: the same value has many. */
function comparable(resource: object): unknown {
  return JSON.parse(
    JSON.stringify({ ...resource, sourcePosition: "" }).replace(
      /"ciphertext":"v1:[^"]+"/g,
      '"ciphertext":"v1"',
    ),
  );
}

interface CheckpointText {
  readonly checkpoint: { readonly latest: { readonly resources: { urn: string; type: string }[] } };
}

function onPath(program: string): boolean {
  try {
    execFileSync("/bin/sh", ["-c", `command -v ${program}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Runs the CLI on the workspace's own state. */
async function cli(words: string): Promise<string> {
  const environment = {
    ...workspace.variables,
    PULUMI_BACKEND_URL: `file://${workspace.directory}`,
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_NODEJS_TRANSPILE_ONLY: "true",
  };
  const options = { cwd: workspace.directory, env: environment };
  return (await run("pulumi", [...words.split(" "), "--non-interactive"], options)).stdout;
}

const withCli = ["pulumi", "pulumi-language-nodejs", "pulumi-resource-command"].every(onPath)
  ? describe
  : describe.skip;

withCli("the CLI on this machine (skipped where it is not on the PATH)", () => {
  const row = (name: string, args: object, options: object = {}): Row => ({
    name,
    args: { create: `echo ${name}`, ...args },
    options,
  });
  const first: Row[] = [
    row("same", {}),
    row("updated", { environment: { A: "1" } }),
    row("replaced", { triggers: ["1"] }),
    row(
      "root",
      { environment: { A: "1" } },
      { replaceOnChanges: ["environment"], deleteBeforeReplace: true },
    ),
    row("goes", { triggers: [{ $output: "root.stdout" }] }),
    row("stays", { environment: { ROOT: { $output: "root.stdout" } } }),
    row("secret", { stdin: { $secret: "password" } }),
    row("deleted", {}),
  ];
  const second: Row[] = [
    row("same", {}),
    row("updated", { environment: { A: "2" } }),
    row("replaced", { triggers: ["2"] }),
    row(
      "root",
      { environment: { A: "2" } },
      { replaceOnChanges: ["environment"], deleteBeforeReplace: true },
    ),
    row("goes", { triggers: [{ $output: "root.stdout" }] }),
    row("stays", { environment: { ROOT: { $output: "root.stdout" } } }),
    row("secret", { stdin: { $secret: "password" }, logging: "none" }),
    row("created", {}),
  ];

  it("plans the same, and finds unchanged what the engine made, and the other way round", async () => {
    await workspace.succeed("stack init dev");
    await workspace.succeed("config set --secret password canary-of-both");
    workspace.table(first, { secret: { $secret: "password" } });
    await workspace.succeed("up --yes --skip-preview -s dev");
    await cli("preview --expect-no-changes -s dev");
    expect((await cli("stack output secret --show-secrets -s dev")).trim()).toBe("canary-of-both");
    for (const words of ["stack output secret -s dev", "stack output secret --show-secrets -s dev"])
      expect(await workspace.succeed(words)).toBe(await cli(words));

    workspace.table(second, { secret: { $secret: "password" } });
    expect(essence(await workspace.succeed("preview --json -s dev"))).toEqual(
      essence(await cli("preview --json -s dev")),
    );
    await cli("up --yes --skip-preview -s dev");
    await workspace.succeed("up --yes --skip-preview --expect-no-changes -s dev");

    workspace.table(first, { secret: { $secret: "password" } });
    expect(essence(await workspace.succeed("preview --json -s dev"))).toEqual(
      essence(await cli("preview --json -s dev")),
    );
    await workspace.succeed("up --yes --skip-preview -s dev");
    await cli("preview --expect-no-changes -s dev");
  });
});

const withDynamicCli = ["pulumi", "pulumi-language-nodejs", "pulumi-resource-pulumi-nodejs"].every(onPath)
  ? describe
  : describe.skip;

withDynamicCli("dynamic resources of the CLI (skipped where it is not on the PATH)", () => {
  const one = (args: object): void => {
    workspace.table([{ name: "one", args: { secret: { $secret: "token" }, ...args } }]);
  };

  beforeEach(async () => {
    workspace.remove();
    workspace = new Workspace(engine, "dynamic");
    await workspace.succeed("stack init dev");
    await workspace.succeed("config set --secret token canary-of-both");
  });

  it("plans the same, and finds unchanged what the engine made, and the other way round", async () => {
    one({ kind: "a", weight: 1 });
    await workspace.succeed("up --yes --skip-preview -s dev");
    await cli("preview --expect-no-changes -s dev");
    for (const args of [
      { kind: "a", weight: 2 },
      { kind: "b", weight: 1 },
      { kind: "b", weight: 1, fault: "old one first" },
    ]) {
      one(args);
      const planned = essence(await workspace.succeed("preview --json -s dev"));
      expect(planned).toEqual(essence(await cli("preview --json -s dev")));
    }
    await cli("up --yes --skip-preview -s dev");
    await workspace.succeed("up --yes --skip-preview --expect-no-changes -s dev");
  });

  it("keep the same of what was done by half, and each finishes what the other began", async () => {
    one({ kind: "a", weight: 1, fault: "create stops half way" });
    const half = (): unknown => workspace.checkpoint().resources?.find(({ id }) => id === "half");
    // The CLI writes the secret that a reason quotes in clear, so that only their number is the same.
    const content = ({
      inputs,
      outputs,
      initErrors,
    }: Record<string, { readonly length?: number }>): unknown =>
      JSON.parse(
        JSON.stringify([inputs, outputs, initErrors?.length], (key, value: unknown) =>
          key === "__provider" || key === "ciphertext" ? "" : value,
        ),
      );
    await expect(cli("up --yes --skip-preview -s dev")).rejects.toThrow();
    const byCli = content(half() as never);
    expect(await workspace.succeed("up --yes --skip-preview -s dev")).toContain("~ 1 updated");
    await workspace.succeed("destroy --yes -s dev");
    expect((await workspace.pulumi("up --yes --skip-preview -s dev")).code).toBe(1);
    expect(content(half() as never)).toEqual(byCli);
    await cli("up --yes --skip-preview -s dev");
    await workspace.succeed("up --yes --skip-preview --expect-no-changes -s dev");
  });
});
