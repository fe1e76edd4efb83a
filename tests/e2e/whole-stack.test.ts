import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { CloudSite, cloudLogin } from "../../sandbox/cloud-site";
import { run } from "../../sandbox/command";
import { visit } from "../../sandbox/demo/visitor";
import { takeDown } from "../../sandbox/down";
import { waitFor } from "../../sandbox/processes";
import { siteStatus } from "../../sandbox/site";
import { worldNamed } from "../../sandbox/world";
import { SLOW_MS } from "./support/world";

/*
 * Everything that the program makes, from accounts with nothing in them: network, machine and bucket at AWS, Stripe's endpoint, Supabase's
 * settings, schema, release, alarms. The same program as everywhere else; the accounts are on this machine.
 */

jest.setTimeout(2 * SLOW_MS);

const world = worldNamed("whole-stack");
let site: CloudSite;

beforeAll(async () => {
  // What a killed run left.
  await takeDown(world);
  const projectDirectory = fs.mkdtempSync(path.join(os.tmpdir(), "whole-stack-"));
  site = await CloudSite.open({ world, projectDirectory, application: "plain" });
}, SLOW_MS);

afterAll(() => takeDown(world));

async function answers(): Promise<string | undefined> {
  const { address } = site.host;
  return (await visit({ address, domain: site.domain, authority: site.authority() })).version;
}

/** What the stack says of itself, but for secrets. */
async function outputs(): Promise<Record<string, unknown>> {
  const { stdout } = await site.project.pulumi(["stack", "output", "--json", "--stack", "sandbox"]);
  return JSON.parse(stdout) as Record<string, unknown>;
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

test("who is on call is told that all is well, by the host's own figures", async () => {
  const told = await waitFor("an alarm that has seen figures", 120, () => {
    const all = site.subscriber.told();
    return all.some(({ alarm }) => alarm.endsWith("application-down")) ? all : undefined;
  });
  expect(told.filter(({ alarm }) => alarm.endsWith("application-down"))).toEqual([
    expect.objectContaining({ state: "OK", topic: expect.stringContaining("page") }),
  ]);
});

test("a canary moves", async () => {
  await site.project.setConfig("greenVersion", "v1.0.0");
  await site.project.setConfig("canaryWeight", "100");
  await site.project.up();
  expect(await answers()).toBe("v1.0.0");
});

test("destroy names what is protected, and changes nothing", async () => {
  const { exitCode, stdout, stderr } = await site.project.pulumi(["destroy", "--yes"], { check: false });
  expect(exitCode).not.toBe(0);
  const output = stdout + stderr;
  for (const name of [
    "machine-instance",
    "machine-host-key",
    "backups-bucket",
    "secrets-root",
    "stripe-endpoints",
  ])
    expect(output).toContain(name);
  expect(await answers()).toBe("v1.0.0");
  await site.project.up(["--expect-no-changes"]);
});

test("destroy --exclude-protected removes the rest; what is protected stays, and the site serves on", async () => {
  await site.project.pulumi(["destroy", "--yes", "--exclude-protected"]);
  const { stdout } = await site.project.pulumi(["stack", "--show-urns", "--stack", "sandbox"]);
  for (const name of ["machine-instance", "backups-bucket", "secrets-root"])
    expect(stdout).toContain(`::${name}`);
  for (const name of ["monitoring-application-down", "traffic-act", "monitoring-page"])
    expect(stdout).not.toContain(`::${name}\n`);
  expect(await answers()).toBe("v1.0.0");
});
