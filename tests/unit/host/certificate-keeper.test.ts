import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Failed, Refused } from "../../../host/conductor/faults";
import { readPair, type Pair } from "../../../host/conductor/certificates/certificate";
import { CertificateKeeper, type CertificateSettings } from "../../../host/conductor/certificates/keeper";
import { FakeCertificateHost, makePair } from "./support/fake-certificates";
import { pathsUnder, removeDirectories, temporaryDirectory } from "./support/fixtures";

afterAll(removeDirectories);

const DAY_MS = 24 * 3600 * 1000;
const DOMAINS = ["a.test", "www.a.test"];
const silent = (): void => undefined;

let host: FakeCertificateHost;
let keeper: CertificateKeeper;
let root: string;

beforeEach(() => {
  root = temporaryDirectory();
  start();
});

/** A conductor that starts: what is on disk stays, and so does what the front door shows. */
function start(): void {
  const paths = pathsUnder(root);
  const next = new FakeCertificateHost(paths.certificates);
  next.shown = (host as FakeCertificateHost | undefined)?.shown ?? null;
  host = next;
  host.time = new Date(Math.floor(Date.now() / 1000) * 1000);
  keeper = new CertificateKeeper(host, paths);
}

const acme = (change: { domains?: readonly string[]; directory?: string } = {}): CertificateSettings => ({
  domains: change.domains ?? DOMAINS,
  tls: {
    acme: {
      directory: change.directory ?? "https://acme.test/dir",
      email: "",
      authority: null,
      renewBeforeDays: 30,
    },
  },
});

/** Writes a pair as an operator would, and returns the settings that name it. */
function filesOf(pair: Partial<Pair>, domains = DOMAINS): CertificateSettings {
  const directory = join(root, "own");
  mkdirSync(directory, { recursive: true });
  const tls = { certificate: join(directory, "chain.pem"), key: join(directory, "key.pem") };
  if (pair.chain !== undefined) writeFileSync(tls.certificate, pair.chain);
  if (pair.key !== undefined) writeFileSync(tls.key, pair.key);
  return { domains, tls };
}

/** What `configure` does first, and what Nginx does then. */
async function configure(
  settings: CertificateSettings,
  before: CertificateSettings | null = null,
): Promise<void> {
  await keeper.prepare(settings, before);
  if ("acme" in settings.tls) {
    host.shown = (await host.inForce()).fingerprint;
  }
}

describe("before Nginx is configured", () => {
  it("there is a placeholder, and an order only when it is asked for", async () => {
    await configure(acme());
    expect((await keeper.status(acme())).source).toBe("placeholder");
    expect(host.orders).toEqual([]);
  });

  it("what served from files goes on to serve", async () => {
    const pair = await makePair(DOMAINS);
    await configure(acme(), filesOf(pair));
    expect((await host.inForce()).fingerprint).toBe(readPair(pair).fingerprint);
    expect((await keeper.status(acme())).source).toBe("files");
  });

  it("one in force stays, whatever the settings become", async () => {
    await configure(acme());
    await keeper.certify(acme(), silent);
    const { fingerprint } = await host.inForce();
    await configure(acme({ domains: ["b.test"], directory: "https://other.test/dir" }), acme());
    expect((await host.inForce()).fingerprint).toBe(fingerprint);
  });

  it("does not wait for an order that is under way", async () => {
    await configure(acme());
    const { promise: over, resolve: end } = Promise.withResolvers<undefined>();
    const { promise: begun, resolve: begin } = Promise.withResolvers<undefined>();
    host.during = () => {
      begin(undefined);
      return over;
    };
    const certified = keeper.certify(acme(), silent);
    await begun;
    await keeper.prepare(acme({ domains: ["b.test"] }), acme());
    expect(keeper.isTrying).toBe(true);
    end(undefined);
    await certified;
    expect(keeper.isTrying).toBe(false);
  });

  it.each([
    ["are not there", {}, "there is no certificate in"],
    ["are no PEM", { chain: "x", key: "x" }, "the certificate is not in PEM"],
  ])("files that %s are refused", async (_, pair, fault) => {
    await expect(keeper.prepare(filesOf(pair), null)).rejects.toThrow(fault);
    await expect(keeper.prepare(filesOf(pair), null)).rejects.toThrow(Refused);
  });

  it("files for other domains are refused, with those that are missing", async () => {
    const settings = filesOf(await makePair(["a.test"]));
    await expect(keeper.prepare(settings, null)).rejects.toThrow("is for a.test and not for www.a.test");
    await expect(keeper.prepare({ ...settings, domains: ["a.test"] }, null)).resolves.toBeUndefined();
  });
});

