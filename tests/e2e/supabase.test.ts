import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { providers } from "../../components/supabase-provider";
import type { PublicApiInputs } from "../../components/supabase-public-api";
import type { VerificationInputs } from "../../components/supabase-verification";
import { repositoryRoot } from "../../sandbox/repository";
import { advise } from "../../sandbox/supabase/advisors";
import type { ManagedProject } from "../../sandbox/supabase/management";
import { RestDatabase } from "../../sandbox/supabase/rest";
import { SupabaseStandIn } from "../../sandbox/supabase/stand-in";
import { EngineBundle } from "../../engine/tests/harness";
import { SupabaseStack, TOKEN } from "../unit/supabase/support/stack";
import { TestPostgres } from "./support/postgres";

/*
 * The product's schema as Supabase shows it: by the real security lints of its CLI, and by the REST API with the public key; by the
 * providers alone, and by a program on the engine.
 */

jest.setTimeout(300_000);

const FUNCTION = { name: "get_business_by_custom_domain", arguments: { domain_name: "garage.example.com" } };

let postgres: TestPostgres;
let standIn: SupabaseStandIn;
let project: ManagedProject;
let told: jest.SpyInstance<void, unknown[]>;

beforeAll(async () => {
  postgres = TestPostgres.start();
  const directory = join(repositoryRoot(), "migrations");
  const files = readdirSync(directory).filter((name) => name.endsWith(".sql"));
  for (const name of files.sort()) postgres.run(readFileSync(join(directory, name), "utf8"));
  postgres.run(`
    insert into public.business_accounts (id, name, slug) values ('${GARAGE}', 'Garage', 'garage');
    insert into public.custom_domains (business_account_id, domain, verified_at)
    values ('${GARAGE}', 'garage.example.com', now());`);
  standIn = await SupabaseStandIn.start({
    token: TOKEN,
    database: new RestDatabase(postgres.url(), postgres.url()),
  });
  project = standIn.projects.add({ pitr: true, ssl: true });
});

afterAll(async () => {
  expect(standIn.unknown).toEqual([]);
  await standIn.stop();
  postgres.remove();
});

beforeEach(() => {
  told = jest.spyOn(console, "error").mockImplementation(() => undefined);
});

afterEach(() => {
  told.mockRestore();
  postgres.run("drop table if exists public.notes cascade");
});

const GARAGE = "00000000-0000-4000-8000-000000000001";
const NOTES = "create table public.notes (id int, words text); insert into public.notes values (1, 'mine');";
const SECURED = `${NOTES} alter table public.notes enable row level security;`;

const access = () => ({ apiUrl: standIn.url, accessToken: TOKEN, ref: project.ref });

function verification(): VerificationInputs {
  const expected = { auditLog: "database", backups: "pitr", requireSsl: true, advisors: "stop" } as const;
  return { ...access(), expected, allow: [], migrations: ["001"] };
}

function publicApi(changes: Partial<PublicApiInputs> = {}): PublicApiInputs {
  const anonKey = project.keys.find(({ name }) => name === "anon")!.api_key;
  return { ...access(), url: standIn.url, anonKey, functions: [FUNCTION], migrations: ["001"], ...changes };
}

describe("the security lints of the supabase CLI", () => {
  test("find nothing that stops an up in the product's schema", async () => {
    const { outs } = await providers.verification.create(verification());
    expect(outs?.findings.filter(({ verdict }) => verdict === "fault")).toEqual([]);
    expect((await advise(postgres.url())).filter(({ level }) => level === "ERROR")).toEqual([]);
  });

  test("stop an up at a table without row level security, before migrations", async () => {
    postgres.run(NOTES);
    await expect(providers.verification.create(verification())).rejects.toThrow(
      /nothing was done to its schema:[^]*advisors: rls_disabled_in_public: .*notes/,
    );
    const { outs } = await providers.verification.create({
      ...verification(),
      expected: { ...verification().expected, advisors: "tell" },
    });
    expect(outs?.findings).toContainEqual(expect.objectContaining({ name: "advisors", verdict: "told" }));
    expect(told.mock.calls.flat().join("\n")).toContain("rls_disabled_in_public");
  });
});

