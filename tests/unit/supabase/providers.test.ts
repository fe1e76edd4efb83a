import { createServer, type AddressInfo, type Server } from "node:net";
import { SupabaseApi } from "../../../components/supabase-api";
import type { ProjectInputs, ProjectState } from "../../../components/supabase-origin";
import { providers } from "../../../components/supabase-provider";
import type { SettingsInputs, SettingsState } from "../../../components/supabase-settings";
import {
  advised,
  auditLog,
  kept,
  network,
  type VerificationInputs,
  type VerificationState,
} from "../../../components/supabase-verification";
import { type ManagedProject, OPERATIONS } from "../../../sandbox/supabase/management";
import { SupabaseStandIn } from "../../../sandbox/supabase/stand-in";

const TOKEN = ["sbp", "0123456789abcdef0123"].join("_");
const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

let standIn: SupabaseStandIn;
let project: ManagedProject;
let told: jest.SpyInstance<void, unknown[]>;
const servers: Server[] = [];

beforeEach(async () => {
  standIn = await SupabaseStandIn.start({ token: TOKEN });
  project = standIn.projects.add({ pitr: true, ssl: true });
  told = jest.spyOn(console, "error").mockImplementation(() => undefined);
});

afterEach(async () => {
  told.mockRestore();
  for (const server of servers.splice(0)) server.close();
  await standIn.stop();
});

const access = () => ({ apiUrl: standIn.url, accessToken: TOKEN });

function settingsInputs(changes: Partial<SettingsInputs> = {}): SettingsInputs {
  const auth = {
    site_url: "https://www.example.com",
    jwt_exp: 1800,
    uri_allow_list: "https://a.example,https://b.example",
  };
  return { ...access(), ref: project.ref, auth, smtpPassword: "of the mail server", allow: [], ...changes };
}

async function applied(inputs = settingsInputs()): Promise<SettingsState> {
  return (await providers.settings.create(inputs)).outs!;
}

describe("settings", () => {
  const diffOf = (olds: SettingsState, news: SettingsInputs) =>
    providers.settings.diff!(project.ref, olds, news);
  const readBack = async (state: SettingsState) =>
    (await providers.settings.read!(project.ref, state)).props!;

  it("that nobody changed are read back as they were", async () => {
    const state = await applied();
    expect(await readBack(state)).toEqual(state);
    expect(await diffOf(state, settingsInputs())).toEqual({ changes: false, replaces: [] });
  });

  it.each<[string, () => void, Partial<SettingsState>]>([
    ["a number", () => (project.auth["jwt_exp"] = 60), { auth: expect.objectContaining({ jwt_exp: 60 }) }],
    [
      "a text that is gone",
      () => (project.auth["site_url"] = null),
      { auth: expect.objectContaining({ site_url: "" }) },
    ],
    ["the password of the mail server", () => (project.auth["smtp_pass"] = "another"), { smtpPassword: "" }],
  ])("that somebody changed are found, and put right: %s", async (_, change, found) => {
    const before = { ...project.auth };
    const state = await applied();
    const ours = { ...project.auth };
    expect(ours).not.toEqual(before);
    change();
    const drifted = await readBack(state);
    expect(drifted).toMatchObject(found);
    expect(await diffOf(drifted, settingsInputs())).toMatchObject({ changes: true, replaces: [] });
    standIn.calls.length = 0;
    const { outs } = await providers.settings.update!(project.ref, drifted, settingsInputs());
    expect(project.auth).toEqual(ours);
    expect(outs).toEqual(state);
    const [patch, ...more] = standIn.calls.filter(({ method }) => method === "PATCH");
    expect(more).toEqual([]);
    expect(Object.keys(JSON.parse(patch!.body) as object)).toHaveLength(1);
  });

  it("tells nothing of what it was not asked to look after", async () => {
    const state = await applied();
    project.auth["disable_signup"] = true;
    expect(await readBack(state)).toEqual(state);
  });

  it("takes the same list in another order for the same", async () => {
    const state = await applied();
    project.auth["uri_allow_list"] = "https://b.example, https://a.example";
    expect(await readBack(state)).toEqual(state);
  });

  it("leaves the mail server's password where config has none", async () => {
    project.auth["smtp_pass"] = "somebody's";
    const state = await applied(settingsInputs({ smtpPassword: "" }));
    expect(project.auth["smtp_pass"]).toBe("somebody's");
    project.auth["smtp_pass"] = "somebody else's";
    expect(await readBack(state)).toEqual(state);
  });

  it("restricts the network where asked to, and finds it opened", async () => {
    const inputs = settingsInputs({ allow: ["203.0.113.10/32", "2001:db8::/64"] });
    const state = await applied(inputs);
    expect(project.restrictions).toEqual({
      dbAllowedCidrs: ["203.0.113.10/32"],
      dbAllowedCidrsV6: ["2001:db8::/64"],
    });
    project.restrictions = { dbAllowedCidrs: ["0.0.0.0/0"], dbAllowedCidrsV6: ["::/0"] };
    const drifted = await readBack(state);
    expect(await diffOf(drifted, inputs)).toMatchObject({ changes: true });
    await providers.settings.update!(project.ref, drifted, inputs);
    expect(project.restrictions.dbAllowedCidrs).toEqual(["203.0.113.10/32"]);
  });

  it("belong to one project: another one gets its own, and one that a preview does not know yet is none", async () => {
    const state = await applied();
    expect(await diffOf(state, settingsInputs({ ref: "another" }))).toMatchObject({ replaces: ["ref"] });
    expect(await diffOf(state, settingsInputs({ ref: UNKNOWN }))).toEqual({ changes: false, replaces: [] });
  });

  it("keep no more of a password than the hash of a hash", async () => {
    expect((await applied()).smtpSeen).toMatch(/^[0-9a-f]{16}$/);
    expect((await applied(settingsInputs({ smtpPassword: "" }))).smtpSeen).toBe("");
  });

  it("of a project that is gone are gone", async () => {
    const state = await applied();
    standIn.projects.remove(project.ref);
    expect(await providers.settings.read!(project.ref, state)).toEqual({});
  });
});

