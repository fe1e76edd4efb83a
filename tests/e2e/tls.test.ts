import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { connect, type PeerCertificate } from "node:tls";

import type { CertificateStatus } from "../../host/conductor/protocol";
import { AcmeServer } from "../../sandbox/acme";
import { startLoad, type LoadRun } from "../../sandbox/load/run";
import { waitFor } from "../../sandbox/processes";
import { worldNamed } from "../../sandbox/world";
import { editConfig } from "./support/config-file";
import { TIMEOUT_MS } from "./support/users";
import { killConductor } from "./support/victims";
import { SLOW_MS, TestWorld } from "./support/world";

/*
 * Certificates from an ACME server that asks port 80 as a public one does: got, renewed, not to be had; and nobody who is
 * on the site notices.
 */

jest.setTimeout(SLOW_MS);

/** Longest wait for what the host does by itself, in seconds: a certificate of a minute is renewed within that minute. */
const WAIT_SECONDS = 180;

let world: TestWorld;
let acme: AcmeServer;
/** Every authority that the server ever issued by; it has another one after each start. */
let authorities = "";

beforeAll(async () => {
  world = await TestWorld.create("tls");
  acme = await AcmeServer.start(worldNamed(), {
    directory: fs.mkdtempSync(path.join(os.tmpdir(), "tls-acme-")),
    address: world.host.gateway,
    host: world.host.address,
  });
  authorities = await acme.issuingAuthority();
  editConfig(world.project, {
    "site.tls": { acme: { directory: acme.url, authority: acme.authorityFile } },
    "application.health": { path: "/api/health", intervalMs: 100 },
  });
  await world.up({ blueVersion: "v0.9.9" });
}, SLOW_MS);

afterAll(async () => {
  await acme.remove();
  await world.remove();
});

