import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { run, type CommandResult } from "../../../sandbox/command";
import { takeDown } from "../../../sandbox/down";
import { waitFor } from "../../../sandbox/processes";
import { repositoryRoot } from "../../../sandbox/repository";
import { worldNamed } from "../../../sandbox/world";
import { forwarding, NO_TRACES, tracesOf } from "../support/machine";
import { SLOW_MS } from "../support/world";

jest.setTimeout(4 * SLOW_MS);

const world = worldNamed("vssb-demo");
const root = repositoryRoot();
let projectDirectory: string;
let forwardingBefore: string;
let demo: CommandResult;

const environment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  VEHICLESERVICE_SANDBOX_WORLD: world.name,
  VEHICLESERVICE_SANDBOX_PROJECT: projectDirectory,
});

const sandbox = (...words: string[]): Promise<CommandResult> =>
  run([path.join(root, "bin", "sandbox"), ...words], { env: environment(), cwd: root, check: false });

beforeAll(async () => {
  // What a killed run left.
  await takeDown(world);
  forwardingBefore = forwarding();
  projectDirectory = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "sandbox-demo-")), "project");
  demo = await sandbox();
});

afterAll(async () => {
  await sandbox("down");
  fs.rmSync(path.dirname(projectDirectory), { recursive: true });
});

it("shows the whole story with no request lost and no connection closed", () => {
  expect(demo).toMatchObject({ exitCode: 0 });
  const lines = demo.stdout.split("\n").filter((line) => / lost of /.test(line));
  expect(lines).toEqual([
    expect.stringMatching(
      /^ {2}v0\.9\.9 on blue, live: v0\.9\.9 100 %; up took .* s; 0 lost of [\d,]+ requests$/,
    ),
    expect.stringMatching(/testers only: v0\.9\.9 100 %; testers of green: v1\.0\.0; up took .*; 0 lost/),
    expect.stringMatching(
      /5 %: v0\.9\.9 9\d(\.\d)? %, v1\.0\.0 \d(\.\d)? %; testers of green: v1\.0\.0;.* 0 lost/,
    ),
    expect.stringMatching(/everyone on v1\.0\.0: v1\.0\.0 100 %;.* 0 lost/),
    expect.stringMatching(/back to v0\.9\.9: v0\.9\.9 100 %;.* 0 lost/),
  ]);
  expect(demo.stdout).toMatch(/^In all: [\d,]+ requests, 0 lost, no connection closed by the server\.$/m);
});

it("leaves the site up, and the commands to try next work as they are printed", async () => {
  const commands = demo.stdout
    .slice(demo.stdout.indexOf("Try next:"))
    .split("\n")
    .filter((line) => /^ {2}[^# ]/.test(line));
  expect(commands.map((line) => line.trim().split(" ").slice(0, 2).join(" "))).toEqual([
    "bin/pulumi -C",
    "bin/pulumi -C",
    "curl --cacert",
    "bin/sandbox status",
    "bin/sandbox shell",
    "bin/sandbox load",
    "bin/sandbox down",
  ]);
  const type = async (line: string, stdin = ""): Promise<string> =>
    (await run(["bash", "-c", line], { cwd: root, env: environment(), stdin })).stdout;
  const [setWeight, up, curl, status, shell] = commands;
  await type(setWeight!);
  expect(await type(up!)).toMatch(/effectiveWeight: .*25$/m);
  expect(JSON.parse(await type(`${curl!} --silent`))).toMatchObject({
    version: expect.stringMatching(/^v(0\.9\.9|1\.0\.0)$/),
  });
  expect(await type(status!)).toMatch(/blue: v0\.9\.9, 75 % of users.*\n.*green: v1\.0\.0, 25 % of users/);
  expect((await type(shell!, "hostname\n")).trim()).toMatch(/web$/);
});

it("passes a command's exit code and words through the shell", async () => {
  expect(await sandbox("shell", "sh", "-c", "'exit 7'")).toMatchObject({ exitCode: 7 });
  expect(await sandbox("shell", "printf", "%s", "-n")).toMatchObject({ exitCode: 0, stdout: "-n" });
});

it("keeps a steady load until Ctrl-C, and then reports it", async () => {
  // A group of its own: a terminal's Ctrl-C goes to every process of it.
  const load = spawn(path.join(root, "bin", "sandbox"), ["load"], {
    env: environment(),
    cwd: root,
    detached: true,
  });
  const output: Buffer[] = [];
  load.stdout.on("data", (chunk: Buffer) => output.push(chunk));
  const text = (): string => Buffer.concat(output).toString();
  await waitFor("a line of the load", 120, () =>
    /\d+ requests, 0 lost; v0\.9\.9 \d/.test(text()) ? true : undefined,
  );
  process.kill(-load.pid!, "SIGINT");
  expect(await once(load, "close")).toEqual([0, null]);
  expect(text()).toMatch(/total .* 0 /);
});

it("is repeatable on the host that is up, from whatever its user made of it", async () => {
  const again = await sandbox("up");
  expect(again).toMatchObject({ exitCode: 0 });
  expect(again.stdout).toContain(", from before");
  expect(again.stdout).toMatch(/^In all: [\d,]+ requests, 0 lost/m);
});

it("replaces a host that cannot go back to the beginning", async () => {
  const pulumi = (...words: string[]): Promise<CommandResult> =>
    run([path.join(root, "bin", "pulumi"), "-C", projectDirectory, ...words], { env: environment() });
  const up = async (levers: Record<string, string>): Promise<void> => {
    for (const [key, value] of Object.entries(levers)) await pulumi("config", "set", key, value);
    await pulumi("up", "--yes", "--skip-preview");
  };
  await up({ canaryWeight: "100" });
  await up({ stable: "green", canaryWeight: "0" });
  await up({ blueVersion: "" });
  const again = await sandbox();
  expect(again).toMatchObject({ exitCode: 0 });
  expect(again.stdout).toContain("a new one takes its place");
});

it("down puts the machine back, and ends a load that is under way", async () => {
  const load = spawn(path.join(root, "bin", "sandbox"), ["load"], { env: environment(), cwd: root });
  await once(load.stdout, "data");
  const ended = once(load, "close");
  expect(await sandbox("down")).toMatchObject({ exitCode: 0 });
  expect(await ended).toEqual([0, null]);
  expect(tracesOf(world)).toEqual(NO_TRACES);
  expect(fs.existsSync(projectDirectory)).toBe(false);
  expect(forwarding()).toBe(forwardingBefore);
  expect((await sandbox("status")).stdout).toContain("no host");
});

it("says what to do where there is no host", async () => {
  for (const word of ["shell", "load"]) {
    expect(await sandbox(word)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining("boot it with bin/sandbox"),
    });
  }
});

it("refuses a word that it does not know", async () => {
  expect(await sandbox("destroy")).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("destroy") });
});
