import { randomBytes } from "node:crypto";
import { appendFileSync, chmodSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GROUPS, SECRETS } from "../../config/schema/stack";
import { SECRET_VARIABLES } from "../../config/variable-table";
import type { CommandResult } from "../../sandbox/command";
import { SandboxDatabase } from "../../sandbox/database";
import { SandboxPostgres } from "../../sandbox/postgres";
import { allDone } from "../../sandbox/processes";
import { SandboxSupabase } from "../../sandbox/supabase/service";
import { worldNamed } from "../../sandbox/world";
import { argumentsDuring } from "./support/argument-watch";
import { type Canary, canariesIn, filesWithCanaries, formsOf } from "./support/canaries";
import { SLOW_MS, TestWorld } from "./support/world";

/*
 * Every secret of the config, and what the stack makes of its own, is looked for wherever it must not be: argument lists, what
 * an `up` and its failures print, state and history, logs, files that others may read. A new secret key of the config has to be
 * set here, or the first test fails.
 */

jest.setTimeout(2 * SLOW_MS);

/** A version that is published anew, by code that tells its whole environment when it starts. */
const TELLTALE = "v1.1.0";

let world: TestWorld;
let directory: string;
let database: SandboxDatabase;
let rehearsal: SandboxPostgres;
let supabase: SandboxSupabase;
/** Temporary files of everything that this process starts. */
let temporary: string;
const before = process.env["TMPDIR"];

let canaries: Canary[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "canary-secrets-"));
  // Postgres runs as a user of its own.
  chmodSync(directory, 0o711);
  temporary = mkdtempSync(join(tmpdir(), "canary-temporary-"));
  world = await TestWorld.create("canary-secrets");
  const { gateway: address } = world.host;
  [database, rehearsal] = await allDone([
    SandboxDatabase.start(worldNamed(), { directory: join(directory, "database"), address }),
    SandboxPostgres.start(worldNamed(), { directory: join(directory, "rehearsal"), address }),
  ]);
  const { postgres } = database;
  supabase = await SandboxSupabase.start(worldNamed(), {
    directory: join(directory, "supabase"),
    address,
    postgres,
  });
  await database.configure(world.project);
  await supabase.configure(world.project);
  await setSecrets();
  canaries = await canariesOfConfig();
  process.env["TMPDIR"] = temporary;
}, SLOW_MS);

afterAll(async () => {
  if (before === undefined) delete process.env["TMPDIR"];
  else process.env["TMPDIR"] = before;
  await world.remove();
  for (const service of [supabase, rehearsal, database]) await service.remove();
  for (const path of [directory, temporary]) rmSync(path, { recursive: true, force: true });
});

/** What neither the sandbox nor one of its services has set. */
async function setSecrets(): Promise<void> {
  await world.setGroupValue("supabase.auth.smtp.sender", "noreply@vehicleservice.test");
  // Whoever rehearses owns the server, as on one that the host starts.
  const password = randomBytes(24).toString("hex");
  rehearsal.asSuperuser(`alter role supabase_admin password '${password}'`);
  const { host } = new URL(rehearsal.url);
  await set("rehearsalUrl", `postgres://supabase_admin:${password}@${host}/postgres`);
  await set("supabaseSmtpPassword", randomBytes(24).toString("base64url"));
  // No webhook is made: a key of the form that the config wants is all that it takes.
  await set("stripeApiKey", `rk_live_${randomBytes(24).toString("hex")}`);
  await set("stripeWebhookSecret", `whsec_${randomBytes(24).toString("hex")}`);
  // Nothing is published without an API to publish to, either.
  await set("monitoringAccessKeyId", randomBytes(12).toString("hex"));
  await set("monitoringSecretAccessKey", randomBytes(24).toString("hex"));
  await set("hostPrivateKey", readFileSync(world.host.privateKeyFile, "utf8"));
  // One of the two: the key itself here.
  await world.project.pulumi(["config", "rm", "--path", "host.privateKeyFile"]);
  // As odd as a password may be.
  const odd = `a"b'c\\d$e ${randomBytes(24).toString("hex")}`;
  const own = SECRET_VARIABLES.filter(
    ({ name, givenBy }) => givenBy === "config" && !name.startsWith("SUPABASE_"),
  );
  for (const { name } of own) await set(`variables.${name}`, randomBytes(24).toString("hex"));
  await set("variables.ODD", odd);
}

/** As a user does it, from standard input. */
async function set(key: string, value: string): Promise<void> {
  await world.project.setSecret(key, value, { path: key.includes(".") });
}