/** The certificate that a client who trusts the server's authorities is shown; it refuses every other one. */
function shownTo(domain: string): Promise<PeerCertificate> {
  return new Promise((resolve, reject) => {
    const to = { host: world.host.address, port: 443, servername: domain, ca: authorities };
    const socket = connect(to, () => {
      resolve(socket.getPeerCertificate());
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

async function certificate(): Promise<CertificateStatus> {
  const { certificate: status } = await world.status();
  if (status === null) throw new Error("the site has no certificate");
  return status;
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  await waitFor(what, WAIT_SECONDS, async () => ((await condition()) ? true : undefined));
}

/** Brings the host to the config. Throws with all that Pulumi said where that fails. */
async function up(): Promise<void> {
  const { exitCode, stdout, stderr } = await world.tryUp();
  if (exitCode !== 0) throw new Error(`\`up\` failed:\n${stdout}${stderr}`);
}

/** Starts the server again, with other options. */
async function restart(...options: Parameters<AcmeServer["resume"]>): Promise<void> {
  await acme.stop();
  await acme.resume(...options);
  authorities += await acme.issuingAuthority();
}

/** Keeps users on the site, by both protocols, while `work` runs: nobody loses a request. */
async function underLoad(work: () => Promise<unknown>): Promise<void> {
  const target = { ...world.loadTarget(), tls: { ca: authorities }, timeoutMs: TIMEOUT_MS };
  const runs: readonly LoadRun[] = await Promise.all([
    startLoad({ ...target, protocol: "http1", rate: 200, connections: 20 }),
    startLoad({ ...target, protocol: "http2", rate: 200, connections: 4 }),
  ]);
  // Every connection has been used.
  await Promise.all(runs.map((run) => run.afterRequests(50)));
  await work();
  await Promise.all(runs.map((run) => run.afterRequests(400)));
  for (const { total } of await Promise.all(runs.map((run) => run.stop()))) {
    // A reload ends HTTP/2 connections and says which requests it did not take: clients send those again by themselves.
    const { refused, ...lost } = total.failures;
    expect(Object.entries(lost).filter(([, count]) => count > 0)).toEqual([]);
    expect(total.ok + refused).toBe(total.sent);
  }
}

/** Adds a name to the site, beside those that it has. */
async function addDomain(domain: string): Promise<void> {
  const { domains } = await certificate();
  await world.setGroupValue(`site.domains[${domains.length}]`, domain);
}

describe("the first `up`", () => {
  test("users trust the site by the ACME server's authority", async () => {
    expect((await shownTo(world.domain)).subjectaltname).toBe(`DNS:${world.domain}`);
    expect(await certificate()).toMatchObject({
      source: "acme",
      domains: [world.domain],
      issuer: expect.stringContaining("Pebble"),
      lastFailure: null,
    });
  });

  test("plain HTTP still leads to HTTPS", async () => {
    const answer = await fetch(`http://${world.host.address}/a?b=c`, { redirect: "manual" });
    expect([answer.status, answer.headers.get("location")]).toEqual([
      308,
      `https://${world.host.address}/a?b=c`,
    ]);
  });

  test("keys are root's alone", async () => {
    const { stdout } = await world.host.exec([
      ...[
        "find",
        "-L",
        "/var/lib/vehicleservice/certificates",
        "(",
        "-name",
        "*.pem",
        "-o",
        "-type",
        "d",
        ")",
      ],
      ...["-printf", "%U %m %f\n"],
    ]);
    const found = [...new Set(stdout.trim().split("\n"))];
    expect(found).toEqual(
      expect.arrayContaining(["0 600 privkey.pem", "0 600 account.pem", "0 700 certificates"]),
    );
    const keysAndDirectories = found.filter((line) => !line.endsWith(" fullchain.pem"));
    expect(keysAndDirectories.filter((line) => !/^0 (600|700) /.test(line))).toEqual([]);
  });

  test("a second one changes nothing", async () => {
    const { serialNumber } = await shownTo(world.domain);
    await world.up({}, ["--expect-no-changes"]);
    expect((await shownTo(world.domain)).serialNumber).toBe(serialNumber);
  });
});

describe("another certificate, under load", () => {
  test("a domain more", async () => {
    await underLoad(async () => {
      await addDomain("www.vehicleservice.test");
      await up();
    });
    expect((await shownTo("www.vehicleservice.test")).subjectaltname).toContain(`DNS:${world.domain}`);
  });

  test("one that lives for a minute is renewed before its end, by itself", async () => {
    await restart({ validitySeconds: 60 });
    await addDomain("short.vehicleservice.test");
    await up();
    const { notAfter } = await certificate();
    await underLoad(() =>
      until("another certificate", async () => (await certificate()).notAfter !== notAfter),
    );
    expect(Date.parse((await certificate()).notAfter ?? "")).toBeGreaterThan(Date.parse(notAfter ?? ""));
    await shownTo("short.vehicleservice.test");
    await restart();
    await addDomain("long.vehicleservice.test");
    await up();
  });
});

describe("a certificate that is not to be had", () => {
  test("server down: `up` says so, users stay, and the next one converges", async () => {
    const { serialNumber } = await shownTo(world.domain);
    await acme.stop();
    await addDomain("down.vehicleservice.test");
    await underLoad(async () => {
      const failed = await world.tryUp();
      expect(failed.exitCode).not.toBe(0);
      const told = failed.stdout + failed.stderr;
      expect(told).toContain("certificate-act");
      expect(told).toContain("could not reach the ACME server: ECONNREFUSED");
      expect(told).toContain(`way out: see that ${acme.url} (site.tls.acme.directory)`);
      expect((await certificate()).lastFailure).toMatchObject({
        reason: expect.stringContaining("ECONNREFUSED"),
      });
    });
    expect((await shownTo(world.domain)).serialNumber).toBe(serialNumber);
    await acme.resume();
    authorities += await acme.issuingAuthority();
    await up();
    await shownTo("down.vehicleservice.test");
    expect((await certificate()).lastFailure).toBeNull();
    await world.up({}, ["--expect-no-changes"]);
  });

  test("a name that is another machine's: it is named, with the records to look at", async () => {
    const { serialNumber } = await shownTo(world.domain);
    const domain = "elsewhere.vehicleservice.test";
    await acme.setAddress(domain, world.host.gateway);
    await addDomain(domain);
    const failed = await world.tryUp();
    expect(failed.exitCode).not.toBe(0);
    const told = failed.stdout + failed.stderr;
    expect(told).toContain("certificate-act");
    expect(told).toContain(`could not prove that ${domain} is this host`);
    expect(told).toContain(`way out: the DNS records A and AAAA of ${domain} have to point to this host`);
    expect((await shownTo(world.domain)).serialNumber).toBe(serialNumber);
    await acme.setAddress(domain, world.host.address);
    await up();
    await shownTo(domain);
  });
});

test("the conductor killed in the middle of an order: it is ordered again, by nobody's doing", async () => {
  await restart({ slow: true });
  const domain = "killed.vehicleservice.test";
  await addDomain(domain);
  await underLoad(async () => {
    const raised = up();
    await until("an order", () => world.host.pidsOf(/acme\.js/).length > 0);
    await killConductor(world);
    await raised;
  });
  await shownTo(domain);
  expect(await certificate()).toMatchObject({ source: "acme", lastFailure: null });
});
