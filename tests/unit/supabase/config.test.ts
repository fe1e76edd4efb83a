import { UpdateAuthConfigBodyPasswordRequiredCharacters as CharacterGroups } from "supabase-management-js";
import { ACCESS_NAMES } from "../../../components/supabase-access";
import { validate } from "../../../config";
import type { Path } from "../../../config/faults";
import { changed, faultsOf, machineWith, rawConfig, settings } from "../support/configuration";

/* The group `supabase`: what of it is refused, and what the component is given. */

const REF = "abcdefghijklmnopqrst";
const OTHER = "tsrqponmlkjihgfedcba";
const TOKEN = ["sbp", "0123456789abcdef0123"].join("_");
const PUBLISHABLE = ["sb", "publishable", "0123456789abcdef"].join("_");
const SECRET = ["sb", "secret", "0123456789abcdef"].join("_");

const MAIL = "<a href='{{ .ConfirmationURL }}'>Confirm</a>";
const machine = machineWith({
  "/project/mails/confirmation.html": MAIL,
  "/project/mails/empty.html": " \n",
  "/project/mails/without-link.html": "<p>Welcome</p>",
});

/** One with a migration, and releases that run on it. */
const record = 'schema: { first: "001", last: null, needs: [public.orders.total] }';
const migrations = machineWith({
  "/project/migrations/001_one.sql": "select 1;",
  ...{ "/project/releases/v0.9.9.yaml": record, "/project/releases/v1.0.0.yaml": record },
});

/** A stack with an adopted project. */
const adopted = () => ({
  ...settings(),
  supabaseAccessToken: TOKEN,
  variables: {
    NEXT_PUBLIC_SUPABASE_URL: `https://${REF}.supabase.co`,
    NEXT_PUBLIC_SUPABASE_ANON_KEY: PUBLISHABLE,
  },
  supabase: { projectRef: REF },
});

const specOf = (values: Record<string, unknown>) => validate(rawConfig(values), machine).supabase;
const faultsIn = (values: Record<string, unknown>) => faultsOf(values, machine);

it("is not there where neither a project nor one to make is named, whatever else is", () => {
  expect(specOf(settings())).toBeNull();
  expect(specOf({ ...settings(), supabase: { advisors: "tell" } })).toBeNull();
});

it("of an adopted project has the guide's defaults", () => {
  expect(specOf(adopted())).toEqual({
    apiUrl: "https://api.supabase.com",
    accessToken: TOKEN,
    projectRef: REF,
    create: null,
    auth: { site_url: "https://vehicleservice.test", jwt_exp: 3600, audit_log_disable_postgres: false },
    smtpPassword: null,
    network: null,
    expected: { auditLog: "database", backups: "pitr", requireSsl: true, advisors: "stop" },
    api: {
      url: `https://${REF}.supabase.co`,
      anonKey: PUBLISHABLE,
      functions: [{ name: "get_business_by_custom_domain", arguments: { domain_name: "example.com" } }],
    },
    told: { variables: [], database: false },
  });
});