describe("the REST API with the public key", () => {
  test.each(["anon", "publishable"])("shows no rows, and answers the function (%s)", async (kind) => {
    const anonKey = project.keys.find(({ name, type }) => name === kind || type === kind)!.api_key;
    const { outs } = await providers.publicApi.create(publicApi({ anonKey }));
    expect(outs?.tables).toContain("business_accounts");
    expect(standIn.calls.filter(({ path }) => path.startsWith("/rest/v1/rpc/"))).not.toEqual([]);
  });

  test("really asks as everybody: the service's key sees rows, and is refused for it", async () => {
    const anonKey = project.keys.find(({ name }) => name === "service_role")!.api_key;
    const failure = await providers.publicApi.create(publicApi({ anonKey })).catch((error: unknown) => error);
    expect(String(failure)).toMatch(
      /table business_accounts shows its rows to everybody, and no policy says so/,
    );
    expect(String(failure)).not.toContain(anonKey);
  });

  test.each([
    ["without row level security", NOTES, /table notes shows its rows to everybody/],
    [
      "that anon goes around",
      `${SECURED} alter table public.notes owner to anon;`,
      /table notes shows its rows/,
    ],
  ])("refuses a table %s", async (_, sql, message) => {
    postgres.run(sql);
    await expect(providers.publicApi.create(publicApi())).rejects.toThrow(message);
  });

  test.each([
    ["that a policy hides", SECURED, ""],
    ["that may not be read", `${NOTES} revoke all on public.notes from anon;`, ""],
    [
      "that a policy shows",
      `${SECURED} create policy shown on public.notes for select using (true);`,
      "everybody reads rows of notes, as its policies say: shown",
    ],
  ])("takes a table %s", async (_, sql, message) => {
    postgres.run(sql);
    const { outs } = await providers.publicApi.create(publicApi());
    expect(outs?.tables).toContain("notes");
    expect(told.mock.calls.flat().join("\n")).toContain(message);
  });

  test("waits for the API's copy of the schema, and names a function that is not there", async () => {
    standIn.happen({ to: /rpc/, status: 404, body: '{"code":"PGRST202","message":"not yet"}' });
    await providers.publicApi.create(publicApi());
    // Another code than the one of a stale copy: no reason to wait.
    standIn.happen({ to: /rpc/, status: 400, body: '{"code":"22P02","message":"bad input"}' });
    await expect(providers.publicApi.create(publicApi())).rejects.toThrow(
      /function get_business_by_custom_domain gives no answer: 400 22P02 bad input/,
    );
  });

  test("says that a key is unknown", async () => {
    const anonKey = ["sb", "publishable", "0123456789abcdef"].join("_");
    await expect(providers.publicApi.create(publicApi({ anonKey }))).rejects.toThrow(/401 .*Invalid API key/);
  });
});

describe("a program", () => {
  let engine: EngineBundle;
  let stack: SupabaseStack;

  beforeAll(async () => {
    engine = await EngineBundle.build();
    stack = new SupabaseStack(engine, standIn, project.ref);
    await stack.init();
    await stack.secret("anonKey", project.keys.find(({ type }) => type === "publishable")!.api_key);
    stack.want({}, { api: { url: standIn.url, functions: [FUNCTION] } });
  });

  afterAll(() => {
    stack.remove();
    engine.remove();
  });

  test("changes no schema while a table has no row level security, and ships nothing that the public could read", async () => {
    postgres.run(NOTES);
    const refused = await stack.up();
    expect(refused.code).not.toBe(0);
    expect(refused.stdout + refused.stderr).toMatch(/rls_disabled_in_public: .*notes/);
    expect(stack.workspace.names()).not.toContain("schema");

    // The schema may change, for that puts it right; what it leaves open comes to no release.
    stack.want({ expected: { ...stack.wanted.supabase.expected, advisors: "tell" } });
    const open = await stack.up();
    expect(open.code).not.toBe(0);
    expect(open.stdout + open.stderr).toMatch(/table notes shows its rows to everybody/);
    expect(stack.workspace.names()).toContain("schema");
    expect(stack.workspace.names()).not.toContain("release");

    postgres.run("alter table public.notes enable row level security");
    await stack.succeed();
    expect(stack.workspace.names()).toContain("release");
    expect(await stack.succeed("up --yes --skip-preview --expect-no-changes")).toContain("unchanged");
  });
});
