import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { parseDocument } from "yaml";
import { run } from "../../sandbox/command";
import { repositoryRoot } from "../../sandbox/repository";
import { madeUpKeys, madeUpPrivateKey } from "../../scripts/plan/made-up";
import { block } from "../support/document-blocks";
import { Terminal } from "../support/shell";

/* The config of production, as docs/production.md fills it in: by the page's own lines, from placeholders to a plan. */

jest.setTimeout(600_000);

const PAGE = "docs/production.md";

let directory: string;
let terminal: Terminal;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "production-"));
  const project = parseDocument(readFileSync(join(repositoryRoot(), "Pulumi.yaml"), "utf8"));
  project.set("main", relative(directory, repositoryRoot()));
  project.set("backend", { url: "file://." });
  writeFileSync(join(directory, "Pulumi.yaml"), project.toString({ lineWidth: 0 }));
  const stack = readFileSync(join(repositoryRoot(), "Pulumi.production.yaml"), "utf8");
  writeFileSync(join(directory, "Pulumi.production.yaml"), stack);
  // What the config names by a path that begins at the project.
  for (const folder of ["migrations", "releases"]) {
    cpSync(join(repositoryRoot(), folder), join(directory, folder), { recursive: true });
  }
  writeFiles(madeUpKeys());
  terminal = new Terminal(directory, {
    PULUMI_CONFIG_PASSPHRASE: "correct horse",
    PULUMI_HOME: join(directory, "home"),
    VEHICLESERVICE_ENGINE: "embedded",
  });
  await terminal.run("pulumi stack init production");
});
afterAll(() => rmSync(directory, { recursive: true }));

function writeFiles(values: Record<string, string>): void {
  mkdirSync(join(directory, "keys"));
  for (const [name, value] of Object.entries(values))
    writeFileSync(join(directory, "keys", name), `${value}\n`);
  mkdirSync(join(directory, ".ssh"));
  writeFileSync(join(directory, ".ssh", "deploy_key"), madeUpPrivateKey());
}

test("before anything is filled in, the preview names every placeholder, and asks nobody", async () => {
  const { exitCode, stdout, stderr } = await terminal.run(block(PAGE, "preview"), { check: false });
  expect(exitCode).not.toBe(0);
  const variables = ["variables.NEXT_PUBLIC_SITE_URL", "variables.STRIPE_SECRET_KEY", "variables.SENTRY_DSN"];
  const made = ["permissionsBoundary", "host.ec2.sshFrom[0]", "host.ec2.imageId", "backups.bucket"];
  const told = ["monitoring.page.emails[0]", "monitoring.warn.emails[0]"];
  for (const key of [...made, ...told, "site.domains[0]", "source.repository", ...variables]) {
    expect(stdout + stderr).toContain(key);
  }
});

test("with the page's lines carried out, the preview shows the whole plan, and no secret", async () => {
  for (const name of [
    "boundary",
    "host",
    "zone",
    "site",
    "backups",
    "secrets",
    "stripe",
    "supabase",
    "monitoring",
  ])
    await terminal.run(block(PAGE, name));
  // The machine that runs this has no AWS to ask.
  const { stdout, stderr } = await terminal.run(`${block(PAGE, "preview")} --offline-plan`);
  const words = ["web", "certificate", "stripe-endpoints", "database", "blue", "traffic"];
  for (const word of [...words, "monitoring-host-silent"]) expect(stdout).toContain(word);
  const stack = readFileSync(join(directory, "Pulumi.production.yaml"), "utf8");
  const names = Object.keys(madeUpKeys());
  for (const name of names) {
    const value = readFileSync(join(directory, "keys", name), "utf8").trim();
    for (const text of [stdout, stderr, stack]) expect([name, text.includes(value)]).toEqual([name, false]);
  }
  expect(stdout).not.toContain("made-up");
  expect(stack).toMatch(/testerSecret:\n\s+secure: /);
});

/** What only a machine has that worked here already: packages and builds are as they are, state and passphrases are not taken along. */
const NOT_CLONED = [".git", ".pulumi", ".sandbox", ".passphrase"];
const BUILT = ["node_modules", "dist"];

/** The repository as somebody has it who has just cloned it, and ran `npm ci`. */
async function freshClone(): Promise<string> {
  const clone = join(directory, "clone");
  mkdirSync(clone);
  const names = readdirSync(repositoryRoot()).filter((name) => ![...NOT_CLONED, ...BUILT].includes(name));
  // As old as they are: what is newer than the build is built again.
  await run(["cp", "-a", ...names.map((name) => join(repositoryRoot(), name)), clone]);
  for (const name of BUILT) symlinkSync(join(repositoryRoot(), name), join(clone, name));
  return clone;
}

test("on a fresh clone an offline plan shows it all by made-up values, and leaves nothing behind", async () => {
  const clone = await freshClone();
  const stack = readFileSync(join(clone, "Pulumi.production.yaml"), "utf8");
  const before = readdirSync(clone).sort();
  // Nobody's home, no passphrase, no stack, and a CLI that has no such plan.
  mkdirSync(join(clone, "..", "nobody"));
  const cli = join(directory, "cli");
  mkdirSync(cli);
  writeFileSync(join(cli, "pulumi"), "#!/bin/sh\nexit 99\n", { mode: 0o755 });
  const env = { HOME: join(directory, "nobody"), PATH: `${cli}:${process.env["PATH"] ?? ""}` };
  const command = block(PAGE, "offline-plan");
  const { stdout, stderr } = await run(["bash", "--norc", "-c", command], { cwd: clone, env });
  expect(stderr).toBe("");
  expect(stdout).toMatch(
    /offline plan: 26 values of Pulumi\.production\.yaml are placeholders or not set, .*host\.ec2\.imageId, .*supabaseAccessToken/,
  );
  const words = ["web", "certificate", "stripe-endpoints", "database", "blue", "traffic", "machine-instance"];
  for (const word of [...words, "backups-bucket", "monitoring-host-silent"]) expect(stdout).toContain(word);
  expect(stdout).not.toMatch(/\b(?:sk|rk|pk)_live_|\bsbp_|PRIVATE KEY/);
  expect(readdirSync(clone).sort()).toEqual(before);
  expect(readFileSync(join(clone, "Pulumi.production.yaml"), "utf8")).toBe(stack);
});
