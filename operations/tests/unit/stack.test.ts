import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chosenEngine, openStack, type Stack } from "../../stack";

const engineTests = join(__dirname, "..", "..", "..", "engine", "tests");
let directory: string;
let pathBefore: string | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "ops-test-"));
  mkdirSync(join(directory, "bin"));
  mkdirSync(join(directory, "below"));
  pathBefore = process.env["PATH"];
});
afterEach(() => {
  process.env["PATH"] = pathBefore;
  rmSync(directory, { recursive: true });
});

/** Puts a program `pulumi` into the test's own directory of programs. */
function addCli(script: string, mode = 0o755): string {
  const path = join(directory, "bin", "pulumi");
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, mode);
  return join(directory, "bin");
}

describe("the engine", () => {
  it("is the Pulumi CLI where there is one on the PATH", () => {
    expect(chosenEngine({ PATH: `/nowhere:${addCli("true")}` })).toBe("cli");
  });

  it("is the embedded one where it is asked for, or no CLI is there", () => {
    expect(chosenEngine({ PATH: addCli("true"), VEHICLESERVICE_ENGINE: "embedded" })).toBe("embedded");
    expect(chosenEngine({ PATH: addCli("true", 0o644) })).toBe("embedded");
    expect(chosenEngine({ PATH: "/nowhere" })).toBe("embedded");
    expect(chosenEngine({})).toBe("embedded");
  });
});

describe("a stack of the embedded engine", () => {
  const environment = {
    VEHICLESERVICE_ENGINE: "embedded",
    PULUMI_CONFIG_PASSPHRASE: "correct horse",
    PULUMI_STACK: "dev",
  };
  beforeEach(() => {
    const fixtures = join(engineTests, "fixtures", "cli");
    mkdirSync(join(directory, ".pulumi", "stacks", "table"), { recursive: true });
    writeFileSync(
      join(directory, "Pulumi.yaml"),
      "name: table\nruntime: nodejs\nconfig:\n  colour: { type: string, default: blue }\n  group: { type: object, default: { deep: [1] } }\n",
    );
    copyFileSync(join(fixtures, "dev.json"), join(directory, ".pulumi", "stacks", "table", "dev.json"));
    copyFileSync(join(fixtures, "Pulumi.dev.yaml"), join(directory, "Pulumi.dev.yaml"));
  });

  const open = (name?: string, more: NodeJS.ProcessEnv = {}): Stack =>
    openStack({ directory: join(directory, "below"), name }, { ...environment, ...more });

  it("has its config with secrets in clear, the project's defaults, and the project's directory", async () => {
    expect(await open().config()).toEqual({
      raw: {
        namespace: "table",
        stack: "dev",
        values: { password: "kept-secret", colour: "blue", group: '{"deep":[1]}' },
        encrypted: new Set(["password"]),
      },
      projectDirectory: directory,
    });
  });

  it("has its outputs, and which of them are secret", async () => {
    expect(await open("dev").outputs()).toEqual({
      list: { value: [1, { a: true }], secret: false },
      password: { value: "kept-secret", secret: true },
      user: { value: "user", secret: false },
    });
  });

  it.each<[string, () => Stack, number, RegExp]>([
    ["that is not there", () => open("prod"), 5, /no stack named 'prod' found/],
    [
      "that is not selected",
      () => open(undefined, { PULUMI_STACK: "", PULUMI_HOME: directory }),
      5,
      /no stack selected: .* --stack/,
    ],
    [
      "whose passphrase is another one",
      () => open("dev", { PULUMI_CONFIG_PASSPHRASE: "wrong donkey" }),
      5,
      /passphrase/,
    ],
    [
      "whose state is elsewhere",
      () => open("dev", { PULUMI_BACKEND_URL: "s3://bucket" }),
      2,
      /s3:\/\/bucket is not supported.*Pulumi CLI/,
    ],
  ])("%s is told", async (_, opening, exitCode, words) => {
    const error = await opening()
      .config()
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: "OpsError", exitCode, message: expect.stringMatching(words) });
    expect((error as Error).message).not.toMatch(/wrong donkey|correct horse|kept-secret/);
  });
});

describe("a stack of the Pulumi CLI", () => {
  const CLI = `
echo "$PWD $*" >>"$(dirname "$0")/log"
case "$*" in
  version) echo v3.270.0 ;;
  *"stack ls"*) echo '[{"name":"other"},{"name":"dev","current":true}]' ;;
  *"config --show-secrets --json --stack dev"*)
    echo '{"table:password":{"value":"kept-secret","secret":true},"table:host":{"value":"{\\"port\\":22}","objectValue":{"port":22},"secret":false},"aws:region":{"value":"eu","secret":false}}' ;;
  *"stack output --json --show-secrets --stack dev"*) echo '{"url":"https://x","token":"kept-secret"}' ;;
  *"stack output --json --stack dev"*) echo '{"url":"https://x","token":"[secret]"}' ;;
  *"--stack gone"*) echo "kept-secret"; echo "error: no stack named 'gone' found" >&2; exit 255 ;;
  *"--stack broken"*) echo 'kept-secret' ;;
  *) echo "what is $*?" >&2; exit 1 ;;
esac`;
  beforeEach(() => {
    writeFileSync(join(directory, "Pulumi.yaml"), "name: table\nruntime: nodejs\n");
    process.env["PATH"] = `${addCli(CLI)}:${pathBefore ?? ""}`;
  });

  const open = (name?: string): Stack =>
    openStack({ directory: join(directory, "below"), name }, process.env);

  it("has its config as the program gets it: the selected stack's", async () => {
    expect(await open().config()).toEqual({
      raw: {
        namespace: "table",
        stack: "dev",
        values: { password: "kept-secret", host: '{"port":22}' },
        encrypted: new Set(["password"]),
        awsRegion: "eu",
      },
      projectDirectory: directory,
    });
    expect(readFileSync(join(directory, "bin", "log"), "utf8")).toContain(`${directory} stack ls`);
  });

  it("has its outputs, and which of them are secret", async () => {
    expect(await open("dev").outputs()).toEqual({
      url: { value: "https://x", secret: false },
      token: { value: "kept-secret", secret: true },
    });
  });

  it.each([
    ["is not there", "gone", "no stack named 'gone' found"],
    ["answers nonsense", "broken", "the Pulumi CLI answered with what is no JSON; see `pulumi version`"],
  ])("that %s is told by its message alone", async (_, name, message) => {
    await expect(open(name).config()).rejects.toMatchObject({ name: "OpsError", exitCode: 5, message });
  });

  it("is a wrong call where there is no project", async () => {
    rmSync(join(directory, "Pulumi.yaml"));
    await expect(open("dev").config()).rejects.toMatchObject({ exitCode: 2, message: /no Pulumi.yaml in/ });
  });
});
