import { ACCESS_NAMES } from "../../../components/supabase-access";
import { supabaseKeyFaults } from "../../../config/supabase-keys";
import { databaseUrlText } from "../../../config/variable-forms";
import { EngineBundle } from "../../../engine/tests/harness";
import type { ManagedProject } from "../../../sandbox/supabase/management";
import { SupabaseStandIn } from "../../../sandbox/supabase/stand-in";
import { argumentsDuring } from "../../e2e/support/argument-watch";
import { SMTP_PASSWORD, SupabaseStack, TOKEN } from "./support/stack";

/* The program's component on the embedded engine, against a stand-in for Supabase's Management API. */

jest.setTimeout(600_000);

let engine: EngineBundle;
let standIn: SupabaseStandIn;
let stack: SupabaseStack;
let project: ManagedProject;

beforeAll(async () => {
  engine = await EngineBundle.build();
});
afterAll(() => {
  engine.remove();
});
beforeEach(async () => {
  standIn = await SupabaseStandIn.start({ token: TOKEN });
  project = standIn.projects.add({ pitr: true, ssl: true });
  stack = new SupabaseStack(engine, standIn, project.ref);
  await stack.init();
});
afterEach(async () => {
  expect(standIn.unknown).toEqual([]);
  stack.remove();
  await standIn.stop();
});

const auth = () => `PATCH /v1/projects/${project.ref}/config/auth`;

it("adopts a project: what config names is set, the rest and the password stay, and a second up does nothing", async () => {
  const before = { ...project.auth };
  await stack.succeed();
  expect(stack.changes()).toEqual([auth()]);
  expect(project.auth).toEqual({
    ...before,
    site_url: "https://www.example.com",
    jwt_exp: 1800,
    smtp_pass: SMTP_PASSWORD,
  });
  expect(project.password).toBeNull();
  const sent = standIn.calls.find(({ method }) => method === "PATCH");
  expect(Object.keys(JSON.parse(sent!.body) as object).sort()).toEqual(["jwt_exp", "site_url", "smtp_pass"]);

  expect(await stack.succeed("up --yes --skip-preview --expect-no-changes")).toContain("unchanged");
  // Nobody has to answer for an `up` that changes nothing here: be it the way back.
  expect(standIn.calls).toEqual([]);
});

it("changes one setting by one call with that setting", async () => {
  await stack.succeed();
  stack.want({ auth: { ...stack.wanted.supabase.auth, jwt_exp: 900 } });
  expect(await stack.succeed("preview --diff")).toMatch(/jwt_exp.*1800.*900/s);
  expect(project.auth["jwt_exp"]).toBe(1800);
  await stack.succeed();
  expect(standIn.calls.filter(({ method }) => method === "PATCH").map(({ body }) => body)).toEqual([
    JSON.stringify({ jwt_exp: 900 }),
  ]);
});

it("names all that a project lacks, and changes no schema", async () => {
  Object.assign(project, { pitr: false, ssl: false, locked: ["audit_log_disable_postgres"] });
  project.auth["audit_log_disable_postgres"] = true;
  const detail = "Table `public.notes` is public, but RLS has not been enabled.";
  project.lints = [
    { name: "rls_disabled_in_public", level: "ERROR", detail, remediation: "https://example.com" },
  ];
  stack.want({ network: { allow: ["203.0.113.10/32"], set: false } });
  const { code, stdout, stderr } = await stack.up();
  expect(code).not.toBe(0);
  const said = stdout + stderr;
  for (const fault of ["audit-log: ", "backups: ", "network: ", "ssl: ", "advisors: rls_disabled_in_public"])
    expect(said).toContain(fault);
  expect(said).toContain("public.notes");
  expect(stack.workspace.names()).not.toContain("schema");

  // Each put right, the last one by the stack itself.
  Object.assign(project, { pitr: true, ssl: true, locked: [], lints: [] });
  stack.want({ network: { allow: ["203.0.113.10/32"], set: true } });
  await stack.succeed();
  expect(project.restrictions).toEqual({ dbAllowedCidrs: ["203.0.113.10/32"], dbAllowedCidrsV6: [] });
  expect(project.auth["audit_log_disable_postgres"]).toBe(false);
  expect(stack.workspace.names()).toContain("schema");
});

it("verifies for a new migration, and not for the way back from it", async () => {
  await stack.succeed();
  project.pitr = false;
  stack.want({}, { migrations: ["001", "002"] });
  const refused = await stack.up();
  expect(refused.code).not.toBe(0);
  expect(refused.stdout + refused.stderr).toContain("point-in-time recovery is off");

  await standIn.stop();
  stack.want({}, { migrations: ["001"] });
  expect(await stack.succeed("up --yes --skip-preview --expect-no-changes")).toContain("unchanged");
  standIn = await SupabaseStandIn.start({ token: TOKEN });
});

