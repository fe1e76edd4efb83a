import { createHmac, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { validate } from "../../config";
import type { Path } from "../../config/faults";
import { findVariableFaults } from "../../config/variables";
import { VARIABLES } from "../../config/variable-table";
import { readGroups } from "../../config/validation";
import { isFreeVariable } from "../../host/conductor/releases/variables";
import { repositoryRoot } from "../../sandbox/repository";
import { changed, faultsOf, machineWith, rawConfig, settings } from "./support/configuration";

/* The guide's variables: what of them is refused, all of it at once, and that no message holds a part of a value. */

const REF = "abcdefghijklmnopqrst";
const OTHER_REF = "tsrqponmlkjihgfedcba";

/** A key as its maker writes it; made here, so that none stands in the repository. */
const key = (beginning: string, length = 32) =>
  `${beginning}${randomBytes(length).toString("hex").slice(0, length)}`;
const base64 = (bytes: number) => randomBytes(bytes).toString("base64");

function jwt(role: string, ref = REF): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const body = `${part({ alg: "HS256", typ: "JWT" })}.${part({ iss: "supabase", ref, role })}`;
  return `${body}.${createHmac("sha256", randomBytes(32)).update(body).digest("base64url")}`;
}

const databaseUrl = (ref = REF) => `postgresql://postgres:${key("", 24)}@db.${ref}.supabase.co:5432/postgres`;

/** A whole environment, as the guide has it. */
const SOUND: Readonly<Record<string, string>> = {
  NEXT_PUBLIC_SITE_URL: "https://vehicleservice.test",
  NEXT_PUBLIC_SUPABASE_URL: `https://${REF}.supabase.co`,
  NEXT_PUBLIC_SUPABASE_ANON_KEY: jwt("anon"),
  SUPABASE_SERVICE_ROLE_KEY: jwt("service_role"),
  DATABASE_URL: databaseUrl(),
  NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY: key("pk_live_"),
  STRIPE_SECRET_KEY: key("sk_live_"),
  STRIPE_CONNECT_CLIENT_ID: key("ca_"),
  STRIPE_WEBHOOK_SECRET: key("whsec_"),
  ENCRYPTION_KEY: base64(32),
  STATE_SECRET: key("", 64),
  RESEND_API_KEY: key("re_"),
  NEXT_PUBLIC_FROM_EMAIL: "noreply@vehicleservice.test",
  DEFAULT_WALLET_BALANCE: "0",
  AUTO_RECHARGE_ENABLED: "false",
  AUTO_RECHARGE_THRESHOLD: "100",
  AUTO_RECHARGE_AMOUNT: "1000",
  ENABLE_CUSTOM_DOMAINS: "true",
  ENABLE_AUTO_RECHARGE: "true",
  ENABLE_MULTI_CURRENCY: "true",
  LOG_LEVEL: "warn",
  ENABLE_PERFORMANCE_MONITORING: "true",
  SENTRY_DSN: `https://${key("")}@o1.ingest.sentry.io/1`,
  SENTRY_ENVIRONMENT: "production",
  RATE_LIMIT_REQUESTS_PER_MINUTE: "100",
  RATE_LIMIT_BURST: "200",
};

/** A stack of the guide's with these variables more, or without those that are undefined. */
function stack(
  variables: Readonly<Record<string, unknown>> = {},
  more: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const all = Object.entries({ ...SOUND, ...variables }).filter(([, value]) => value !== undefined);
  return { ...settings(), variableRules: "guide", variables: Object.fromEntries(all), ...more };
}

/** Key and rule of each fault. */
const told = (values: Record<string, unknown>) =>
  faultsOf(values).map(({ key: name, rule }) => [name.replace("vehicleservice:", ""), rule]);

const fault = (name: string, rule: RegExp): unknown[] => [`variables.${name}`, expect.stringMatching(rule)];