describe("a project", () => {
  const inputs = (changes: Partial<ProjectInputs> = {}): ProjectInputs => {
    return { ...access(), projectRef: project.ref, create: null, password: "", ...changes };
  };
  const create = { organization: "garage", region: "eu-central-1", name: "made" };
  const made = (changes: Partial<ProjectInputs> = {}) =>
    inputs({ projectRef: "", create, password: "of the database", ...changes });

  it("that is adopted never gets a password, whatever is given", async () => {
    const { outs } = await providers.project.create(inputs());
    expect(outs).toMatchObject({ made: false, ref: project.ref, anonKey: "", serviceRoleKey: "" });
    await providers.project.update!(project.ref, outs!, inputs({ password: "another" }));
    expect(project.password).toBeNull();
    expect(await providers.project.diff!(project.ref, outs!, inputs({ password: "another" }))).toMatchObject({
      changes: false,
    });
  });

  it("that this stack made gets its password, and a new one", async () => {
    const { outs } = await providers.project.create(made());
    const one = standIn.projects.find(outs!.ref)!;
    expect(one.password).toBe("of the database");
    const news = made({ password: "another one" });
    expect(await providers.project.diff!(outs!.ref, outs!, news)).toEqual({ changes: true, replaces: [] });
    await providers.project.update!(outs!.ref, outs!, news);
    expect(one.password).toBe("another one");
    await expect(providers.project.delete!(outs!.ref, outs!)).rejects.toThrow("deleted by nobody but you");
  });

  it("that this stack made and then adopts stays, and keeps its password", async () => {
    const { outs } = await providers.project.create(made());
    const news = inputs({ projectRef: outs!.ref });
    expect(await providers.project.diff!(outs!.ref, outs!, news)).toEqual({ changes: true, replaces: [] });
    const after = await providers.project.update!(outs!.ref, outs!, news);
    expect(after.outs).toMatchObject({ made: false, serviceRoleKey: "" });
    expect(standIn.projects.find(outs!.ref)!.password).toBe("of the database");
  });

  it.each([
    ["another reference", { projectRef: "abcdefghijklmnopqrst" }, ["projectRef"]],
    ["another region", { create: { ...create, region: "us-east-1" }, projectRef: "" }, ["create"]],
  ])("is another one by %s", async (_, changes, replaces) => {
    const { outs } = await providers.project.create(made());
    const diff = await providers.project.diff!(outs!.ref, outs!, made(changes));
    expect(diff).toEqual({ changes: true, replaces });
  });

  it.each([
    [
      "is not there",
      () => standIn.projects.remove(project.ref),
      /there is no project [a-z]{20} .*supabase\.projectRef/,
    ],
    [
      "is paused",
      () => (project.status = ["INACTIVE"]),
      /is INACTIVE and takes no settings: it is paused, restore it/,
    ],
  ])("that %s is refused", async (_, change, message) => {
    change();
    await expect(providers.project.create(inputs())).rejects.toThrow(message);
  });

  it("that did not come up is kept as it is, and gone on with", async () => {
    standIn.happen({ to: /^GET .*\/api-keys/, status: 403 });
    const failure = (await providers.project.create(made()).catch((error: unknown) => error)) as {
      id: string;
      properties: ProjectState;
      reasons: string[];
    };
    expect(failure).toMatchObject({
      id: expect.stringMatching(/^[a-z]{20}$/),
      reasons: [expect.any(String)],
    });
    const { outs } = await providers.project.update!(failure.id, failure.properties, made());
    expect(outs!.serviceRoleKey).toBe(standIn.projects.find(failure.id)!.keys[3]!.api_key);
  });

  it("that is gone is told by a refresh, and not made again in silence", async () => {
    const { outs } = await providers.project.create(inputs());
    standIn.projects.remove(project.ref);
    await expect(providers.project.read!(project.ref, outs)).rejects.toThrow(
      /is gone, or the token may not see it/,
    );
  });
});

