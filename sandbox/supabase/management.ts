import { createHmac, randomBytes } from "node:crypto";

import { advise, type Lint } from "./advisors";
import type { RestDatabase } from "./rest";
import type { Call } from "./stand-in";

/*
 * The Management API, call by call as its reference has it: https://supabase.com/docs/reference/api/ and the OpenAPI document at
 * https://api.supabase.com/api/v1-json. Each route names its operation there.
 */

/** What is answered. */
export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A text goes as it is, all else as JSON. */
  readonly body?: unknown;
}

/** Settings that every project has, of those that a caller may name; with what a new project has. */
const AUTH_DEFAULTS: Readonly<Record<string, string | number | boolean | null>> = {
  site_url: "http://localhost:3000",
  uri_allow_list: "",
  jwt_exp: 3600,
  disable_signup: false,
  mailer_otp_exp: 3600,
  rate_limit_email_sent: 2,
  smtp_host: null,
  smtp_port: null,
  smtp_user: null,
  smtp_pass: null,
  smtp_admin_email: null,
  smtp_sender_name: null,
  password_min_length: 6,
  password_required_characters: "",
  password_hibp_enabled: false,
  audit_log_disable_postgres: false,
  ...Object.fromEntries(
    ["confirmation", "invite", "recovery", "magic_link", "email_change", "reauthentication"].flatMap(
      (kind) => [
        [`mailer_subjects_${kind}`, "as Supabase has it"],
        [`mailer_templates_${kind}_content`, "<p>{{ .ConfirmationURL }}</p>"],
      ],
    ),
  ),
};

/** Settings that are texts where they are set at all. */
const TEXTS = /^(smtp_|site_url|uri_allow_list|mailer_subjects_|mailer_templates_|password_required)/;

/** A project, and whatever a test wants to be otherwise. */
export interface ManagedProject {
  readonly ref: string;
  readonly name: string;
  readonly organization: string;
  readonly region: string;
  readonly createdAt: string;
  /** What the next looks see, one after the other; the last one stays. */
  status: string[];
  /** In clear; the API shows hashes of what is secret. */
  auth: Record<string, string | number | boolean | null>;
  /** Settings that the platform answers 200 to and does not change. */
  locked: string[];
  pitr: boolean;
  backups: { status: string; inserted_at: string; is_physical_backup: boolean }[];
  restrictions: { dbAllowedCidrs: string[]; dbAllowedCidrsV6: string[] };
  ssl: boolean;
  /** What the advisors find where there is no database to look at. */
  lints: Lint[];
  /** The database's password, once somebody set it. */
  password: string | null;
  readonly keys: { readonly name: string; readonly type: string; readonly api_key: string }[];
}

/** The projects of one organization's account. */
export class ManagedProjects {
  private readonly all = new Map<string, ManagedProject>();

  /** A project that is there already, as Supabase makes it, but for the changes. */
  add(changes: Partial<ManagedProject> = {}): ManagedProject {
    const ref = changes.ref ?? reference();
    const made: ManagedProject = {
      ...{ ref, name: "shop", organization: "garage", region: "eu-central-1" },
      createdAt: new Date().toISOString(),
      status: ["ACTIVE_HEALTHY"],
      auth: { ...AUTH_DEFAULTS },
      locked: [],
      pitr: false,
      backups: [],
      restrictions: { dbAllowedCidrs: ["0.0.0.0/0"], dbAllowedCidrsV6: ["::/0"] },
      ssl: false,
      lints: [],
      password: null,
      keys: keysFor(ref),
      ...changes,
    };
    this.all.set(ref, made);
    return made;
  }

  find(ref: string): ManagedProject | undefined {
    return this.all.get(ref);
  }

  remove(ref: string): void {
    this.all.delete(ref);
  }

  list(): readonly ManagedProject[] {
    return [...this.all.values()];
  }

  /** All of them as a text that {@link ManagedProjects.read} takes. */
  text(): string {
    return JSON.stringify(this.list());
  }

  /** Puts back what {@link ManagedProjects.text} gave. */
  read(text: string): void {
    for (const project of JSON.parse(text) as ManagedProject[]) this.all.set(project.ref, project);
  }
}