describe("the table", () => {
  it("has every variable of the guide's environment file, once", () => {
    const names = VARIABLES.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(
      names.filter((name) => !["NODE_ENV", "NEXT_SERVER_ACTIONS_ENCRYPTION_KEY"].includes(name)),
    ).toEqual(Object.keys(SOUND));
  });

  it("leaves to the launcher what the config cannot set", () => {
    for (const { name, givenBy } of VARIABLES)
      expect([name, isFreeVariable(name)]).toEqual([name, givenBy !== "launcher"]);
  });

  it.each(VARIABLES)("says what $name has to be, and its example is that", ({ form, example }) => {
    expect(form("")).toMatch(/\S{3}/);
    if (!example.startsWith("<")) expect(form(example)).toBeUndefined();
  });

  it("stands in docs/secrets.md, line for line", () => {
    const page = readFileSync(join(repositoryRoot(), "docs/secrets.md"), "utf8");
    const rows = [...page.matchAll(/^\| `(\w+)` +\| (everybody|plain|the application) +\| (.*?) +\|/gm)];
    const words = {
      public: "everybody",
      plain: "plain",
      secret: "the application",
      both: "build, run",
    } as const;
    expect(rows.map(([, ...cells]) => cells)).toEqual(
      VARIABLES.map(({ name, known, readAt }) => [
        name,
        words[known],
        readAt === "both" ? words.both : readAt,
      ]),
    );
  });

  it("calls public what browsers load, and nothing else", () => {
    for (const { name, known } of VARIABLES)
      expect([name, known === "public"]).toEqual([name, name.startsWith("NEXT_PUBLIC_")]);
  });
});