it("makes a project: its password is its own, and nothing makes another one, or deletes it", async () => {
  standIn.projects.remove(project.ref);
  const create = { organization: "garage", region: "eu-central-1", name: "made" };
  const expected = { auditLog: "database", backups: "none", requireSsl: false, advisors: "stop" } as const;
  stack.want({ projectRef: "", create, expected, told: { variables: ACCESS_NAMES, database: true } });
  await stack.succeed();
  const [made] = standIn.projects.list();
  expect(made?.password).toMatch(/^[A-Za-z0-9]{48}$/);
  const access = JSON.parse(
    await stack.workspace.succeed("stack output access --show-secrets --json"),
  ) as object;
  const wanted = {
    url: `https://${made!.ref}.supabase.co`,
    databaseUrl: `postgres://postgres:${made!.password!}@db.${made!.ref}.supabase.co:5432/postgres`,
    anonKey: made!.keys[2]!.api_key,
    serviceRoleKey: made!.keys[3]!.api_key,
  };
  expect(access).toEqual(wanted);
  // As the config's rules have them.
  const variables = JSON.parse(
    await stack.workspace.succeed("stack output variables --show-secrets --json"),
  ) as Record<string, string>;
  expect(variables).toEqual({
    NEXT_PUBLIC_SUPABASE_URL: wanted.url,
    NEXT_PUBLIC_SUPABASE_ANON_KEY: wanted.anonKey,
    SUPABASE_SERVICE_ROLE_KEY: wanted.serviceRoleKey,
    DATABASE_URL: wanted.databaseUrl,
  });
  expect(supabaseKeyFaults(variables, made!.ref)).toEqual([]);
  expect(databaseUrlText(variables["DATABASE_URL"] ?? "")).toBeUndefined();
  expect(await stack.succeed("up --yes --skip-preview --expect-no-changes")).toContain("unchanged");

  const destroyed = await stack.run("destroy --yes --skip-preview");
  expect(destroyed.code).not.toBe(0);
  expect(standIn.projects.list()).toEqual([made]);
  for (const text of stack.workspace.files(".pulumi").values())
    for (const secret of [made!.password!, made!.keys[3]!.api_key]) expect(text).not.toContain(secret);
});

it("makes no second project where the answer to the first was lost", async () => {
  standIn.projects.remove(project.ref);
  const create = { organization: "garage", region: "eu-central-1", name: "made" };
  stack.want({ projectRef: "", create });
  standIn.happen({ to: /^POST \/v1\/projects$/, afterWork: true });
  expect((await stack.up()).code).not.toBe(0);
  const { code, stdout, stderr } = await stack.up();
  expect(code).not.toBe(0);
  expect(stdout + stderr).toMatch(/has a project made \([a-z]{20}\) already, and a second one is not made/);
  expect(standIn.projects.list()).toHaveLength(1);
});

it("takes another token without replacing anything", async () => {
  await stack.succeed();
  await stack.secret("token", `${TOKEN}_2`);
  const { code, stdout, stderr } = await stack.up();
  expect(code).not.toBe(0);
  expect(stdout + stderr).toMatch(/answered 401: Unauthorized; the token is unknown or was revoked/);
  expect(stdout + stderr).not.toContain(TOKEN);
  expect(stack.changes()).toEqual([]);
  await stack.secret("token", TOKEN);
  expect(await stack.succeed("up --yes --skip-preview --expect-no-changes")).toContain("unchanged");
});

it.each([
  [
    "refuses",
    { status: 403, body: '{"message":"Forbidden"}' },
    /answered 403: Forbidden; .*owner or administrator/,
  ],
  [
    "repeats secrets",
    { status: 400, body: JSON.stringify({ message: `${TOKEN} ${SMTP_PASSWORD}` }) },
    /answered 400: /,
  ],
])("tells no secret where the API %s, and none is left anywhere", async (_, mishap, message) => {
  standIn.happen({ to: /^PATCH .*\/config\/auth$/, ...mishap });
  const failed = await stack.up();
  expect(failed.code).not.toBe(0);
  expect(failed.stdout + failed.stderr).toMatch(message);
  const said = await stack.succeed("up --yes");
  for (const text of [failed.stdout, failed.stderr, said, ...stack.workspace.files(".pulumi").values()])
    for (const secret of [TOKEN, SMTP_PASSWORD]) expect(text).not.toContain(secret);
});

it("shows token and password in no list of arguments", async () => {
  const shown = await argumentsDuring(TOKEN, async () => {
    expect(await argumentsDuring(SMTP_PASSWORD, () => stack.succeed())).toEqual([]);
  });
  expect(shown).toEqual([]);
});

it.each([
  ["too many questions", { status: 429, headers: { "Retry-After": "0" } }],
  ["a fault of its own", { status: 503, headers: { "Retry-After": "0" } }],
])("asks again after %s", async (_, mishap) => {
  for (const to of [/^GET .*\/config\/auth$/, /^PATCH .*\/config\/auth$/]) standIn.happen({ to, ...mishap });
  await stack.succeed();
  expect(project.auth["jwt_exp"]).toBe(1800);
});

it("says that a setting was not taken, and sets it once it can be", async () => {
  project.locked = ["jwt_exp"];
  const { code, stdout, stderr } = await stack.up();
  expect(code).not.toBe(0);
  expect(stdout + stderr).toMatch(/took these auth settings .* and has others: jwt_exp;/);
  project.locked = [];
  await stack.succeed();
  expect(project.auth["jwt_exp"]).toBe(1800);
});