/** Every value of every secret key, as the config has it. */
async function canariesOfConfig(): Promise<Canary[]> {
  const { stdout } = await world.project.pulumi(["config", "--json", "--show-secrets"]);
  const config = JSON.parse(stdout) as Record<string, { value?: string; objectValue?: unknown }>;
  return [...SECRETS].flatMap((key) => {
    const entry = config[`vehicleservice:${key}`];
    const value = entry?.value ?? "";
    if (!GROUPS.has(key)) return secretPartsOf(key, value);
    const group = JSON.parse(value === "" ? "{}" : value) as Record<string, string>;
    // Those are for everybody.
    const secret = Object.entries(group).filter(([name]) => !name.startsWith("NEXT_PUBLIC_"));
    return secret.map(([name, text]) => ({ name: `${key}.${name}`, value: text }));
  });
}

/** Of a URL its password, for the rest may be told; of a private key a line in its middle. */
function secretPartsOf(name: string, value: string): Canary[] {
  if (value === "") return [];
  if (/^postgres/.test(value)) return [{ name, value: decodeURIComponent(new URL(value).password) }];
  if (value.includes("PRIVATE KEY")) return [{ name, value: value.split("\n")[2] ?? "" }];
  return [{ name, value }];
}

const words = ({ stdout, stderr }: CommandResult): string => stdout + stderr;

/** All that is said, of commands that print what they know. */
async function allThatIsTold(): Promise<Record<string, string>> {
  const commands = [
    ...[
      ["preview", "--diff"],
      ["preview", "--json"],
      ["stack", "output"],
      ["stack", "output", "--json"],
    ],
    ...[["config"], ["config", "--json"], ["stack", "export"]],
  ];
  const told: Record<string, string> = {};
  for (const command of commands) {
    told[command.join(" ")] = words(await world.project.pulumi(command, { check: false }));
  }
  return told;
}

test("every secret key of the config has a value here", () => {
  const keys = new Set(canaries.map(({ name }) => name.split(".")[0]));
  expect([...keys].sort()).toEqual([...SECRETS].sort());
  for (const { name, value } of canaries) expect([name, value.length >= 16]).toEqual([name, true]);
  const variables = canaries.filter(({ name }) => name.startsWith("variables."));
  expect(variables.length).toBeGreaterThan(5);
});

test("each form of a secret would be found: as it is, in JSON, in a URL, and in base64 in the middle of something", () => {
  const [{ value, name } = { value: "", name: "" }] = canaries.filter(
    ({ name: key }) => key === "variables.ODD",
  );
  const texts = [value, JSON.stringify({ a: [value] }), `?a=${encodeURIComponent(value)}`];
  const encoded = ["", "x", "xy"].map((start) => Buffer.from(`${start}${value} and more`).toString("base64"));
  for (const text of [...texts, ...encoded, Buffer.from(value).toString("hex")]) {
    expect(canariesIn(`before ${text} after`, canaries)).toEqual([name]);
  }
  expect(canariesIn("nothing of it", canaries)).toEqual([]);
});

test("an up with all of them prints none, and none is in any argument list", async () => {
  const forms = canaries.flatMap(({ value }) => formsOf(value));
  let told = "";
  const found = await argumentsDuring(forms, async () => {
    told = words(await world.up({ blueVersion: "v0.9.9" }));
  });
  expect(found).toEqual([]);
  expect(told).toContain("secrets-root");
  expect(canariesIn(told, canaries)).toEqual([]);
});

test("what the stack made itself is the application's, and is looked for from here on", async () => {
  const path = "/var/lib/vehicleservice/environments";
  const { stdout: names } = await world.host.exec(["ls", path]);
  expect(names.trim().split("\n")).toHaveLength(1);
  const { stdout } = await world.host.exec(["cat", `${path}/${names.trim()}`]);
  const environment = JSON.parse(stdout) as Record<string, string>;
  for (const { name, form } of SECRET_VARIABLES.filter(({ givenBy }) => givenBy === "stack")) {
    const value = environment[name] ?? "";
    expect([name, form(value)]).toEqual([name, undefined]);
    canaries.push({ name: `generated ${name}`, value });
  }
});

test("nothing that shows plan, state, config or history shows one, and a second up changes nothing", async () => {
  const told = await allThatIsTold();
  for (const [command, text] of Object.entries(told)) {
    expect([command, text.length > 0, canariesIn(text, canaries)]).toEqual([command, true, []]);
  }
  await world.up({}, ["--expect-no-changes"]);
});

