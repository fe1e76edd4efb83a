import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ACCESS_NAMES } from "../../../components/supabase-access";
import { Certificate } from "../../../components/certificate";
import { Database, type DatabaseSpec } from "../../../components/database";
import { EnvironmentFile } from "../../../components/environment-file";
import { FrontDoor } from "../../../components/front-door";
import { Host } from "../../../components/host";
import { Maintenance } from "../../../components/maintenance";
import { SitePlan } from "../../../components/site-plan";
import { SupabaseProject, type SupabaseSpec } from "../../../components/supabase-project";
import { validate } from "../../../config";
import { machineWith, rawConfig, settings } from "../support/configuration";
import { existingHost } from "../support/existing-host";
import { type Circumstances, isSecret, plain, registrationsOf } from "../support/registrations";

/* What the program registers for a project of Supabase's, and what waits for what. */

const directory = mkdtempSync(join(tmpdir(), "supabase-"));
const software = join(directory, "host.tar");
writeFileSync(software, "an archive");
afterAll(() => {
  rmSync(directory, { recursive: true });
});

const REF = "abcdefghijklmnopqrst";
const loaded = validate(rawConfig(settings()), machineWith());
const { site, releases } = loaded;

const SUPABASE: SupabaseSpec = {
  apiUrl: "https://api.supabase.com",
  accessToken: "token",
  projectRef: REF,
  create: null,
  auth: { jwt_exp: 3600 },
  smtpPassword: "password",
  network: null,
  expected: { auditLog: "database", backups: "pitr", requireSsl: true, advisors: "stop" },
  api: { url: `https://${REF}.supabase.co`, anonKey: "key", functions: [] },
  told: { variables: [], database: false },
};

const SQL = "select 1;";
const DATABASE: DatabaseSpec = {
  settings: {
    url: "postgres://postgres:x@db.example.com/postgres",
    schemas: [],
    limits: { lockTimeoutMs: 2000, lockWaitSeconds: 60, statementTimeoutSeconds: 300 },
    bucket: { name: "b", region: "r", endpoint: null, prefix: "", credentials: null, authority: null },
    rehearsal: { url: null },
    rowTolerancePercent: 0,
  },
  identity: "0123456789ab",
  migrations: [
    {
      ...{ version: "001", name: "a", sql: SQL, contract: false },
      sha256: createHash("sha256").update(SQL).digest("hex"),
    },
  ],
  holdsSecrets: false,
  checks: [],
  accept: [],
  baseline: null,
  epoch: 0,
  backupGeneration: 0,
  ranges: { blue: null, green: null },
};

/** As `index.ts` has it, up to the plan. */
async function registered(spec: SupabaseSpec | null, circumstances: Circumstances = {}) {
  const { registrations } = await registrationsOf(() => {
    const host = new Host("web", { ...existingHost(loaded), software });
    const frontDoor = new FrontDoor("front-door", { host, site });
    const certificate = new Certificate("certificate", { host, frontDoor, site });
    const supabase = new SupabaseProject("supabase", { supabase: spec, database: DATABASE });
    const environment = new EnvironmentFile("environment", { host, variables: supabase.variables });
    const maintenance = new Maintenance("maintenance", { host, frontDoor, on: false });
    const before = [supabase.verified];
    const schema = supabase.leadTo(DATABASE);
    const database = new Database("database", { host, environment, maintenance, before, database: schema });
    const after = [supabase.tryPublicApi(database)];
    const args = { host, certificate, maintenance, database, after, environment, releases };
    new SitePlan("plan", { ...args, traffic: { stable: "blue", weight: 0 } });
  }, circumstances);
  const named = (name: string) => {
    const found = registrations.find((one) => one.name === name);
    if (found === undefined) throw new Error(`${name} is not registered`);
    return found;
  };
  const ours = registrations.filter(({ parent }) => parent === "supabase").map(({ name }) => name);
  return { named, ours };
}

it("is nothing for a site without Supabase", async () => {
  const { ours, named } = await registered(null);
  expect(ours).toEqual([]);
  expect(named("plan-act").waitsFor).toContain("database-checks-act");
});

it("is verified before the schema changes, and tried as everybody after it and before a release", async () => {
  const { named, ours } = await registered(SUPABASE);
  expect(ours).toEqual([
    "supabase-project",
    "supabase-settings",
    "supabase-verification",
    "supabase-public-api",
  ]);
  expect(named("supabase-settings").waitsFor).toContain("supabase-project");
  expect(named("supabase-verification").waitsFor).toContain("supabase-settings");
  expect(named("database-plan-act").waitsFor).toContain("supabase-verification");
  expect(named("supabase-public-api").waitsFor).toContain("database-checks-act");
  expect(named("plan-act").waitsFor).toContain("supabase-public-api");
});