describe("of a project that is made", () => {
  const create = { organization: "garage", region: "eu-central-1" };
  const made = (more: Record<string, unknown> = {}) => ({
    ...settings(),
    ...{ supabaseAccessToken: TOKEN, supabase: { create } },
    ...more,
  });
  const URL_OF_OWN = "https://api.example.com";

  it("it knows a name for it, and takes all that leads to it from the project", () => {
    expect(specOf(made())).toMatchObject({
      projectRef: "",
      create: { ...create, name: "vehicleservice-test" },
      api: { url: null, anonKey: null },
      told: { variables: ACCESS_NAMES, database: true },
    });
  });

  it("what the config says goes before that", () => {
    const variables = { NEXT_PUBLIC_SUPABASE_URL: URL_OF_OWN, SUPABASE_SERVICE_ROLE_KEY: "" };
    const databaseUrl = "postgres://owner:x@db.example.com:5432/postgres";
    const values = made({ variables, databaseUrl, backups: { bucket: "backups" } });
    expect(validate(rawConfig(values), migrations).supabase).toMatchObject({
      api: { url: URL_OF_OWN, anonKey: null },
      told: {
        variables: ACCESS_NAMES.filter((name) => name !== "NEXT_PUBLIC_SUPABASE_URL"),
        database: false,
      },
    });
  });

  it("has a database whose schema is the stack's where there is a bucket for backups, and another one is another", () => {
    const databaseOf = (values: Record<string, unknown>) => validate(rawConfig(values), migrations).database;
    expect(databaseOf(made())).toBeNull();
    const backups = { backups: { bucket: "backups" } };
    const found = databaseOf(made(backups));
    expect(found).toMatchObject({ settings: { url: "" }, migrations: [{ version: "001" }] });
    expect(databaseOf(made(backups))?.identity).toBe(found?.identity);
    const other = made({ ...backups, supabase: { create: { ...create, name: "other" } } });
    expect(databaseOf(other)?.identity).not.toBe(found?.identity);
  });

  it("the guide's rules ask for none of its variables", () => {
    const asked = (values: Record<string, unknown>) =>
      faultsIn(values).flatMap(({ key }) => ACCESS_NAMES.filter((name) => key.endsWith(`.${name}`)));
    expect(asked({ ...made(), variableRules: "guide", supabase: {} })).toEqual(ACCESS_NAMES);
    expect(asked({ ...made(), variableRules: "guide" })).toEqual([]);
    const variables = { SUPABASE_SERVICE_ROLE_KEY: PUBLISHABLE };
    expect(asked({ ...made(), variableRules: "guide", variables })).toEqual(["SUPABASE_SERVICE_ROLE_KEY"]);
  });
});

it("calls every setting as the Management API does", () => {
  const auth = {
    siteUrl: "https://shop.example.com",
    redirectUrls: ["https://shop.example.com/auth/callback", "https://*.example.com/**"],
    jwtExpirySeconds: "900",
    smtp: { sender: "noreply@example.com", senderName: "Vehicle Service" },
    password: { minLength: "12", requiredCharacters: "lower-upper-digits", refuseLeaked: "true" },
    templates: {
      confirmation: { subject: "Confirm your address", html: "mails/confirmation.html" },
      magicLink: { subject: "Your link" },
    },
  };
  const values = changed({ ...adopted(), supabaseSmtpPassword: "of the server" }, ["supabase", "auth"], auth);
  const spec = specOf(changed(values, ["supabase", "auditLog"], "platform"));
  expect(spec?.smtpPassword).toBe("of the server");
  expect(spec?.auth).toEqual({
    site_url: "https://shop.example.com",
    uri_allow_list: "https://shop.example.com/auth/callback,https://*.example.com/**",
    jwt_exp: 900,
    smtp_host: "smtp.resend.com",
    smtp_port: "465",
    smtp_user: "resend",
    smtp_admin_email: "noreply@example.com",
    smtp_sender_name: "Vehicle Service",
    password_min_length: 12,
    password_required_characters: "abcdefghijklmnopqrstuvwxyz:ABCDEFGHIJKLMNOPQRSTUVWXYZ:0123456789",
    password_hibp_enabled: true,
    mailer_subjects_confirmation: "Confirm your address",
    mailer_templates_confirmation_content: MAIL,
    mailer_subjects_magic_link: "Your link",
  });
});

it.each(["none", "letters-digits", "lower-upper-digits", "lower-upper-digits-symbols"])(
  "asks for %s in passwords in the API's own words",
  (requiredCharacters) => {
    const spec = specOf(changed(adopted(), ["supabase", "auth", "password"], { requiredCharacters }));
    expect(Object.values(CharacterGroups)).toContain(spec?.auth["password_required_characters"]);
  },
);

it("takes sender and password from Resend's variables", () => {
  const values = changed(adopted(), ["supabase", "auth", "smtp"], {});
  const key = ["re", "0123456789"].join("_");
  const variables = { RESEND_API_KEY: key, NEXT_PUBLIC_FROM_EMAIL: "noreply@example.com" };
  const spec = specOf({ ...values, variables: { ...adopted().variables, ...variables } });
  expect(spec?.smtpPassword).toBe(key);
  expect(spec?.auth["smtp_admin_email"]).toBe("noreply@example.com");
});