/** Twenty letters. */
function reference(): string {
  return [...randomBytes(20)].map((byte) => String.fromCharCode(97 + (byte % 26))).join("");
}

/** Both generations; none of them opens anything but this stand-in. */
function keysFor(ref: string) {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const legacy = (role: string) => {
    const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ iss: "supabase", ref, role })}`;
    return `${signed}.${createHmac("sha256", ref).update(signed).digest("base64url")}`;
  };
  const random = (kind: string) => ["sb", kind, randomBytes(18).toString("base64url")].join("_");
  return [
    { name: "anon", type: "legacy", api_key: legacy("anon") },
    { name: "service_role", type: "legacy", api_key: legacy("service_role") },
    { name: "default", type: "publishable", api_key: random("publishable") },
    { name: "default", type: "secret", api_key: random("secret") },
  ];
}

/** What a route works with. */
interface Place {
  readonly projects: ManagedProjects;
  readonly database: RestDatabase | undefined;
}

interface Route {
  /** Name of the operation in the API's reference: https://supabase.com/docs/reference/api/<operation>. */
  readonly operation: string;
  readonly method: string;
  /** Path behind `/v1`; the first group is a project's reference. */
  readonly path: RegExp;
  readonly answer: (project: ManagedProject, body: Record<string, unknown>, place: Place) => unknown;
}

/** Thrown by a route for an answer that is no success. */
class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const PROJECT = "/projects/([a-z]{20})";

/** Every call of a project's that is known, but for making one and listing them. */
const ROUTES: readonly Route[] = [
  {
    operation: "v1-get-project",
    method: "GET",
    path: new RegExp(`^${PROJECT}$`),
    answer: (project) => shown(project, nextStatus(project)),
  },
  {
    operation: "v1-get-project-api-keys",
    method: "GET",
    path: new RegExp(`^${PROJECT}/api-keys\\?reveal=true$`),
    answer: ({ keys }) => keys,
  },
  {
    operation: "v1-update-database-password",
    method: "PATCH",
    path: new RegExp(`^${PROJECT}/database/password$`),
    answer: (project, { password }) => {
      if (typeof password !== "string" || password.length < 4) throw new Refusal(400, "password: too short");
      project.password = password;
      return { message: "Successfully updated password" };
    },
  },
  {
    operation: "v1-get-auth-service-config",
    method: "GET",
    path: new RegExp(`^${PROJECT}/config/auth$`),
    answer: authShown,
  },
  {
    operation: "v1-update-auth-service-config",
    method: "PATCH",
    path: new RegExp(`^${PROJECT}/config/auth$`),
    answer: (project, body) => {
      for (const [key, value] of Object.entries(body)) requireSetting(key, value);
      for (const [key, value] of Object.entries(body)) {
        if (!project.locked.includes(key)) project.auth[key] = value as string | number | boolean | null;
      }
      return authShown(project);
    },
  },
  {
    operation: "v1-list-all-backups",
    method: "GET",
    path: new RegExp(`^${PROJECT}/database/backups$`),
    answer: ({ region, pitr, backups }) => {
      return { region, walg_enabled: pitr, pitr_enabled: pitr, backups, physical_backup_data: {} };
    },
  },
  {
    operation: "v1-get-network-restrictions",
    method: "GET",
    path: new RegExp(`^${PROJECT}/network-restrictions$`),
    answer: restrictionsShown,
  },
  {
    operation: "v1-update-network-restrictions",
    method: "POST",
    path: new RegExp(`^${PROJECT}/network-restrictions/apply$`),
    answer: (project, { dbAllowedCidrs = [], dbAllowedCidrsV6 = [] }) => {
      project.restrictions = {
        dbAllowedCidrs: dbAllowedCidrs as string[],
        dbAllowedCidrsV6: dbAllowedCidrsV6 as string[],
      };
      return restrictionsShown(project);
    },
  },
  {
    operation: "v1-get-ssl-enforcement-config",
    method: "GET",
    path: new RegExp(`^${PROJECT}/ssl-enforcement$`),
    answer: ({ ssl }) => ({ currentConfig: { database: ssl }, appliedSuccessfully: true }),
  },
  {
    operation: "v1-get-security-advisors",
    method: "GET",
    path: new RegExp(`^${PROJECT}/advisors/security$`),
    answer: async ({ lints }, _body, { database }) => ({
      lints: database === undefined ? lints : await advise(database.lintUrl),
    }),
  },
  {
    operation: "v1-read-only-query",
    method: "POST",
    path: new RegExp(`^${PROJECT}/database/query/read-only$`),
    answer: (_project, { query }, { database }) =>
      database === undefined ? [] : database.readOnly(String(query)),
  },
];

/** Operations of the API that are known. */
export const OPERATIONS: readonly string[] = [
  ...["v1-list-all-projects", "v1-create-a-project"],
  ...ROUTES.map(({ operation }) => operation),
];

/** Answers a call whose token is right; null for one that is not known. */
export async function answerManagement(call: Call, place: Place): Promise<Answer | null> {
  const { method } = call;
  const path = call.path.slice("/v1".length);
  try {
    const body = (call.body === "" ? {} : JSON.parse(call.body)) as Record<string, unknown>;
    // v1-list-all-projects, v1-create-a-project
    if (path === "/projects" && method === "GET")
      return { status: 200, body: place.projects.list().map((project) => shown(project, project.status[0])) };
    if (path === "/projects" && method === "POST") return { status: 201, body: make(place.projects, body) };
    for (const route of ROUTES) {
      const [, ref] = (route.method === method && route.path.exec(path)) || [];
      if (ref === undefined) continue;
      const project = place.projects.find(ref);
      if (project === undefined) throw new Refusal(404, "Project not found");
      const status = method === "POST" ? 201 : 200;
      return { status, body: await route.answer(project, body, place) };
    }
    return null;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { status: error.status, body: { message: error.message } };
  }
}

function make(projects: ManagedProjects, body: Record<string, unknown>): unknown {
  const { name, organization_slug: organization, db_pass: password, region_selection: region } = body;
  if (typeof name !== "string" || typeof organization !== "string" || typeof password !== "string")
    throw new Refusal(400, "name, organization_slug and db_pass are required");
  const { type, code } = (region ?? {}) as { type?: unknown; code?: unknown };
  if (type !== "specific" || typeof code !== "string")
    throw new Refusal(400, "region_selection: type and code are required");
  const status = ["COMING_UP", "COMING_UP", "ACTIVE_HEALTHY"];
  const project = projects.add({ name, organization, password, region: code, status });
  return shown(project, "COMING_UP");
}

function nextStatus(project: ManagedProject): string | undefined {
  const [now] = project.status;
  if (project.status.length > 1) project.status.shift();
  return now;
}

function shown({ ref, name, organization, region, createdAt }: ManagedProject, status: string | undefined) {
  return {
    ...{ id: ref, ref, name, organization_id: organization, organization_slug: organization, region, status },
    created_at: createdAt,
    database: {
      host: `db.${ref}.supabase.co`,
      version: "17.4",
      postgres_engine: "17",
      release_channel: "ga",
    },
  };
}

/** Secrets come as a keyed hash, as the supabase CLI expects them. */
function authShown({ ref, auth }: ManagedProject): Record<string, unknown> {
  const { smtp_pass: password } = auth;
  const hash = (value: string) => createHmac("sha256", ref).update(value).digest("hex");
  return { ...auth, smtp_pass: typeof password === "string" ? hash(password) : null };
}

function restrictionsShown({ restrictions }: ManagedProject) {
  return { entitlement: "allowed", config: restrictions, status: "applied" };
}

function requireSetting(key: string, value: unknown): void {
  if (!Object.hasOwn(AUTH_DEFAULTS, key)) throw new Refusal(400, `${key}: unknown setting`);
  const type = TEXTS.test(key) ? "string" : typeof AUTH_DEFAULTS[key];
  if (typeof value !== type) throw new Refusal(400, `${key}: expected ${type}, received ${typeof value}`);
  if (key === "site_url" && String(value).includes(",")) throw new Refusal(400, "site_url: no commas");
  if (key === "jwt_exp" && Number(value) > 604_800) throw new Refusal(400, "jwt_exp: 604800 at most");
}
