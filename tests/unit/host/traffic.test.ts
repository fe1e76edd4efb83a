import type { Colour, TrafficAct } from "../../../host/conductor/protocol";
import { encodeRoute, RETIRED, routeOf, type ColourState, type Site } from "../../../host/conductor/site";
import { failAt, FakeHost, outline } from "./support/fake-host";
import { released, removeDirectories, serving, siteOf } from "./support/fixtures";

afterAll(removeDirectories);

const traffic = (stable: Colour, weight: number): TrafficAct => ({ act: "traffic", stable, weight });
const silent = (): void => undefined;
const content = ({ colours, traffic: shares }: Site): unknown => ({ colours, shares });

const sick = (version: string): ColourState => serving(version, { healthy: false });
const both = siteOf({ blue: serving("v1"), green: released("v2") });
const canary = siteOf({ blue: serving("v1"), green: serving("v2") }, { stable: "blue", weight: 25 });

describe("traffic", () => {
  it("changes the truth, tells the front door, and proves it", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(both);
    const progress: string[] = [];
    const result = await conductor.take(traffic("blue", 5), (line) => progress.push(line));
    expect(host.events).toEqual(["begin", "saved", "route blue 95 green 5", "prove traffic", "end"]);
    expect(result).toEqual({
      stable: "blue",
      weight: 5,
      effectiveWeight: 5,
      serving: { blue: "v1", green: "v2" },
    });
    expect(progress).toEqual(["traffic: 95 % blue, 5 % green"]);
    expect(host.route).toBe(encodeRoute(routeOf(store.site)));
  });

  it.each([
    ["promotes and forgets the weight", canary, traffic("green", 0), { green: "v2" }],
    ["takes the candidate back", canary, traffic("blue", 0), { blue: "v1" }],
    ["gives everyone to the candidate", canary, traffic("blue", 100), { green: "v2" }],
    ["starts a site", siteOf({ green: released("v1") }, null), traffic("green", 0), { green: "v1" }],
  ] as const)("%s", async (_, site, act, serves) => {
    const host = new FakeHost();
    const { conductor } = await host.become(site);
    expect(await conductor.take(act, silent)).toMatchObject({ serving: serves, effectiveWeight: act.weight });
  });

  it("gives nobody to a candidate that is aborted while it waits its turn", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    const aborted = conductor.take({ act: "abort", reason: "payments fail" }, silent);
    await expect(conductor.take(traffic("blue", 50), silent)).rejects.toThrow(/green was aborted/);
    await aborted;
    expect(store.site.traffic).toMatchObject({ weight: 25 });
  });

  it("does nothing where all is as asked", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(both);
    await conductor.take(traffic("blue", 5), silent);
    const { generation } = store.site;
    host.events.length = 0;
    await conductor.take(traffic("blue", 5), silent);
    expect(outline(host.events)).toEqual([]);
    expect(store.site.generation).toBe(generation);
  });

  it("tells a front door again that does something else", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(both);
    await conductor.take(traffic("blue", 5), silent);
    host.route = "blue 9999 1 1 1";
    await conductor.take(traffic("blue", 5), silent);
    expect(host.route).toBe(encodeRoute(routeOf(store.site)));
  });

  it("fails where no Nginx runs, and holds from its start", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(both);
    host.route = null;
    await expect(conductor.take(traffic("blue", 5), silent)).rejects.toThrow("systemctl start nginx");
    expect(store.site.traffic?.weight).toBe(5);
  });

  it("puts the share back whose proof fails", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    const before = content(store.site);
    host.hook = failAt("prove traffic");
    await expect(conductor.take(traffic("blue", 50), silent)).rejects.toThrow(
      "prove traffic went wrong; the share that was before is back",
    );
    expect(content(store.site)).toEqual(before);
    expect(outline(host.events).at(-1)).toBe("route blue 75 green 25");
    expect(host.route).toBe(encodeRoute(routeOf(store.site)));
  });

  it("leaves a first share whose proof fails: there is none to go back to", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(siteOf({ blue: released("v1") }, null));
    host.hook = failAt("prove traffic");
    await expect(conductor.take(traffic("blue", 0), silent)).rejects.toThrow(/^prove traffic went wrong$/);
    expect(store.site.traffic).toMatchObject({ stable: "blue", weight: 0 });
  });
});

