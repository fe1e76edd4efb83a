import { Refused } from "../../../host/conductor/faults";
import type { Act, Colour, SiteStatus } from "../../../host/conductor/protocol";
import { encodeRoute, routeOf } from "../../../host/conductor/site";
import { FakeHost } from "./support/fake-host";
import { intentOf, removeDirectories, serving, siteOf } from "./support/fixtures";

afterAll(removeDirectories);

const silent = (): void => undefined;
const canary = siteOf({ blue: serving("v1"), green: serving("v2") }, { stable: "blue", weight: 25 });
const abort: Act = { act: "abort", reason: "payments fail" };
const ack: Act = { act: "ack" };
const traffic = (stable: Colour, weight: number): Act => ({ act: "traffic", stable, weight });

it("takes everyone off the candidate, and neither share nor failover leads to it", async () => {
  const host = new FakeHost();
  const { conductor } = await host.become(canary);
  const status = (await conductor.take(abort, silent)) as SiteStatus;
  expect(status).toMatchObject({ effectiveWeight: 0, aborted: { colour: "green", reason: "payments fail" } });
  expect(host.route).toMatch(/^blue 0 \d+ 0 0 0$/);
});

it.each([
  ["the same share again", traffic("blue", 25)],
  ["more of it", traffic("blue", 50)],
  ["a promotion", traffic("green", 0)],
  [
    "the same plan again",
    {
      act: "plan",
      releases: { blue: intentOf("v1"), green: intentOf("v2") },
      traffic: { stable: "blue", weight: 25 },
    },
  ],
] as const)("refuses %s, with the reason and the way out, and stays aborted", async (_, act) => {
  const host = new FakeHost();
  const { conductor, store } = await host.become(canary);
  await conductor.take(abort, silent);
  await expect(conductor.take(act, silent)).rejects.toThrow(Refused);
  await expect(conductor.take(act, silent)).rejects.toThrow(/payments fail.*ack/);
  expect(routeOf(store.site).weight).toBe(0);
});

it.each([0, 5])("takes less of the candidate, %i percent, and stays aborted", async (weight) => {
  const host = new FakeHost();
  const { conductor, store } = await host.become(canary);
  await conductor.take(abort, silent);
  await conductor.take(traffic("blue", weight), silent);
  expect(store.site).toMatchObject({ traffic: { weight }, aborted: { colour: "green" } });
  expect(routeOf(store.site).weight).toBe(0);
});

it("outlives a new release on the colour, and a conductor that dies", async () => {
  const host = new FakeHost();
  const { conductor } = await host.become(canary);
  await conductor.take(abort, silent);
  await conductor.take({ act: "release", colour: "green", release: intentOf("v3") }, silent);
  const next = await host.start();
  await next.conductor.recover(silent);
  expect(next.store.site.aborted?.colour).toBe("green");
  expect(host.route).toBe(encodeRoute(routeOf(next.store.site)));
  expect(host.running.green).toBe("v3");
});

it("waits for no other act", async () => {
  const host = new FakeHost();
  const { conductor, store } = await host.become(canary);
  let finish = silent;
  let begun = silent;
  const prepares = new Promise<void>((resolve) => (begun = resolve));
  host.hook = (step) => {
    if (!step.startsWith("prepare")) return undefined;
    begun();
    return new Promise<void>((resolve) => (finish = resolve));
  };
  const building = conductor.take({ act: "release", colour: "green", release: intentOf("v3") }, silent);
  await prepares;
  await conductor.take(abort, silent);
  expect(routeOf(store.site).weight).toBe(0);
  finish();
  await building;
  expect(store.site.aborted?.colour).toBe("green");
});

it("is lifted by `ack`, after which the candidate gets users by the next `traffic` act and not before", async () => {
  const host = new FakeHost();
  const { conductor, store } = await host.become(canary);
  await conductor.take(abort, silent);
  await conductor.take(ack, silent);
  expect(store.site.aborted).toBeNull();
  expect(host.route).toMatch(/^blue 0 /);
  await conductor.take(traffic("blue", 25), silent);
  expect(host.route).toMatch(/^blue 2500 /);
});

it("keeps the first reason where it is sent twice, and `ack` without an abort changes nothing", async () => {
  const { conductor, store } = await new FakeHost().become(canary);
  const before = store.site;
  await conductor.take(ack, silent);
  expect(store.site).toBe(before);
  await conductor.take(abort, silent);
  await conductor.take({ act: "abort", reason: "another" }, silent);
  expect(store.site.aborted?.reason).toBe("payments fail");
});
