import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { COLOURS, type SiteStatus } from "../../host/conductor/protocol";
import { CloudSite, cloudLogin } from "../../sandbox/cloud-site";
import { run } from "../../sandbox/command";
import { visit } from "../../sandbox/demo/visitor";
import { takeDown } from "../../sandbox/down";
import { siteStatus } from "../../sandbox/site";
import type { AwsKeys } from "../../sandbox/aws/emulator";
import type { StoredEndpoint } from "../../sandbox/stripe/endpoints";
import { worldNamed } from "../../sandbox/world";
import { block } from "../support/document-blocks";
import { WatchedSite } from "./support/watched-site";
import { SLOW_MS } from "./support/world";

/*
 * Everything that the program makes, from accounts with nothing in them: network, machine and bucket at AWS, Stripe's endpoint, Supabase's
 * settings, schema, release, alarms, and who is told when the site is ill, silent and well again. The same program as everywhere else;
 * the accounts are on this machine.
 */

jest.setTimeout(2 * SLOW_MS);

/** What visitors meet once both colours have a share. */
const VERSIONS = ["v0.9.9", "v1.0.0"];

const world = worldNamed("whole-stack");
let site: CloudSite;
let watched: WatchedSite;
/** Keys of a user who publishes in the place of the machine's role. */
let publisher: AwsKeys;

/** Periods that a test need not wait a minute for. Two without a word: with the two further back that an alarm looks at, longer than a publisher takes to start beside a build. */
const MONITORING = {
  "monitoring.intervalSeconds": "2",
  "monitoring.page.emails[0]": "oncall@example.com",
  "monitoring.warn.emails[0]": "team@example.com",
  "monitoring.alarms.applicationDown.periodSeconds": "10",
  "monitoring.alarms.databaseUnreachable.periodSeconds": "10",
  "monitoring.alarms.hostSilent.periods": "2",
  "monitoring.alarms.backupOverdue.periodSeconds": "10",
  "monitoring.alarms.certificateExpiring.periodSeconds": "10",
  "monitoring.alarms.certificateExpiringWarning.periodSeconds": "10",
};

/** A project of Supabase's that the stack makes, as small as a new one is. */
const MADE_PROJECT = {
  "supabase.create.organization": "garage",
  "supabase.create.region": "eu-central-1",
  "supabase.backups": "none",
  "supabase.requireSsl": "false",
};

/** What the config says of a project that is there, and of one that is made nobody knows yet. Where it is, the stand-in alone knows. */
const OF_ADOPTED = [
  "supabase.projectRef",
  "variables.NEXT_PUBLIC_SUPABASE_ANON_KEY",
  "variables.SUPABASE_SERVICE_ROLE_KEY",
];

beforeAll(async () => {
  // What a killed run left.
  await takeDown(world);
  const projectDirectory = fs.mkdtempSync(path.join(os.tmpdir(), "whole-stack-"));
  site = await CloudSite.open({ world, projectDirectory, application: "plain" });
  for (const key of OF_ADOPTED) await site.project.pulumi(["config", "rm", "--path", key]);
  await site.project.setAll({ ...MONITORING, ...MADE_PROJECT });
  watched = new WatchedSite(site);
}, SLOW_MS);

afterAll(async () => {
  await takeDown(world);
  watched.close();
});

/** Which version answers a visitor at an address. */
async function answersAt(address: string): Promise<string | undefined> {
  return (await visit({ address, domain: site.domain, authority: site.authority() })).version;
}

const answers = (): Promise<string | undefined> => answersAt(site.host.address);