describe("a verification", () => {
  const inputs = (changes: Partial<VerificationInputs> = {}): VerificationInputs => {
    const expected = { auditLog: "database", backups: "pitr", requireSsl: true, advisors: "stop" } as const;
    return { ...access(), ref: project.ref, expected, allow: [], migrations: ["001"], ...changes };
  };
  const diffOf = (olds: VerificationState, news: VerificationInputs) =>
    providers.verification.diff!(project.ref, olds, news);
  const verified = async () => (await providers.verification.create(inputs())).outs!;

  it("is made for what is new, and for nothing that is taken away", async () => {
    const state = await verified();
    expect(await diffOf(state, inputs())).toMatchObject({ changes: false });
    expect(await diffOf(state, inputs({ migrations: [] }))).toMatchObject({ changes: false });
    expect(await diffOf(state, inputs({ migrations: ["001", "002"] }))).toMatchObject({ changes: true });
    const other = { ...inputs().expected, auditLog: "platform" } as const;
    expect(await diffOf(state, inputs({ expected: other }))).toMatchObject({ changes: true });
  });

  it("that a refresh made again tells what is amiss at each up, and stops none that brings nothing new", async () => {
    const state = await verified();
    project.ssl = false;
    const { props } = await providers.verification.read!(project.ref, state);
    expect(props!.findings).toContainEqual(expect.objectContaining({ name: "ssl", verdict: "fault" }));
    expect(await diffOf(props!, inputs())).toMatchObject({ changes: true });
    await providers.verification.update!(project.ref, props!, inputs());
    expect(told.mock.calls.flat().join("\n")).toContain("takes connections without TLS");
    const news = inputs({ migrations: ["001", "002"] });
    await expect(providers.verification.update!(project.ref, props!, news)).rejects.toThrow(/ssl: /);
    // Not even where the API does not answer that.
    const revoked = inputs({ accessToken: "another" });
    const { outs } = await providers.verification.update!(project.ref, props!, revoked);
    expect(outs!.findings).toEqual(props!.findings);
    expect(told.mock.calls.flat().join("\n")).toContain("answered 401");
  });
});

describe("what is found of", () => {
  const now = new Date("2026-01-10T12:00:00Z");
  const backup = (status: string, inserted_at: string) => ({ status, inserted_at });
  const none = { pitr_enabled: false, backups: [] };

  it.each([
    ["recovery to any moment", { ...none, pitr_enabled: true }, "pitr", "ok"],
    ["none of it", none, "pitr", "fault"],
    [
      "a backup of the night",
      { ...none, backups: [backup("COMPLETED", "2026-01-10T02:00:00Z")] },
      "daily",
      "ok",
    ],
    ["an old one", { ...none, backups: [backup("COMPLETED", "2026-01-07T02:00:00Z")] }, "daily", "fault"],
    ["one that failed", { ...none, backups: [backup("FAILED", "2026-01-10T02:00:00Z")] }, "daily", "fault"],
    ["nothing, where nobody asks", none, "none", "ok"],
  ] as const)("backups: %s", (_, found, expected, verdict) => {
    expect(kept(found, expected, { now, madeAt: "2025-01-01T00:00:00Z" }).verdict).toBe(verdict);
  });

  it("backups of a project that is a day old: it is told", () => {
    expect(kept(none, "daily", { now, madeAt: "2026-01-09T12:00:00Z" }).verdict).toBe("told");
  });

  const restrictions = (allow: string[], applied = true) => ({ allow, applied, available: true });
  it.each([
    ["open, and nobody says", ["0.0.0.0/0", "::/0"], [], "told"],
    ["closed, and nobody says", ["10.0.0.0/8"], [], "ok"],
    ["open, where it may not be", ["0.0.0.0/0", "::/0"], ["10.0.0.0/8"], "fault"],
    [
      "as it shall be, in another order",
      ["192.0.2.0/24", "10.0.0.0/8"],
      ["10.0.0.0/8", "192.0.2.0/24"],
      "ok",
    ],
    ["with one network more", ["192.0.2.0/24", "10.0.0.0/8"], ["10.0.0.0/8"], "fault"],
  ])("the network: %s", (_, found, allow, verdict) => {
    expect(network(restrictions(found), allow).verdict).toBe(verdict);
  });

  it("restrictions that are not in force yet: a fault", () => {
    expect(network(restrictions(["10.0.0.0/8"], false), ["10.0.0.0/8"]).verdict).toBe("fault");
  });

  it.each([
    [{ audit_log_disable_postgres: false }, "database", "ok"],
    [{}, "database", "ok"],
    [{ audit_log_disable_postgres: true }, "database", "fault"],
    [{ audit_log_disable_postgres: true }, "platform", "ok"],
  ] as const)("the audit log: %p by the %s", (auth, expected, verdict) => {
    expect(auditLog(auth, expected).verdict).toBe(verdict);
  });

  const lint = (level: "ERROR" | "WARN" | "INFO") => ({ name: "x", level, detail: "d", remediation: "r" });
  it.each([
    ["ERROR", "stop", ["fault"]],
    ["ERROR", "tell", ["told"]],
    ["ERROR", "off", []],
    ["WARN", "stop", ["told"]],
    ["INFO", "stop", ["ok"]],
  ] as const)("the advisors: %s, which may %s", (level, mode, verdicts) => {
    expect(advised([lint(level)], mode).map(({ verdict }) => verdict)).toEqual(verdicts);
  });
});