describe("a share is refused", () => {
  it.each([
    [
      "a first share, to a sick candidate",
      siteOf({ blue: serving("v1"), green: sick("v2") }),
      traffic("blue", 5),
      "green shall get 5 % and v2 on it is not healthy",
    ],
    [
      "more, to a sick candidate",
      siteOf({ blue: serving("v1"), green: sick("v2") }, { stable: "blue", weight: 5 }),
      traffic("blue", 6),
      "green shall get 6 %",
    ],
    [
      "any, to nothing",
      siteOf({ blue: serving("v1") }),
      traffic("blue", 5),
      "green shall get 5 % and it runs nothing",
    ],
    [
      "all, by a swap to a sick colour",
      siteOf({ blue: serving("v1"), green: sick("v2") }),
      traffic("green", 0),
      "green shall get 100 % and v2 on it is not healthy",
    ],
    [
      "all, by a swap to nothing",
      siteOf({ blue: serving("v1") }),
      traffic("green", 0),
      "green shall get 100 % and it runs nothing",
    ],
    [
      "the first one, of a sick release",
      siteOf({ blue: sick("v1") }, null),
      traffic("blue", 0),
      "blue shall get 100 % and v1 on it is not healthy",
    ],
    [
      "stable, without a release",
      siteOf({ green: serving("v2") }, { stable: "green", weight: 0 }),
      traffic("blue", 100),
      "blue shall be stable and runs nothing",
    ],
  ])("%s", async (_, site, act, reason) => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(site);
    const { site: before } = store;
    await expect(conductor.take(act, silent)).rejects.toThrow(reason);
    expect(store.site).toBe(before);
    expect(outline(host.events)).toEqual([]);
  });
});

describe("less of the candidate is always allowed", () => {
  it.each([
    ["healthy", serving("v1"), serving("v2")],
    ["sick candidate", serving("v1"), sick("v2")],
    ["sick stable", sick("v1"), serving("v2")],
    ["both sick", sick("v1"), sick("v2")],
    ["candidate gone", serving("v1"), RETIRED],
    ["candidate changed", serving("v1"), released("v2")],
  ])("%s", async (_, blue, green) => {
    for (const weight of [24, 1, 0]) {
      const host = new FakeHost();
      const { conductor, store } = await host.become(siteOf({ blue, green }, { stable: "blue", weight: 25 }));
      await conductor.take(traffic("blue", weight), silent);
      expect(store.site.traffic?.weight).toBe(weight);
      expect(host.route).toBe(encodeRoute(routeOf(store.site)));
    }
  });

  it("gives no share to a sick candidate by it", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become(
      siteOf({ blue: serving("v1"), green: sick("v2") }, { stable: "blue", weight: 25 }),
    );
    expect(await conductor.take(traffic("blue", 10), silent)).toMatchObject({
      effectiveWeight: 0,
      serving: { blue: "v1" },
    });
  });

  it("is no excuse for a changed candidate: its first share is put back where the proof fails", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become(
      siteOf({ blue: serving("v1"), green: released("v3") }, { stable: "blue", weight: 25 }),
    );
    host.hook = failAt("prove traffic");
    await expect(conductor.take(traffic("blue", 10), silent)).rejects.toThrow(
      "the share that was before is back",
    );
    expect(outline(host.events).at(-1)).toBe("route blue 100 green 0");
  });

  it("keeps a rollback whose proof fails: the share that was before is no better", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    host.hook = failAt("prove traffic");
    await expect(conductor.take(traffic("blue", 0), silent)).rejects.toThrow("prove traffic went wrong");
    expect(store.site.traffic?.weight).toBe(0);
  });
});
