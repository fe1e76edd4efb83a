import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { createClient } from "@supabase/supabase-js";
import { providers } from "../../components/supabase-provider";
import { SandboxPostgres } from "../../sandbox/postgres";
import { findService, serviceNames } from "../../sandbox/services";
import type { StandInSettings } from "../../sandbox/supabase/main";
import { SandboxSupabase } from "../../sandbox/supabase/service";
import { worldNamed } from "../../sandbox/world";

/* Supabase's stand-in as a service of the sandbox, in front of the sandbox's Postgres. */

jest.setTimeout(120_000);

const world = worldNamed("supabase-service");
let directory: string;
let postgres: SandboxPostgres;
let supabase: SandboxSupabase;
let settings: StandInSettings;

beforeAll(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "supabase-service-"));
  // Postgres runs as a user of its own, who has to find the way through.
  fs.chmodSync(directory, 0o711);
  postgres = await SandboxPostgres.start(world, {
    directory: path.join(directory, "postgres"),
    address: "127.0.0.1",
  });
  supabase = await SandboxSupabase.start(world, {
    directory: path.join(directory, "supabase"),
    address: "127.0.0.1",
    postgres,
  });
  settings = JSON.parse(
    fs.readFileSync(path.join(directory, "supabase", "settings.json"), "utf8"),
  ) as StandInSettings;
});

afterAll(async () => {
  await supabase.remove();
  await postgres.remove();
  fs.rmSync(directory, { recursive: true });
  expect(serviceNames(world)).toEqual([]);
  fs.rmSync(world.stateDirectory, { recursive: true, force: true });
});

interface Kept {
  readonly ref: string;
  readonly auth: Readonly<Record<string, unknown>>;
  readonly keys: readonly { readonly type: string; readonly api_key: string }[];
}
const kept = (): Kept => (JSON.parse(fs.readFileSync(settings.projects, "utf8")) as Kept[])[0]!;

test("takes what the stack sets, verifies, and has it after a restart", async () => {
  const told = jest.spyOn(console, "error").mockImplementation(() => undefined);
  const access = { apiUrl: supabase.url, accessToken: settings.token, ref: kept().ref };
  const auth = { site_url: "https://vehicleservice.test", jwt_exp: 900 };
  const inputs = { ...access, auth, smtpPassword: "", allow: [] };
  const { outs } = await providers.settings.create(inputs);
  const expected = { auditLog: "database", backups: "pitr", requireSsl: true, advisors: "stop" } as const;
  await providers.verification.create({ ...access, expected, allow: [], migrations: [] });
  await supabase.stop();
  await supabase.resume();
  expect((await providers.settings.read!(access.ref, outs)).props).toEqual(outs);
  expect(kept().auth).toMatchObject(auth);
  told.mockRestore();
});

test("shows everybody what Postgres shows anon, and the service all", async () => {
  postgres.asSuperuser(`set role postgres; create table public.notes (words text);
    alter table public.notes enable row level security; insert into public.notes values ('mine');`);
  const rowsBy = async (kind: string) => {
    const key = kept().keys.find(({ type }) => type === kind)!.api_key;
    const client = createClient(supabase.url, key, { auth: { persistSession: false } });
    return client.from("notes").select("*");
  };
  expect(await rowsBy("publishable")).toMatchObject({ data: [], error: null });
  expect(await rowsBy("secret")).toMatchObject({ data: [{ words: "mine" }] });
});

test("holds its token and the database's password in files of its own alone", () => {
  const { process: identity } = findService(
    world,
    serviceNames(world).find((name) => name.startsWith("supabase-"))!,
  )!;
  const command = fs.readFileSync(`/proc/${String(identity.pid)}/cmdline`, "utf8");
  const environment = fs.readFileSync(`/proc/${String(identity.pid)}/environ`, "utf8");
  for (const text of [command, environment, settings.lintUrl])
    for (const secret of [settings.token, new URL(settings.url).password]) expect(text).not.toContain(secret);
  for (const name of ["settings.json", "projects.json"])
    expect(fs.statSync(path.join(directory, "supabase", name)).mode & 0o077).toBe(0);
});