/** What the stack says of itself, but for secrets. */
async function outputs(): Promise<Record<string, unknown>> {
  const { stdout } = await site.project.pulumi(["stack", "output", "--json", "--stack", "sandbox"]);
  return JSON.parse(stdout) as Record<string, unknown>;
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** Digest of Stripe's secrets as the application on a port has them. */
const stripeSecretsOn = (port: number) => variableOn(port, "STRIPE_WEBHOOK_SECRET");

/** Digest of a variable as the application on a port has it; null for none. */
async function variableOn(port: number, name: string): Promise<string | null> {
  const url = `http://127.0.0.1:${String(port)}/api/environment?name=${name}`;
  const { stdout } = await site.host.exec(["curl", "--silent", "--fail", url]);
  return (JSON.parse(stdout) as { sha256: string | null }).sha256;
}

/** The keys that the host publishes by, as it keeps them; null for its role. */
async function publishesBy(): Promise<unknown> {
  const { stdout } = await site.host.exec(["cat", "/var/lib/vehicleservice/monitoring/settings.json"]);
  return (JSON.parse(stdout) as { credentials: unknown }).credentials;
}

test("one `up` makes all of it, and the site serves", async () => {
  await site.project.up();
  expect(await answers()).toBe("v0.9.9");
  expect(await siteStatus(site.host)).toMatchObject({
    traffic: { stable: "blue" },
    colours: { blue: { version: "v0.9.9", healthy: true, admitted: true } },
    monitoring: { lastPublished: expect.any(String) },
  });
  expect(await watched.alarms()).toHaveLength(21);
  expect(await publishesBy()).toBeNull();
  const told = await outputs();
  // From the bucket that the stack made, by the machine's own role.
  expect(told).toMatchObject({
    lastBackup: expect.stringMatching(/^\d{8}\//),
    schemaVersion: "20250124000000",
  });
  expect(told["stripeRedirectUri"]).toBe(`https://${site.domain}/api/business/stripe/callback`);
  // The operator's own way in, by the key that the stack made for the host before there was one.
  const { stdout } = await run(["ssh", "-o", "BatchMode=yes", ...cloudLogin(world), "sudo -n id -u"]);
  expect(stdout).toBe("0\n");
  const { endpoints } = site.services.stripe;
  expect(endpoints.map(({ url }) => url)).toEqual([`https://${site.domain}/api/business/wallet/webhook`]);
});

test("the application has the keys of the project that the same `up` made", async () => {
  const words = ["stack", "output", "supabaseAccess", "--json", "--show-secrets", "--stack", "sandbox"];
  const access = JSON.parse((await site.project.pulumi(words)).stdout) as Record<string, string>;
  for (const [name, key] of [
    ["NEXT_PUBLIC_SUPABASE_ANON_KEY", "anonKey"],
    ["SUPABASE_SERVICE_ROLE_KEY", "serviceRoleKey"],
    ["DATABASE_URL", "databaseUrl"],
  ] as const)
    expect([name, await variableOn(3001, name)]).toEqual([name, sha256(access[key] ?? "")]);
  // The config's own value goes before the project's.
  expect(await variableOn(3001, "NEXT_PUBLIC_SUPABASE_URL")).not.toBe(sha256(access["url"] ?? ""));
});

test("the second one has nothing to do, and neither has one that asked everybody first", async () => {
  for (const words of [[], ["--refresh"]]) {
    const { stdout, stderr } = await site.project.up([...words, "--expect-no-changes"]);
    expect(stdout + stderr).not.toContain("monitoring-act");
  }
});

describe("an endpoint that somebody deleted in Stripe's dashboard", () => {
  let old: StoredEndpoint;
  let made: StoredEndpoint;
  let said: string;
  /** Processes of what serves. */
  const serving = (): number[] => site.host.pidsOf(/launcher\.js/);

  test("is told by a preview and a refresh", async () => {
    const { stripe } = site.services;
    [old] = stripe.endpoints as [StoredEndpoint];
    await stripe.deleteEndpoint(old.id);
    const asked = [
      ["preview", "--refresh"],
      ["refresh", "--yes", "--skip-preview"],
    ];
    const told = await Promise.all(asked.map((words) => site.project.pulumi(words)));
    for (const { stdout } of told) {
      expect(stdout).toContain(`webhook endpoint ${old.id}, generation 1, was deleted at Stripe`);
      said = stdout;
    }
  });

  test("has one successor by the config that they name, and what serves is left alone", async () => {
    const before = serving();
    expect(before).toHaveLength(2);
    const named = [...said.matchAll(/`pulumi config set --path '?([^\s']+)'? (\d+)`/g)];
    for (const [, key = "", value = ""] of named) await site.project.setConfig(key, value, { path: true });
    await site.project.up();
    const { endpoints } = site.services.stripe;
    expect(endpoints).toEqual([
      expect.objectContaining({ url: old.url, enabled_events: old.enabled_events, status: "enabled" }),
    ]);
    [made] = endpoints as [StoredEndpoint];
    expect(made.id).not.toBe(old.id);
    expect((await outputs())["pending"]).toEqual({ blue: true, green: false });
    expect(serving()).toEqual(before);
    expect(await stripeSecretsOn(3001)).toBe(sha256(old.secret));
  });

  test("its secret comes to users by a release on the other colour", async () => {
    for (const [key, value] of [
      ["greenVersion", "v1.0.0"],
      ["stable", "green"],
      ["canaryWeight", "30"],
    ] as const)
      await site.project.setConfig(key, value);
    publisher = await watched.makePublisher();
    await site.project.setSecret("monitoringAccessKeyId", publisher.accessKeyId);
    await site.project.setSecret("monitoringSecretAccessKey", publisher.secretAccessKey);
    await site.project.up();
    expect(await siteStatus(site.host)).toMatchObject({ traffic: { stable: "green" }, effectiveWeight: 30 });
    expect(await stripeSecretsOn(3002)).toBe(sha256(`${made.secret},${old.secret}`));
  });
});

describe("who is on call", () => {
  let before: number;

  test("is told that all is well, by the host's own figures, and of nothing else", async () => {
    // Those about silence, about the site and about its upkeep have seen enough to know.
    await watched.well(
      /-(host-silent|(host|request|database|payment)-figures-missing|application-down|database-unreachable)$/,
      7,
    );
    await watched.well(/-(backup-overdue|certificate-expiring|certificate-expiring-warning)$/, 3);
    const history = await watched.changes();
    expect(history).toContainEqual(expect.stringContaining("host-silent"));
    expect(history.filter((change) => /to ALARM/i.test(change))).toEqual([]);
    await watched.hears("application-down", "OK", 0);
    expect(watched.told("application-down")).toEqual(["page: OK"]);
  });

  test("is told of an application that is down, and of backups that do not come", async () => {
    before = await watched.quiet("application-down");
    const state = "/var/lib/vehicleservice/database/state.json";
    const aged = 's/"takenAt":"[^"]*"/"takenAt":"2026-01-01T00:00:00.000Z"/g';
    await site.host.exec(["sed", "--in-place", aged, state]);
    await site.host.exec(["systemctl", "stop", "nginx"]);
    await watched.hears("application-down", "ALARM", before);
    await watched.hears("backup-overdue", "ALARM", 1, "warn");
    await site.host.exec(["systemctl", "start", "nginx"]);
    await site.host.exec(["systemctl", "start", "vehicleservice-backup"]);
  });

  // It touches nothing, and takes some of the time that the alarm takes to be well.
  test("may be told by another limit: a preview shows that alarm alone, and the keys nowhere", async () => {
    expect(await publishesBy()).toEqual(publisher);
    await site.project.setConfig("monitoring.alarms.cpu.percent", "70", { path: true });
    const { stdout, stderr } = await site.project.pulumi(["preview"]);
    const text = stdout + stderr;
    expect(text).toContain("monitoring-cpu");
    for (const other of ["monitoring-act", "monitoring-disk", "monitoring-page", "green-act"])
      expect(text).not.toContain(other);
    expect(text).not.toContain(publisher.secretAccessKey);
  });

  test("is told once more when it is up, and when the daily backup was made", async () => {
    await watched.hears("application-down", "OK", before + 1);
    await watched.hears("backup-overdue", "OK", 2, "warn");
    // While nobody showed a certificate, nobody said that it ends.
    expect(watched.told("certificate-expiring")).toEqual(["page: OK"]);
  });
});

/** The words behind `pulumi` of a block of one line. */
const wordsOf = (name: string) => block("docs/production.md", name).split(" ").slice(1);

describe("a host that AWS ended", () => {
  let lost: SiteStatus;
  let address: string;
  let before: number;

  test("is told, with the way to another one, which a preview shows", async () => {
    lost = (await siteStatus(site.host))!;
    address = (await outputs())["address"] as string;
    before = await watched.quiet("host-silent");
    await site.cloud.endInstance(site.host.name);
    const [blind, seeing] = await Promise.all([
      site.project.pulumi(["preview"], { check: false }),
      site.project.pulumi(wordsOf("another-host-preview")),
    ]);
    expect(blind).toMatchObject({ exitCode: 1, stdout: expect.stringContaining("`pulumi up --refresh`") });
    for (const line of [
      "machine-instance create",
      "green-act create replacement",
      "traffic-act create replacement",
    ])
      expect(seeing.stdout).toMatch(new RegExp(` ${line}\\b`));
  });

  test("pages, for it is silent", () => watched.hears("host-silent", "ALARM", before));

  test("has a successor at its address, with its releases, their shares and the newest environment", async () => {
    // The last step of what replaces a secret: the old endpoint's goes with the next release, or the next host.
    await site.project.pulumi(["config", "rm", "--path", "stripe.webhook.keep"]);
    await site.project.pulumi([...wordsOf("another-host"), "--yes", "--skip-preview"]);
    const found = (await siteStatus(site.host))!;
    const { traffic, effectiveWeight } = lost;
    expect(found).toMatchObject({ traffic, effectiveWeight });
    for (const colour of COLOURS) {
      const { version, commit } = lost.colours[colour];
      expect(found.colours[colour]).toMatchObject({ version, commit, healthy: true, admitted: true });
    }
    expect((await outputs())["address"]).toBe(address);
    expect(VERSIONS).toContain(await answersAt(address));
    const [{ secret }] = site.services.stripe.endpoints as [StoredEndpoint];
    for (const port of [3001, 3002]) expect(await stripeSecretsOn(port)).toBe(sha256(secret));
    const cpu = (await watched.alarms()).find(({ AlarmName }) => AlarmName?.endsWith("-cpu"));
    expect(cpu?.Threshold).toBe(70);
  });

  test("pages once more when the successor speaks", () => watched.hears("host-silent", "OK", before + 1));
});

test("destroy names what is protected, and changes nothing", async () => {
  const protectedOnes = [
    "machine-instance",
    "machine-host-key",
    "backups-bucket",
    "secrets-root",
    "stripe-endpoints",
    "supabase-project",
    "supabase-database-password",
  ];
  const named = async (env: NodeJS.ProcessEnv): Promise<string[]> => {
    const options = { check: false, env: { ...process.env, ...env } };
    const { exitCode, stdout, stderr } = await site.project.pulumi(["destroy", "--yes"], options);
    expect(exitCode).not.toBe(0);
    return protectedOnes.filter((name) => (stdout + stderr).includes(name));
  };
  // The Pulumi CLI, where there is one, stops at the first.
  expect((await named({})).length).toBeGreaterThan(0);
  expect(await named({ VEHICLESERVICE_ENGINE: "embedded" })).toEqual(protectedOnes);
  expect(VERSIONS).toContain(await answers());
  await site.project.up(["--expect-no-changes"]);
});

test("destroy --exclude-protected removes the rest; what is protected stays, and the site serves on", async () => {
  await site.project.pulumi(["destroy", "--yes", "--exclude-protected"]);
  const { stdout } = await site.project.pulumi(["stack", "--show-urns", "--stack", "sandbox"]);
  for (const name of ["machine-instance", "backups-bucket", "secrets-root"])
    expect(stdout).toContain(`::${name}`);
  for (const name of ["monitoring-application-down", "traffic-act", "monitoring-page"])
    expect(stdout).not.toContain(`::${name}\n`);
  expect(VERSIONS).toContain(await answers());
});
