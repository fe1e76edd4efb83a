import { randomBytes } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { parseDocument } from "yaml";
import { repositoryRoot } from "../../sandbox/repository";
import { block } from "../support/document-blocks";
import { Terminal } from "../support/shell";
import { newPrivateKey } from "./support/configuration";

/* The config of production, as docs/production.md fills it in: by the page's own lines, from placeholders to a plan. */

jest.setTimeout(600_000);

const PAGE = "docs/production.md";

let directory: string;
let terminal: Terminal;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "production-"));
  const project = parseDocument(readFileSync(join(repositoryRoot(), "Pulumi.yaml"), "utf8"));
  project.set("main", relative(directory, repositoryRoot()));
  project.set("backend", { url: "file://." });
  writeFileSync(join(directory, "Pulumi.yaml"), project.toString({ lineWidth: 0 }));
  const stack = readFileSync(join(repositoryRoot(), "Pulumi.production.yaml"), "utf8");
  writeFileSync(join(directory, "Pulumi.production.yaml"), stack);
  // What the config names by a path that begins at the project.
  for (const folder of ["migrations", "releases"]) {
    cpSync(join(repositoryRoot(), folder), join(directory, folder), { recursive: true });
  }
  writeFiles(valuesOf());
  terminal = new Terminal(directory, {
    PULUMI_CONFIG_PASSPHRASE: "correct horse",
    PULUMI_HOME: join(directory, "home"),
    VEHICLESERVICE_ENGINE: "embedded",
  });
  await terminal.run("pulumi stack init production");
});
afterAll(() => rmSync(directory, { recursive: true }));

/** A key as its maker writes it; made here, so that none stands in the repository. */
const secret = (beginning: string, length = 32) =>
  beginning + randomBytes(length).toString("hex").slice(0, length);
const jwt = (role: string) => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = {
    iss: "supabase",
    ref: "abcdefghijklmnopqrst",
    role,
    iat: 1_700_000_000,
    exp: 2_000_000_000,
  };
  return `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}.${randomBytes(32).toString("base64url")}`;
};

function valuesOf(): Record<string, string> {
  // Sixteen characters with the 1 before them: what newer keys hold of their account.
  const account = randomBytes(8).toString("hex").slice(1);
  return {
    supabaseAccessToken: secret("sbp_", 40),
    databaseUrl: `postgres://postgres.abcdefghijklmnopqrst:${secret("", 24)}@aws-0-eu-central-1.pooler.supabase.com:5432/postgres`,
    NEXT_PUBLIC_SUPABASE_URL: "https://abcdefghijklmnopqrst.supabase.co",
    NEXT_PUBLIC_SUPABASE_ANON_KEY: jwt("anon"),
    SUPABASE_SERVICE_ROLE_KEY: jwt("service_role"),
    NEXT_PUBLIC_STRIPE_PUBLISHABLE_KEY: secret(`pk_live_51${account}`, 80),
    STRIPE_SECRET_KEY: secret(`sk_live_51${account}`, 80),
    DATABASE_URL: `postgres://postgres.abcdefghijklmnopqrst:${secret("", 24)}@aws-0-eu-central-1.pooler.supabase.com:6543/postgres`,
    STRIPE_CONNECT_CLIENT_ID: secret("ca_"),
    stripeApiKey: secret(`rk_live_51${account}`, 80),
    RESEND_API_KEY: secret("re_"),
    SENTRY_DSN: `https://${secret("")}@o1.ingest.sentry.io/1`,
  };
}

function writeFiles(values: Record<string, string>): void {
  mkdirSync(join(directory, "keys"));
  for (const [name, value] of Object.entries(values))
    writeFileSync(join(directory, "keys", name), `${value}\n`);
  mkdirSync(join(directory, ".ssh"));
  writeFileSync(join(directory, ".ssh", "deploy_key"), newPrivateKey());
}

test("before anything is filled in, the preview names every placeholder, and asks nobody", async () => {
  const { exitCode, stdout, stderr } = await terminal.run(block(PAGE, "preview"), { check: false });
  expect(exitCode).not.toBe(0);
  const variables = ["variables.NEXT_PUBLIC_SITE_URL", "variables.STRIPE_SECRET_KEY", "variables.SENTRY_DSN"];
  const made = ["host.ec2.sshFrom[0]", "host.ec2.imageId", "backups.bucket"];
  const told = ["monitoring.page.emails[0]", "monitoring.warn.emails[0]"];
  for (const key of [...made, ...told, "site.domains[0]", "source.repository", ...variables]) {
    expect(stdout + stderr).toContain(key);
  }
});

test("with the page's lines carried out, the preview shows the whole plan, and no secret", async () => {
  for (const name of ["host", "zone", "site", "backups", "secrets", "stripe", "supabase", "monitoring"])
    await terminal.run(block(PAGE, name));
  // The machine that runs this has no AWS to ask.
  const { stdout, stderr } = await terminal.run(`${block(PAGE, "preview")} --offline-plan`);
  const words = ["web", "certificate", "stripe-endpoints", "database", "blue", "traffic"];
  for (const word of [...words, "monitoring-host-silent"]) expect(stdout).toContain(word);
  const stack = readFileSync(join(directory, "Pulumi.production.yaml"), "utf8");
  const names = Object.keys(valuesOf());
  for (const name of names) {
    const value = readFileSync(join(directory, "keys", name), "utf8").trim();
    for (const text of [stdout, stderr, stack]) expect([name, text.includes(value)]).toEqual([name, false]);
  }
  expect(stack).toMatch(/testerSecret:\n\s+secure: /);
});