describe("a certificate from an ACME server", () => {
  beforeEach(() => configure(acme()));

  it("is ordered once, put in force, and left alone then", async () => {
    const result = await keeper.certify(acme(), silent);
    expect(result).toMatchObject({ source: "acme", domains: DOMAINS });
    expect(host.shown).toBe((await host.inForce()).fingerprint);
    expect(await keeper.certify(acme(), silent)).toEqual(result);
    expect([host.orders.length, host.reloads]).toEqual([1, 1]);
  });

  it("is ordered with all that the settings say", async () => {
    await keeper.certify(acme(), silent);
    expect(host.orders[0]).toEqual({
      domains: DOMAINS,
      directory: "https://acme.test/dir",
      email: "",
      authority: null,
      accountKey: join(pathsUnder(root).certificates, "account.pem"),
      challenges: pathsUnder(root).challenges,
    });
  });

  it.each([
    ["a domain more", { domains: [...DOMAINS, "b.test"] }, 2],
    ["a domain less: the one in force holds the rest", { domains: ["a.test"] }, 1],
    ["the same domains in another order", { domains: ["www.a.test", "a.test"] }, 1],
    ["another server", { directory: "https://other.test/dir" }, 2],
  ])("%s", async (_, change, orders) => {
    await keeper.certify(acme(), silent);
    await keeper.certify(acme(change), silent);
    expect(host.orders).toHaveLength(orders);
  });

  it("is renewed when it is due, and not before", async () => {
    await keeper.certify(acme(), silent);
    const due = await keeper.due(acme());
    expect(due).toEqual(new Date(host.time.getTime() + 60 * DAY_MS));
    host.time = new Date(due!.getTime() - 1000);
    await keeper.certify(acme(), silent);
    expect(host.orders).toHaveLength(1);
    host.time = due!;
    await keeper.certify(acme(), silent);
    expect(host.orders).toHaveLength(2);
    expect(await keeper.due(acme())).toEqual(new Date(due!.getTime() + 60 * DAY_MS));
  });

  it("that Nginx did not take before a crash is taken after it", async () => {
    await keeper.certify(acme(), silent);
    host.shown = "the one before";
    start();
    await keeper.certify(acme(), silent);
    expect(host.shown).toBe((await host.inForce()).fingerprint);
    expect([host.orders.length, host.reloads]).toEqual([0, 1]);
  });

  it("is no matter of a Nginx that is down: it reads it when it starts", async () => {
    await keeper.certify(acme(), silent);
    host.shown = null;
    await keeper.certify(acme(), silent);
    expect(host.reloads).toBe(1);
  });

  it("is asked for once at a time", async () => {
    await Promise.all([keeper.certify(acme(), silent), keeper.certify(acme(), silent)]);
    expect(host.orders).toHaveLength(1);
  });
});

describe("a certificate that is not to be had", () => {
  beforeEach(async () => {
    await configure(acme());
    await keeper.certify(acme(), silent);
  });

  const more = acme({ domains: [...DOMAINS, "b.test"] });

  it("is told with the server's words, and what served serves on", async () => {
    const { shown } = host;
    host.refusal = "could not prove that b.test is this host: refused\nway out: DNS";
    const failure = keeper.certify(more, silent);
    await expect(failure).rejects.toThrow(Failed);
    await expect(failure).rejects.toThrow(
      "no certificate for a.test, www.a.test, b.test; what served serves on, and the host tries again by itself\n" +
        "ordered\ncould not prove that b.test is this host: refused\nway out: DNS",
    );
    expect(host.shown).toBe(shown);
    expect((await host.inForce()).fingerprint).toBe(shown);
    expect(await keeper.status(more)).toMatchObject({
      source: "acme",
      domains: DOMAINS,
      lastFailure: { at: host.time.toISOString(), tries: 1, reason: expect.stringContaining("b.test") },
    });
  });

  it("is counted over a crash, and forgotten once it is had", async () => {
    host.refusal = "no";
    await keeper.certify(more, silent).catch(silent);
    start();
    host.refusal = "no";
    await keeper.certify(more, silent).catch(silent);
    expect((await keeper.failure())?.tries).toBe(2);
    host.refusal = null;
    await keeper.certify(more, silent);
    expect(await keeper.failure()).toBeNull();
  });

  it("is taken back where Nginx does not take it", async () => {
    const { shown } = host;
    host.takes = false;
    await expect(keeper.certify(more, silent)).rejects.toThrow("Nginx does not take it");
    expect((await host.inForce()).fingerprint).toBe(shown);
  });

  it("is none where the server sent one for other domains", async () => {
    const { shown } = host;
    host.sends = ["c.test"];
    await expect(keeper.certify(more, silent)).rejects.toThrow("is for c.test and not for a.test");
    expect((await host.inForce()).fingerprint).toBe(shown);
  });
});

describe("a certificate in files", () => {
  it("is checked, and what Nginx has not read yet is read", async () => {
    const pair = await makePair(DOMAINS);
    const settings = filesOf(pair);
    host.shown = readPair(pair).fingerprint;
    expect(await keeper.certify(settings, silent)).toMatchObject({ source: "files", domains: DOMAINS });
    expect(host.reloads).toBe(0);
    expect(await keeper.due(settings)).toBeNull();
    expect(host.orders).toEqual([]);
  });

  it("that has ended is told", async () => {
    const settings = filesOf(await makePair(DOMAINS, { days: 1 }));
    host.time = new Date(host.time.getTime() + 2 * DAY_MS);
    await expect(keeper.certify(settings, silent)).rejects.toThrow(/ended on .*; put a new one there/);
  });

  it("that is gone is said by the status", async () => {
    expect(await keeper.status(filesOf({}))).toEqual({
      source: "none",
      domains: [],
      issuer: "",
      notAfter: null,
      lastFailure: null,
    });
  });
});