it("names all that is missing, and all that is wrong, at once", () => {
  const values = {
    ...settings(),
    databaseUrl: `postgres://postgres:x@db.${OTHER}.supabase.co:5432/postgres`,
    backups: { bucket: "backups" },
    variables: {
      NEXT_PUBLIC_SUPABASE_URL: `https://${REF}.supabase.co/rest/v1`,
      SUPABASE_SERVICE_ROLE_KEY: PUBLISHABLE,
    },
    supabase: {
      projectRef: REF,
      create: { organization: "garage", region: "eu-central-1" },
      auth: {
        smtp: {},
        templates: {
          confirmation: { html: "mails/none.html" },
          invite: { html: "mails/empty.html" },
          recovery: { html: "mails/without-link.html" },
        },
      },
    },
  };
  const keys = faultsIn(values).map(({ key }) => key.replace("vehicleservice:", ""));
  expect(keys.filter((key) => /^(supabase|variables|databaseUrl)/.test(key))).toEqual([
    "supabase.create",
    "supabaseSmtpPassword",
    "supabase.auth.smtp.sender",
    "variables.NEXT_PUBLIC_SUPABASE_ANON_KEY",
    "variables.NEXT_PUBLIC_SUPABASE_URL",
    "variables.SUPABASE_SERVICE_ROLE_KEY",
    "supabaseAccessToken",
    "databaseUrl",
    "supabase.auth.templates.confirmation.html",
    "supabase.auth.templates.invite.html",
    "supabase.auth.templates.recovery.html",
  ]);
});

it.each<[string, Path, unknown]>([
  ["a URL as reference", ["supabase", "projectRef"], `https://${REF}.supabase.co`],
  ["a secret key as the public one", ["variables", "NEXT_PUBLIC_SUPABASE_ANON_KEY"], SECRET],
  ["a project's key as token", ["supabaseAccessToken"], SECRET],
  ["a site URL with a comma", ["supabase", "auth", "siteUrl"], "https://a.example,https://b.example"],
  ["a site URL without TLS", ["supabase", "auth", "siteUrl"], "http://shop.example.com"],
  ["a login of a month", ["supabase", "auth", "jwtExpirySeconds"], "2592000"],
  [
    "a mail address as a subject's line break",
    ["supabase", "auth", "templates", "invite", "subject"],
    "a\nb",
  ],
  ["no network", ["supabase", "network", "allow"], []],
  ["a network that is none", ["supabase", "network", "allow", 0], "10.0.0.0/33"],
  ["a network with host bits", ["supabase", "network", "allow", 0], "203.0.113.10/24"],
  ["a function that is none", ["supabase", "apiFunctions", 0, "name"], "f(); drop table t"],
  ["an API on an open line", ["supabase", "apiUrl"], "http://api.supabase.com"],
])("refuses %s, and shows no secret", (_, path, value) => {
  const faults = faultsIn(changed(adopted(), path, value));
  const whole = path
    .map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`))
    .join("")
    .slice(1);
  expect(faults.map(({ key }) => key)).toEqual([`vehicleservice:${whole}`]);
  expect(JSON.stringify(faults)).not.toContain(SECRET);
});

it("takes the pooler's and the direct URL of the project's own database", () => {
  for (const host of [
    `postgres:x@db.${REF}.supabase.co`,
    `postgres.${REF}:x@aws-0-eu-central-1.pooler.supabase.com`,
  ]) {
    const values = {
      ...adopted(),
      databaseUrl: `postgres://${host}:5432/postgres`,
      backups: { bucket: "backups" },
    };
    expect(faultsIn(values).filter(({ key }) => key.endsWith("databaseUrl"))).toEqual([]);
  }
  const pooled = `postgres://postgres.${OTHER}:x@aws-0-eu-central-1.pooler.supabase.com:5432/postgres`;
  const values = { ...adopted(), databaseUrl: pooled, backups: { bucket: "backups" } };
  expect(faultsIn(values).map(({ key }) => key)).toContain("vehicleservice:databaseUrl");
});
