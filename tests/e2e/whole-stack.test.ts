import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { COLOURS, type SiteStatus } from "../../host/conductor/protocol";
import { CloudSite, cloudLogin } from "../../sandbox/cloud-site";
import { run } from "../../sandbox/command";
import { visit } from "../../sandbox/demo/visitor";
import { takeDown } from "../../sandbox/down";
import { waitFor } from "../../sandbox/processes";
import { siteStatus } from "../../sandbox/site";
import type { StoredEndpoint } from "../../sandbox/stripe/endpoints";
import { worldNamed } from "../../sandbox/world";
import { block } from "../support/document-blocks";
import { SLOW_MS } from "./support/world";

/*
 * Everything that the program makes, from accounts with nothing in them: network, machine and bucket at AWS, Stripe's endpoint, Supabase's
 * settings, schema, release, alarms. The same program as everywhere else; the accounts are on this machine.
 */

jest.setTimeout(2 * SLOW_MS);

/** What visitors meet once both colours have a share. */
const VERSIONS = ["v0.9.9", "v1.0.0"];

const world = worldNamed("whole-stack");
let site: CloudSite;

beforeAll(async () => {
  // What a killed run left.
  await takeDown(world);
  const projectDirectory = fs.mkdtempSync(path.join(os.tmpdir(), "whole-stack-"));
  site = await CloudSite.open({ world, projectDirectory, application: "plain" });
}, SLOW_MS);

afterAll(() => takeDown(world));

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
async function stripeSecretsOn(port: number): Promise<string | null> {
  const url = `http://127.0.0.1:${String(port)}/api/environment?name=STRIPE_WEBHOOK_SECRET`;
  const { stdout } = await site.host.exec(["curl", "--silent", "--fail", url]);
  return (JSON.parse(stdout) as { sha256: string | null }).sha256;
}

test("one `up` makes all of it, and the site serves", async () => {
  await site.project.up();
  expect(await answers()).toBe("v0.9.9");
  expect(await siteStatus(site.host)).toMatchObject({
    traffic: { stable: "blue" },
    colours: { blue: { version: "v0.9.9", healthy: true, admitted: true } },
  });
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

test("the second one has nothing to do, and neither has one that asked everybody first", async () => {
  await site.project.up(["--expect-no-changes"]);
  await site.project.up(["--refresh", "--expect-no-changes"]);
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
    await site.project.up();
    expect(await siteStatus(site.host)).toMatchObject({ traffic: { stable: "green" }, effectiveWeight: 30 });
    expect(await stripeSecretsOn(3002)).toBe(sha256(`${made.secret},${old.secret}`));
  });
});

test("who is on call is told that all is well, by the host's own figures", async () => {
  const told = await waitFor("an alarm that has seen figures", 120, () => {
    const all = site.subscriber.told();
    return all.some(({ alarm }) => alarm.endsWith("application-down")) ? all : undefined;
  });
  expect(told.filter(({ alarm }) => alarm.endsWith("application-down"))).toEqual([
    expect.objectContaining({ state: "OK", topic: expect.stringContaining("page") }),
  ]);
});

describe("a host that AWS ended", () => {
  let lost: SiteStatus;
  let address: string;

  test("is told, with the way to another one, which a preview shows", async () => {
    lost = (await siteStatus(site.host))!;
    address = (await outputs())["address"] as string;
    await site.cloud.endInstance(site.host.name);
    const [blind, seeing] = await Promise.all([
      site.project.pulumi(["preview"], { check: false }),
      site.project.pulumi(["preview", "--refresh"]),
    ]);
    expect(blind).toMatchObject({ exitCode: 1, stdout: expect.stringContaining("`pulumi up --refresh`") });
    for (const line of [
      "machine-instance create",
      "green-act create replacement",
      "traffic-act create replacement",
    ])
      expect(seeing.stdout).toMatch(new RegExp(` ${line}\\b`));
  });

  test("has a successor at its address, with its releases, their shares and the newest environment", async () => {
    // The last step of what replaces a secret: the old endpoint's goes with the next release, or the next host.
    await site.project.pulumi(["config", "rm", "--path", "stripe.webhook.keep"]);
    const [, ...words] = block("docs/production.md", "another-host").split(" ");
    await site.project.pulumi([...words, "--yes", "--skip-preview"]);
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
  });
});

test("destroy names what is protected, and changes nothing", async () => {
  const protectedOnes = [
    "machine-instance",
    "machine-host-key",
    "backups-bucket",
    "secrets-root",
    "stripe-endpoints",
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