describe("a stack of the guide's", () => {
  it("is sound with the whole list, in both generations of Supabase's keys, and with a restricted key", () => {
    expect(told(stack())).toEqual([]);
    const newer = {
      NEXT_PUBLIC_SUPABASE_ANON_KEY: key("sb_publishable_"),
      SUPABASE_SERVICE_ROLE_KEY: key("sb_secret_"),
    };
    expect(told(stack({ ...newer, STRIPE_SECRET_KEY: key("rk_live_") }))).toEqual([]);
  });

  it("names everything that is missing at once, but for what the stack makes itself", () => {
    const values = { ...settings(), variableRules: "guide" };
    const made = ["ENCRYPTION_KEY", "STATE_SECRET"];
    expect(told(values).map(([name]) => name)).toEqual(
      Object.keys(SOUND)
        .filter((name) => !made.includes(name))
        .map((name) => `variables.${name}`),
    );
    const none = told({ ...values, secrets: { generate: {} } }).map(([name]) => name);
    expect(none).toEqual(Object.keys(SOUND).map((name) => `variables.${name}`));
  });

  it("does not miss what the stack makes because of another name that cannot be", () => {
    const made = { ENCRYPTION_KEY: undefined, STATE_SECRET: undefined };
    const generate = { ENCRYPTION_KEY: "base64-32", STATE_SECRET: "hex-32", TOKEN: "rot13", PORT: "hex-32" };
    const names = told({ ...stack(made), secrets: { generate } }).map(([name]) => name);
    expect(names.sort()).toEqual(["secrets.generate.PORT", "secrets.generate.TOKEN"]);
  });

  it("does not miss what a component gives", () => {
    const raw = readGroups(rawConfig(stack({ STRIPE_WEBHOOK_SECRET: undefined })));
    const names = (provided: readonly string[]) =>
      findVariableFaults(raw, new Set(provided)).map(({ key: name }) => name);
    expect(names([])).toEqual(["vehicleservice:variables.STRIPE_WEBHOOK_SECRET"]);
    expect(names(["STRIPE_WEBHOOK_SECRET"])).toEqual([]);
  });

  it("says what to type: a secret from a file, the rest with the guide's value", () => {
    const remedies = faultsOf(stack({ STRIPE_SECRET_KEY: "", LOG_LEVEL: "loud" })).map(
      ({ remedy }) => remedy,
    );
    expect(remedies).toEqual([
      "pulumi config set --secret --path variables.STRIPE_SECRET_KEY < value-file",
      "pulumi config set --path variables.LOG_LEVEL warn",
    ]);
  });

  it.each<[string, string, string, RegExp]>([
    [
      "a secret key of test mode",
      "STRIPE_SECRET_KEY",
      key("sk_test_"),
      /live mode.*; it is a key of test mode/,
    ],
    ["a restricted key of test mode", "STRIPE_SECRET_KEY", key("rk_test_"), /; it is a key of test mode/],
    [
      "a publishable key of test mode",
      "NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY",
      key("pk_test_"),
      /; it is a key of test/,
    ],
    ["a test key of another service", "STRIPE_BACKUP_KEY", key("sk_test_"), /no key of Stripe's test mode/],
    [
      "a webhook's secret as secret key",
      "STRIPE_SECRET_KEY",
      key("whsec_"),
      /; it is the signing secret of a webhook/,
    ],
    [
      "a publishable key as secret key",
      "STRIPE_SECRET_KEY",
      key("pk_live_"),
      /^a secret or restricted key of live mode/,
    ],
    ["a secret key as webhook's secret", "STRIPE_WEBHOOK_SECRET", key("sk_live_"), /^the signing secret/],
    ["an account as client id", "STRIPE_CONNECT_CLIENT_ID", key("acct_"), /^the client id of Connect/],
    ["a key of 31 bytes", "ENCRYPTION_KEY", base64(31), /^32 random bytes in base64.*; these are 31 bytes$/],
    ["a key of 33 bytes", "ENCRYPTION_KEY", base64(33), /; these are 33 bytes$/],
    ["a key in hexadecimal", "ENCRYPTION_KEY", key("", 64), /; these are 48 bytes$/],
    ["a key without its padding", "ENCRYPTION_KEY", base64(32).slice(0, -1), /^32 random bytes in base64/],
    [
      "a key of one letter",
      "ENCRYPTION_KEY",
      Buffer.alloc(32, "a").toString("base64"),
      /; these are hardly random$/,
    ],
    [
      "a state secret that is no hexadecimal",
      "STATE_SECRET",
      "correct horse battery staple",
      /in hexadecimal/,
    ],
    ["a short state secret", "STATE_SECRET", key("", 30), /at least 32/],
    ["a state secret of one word", "STATE_SECRET", "deadbeef".repeat(8), /hardly random/],
    ["a URL with a path", "NEXT_PUBLIC_SITE_URL", "https://vehicleservice.test/shop", /without a path/],
    [
      "a URL with / at its end",
      "NEXT_PUBLIC_SITE_URL",
      "https://vehicleservice.test/",
      /without \/ at its end/,
    ],
    ["a URL without TLS", "NEXT_PUBLIC_SITE_URL", "http://vehicleservice.test", /https:\/\//],
    [
      "another site's URL",
      "NEXT_PUBLIC_SITE_URL",
      "https://staging.test",
      /one of site\.domains \(vehicleservice\.test\)/,
    ],
    ["a flag that is none", "ENABLE_CUSTOM_DOMAINS", "yes", /^true or false$/],
    ["a flag in capitals", "AUTO_RECHARGE_ENABLED", "False", /^true or false$/],
    ["a negative balance", "DEFAULT_WALLET_BALANCE", "-1", /^a sum from 0/],
    ["a recharge of nothing", "AUTO_RECHARGE_AMOUNT", "0", /^a sum from 1/],
    ["a sum in words", "AUTO_RECHARGE_THRESHOLD", "1e2", /^a sum/],
    ["no requests at all", "RATE_LIMIT_REQUESTS_PER_MINUTE", "0", /from 1 to 1000000/],
    ["a limit beyond all limits", "RATE_LIMIT_BURST", "9999999", /from 1 to 1000000/],
    ["a log level that is none", "LOG_LEVEL", "verbose", /trace or debug or info or warn/],
    ["a DSN without a project", "SENTRY_DSN", `https://${key("")}@sentry.io`, /https:\/\/KEY@HOST\/PROJECT/],
    ["a DSN without a key", "SENTRY_DSN", "https://o1.ingest.sentry.io/1", /https:\/\/KEY@HOST\/PROJECT/],
    ["an environment's name with blanks", "SENTRY_ENVIRONMENT", "our production", /1 to 64/],
    [
      "a sender with a name",
      "NEXT_PUBLIC_FROM_EMAIL",
      "Shop <noreply@vehicleservice.test>",
      /a mail address/,
    ],
    ["another service's mail key", "RESEND_API_KEY", key("SG."), /a key of Resend's/],
    ["a database without a password's encoding", "DATABASE_URL", "postgres://a:p#w@db.example.com/b", /%23/],
    ["the guide's placeholder", "RESEND_API_KEY", "re_[production-resend-key]", /in place of a placeholder/],
    ["the guide's dots", "STRIPE_SECRET_KEY", "sk_live_...", /in place of a placeholder/],
    [
      "a placeholder as a host",
      "SENTRY_DSN",
      "https://[production-sentry-dsn]@sentry.io/[project]",
      /placeholder/,
    ],
    [
      "a placeholder as a domain",
      "NEXT_PUBLIC_FROM_EMAIL",
      "noreply@yourdomain.com",
      /in place of a placeholder/,
    ],
    ["a placeholder elsewhere", "SOME_TOKEN", "[production-token]", /in place of a placeholder/],
    [
      "a line break at the end",
      "RESEND_API_KEY",
      `${key("re_")}\n`,
      /without the blank or line break around it/,
    ],
    [
      "an anon key as service key",
      "SUPABASE_SERVICE_ROLE_KEY",
      jwt("anon"),
      /the role in it is not service_role/,
    ],
    [
      "another project's anon key",
      "NEXT_PUBLIC_SUPABASE_ANON_KEY",
      jwt("anon", OTHER_REF),
      /belongs to another one/,
    ],
    [
      "another project's service key",
      "SUPABASE_SERVICE_ROLE_KEY",
      jwt("service_role", OTHER_REF),
      /belongs to another/,
    ],
    [
      "another project's database",
      "DATABASE_URL",
      databaseUrl(OTHER_REF),
      /NEXT_PUBLIC_SUPABASE_URL is about; it leads/,
    ],
  ])("refuses %s", (_, name, value, rule) => {
    expect(told(stack({ [name]: value }))).toEqual([fault(name, rule)]);
  });

  it("refuses another database than databaseUrl's, and takes its transaction pooler", () => {
    const backups = { backups: { bucket: "example-backups" } };
    const machine = machineWith({ "/project/migrations/001_a.sql": "select 1;\n" });
    const keysOf = (variables: Readonly<Record<string, string>>, url: string) =>
      faultsOf(stack(variables, { databaseUrl: url, ...backups }), machine).map(({ key: name }) => name);
    expect(keysOf({}, databaseUrl())).not.toContain("vehicleservice:variables.DATABASE_URL");
    const own = { NEXT_PUBLIC_SUPABASE_URL: "https://api.example.com" };
    expect(keysOf(own, databaseUrl(OTHER_REF))).toContain("vehicleservice:variables.DATABASE_URL");
    const pooled = `postgres://postgres.${REF}:x1y2@aws-0-eu-central-1.pooler.supabase.com:6543/postgres`;
    expect(told(stack({ DATABASE_URL: pooled }))).toEqual([]);
  });

  it("refuses one value for two secrets, however it is written", () => {
    const bytes = randomBytes(32);
    const both = { ENCRYPTION_KEY: bytes.toString("base64"), STATE_SECRET: bytes.toString("hex") };
    expect(told(stack(both))).toEqual([fault("STATE_SECRET", /it is the one of variables\.ENCRYPTION_KEY/)]);
    const testerSecret = key("", 64);
    expect(told(stack({ STATE_SECRET: testerSecret }, { testerSecret }))).toEqual([
      fault("STATE_SECRET", /it is the one of testerSecret/),
    ]);
  });

  it("refuses to tell a build what only the running application reads", () => {
    const buildVariables = ["NEXT_SERVER_ACTIONS_ENCRYPTION_KEY", "STRIPE_SECRET_KEY"];
    expect(told(stack({}, { application: { buildVariables } }))).toEqual([
      [
        "application.buildVariables[1]",
        expect.stringMatching(/no secret that only the running application reads/),
      ],
    ]);
  });

  it("tells all at once, in spite of faults elsewhere, and nothing of any value", () => {
    const wrong = {
      STRIPE_SECRET_KEY: key("sk_test_"),
      STRIPE_WEBHOOK_SECRET: undefined,
      ENCRYPTION_KEY: base64(31),
      NEXT_PUBLIC_SITE_URL: "https://vehicleservice.test/a",
      NEXT_PUBLIC_SUPABASE_ANON_KEY: jwt("service_role"),
      SUPABASE_SERVICE_ROLE_KEY: key("whsec_"),
      DATABASE_URL: `postgres://user:${key("", 24)}@`,
      RESEND_API_KEY: key("re-"),
      "A-B": key("", 24),
    };
    const faults = faultsOf(stack(wrong, { greenVersion: "latest" }));
    const names = faults.map(({ key: name }) => name.replace(/^vehicleservice:(variables\.)?/, ""));
    expect(names).toEqual(expect.arrayContaining([...Object.keys(wrong).slice(0, -1), "greenVersion"]));
    const message = JSON.stringify(faults);
    for (const value of Object.values(wrong)) {
      for (let at = 0; value !== undefined && at + 12 <= value.length; at++) {
        const part = value.slice(at, at + 12);
        if (/[0-9]/.test(part)) expect([part, message.includes(part)]).toEqual([part, false]);
      }
    }
  });
});

describe("an application with rules of its own", () => {
  const other = (variables: Readonly<Record<string, string>>) => ({ ...settings(), variables });

  it("is asked for none of the guide's, and may have any value", () => {
    const variables = { STRIPE_SECRET_KEY: key("sk_test_"), TEMPLATE: "[your-name] ..." };
    expect(told(other(variables))).toEqual([]);
    expect(validate(rawConfig(other(variables)), machineWith()).variables).toEqual(variables);
  });

  it.each<[string, string]>([
    ["a secret key of Stripe's", key("sk_live_")],
    ["one of test mode", key("sk_test_")],
    ["a webhook's secret", key("whsec_")],
    ["a key around row level security", key("sb_secret_")],
    ["one of the older generation", jwt("service_role")],
    ["a token of Supabase's management", key("sbp_")],
    ["a key of Resend's", `re_${key("", 8)}_${key("", 24)}`],
    ["a database's password", databaseUrl()],
    ["a secret in the middle of something", `x=${key("sk_live_")}&y`],
  ])("may not show everybody %s", (_, value) => {
    expect(told(other({ NEXT_PUBLIC_X: value }))).toEqual([
      fault("NEXT_PUBLIC_X", /^nothing that is secret/),
    ]);
  });

  it("may not show everybody a variable that is secret by its name", () => {
    const ENCRYPTION_KEY = base64(32);
    expect(told(other({ ENCRYPTION_KEY, NEXT_PUBLIC_KEY: `k:${ENCRYPTION_KEY}` }))).toEqual([
      fault("NEXT_PUBLIC_KEY", /^nothing that is secret/),
    ]);
  });

  it.each<[string, string]>([
    ["an anon key", jwt("anon")],
    ["a publishable key", key("pk_live_")],
    ["a DSN", `https://${key("")}@o1.ingest.sentry.io/1`],
    ["a database without a password", "postgres://localhost/shop"],
    ["a word with re_ in it", "fire_department_of_the_city"],
  ])("may show everybody %s", (_, value) => {
    expect(told(other({ NEXT_PUBLIC_X: value }))).toEqual([]);
  });
});

describe("the group secrets", () => {
  const ENCRYPTION_KEY = "ENCRYPTION_KEY";
  const specOf = (values: Record<string, unknown>) => validate(rawConfig(values), machineWith()).secrets;
  const first = { generation: 1 };

  it("makes the guide's two, and the key of server actions", () => {
    expect(specOf(settings())).toEqual({
      generated: {
        ENCRYPTION_KEY: { form: "base64-32", ...first },
        STATE_SECRET: { form: "hex-32", ...first },
        NEXT_SERVER_ACTIONS_ENCRYPTION_KEY: { form: "base64-32", ...first },
      },
    });
    expect(specOf({ ...settings(), secrets: { generate: {} } })).toBeNull();
  });

  it("leaves out what the config gives, and keeps what was made where it gives all", () => {
    const generate = { ENCRYPTION_KEY: "base64-32", TOKEN: "hex-32" };
    const values = { ...settings(), secrets: { generate, generations: { TOKEN: "3" } } };
    expect(specOf({ ...values, variables: { ENCRYPTION_KEY: base64(32) } })).toEqual({
      generated: { TOKEN: { form: "hex-32", generation: 3 } },
    });
    const only = { ...settings(), secrets: { generate: { ENCRYPTION_KEY: "base64-32" } } };
    expect(specOf({ ...only, variables: { ENCRYPTION_KEY: base64(32) } })).toEqual({ generated: {} });
  });

  it.each<[string, Path, unknown, RegExp]>([
    ["a form that there is not", ["secrets", "generate", ENCRYPTION_KEY], "base64", /base64-32 or hex-32/],
    [
      "a key that everybody may read",
      ["secrets", "generate", "NEXT_PUBLIC_KEY"],
      "hex-32",
      /everybody may read/,
    ],
    [
      "a key that Stripe makes",
      ["secrets", "generate", "STRIPE_SECRET_KEY"],
      "hex-32",
      /somebody else's to give/,
    ],
    [
      "the other form",
      ["secrets", "generate", ENCRYPTION_KEY],
      "hex-32",
      /^base64-32: 32 random bytes in base64/,
    ],
    ["a generation that nothing has", ["secrets", "generations", "TOKEN"], 2, /that secrets\.generate names/],
    ["generation 0", ["secrets", "generations", ENCRYPTION_KEY], 0, /from 1 to 1000/],
  ])("refuses %s", (_, path, value, rule) => {
    const values = changed(stack({ ENCRYPTION_KEY: undefined }, { secrets: {} }), path, value);
    const found = told(values).filter(([name]) => String(name).startsWith("secrets."));
    expect(found).toEqual([[path.join("."), expect.stringMatching(rule)]]);
  });

  it("refuses to rotate what the config gives", () => {
    const values = stack({}, { secrets: { generations: { ENCRYPTION_KEY: 2 } } });
    expect(told(values)).toEqual([
      [
        "secrets.generations.ENCRYPTION_KEY",
        expect.stringMatching(/not set beside variables\.ENCRYPTION_KEY/),
      ],
    ]);
  });
});
