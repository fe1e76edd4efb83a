import {
  notCovered,
  readPair,
  renewalDue,
  type CertificateFacts,
} from "../../../host/conductor/certificates/certificate";
import { makePair } from "./support/fake-certificates";

const DAY_MS = 24 * 3600 * 1000;
const FROM = new Date("2026-01-01T00:00:00Z");

describe("a pair", () => {
  it("says whose it is, who issued it, and for how long", async () => {
    const pair = await makePair(["a.test", "*.b.test"], { from: FROM, days: 10, issuer: "Some CA" });
    expect(readPair(pair)).toEqual({
      domains: ["a.test", "*.b.test"],
      issuer: "Some CA",
      notBefore: FROM,
      notAfter: new Date(FROM.getTime() + 10 * DAY_MS),
      fingerprint: expect.stringMatching(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/),
    });
  });

  it("is none where certificate and key are of two pairs", async () => {
    const [one, other] = await Promise.all([makePair(["a.test"]), makePair(["a.test"])]);
    expect(() => readPair({ chain: one.chain, key: other.key })).toThrow("do not belong together");
  });

  it.each([
    ["no certificate", { chain: "hello" }, "the certificate is not in PEM"],
    ["an empty certificate", { chain: "" }, "the certificate is not in PEM"],
    ["no key", { key: "hello" }, "the private key is not in PEM"],
  ])("is none with %s", async (_, change, fault) => {
    const pair = await makePair(["a.test"]);
    expect(() => readPair({ ...pair, ...change })).toThrow(fault);
  });

  it("keeps its key to itself in every message", async () => {
    const { chain, key } = await makePair(["a.test"]);
    const cut = key.slice(0, 90);
    let message = "";
    try {
      readPair({ chain, key: cut });
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).not.toBe("");
    expect(message).not.toContain(cut.split("\n")[1]!.slice(0, 12));
  });
});

const facts = (domains: readonly string[], days = 90): CertificateFacts => ({
  domains,
  issuer: "x",
  notBefore: FROM,
  notAfter: new Date(FROM.getTime() + days * DAY_MS),
  fingerprint: "x",
});

describe("domains", () => {
  it.each([
    [["a.test"], ["a.test"], []],
    [["a.test", "b.test"], ["b.test"], []],
    [["a.test"], ["a.test", "b.test"], ["b.test"]],
    [["*.a.test"], ["x.a.test", "a.test", "y.x.a.test"], ["a.test", "y.x.a.test"]],
    [["*.a.test"], ["*.a.test"], []],
    [["x.a.test"], ["*.a.test"], ["*.a.test"]],
    [[], ["a.test"], ["a.test"]],
  ])("held %j, asked for %j: not covered %j", (held, asked, missing) => {
    expect(notCovered(facts(held), asked)).toEqual(missing);
  });
});

describe("renewal", () => {
  it.each([
    // life and renewBeforeDays, day of its life
    [90, 30, 60],
    [90, 40, 50],
    [90, 10, 60],
    [90, 365, 45],
    [45, 30, 22.5],
    [6, 30, 3],
    [6, 1, 4],
  ])("of one that lives for %d days, %d days before its end: on day %d", (life, before, day) => {
    expect(renewalDue(facts([], life), before).getTime() - FROM.getTime()).toBe(day * DAY_MS);
  });
});
