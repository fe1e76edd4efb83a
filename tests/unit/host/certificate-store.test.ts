import { readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readPair } from "../../../host/conductor/certificates/certificate";
import {
  CertificateStore,
  currentFiles,
  readPairIn,
  writePair,
  type Origin,
} from "../../../host/conductor/certificates/store";
import { makePair } from "./support/fake-certificates";
import { removeDirectories, temporaryDirectory } from "./support/fixtures";

afterAll(removeDirectories);

const ACME: Origin = { source: "acme", directory: "https://acme.test/dir" };
let directory: string;
let store: CertificateStore;

beforeEach(() => {
  directory = join(temporaryDirectory(), "certificates");
  store = new CertificateStore(directory);
});

/** Puts a new pair in force; returns its SHA-256 and the way back. */
async function adopt(): Promise<{ fingerprint: string; back: (() => Promise<void>) | null }> {
  const pair = await makePair(["a.test"]);
  const made = await store.begin();
  await writePair(made, pair);
  return { fingerprint: readPair(pair).fingerprint, back: await store.adopt(made, ACME) };
}

/** SHA-256 of the pair that Nginx would read; throws where certificate and key do not fit. */
const inForce = async (): Promise<string> =>
  readPair((await readPairIn(currentFiles(directory)))!).fingerprint;

it("has none at first", async () => {
  expect(await store.current()).toBeNull();
});

it("remembers where the one in force came from", async () => {
  const { fingerprint } = await adopt();
  expect(await new CertificateStore(directory).current()).toMatchObject({
    origin: ACME,
    facts: { fingerprint },
  });
});

it("is root's alone, keys among it", async () => {
  await adopt();
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  expect(statSync(currentFiles(directory).key).mode & 0o777).toBe(0o600);
});

it("goes back to the one before", async () => {
  const first = await adopt();
  const second = await adopt();
  expect(await inForce()).toBe(second.fingerprint);
  expect(first.back).toBeNull();
  await second.back!();
  expect(await inForce()).toBe(first.fingerprint);
});

it("keeps the last two, and an order that is under way", async () => {
  for (let round = 0; round < 4; round++) {
    await adopt();
  }
  const order = await store.begin();
  const first = await store.beginFirst();
  await writePair(first, await makePair(["a.test"]));
  await store.adopt(first, { source: "placeholder", directory: null });
  const directories = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(directories).toHaveLength(3);
  expect(statSync(order).isDirectory()).toBe(true);
});

it("switches by one link, so that no moment has a certificate with another one's key", async () => {
  await adopt();
  const before = readlinkSync(join(directory, "current"));
  await adopt();
  expect(readlinkSync(join(directory, "current"))).not.toBe(before);
  expect(before).not.toContain("/");
});

it("leaves the one in force where what came is no pair", async () => {
  const { fingerprint } = await adopt();
  const made = await store.begin();
  await writePair(made, { chain: (await makePair(["a.test"])).chain, key: (await makePair(["a.test"])).key });
  await expect(store.adopt(made, ACME)).rejects.toThrow("do not belong together");
  expect(await inForce()).toBe(fingerprint);
});

it("begins an order with an empty directory, whatever the last one left", async () => {
  writeFileSync(join(await store.begin(), "order.json"), "{}");
  expect(readdirSync(await store.begin())).toEqual([]);
});

it("takes what is damaged for none", async () => {
  await adopt();
  writeFileSync(currentFiles(directory).certificate, "");
  expect(await store.current()).toBeNull();
  rmSync(currentFiles(directory).certificate);
  expect(await store.current()).toBeNull();
});

it("keeps how the last try failed, and forgets it", async () => {
  expect(await store.failure()).toBeNull();
  await store.keepFailure(null);
  const failure = { at: "2026-01-01T00:00:00.000Z", reason: "no", tries: 2 };
  await store.keepFailure(failure);
  expect(await new CertificateStore(directory).failure()).toEqual(failure);
  await store.keepFailure(null);
  expect(await store.failure()).toBeNull();
});
