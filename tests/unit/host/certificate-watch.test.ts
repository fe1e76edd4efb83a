import { EventEmitter, once } from "node:events";
import { CertificateKeeper } from "../../../host/conductor/certificates/keeper";
import { CertificateWatch, retryAfter } from "../../../host/conductor/certificates/watch";
import type { SiteSettings } from "../../../host/conductor/protocol";
import { FakeCertificateHost } from "./support/fake-certificates";
import { pathsUnder, removeDirectories, SETTINGS, siteOf, temporaryDirectory } from "./support/fixtures";

afterAll(removeDirectories);

const HOUR_MS = 3600 * 1000;
const DAY_MS = 24 * HOUR_MS;
const ACME: SiteSettings = {
  ...SETTINGS,
  domains: ["a.test"],
  tls: { acme: { directory: "https://acme.test/dir", email: "", authority: null, renewBeforeDays: 30 } },
};

let host: FakeCertificateHost;
let keeper: CertificateKeeper;
let log: string[];

beforeEach(() => {
  const paths = pathsUnder(temporaryDirectory());
  host = new FakeCertificateHost(paths.certificates);
  host.time = new Date(Math.floor(Date.now() / 1000) * 1000);
  keeper = new CertificateKeeper(host, paths);
  log = [];
});

const watch = (settings: SiteSettings | null, random = 0.5): CertificateWatch =>
  new CertificateWatch(
    keeper,
    { site: { ...siteOf({}), settings } },
    (line) => log.push(line),
    host.now,
    () => random,
  );

/** Lets the watch look as often as it wants to until `until` of its time has passed; returns the moments, from 0. */
async function looksUntil(watched: CertificateWatch, until: number): Promise<number[]> {
  const start = host.time.getTime();
  const looks: number[] = [];
  while (host.time.getTime() - start < until) {
    looks.push(host.time.getTime() - start);
    host.time = new Date(host.time.getTime() + Math.ceil(await watched.look()));
  }
  return looks;
}

it.each([
  ["a site without settings", null],
  ["a certificate in files", SETTINGS],
])("leaves %s alone", async (_, settings) => {
  expect(await watch(settings).look()).toBe(HOUR_MS);
  expect(host.orders).toEqual([]);
});

it("gets what an `up` that died did not get", async () => {
  await keeper.prepare(ACME, null);
  await watch(ACME).look();
  expect((await keeper.status(ACME)).source).toBe("acme");
  expect(log).toContain("certificate: ordered");
});

it("wakes up for what an act got: it may be due sooner than the next look", async () => {
  await keeper.prepare(ACME, null);
  const pauses: number[] = [];
  const slept = new EventEmitter();
  const paused = once(slept, "pause");
  void watch(null).run((milliseconds) => {
    pauses.push(milliseconds);
    slept.emit("pause");
    return new Promise(() => undefined);
  });
  await paused;
  const pausedAgain = once(slept, "pause");
  await keeper.certify(ACME, () => undefined);
  await pausedAgain;
  expect(pauses).toEqual([HOUR_MS, HOUR_MS]);
});

it("looks once an hour, and renews when it is due", async () => {
  const looks = await looksUntil(watch(ACME), 61 * DAY_MS);
  expect(host.orders).toHaveLength(2);
  expect(looks.slice(0, 3)).toEqual([0, HOUR_MS, 2 * HOUR_MS]);
  expect(looks).toContain(60 * DAY_MS);
});

it("looks sooner where a certificate lives for less than an hour, and never without a pause", async () => {
  host.days = 1 / 1440;
  const looks = await looksUntil(watch(ACME), 10 * 60_000);
  expect(host.orders).toHaveLength(20);
  expect(looks.slice(0, 3)).toEqual([0, 30_000, 60_000]);
});

it.each([
  [0, 0.9],
  [0.999, 1.0998],
])("spreads its looks: %d", async (random, share) => {
  expect(await watch(ACME, random).look()).toBeCloseTo(HOUR_MS * share, 3);
});

it("rests longer after each failure, and asks no server while it rests", async () => {
  host.refusal = "a limit was reached";
  await looksUntil(watch(ACME), DAY_MS);
  // After 0, 10, 30, 70, 150, 310 minutes, and then every six hours at most.
  expect(host.orders.length).toBeGreaterThanOrEqual(7);
  expect(host.orders.length).toBeLessThanOrEqual(9);
  expect(log.at(-1)).toContain("a limit was reached");
});

it("rests over a crash, too", async () => {
  host.refusal = "a limit was reached";
  await watch(ACME).look();
  host.refusal = null;
  await watch(ACME).look();
  expect(host.orders).toHaveLength(1);
  host.time = new Date(host.time.getTime() + retryAfter(1));
  await watch(ACME).look();
  expect(host.orders).toHaveLength(2);
  expect(await keeper.failure()).toBeNull();
});

it.each([
  [1, 10],
  [2, 20],
  [3, 40],
  [6, 320],
  [7, 360],
  [1000, 360],
])("after %d failures: %d minutes", (tries, minutes) => {
  expect(retryAfter(tries)).toBe(minutes * 60_000);
});