test("failures show none: of the config, of a release that tells all it knows, of Supabase, of a host that does not answer", async () => {
  await world.source.addTag(TELLTALE, (source) => {
    const tell = 'throw new Error(require("node:util").inspect(process.env, { breakLength: Infinity }));';
    appendFileSync(join(source, "server.js"), `\n${tell}\n`);
  });
  const failed = async (change: () => Promise<unknown>, undo: () => Promise<unknown>, reason: RegExp) => {
    await change();
    const { exitCode, stdout, stderr } = await world.project.up([], { check: false });
    const json = await world.project.pulumi(["preview", "--json"], { check: false });
    await undo();
    expect(exitCode).not.toBe(0);
    expect(stdout + stderr).toMatch(reason);
    for (const text of [stdout + stderr, words(json)]) expect(canariesIn(text, canaries)).toEqual([]);
  };
  const setGroup = (key: string, value: string) => () => world.setGroupValue(key, value);
  const smtp = "supabase.auth.smtp.host";
  await failed(
    setGroup("site.drainSeconds", "-1"),
    setGroup("site.drainSeconds", "5"),
    /1 fault in the configuration/,
  );
  const deadline = "application.health.deadlineSeconds";
  await failed(
    async () => {
      // It never becomes healthy, however long it is waited for.
      await setGroup(deadline, "10")();
      world.setConfig({ greenVersion: TELLTALE });
    },
    async () => {
      await setGroup(deadline, "60")();
      world.setConfig({ greenVersion: "" });
    },
    /v1\.1\.0 on green did not become healthy/,
  );
  await failed(
    async () => {
      await supabase.stop();
      await setGroup(smtp, "smtp.example.com")();
    },
    async () => {
      await supabase.resume();
      await setGroup(smtp, "smtp.resend.com")();
    },
    /Supabase|supabase/,
  );
  await failed(setGroup("host.port", "2"), setGroup("host.port", "22"), /web|host/);
  await world.up();
});

test("no file of the project holds one in clear: stack file, state, its backups, history", () => {
  expect(filesWithCanaries(world.project.directory, canaries)).toEqual({});
  const state = readFileSync(
    join(world.project.directory, ".pulumi/stacks/vehicleservice/sandbox.json"),
    "utf8",
  );
  expect(state).toContain("secrets-root");
});

test("no temporary file is left that holds one", () => {
  expect(filesWithCanaries(temporary, canaries)).toEqual({});
});

test("on the host no file that others may read holds one, and no log but the application's own does", async () => {
  const forms = [...new Set(canaries.flatMap(({ value }) => formsOf(value)))].filter(
    (form) => !form.includes("\n"),
  );
  const stdin = `${forms.join("\n")}\n`;
  const places = ["/etc", "/var", "/usr/local", "/tmp", "/run", "/root", "/home", "/srv", "/opt", "/dev/shm"];
  const search = ["grep", "-rlsaF", "--devices=skip", "-f", "-", "--", ...places];
  const { stdout } = await world.host.exec(search, { stdin, check: false });
  const files = stdout.split("\n").filter((line) => line !== "");
  const nobody = 'while IFS= read -r file; do runuser -u nobody -- test ! -r "$file" || echo "$file"; done';
  const open = await world.host.exec(["bash", "-c", nobody], { stdin: stdout });
  expect(open.stdout).toBe("");
  // The search finds what there is.
  expect(files.join("\n")).toMatch(
    /environments\/[0-9a-f]{16}\.json[^]*site\.json|site\.json[^]*environments\//,
  );
  // The application's own, of the version that tells all it knows; nobody but its user and root gets there.
  const logs = files.filter((file) => file.startsWith("/var/log/"));
  expect(logs.filter((file) => !file.startsWith("/var/log/vehicleservice/green_"))).toEqual([]);
  // PM2 gives its unit's journal what the application says.
  const units =
    "journalctl --quiet --field=_SYSTEMD_UNIT | grep -vx 'vehicleservice@green.service' | sed 's/^/_SYSTEMD_UNIT=/'";
  const read = `${units} | xargs journalctl --quiet --no-pager --all --output=cat _PID=1 + _TRANSPORT=kernel +`;
  const journal = await world.host.exec(["bash", "-c", read]);
  expect(journal.stdout).toContain("conducting vehicleservice");
  expect(canariesIn(journal.stdout, canaries)).toEqual([]);
});