it("hands every secret over as one", async () => {
  const { named } = await registered(SUPABASE);
  for (const name of ["project", "settings", "verification", "public-api"])
    expect(isSecret(named(`supabase-${name}`).inputs.accessToken)).toBe(true);
  expect(isSecret(named("supabase-settings").inputs.smtpPassword)).toBe(true);
  expect(isSecret(named("supabase-public-api").inputs.anonKey)).toBe(true);
});

it("has no password for a project that it adopts, and one that is its own for one that it makes, which stays", async () => {
  const { named } = await registered(SUPABASE);
  expect(plain(named("supabase-project").inputs.password)).toBe("");
  expect(named("supabase-project").retained).toBe(false);
  const create = { organization: "garage", region: "eu-central-1", name: "made" };
  const made = await registered({ ...SUPABASE, projectRef: "", create, api: null });
  expect(made.ours).toContain("supabase-database-password");
  expect(made.named("supabase-database-password").inputs.length).toBeGreaterThanOrEqual(24);
  expect(isSecret(made.named("supabase-project").inputs.password)).toBe(true);
  expect(plain(made.named("supabase-project").inputs.password)).not.toBe("");
  expect(made.named("supabase-project").retained).toBe(true);
});

describe("of a project that it makes", () => {
  const create = { organization: "garage", region: "eu-central-1", name: "made" };
  const api = { url: null, anonKey: null, functions: [] };
  const told = { variables: ACCESS_NAMES, database: true };
  const MADE: SupabaseSpec = { ...SUPABASE, projectRef: "", create, api, told };
  const url = "https://made.supabase.co";
  const outputs = { url, databaseHost: "db.made.supabase.co", anonKey: "public", serviceRoleKey: "all" };
  const around: Circumstances = { made: (_, name) => (name === "supabase-project" ? { outputs } : {}) };
  const sent = (one: { readonly inputs: Record<string, unknown> }) =>
    JSON.parse(plain(one.inputs.stdin) as string) as Record<string, unknown>;

  it("tells the application its URL, its keys and its database's URL, as secrets", async () => {
    const { named } = await registered(MADE, around);
    const act = named("environment-act");
    expect(act.waitsFor).toContain("supabase-project");
    expect(isSecret(act.inputs.stdin)).toBe(true);
    expect(sent(act).variables).toEqual({
      NEXT_PUBLIC_SUPABASE_URL: url,
      NEXT_PUBLIC_SUPABASE_ANON_KEY: "public",
      SUPABASE_SERVICE_ROLE_KEY: "all",
      DATABASE_URL: expect.stringMatching(
        /^postgres:\/\/postgres:[^@]{24,}@db\.made\.supabase\.co:5432\/postgres$/,
      ),
    });
  });

  it("changes the schema of its database, and tries its REST API", async () => {
    const { named } = await registered(MADE, around);
    const { variables } = sent(named("environment-act")) as { variables: Record<string, string> };
    const { database } = sent(named("database-act")) as { database: { url: string } };
    expect(isSecret(named("database-act").inputs.stdin)).toBe(true);
    expect(database.url).toBe(variables["DATABASE_URL"]);
    const { inputs } = named("supabase-public-api");
    expect([plain(inputs.url), plain(inputs.anonKey), isSecret(inputs.anonKey)]).toEqual([
      url,
      "public",
      true,
    ]);
  });

  it("leaves alone what the config says", async () => {
    const own = {
      ...MADE,
      api: SUPABASE.api,
      told: { variables: ["DATABASE_URL"] as const, database: false },
    };
    const { named } = await registered(own, around);
    expect(Object.keys(sent(named("environment-act")).variables as object)).toEqual(["DATABASE_URL"]);
    const { database } = sent(named("database-act")) as { database: { url: string } };
    expect(database.url).toContain("db.example.com");
    expect(plain(named("supabase-public-api").inputs.anonKey)).toBe("key");
  });
});

it("knows in the first preview already which project it is about", async () => {
  const { named } = await registered(SUPABASE, { preview: true });
  for (const name of ["settings", "verification", "public-api"])
    expect(named(`supabase-${name}`).inputs.ref).toBe(REF);
});