describe("the Management API", () => {
  const patience = { tries: 2, answerMs: 5000, pauseMs: 1 };

  it("is asked by calls that the stand-in knows, all of them", async () => {
    const api = new SupabaseApi(access());
    const { ref } = project;
    await api.project(ref);
    await api.projects();
    await api.create({
      organization_slug: "o",
      name: "n",
      db_pass: "12345",
      region_selection: { type: "specific", code: "eu-central-1" },
    });
    await api.setPassword(ref, "another");
    await api.keys(ref);
    await api.auth(ref);
    await api.setAuth(ref, { jwt_exp: 900 });
    await api.backups(ref);
    await api.restrictions(ref);
    await api.restrict(ref, ["10.0.0.0/8"]);
    await api.requiresSsl(ref);
    await api.advisors(ref);
    await api.read(ref, "select 1");
    const methods = Object.getOwnPropertyNames(SupabaseApi.prototype).filter(
      (name) => !["constructor", "ask", "failureOf", "masked"].includes(name),
    );
    expect(standIn.calls).toHaveLength(methods.length);
    expect(OPERATIONS).toHaveLength(methods.length);
    expect(standIn.unknown).toEqual([]);
  });

  it("has calls that the stand-in does not know, which it counts", async () => {
    const answer = await fetch(`${standIn.url}/v1/organizations`, {
      headers: { Authorization: `Bearer ${TOKEN}` },
    });
    expect(answer.status).toBe(501);
    expect(standIn.unknown).toEqual(["GET /v1/organizations"]);
  });

  it("that cuts the connection is asked again, and then told", async () => {
    for (let times = 0; times < 2; times++) standIn.happen({ to: /backups/ });
    const api = new SupabaseApi(access(), [], patience);
    await expect(api.backups(project.ref)).rejects.toThrow(
      /asked for the backups of project [a-z]{20}, did not answer: fetch failed.*; see that it can be reached from here/,
    );
    standIn.happen({ to: /backups/ });
    expect(await api.backups(project.ref)).toMatchObject({ pitr_enabled: true });
  });

  it("that says nothing is not waited for without an end", async () => {
    const silent = createServer(() => undefined);
    servers.push(silent);
    await new Promise<void>((go) => silent.listen(0, "127.0.0.1", go));
    const apiUrl = `http://127.0.0.1:${String((silent.address() as AddressInfo).port)}`;
    const api = new SupabaseApi({ apiUrl, accessToken: TOKEN }, [], { ...patience, answerMs: 50 });
    await expect(api.backups(project.ref)).rejects.toThrow("did not answer: no answer within 0.05 s");
  });

  it("that repeats secrets is quoted without them", async () => {
    const message = `of the mail server ${TOKEN}`;
    standIn.happen({ to: /^PATCH/, status: 400, body: JSON.stringify({ message }) });
    await expect(providers.settings.create(settingsInputs())).rejects.toThrow(
      "answered 400: [secret] [secret]",
    );
  });

  it("is not asked to make a project twice", async () => {
    standIn.happen({ to: /^POST \/v1\/projects$/, status: 503 });
    const body = { organization_slug: "o", name: "n", db_pass: "12345" };
    await expect(new SupabaseApi(access(), [], patience).create(body)).rejects.toThrow("answered 503");
    expect(standIn.calls).toHaveLength(1);
  });
});
