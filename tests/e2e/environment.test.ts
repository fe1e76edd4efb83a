import { createHash, randomBytes } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { parseDocument } from "yaml";
import { argumentsDuring } from "./support/argument-watch";
import { Users } from "./support/users";
import { SLOW_MS, TestWorld } from "./support/world";

/*
 * The application's variables: every value reaches the application as it was configured, none reaches anything else,
 * and a changed one reaches users without a restart of what serves them.
 */

jest.setTimeout(SLOW_MS);

/** What any tool between the config and the application might change. */
const awkward = fc.oneof(
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.string({
    unit: fc.constantFrom('"', "'", "$", "\\", "\n", "\r", "#", "=", " ", "`", "%", ":", "é", "🙂", "a"),
  }),
  fc.constantFrom(
    "",
    "true",
    "007",
    "1e3",
    "null",
    "$HOME ${HOME} $(id)",
    "a\\nb",
    " # no comment ",
    "a: b\n- c",
  ),
);

const longest = "🙂$".repeat(12_000) + "x".repeat(65_536 - 12_000 * 5);
const seed = Number(process.env["TEST_SEED"] ?? Date.now() % 2 ** 31);
const values = fc.sample(awkward, { seed, numRuns: 60 }).map((text) => text.replaceAll("\0", ""));
const variables: Readonly<Record<string, string>> = Object.fromEntries([
  ...values.map((value, index) => [`V${index}`, value] as const),
  ["LONGEST", longest],
]);

/** What the Pulumi CLI's YAML does not keep as it is: with that CLI, and so here, such a value has to be a secret. */
const NOT_IN_YAML = /^\n|[\u0085\u2028\u2029]/;
const isSecret = ([, value]: [string, string]): boolean => NOT_IN_YAML.test(value);
const secrets = [
  ...Object.entries(variables).filter(isSecret),
  ["PEM_LIKE", "\n-----BEGIN KEY-----\nAAAA\n-----END KEY-----\n"] as const,
];

let world: TestWorld;
let secret = randomBytes(24).toString("hex");

beforeAll(async () => {
  world = await TestWorld.create("environment");
  const file = join(world.project.directory, "Pulumi.sandbox.yaml");
  const document = parseDocument(readFileSync(file, "utf8"));
  const plain = Object.entries(variables).filter((entry) => !isSecret(entry));
  document.setIn(["config", "vehicleservice:variables"], Object.fromEntries(plain));
  document.setIn(["config", "vehicleservice:application", "health"], {
    path: "/api/health",
    intervalMs: 100,
  });
  writeFileSync(file, document.toString({ lineWidth: 0, blockQuote: false }));
  for (const [name, value] of [...secrets, ["SIGNING_SECRET", secret] as const]) await setSecret(name, value);
}, SLOW_MS);

afterAll(() => world.remove());

/** As a user does it, from standard input. */
async function setSecret(name: string, value: string): Promise<void> {
  const args = ["config", "set", "--secret", "--path", `variables.${name}`];
  // Pulumi takes the last newline for the end of the input.
  await world.project.pulumi(args, { stdin: `${value}\n` });
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** Digests of variables as the application on a port has them; null for one that it has not. */
async function digestsOn(port: number, names: readonly string[]): Promise<(string | null)[]> {
  const urls = names.map((name) => `http://127.0.0.1:${port}/api/environment?name=${name}`);
  const curl = ["curl", "--silent", "--fail", "--write-out", "\\n", ...urls];
  const { stdout } = await world.host.exec(curl);
  const answers = stdout.trimEnd().split("\n");
  return answers.map((answer) => (JSON.parse(answer) as { sha256: string | null }).sha256);
}

async function digestOn(port: number, name: string): Promise<string | null> {
  const [digest = null] = await digestsOn(port, [name]);
  return digest;
}

/** Files of the host that hold a text. */
async function filesWith(text: string): Promise<string[]> {
  const places = ["/etc", "/var", "/usr/local", "/tmp", "/run", "/root", "/home"];
  const { stdout } = await world.host.exec(["grep", "-rlsF", "--", text, ...places], { check: false });
  return stdout.split("\n").filter((line) => line !== "");
}

test("every value is the application's, byte for byte, and stands in no argument list on the way", async () => {
  const found = await argumentsDuring(secret, () => world.up({ blueVersion: "v0.9.9" }));
  expect(found).toEqual([]);
  const wanted = Object.entries({ ...variables, ...Object.fromEntries(secrets), SIGNING_SECRET: secret });
  const names = wanted.map(([name]) => name);
  const digests = await digestsOn(3001, names);
  expect({ seed, seen: names.map((name, index) => [name, digests[index]]) }).toEqual({
    seed,
    seen: wanted.map(([name, value]) => [name, sha256(value)]),
  });
  expect(digests).toHaveLength(wanted.length);
});

test("a secret is in one file of the host, which only the application reads, and in none of the project", async () => {
  const files = await filesWith(secret);
  expect(files).toHaveLength(1);
  const [file = ""] = files;
  expect(file).toMatch(/^\/var\/lib\/vehicleservice\/environments\/[0-9a-f]{16}\.json$/);
  expect((await world.host.exec(["stat", "--format=%U %a", file])).stdout.trim()).toBe("www-data 600");
  const journal = await world.host.exec(["journalctl", "--quiet", "--no-pager", "--grep", secret], {
    check: false,
  });
  expect(journal.stdout).toBe("");
  const project = readdirSync(world.project.directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  expect(project.filter((path) => readFileSync(path, "utf8").includes(secret))).toEqual([]);
});

test("a changed secret reaches users by the other colour, and no request fails", async () => {
  const before = sha256(secret);
  secret = randomBytes(24).toString("hex");
  const after = sha256(secret);
  const users = await Users.start(world.loadTarget());

  await setSecret("SIGNING_SECRET", secret);
  const { stdout } = await world.up();
  expect(stdout).toMatch(/serves users and keeps its environment until its next release/);
  const { blue } = (await world.status()).colours;
  expect(blue).toMatchObject({ version: "v0.9.9", healthy: true, admitted: true });
  expect(blue.pendingEnvironment).toMatch(/^[0-9a-f]{16}$/);
  expect(await digestOn(3001, "SIGNING_SECRET")).toBe(before);
  await world.up({}, ["--expect-no-changes"]);

  await world.up({ greenVersion: "v0.9.9" });
  expect(await digestOn(3002, "SIGNING_SECRET")).toBe(after);
  await world.up({ canaryWeight: 100 });
  await world.up({ stable: "green", canaryWeight: 0 });
  for (const { total } of await users.stop()) {
    expect(total.incidents).toEqual([]);
    expect(total.answers.byColour["green"] ?? 0).toBeGreaterThan(0);
  }
  expect((await world.status()).colours.green).toMatchObject({ pendingEnvironment: null, admitted: true });
});

test("the colour that was stable gets it by its next release", async () => {
  await world.up({ blueVersion: "v1.0.0" });
  expect(await digestOn(3001, "SIGNING_SECRET")).toBe(sha256(secret));
  await world.up({}, ["--expect-no-changes"]);
});
