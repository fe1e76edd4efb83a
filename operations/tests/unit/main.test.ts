/** The program as it is built: its process, its exit codes, and what it loads. */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildSync } from "esbuild";
import { startSshHost, type SshHost } from "./support/ssh-host";

jest.setTimeout(600_000);

const root = join(__dirname, "..", "..", "..");
let directory: string;
let ssh: SshHost;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "ops-test-"));
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
  buildSync({
    entryPoints: [join(root, "operations", "main.ts")],
    outfile: join(directory, "ops.js"),
    bundle: true,
    platform: "node",
    packages: "external",
  });
  // Tells what was loaded, after all else.
  writeFileSync(
    join(directory, "loaded.js"),
    `process.on("exit", () => require("node:fs").writeFileSync(${JSON.stringify(join(directory, "loaded"))},
       Object.keys(require.cache).join("\\n")));`,
  );
  ssh = await startSshHost();
  writeProject();
});
afterAll(async () => {
  await ssh.server.stop();
  rmSync(directory, { recursive: true });
});

/** A project of the embedded engine, whose stack `dev` is on the SSH server of this test. */
function writeProject(): void {
  const { connection } = ssh;
  writeFileSync(join(directory, "Pulumi.yaml"), "name: vehicleservice\nruntime: nodejs\n");
  writeFileSync(join(directory, "key"), connection.privateKey, { mode: 0o600 });
  const host = {
    address: connection.host,
    port: connection.port,
    hostKey: connection.hostKey,
    privateKeyFile: "key",
  };
  const config = { "vehicleservice:host": host, "vehicleservice:name": "ops-test-app" };
  writeFileSync(join(directory, "Pulumi.dev.yaml"), JSON.stringify({ config }));
  mkdirSync(join(directory, ".pulumi", "stacks", "vehicleservice"), { recursive: true });
  const latest = { manifest: { time: "2026-03-01T12:00:00Z", magic: "", version: "" } };
  writeFileSync(
    join(directory, ".pulumi", "stacks", "vehicleservice", "dev.json"),
    JSON.stringify({ version: 3, checkpoint: { stack: "organization/vehicleservice/dev", latest } }),
  );
}

function ops(...argv: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { PATH: process.env["PATH"], HOME: directory, VEHICLESERVICE_ENGINE: "embedded" };
  const node = ["--require", join(directory, "loaded.js"), join(directory, "ops.js")];
  return new Promise((settle) => {
    const child = execFile(
      process.execPath,
      [...node, ...argv],
      { env, cwd: directory },
      (error, stdout, stderr) => settle({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
    child.stdin?.end();
  });
}

it("teaches, and ends well", async () => {
  const { code, stdout, stderr } = await ops("--help");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(/^Usage: ops /);
});

it("goes from the stack's config to the host, which has no conductor", async () => {
  const before = ssh.server.connections;
  const { code, stdout, stderr } = await ops("status", "-s", "dev");
  expect(stderr).toContain("There is no conductor on the host; `pulumi up` installs it");
  expect({ code, stdout }).toEqual({ code: 5, stdout: "" });
  expect(ssh.server.connections - before).toBe(2);
  expect(ssh.server.commands.at(-1)).toMatch(/ops-test-app-conductor act$/);
});

it("takes no colour into a pipe, and prints one document", async () => {
  const { code, stdout } = await ops("status", "-s", "dev", "--json");
  expect(code).toBe(5);
  expect(JSON.parse(stdout)).toEqual({
    error: { exitCode: 5, message: expect.stringContaining("no conductor on the host") },
  });
});

it("asks nobody where nobody is there", async () => {
  const { code } = await ops("restore", "--backup", "latest", "-s", "dev");
  expect(code).toBe(5);
});

it("loads neither the Automation API nor prompts before they are needed", async () => {
  await ops("status", "-s", "dev");
  const loaded = readFileSync(join(directory, "loaded"), "utf8");
  expect(loaded).toContain("/ssh2/");
  expect(loaded).not.toMatch(/@pulumi\/pulumi\/automation|@inquirer/);
});
