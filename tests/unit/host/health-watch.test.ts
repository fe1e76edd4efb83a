import {
  addProbe,
  HealthWatch,
  judgeHealth,
  NO_STREAK,
  type Streak,
} from "../../../host/conductor/processes/health-watch";
import type { Prober } from "../../../host/conductor/processes/prober";
import type { Colour } from "../../../host/conductor/protocol";
import { encodeRoute, routeOf, withColour, type Site } from "../../../host/conductor/site";
import { FakeHost } from "./support/fake-host";
import { released, removeDirectories, runningOf, serving, SETTINGS, siteOf } from "./support/fixtures";

afterAll(removeDirectories);

const LIMITS = { passes: 3, failures: 2 };

/** The health after each probe, `+` passed and `-` failed, from `healthy` on. */
function course(healthy: boolean, probes: string, startingUp = false): string {
  let streak: Streak = NO_STREAK;
  let now = healthy;
  return Array.from(probes)
    .map((probe) => {
      streak = addProbe(streak, probe === "+");
      now = judgeHealth(now, streak, LIMITS, startingUp);
      return now ? "h" : "s";
    })
    .join("");
}

describe("health", () => {
  it.each([
    // before, probes, health after each
    ["sick", "+++", "ssh"],
    ["sick", "++-+++", "sssssh"],
    ["sick", "+-+-+-+-", "ssssssss"],
    ["healthy", "+++", "hhh"],
    ["healthy", "+-+", "hhh"],
    ["healthy", "+--", "hhs"],
    ["healthy", "+-+-+-", "hhhhhh"],
    ["healthy", "+--+++", "hhsssh"],
    ["healthy", "--", "hs"],
  ])("%s, then %s: %s", (before, probes, after) => {
    expect(course(before === "healthy", probes)).toBe(after);
  });

  it("gives a colour time to start that was not seen well yet, and not one that was", () => {
    expect(course(true, "------", true)).toBe("hhhhhh");
    expect(course(true, "---+--", true)).toBe("hhhhhs");
    expect(course(false, "------", true)).toBe("ssssss");
  });
});

/** A prober that says what `faults` holds. */
function proberOf(faults: Partial<Record<Colour, string>>): Prober {
  return { probe: (colour) => Promise.resolve(faults[colour] ?? null) };
}

const canary = siteOf({ blue: serving("v1"), green: serving("v2") }, { stable: "blue", weight: 25 });
/** A watch that began longer ago than any colour needs to start. */
const watching = (site: Site): Site => ({
  ...site,
  settings: { ...SETTINGS, health: { ...SETTINGS.health, deadlineSeconds: 0 } },
});

async function watch(site: Site, faults: Partial<Record<Colour, string>>) {
  const host = new FakeHost();
  const { store } = await host.become(site);
  const log: string[] = [];
  const watcher = new HealthWatch(store, host.frontDoor, proberOf(faults), (line) => log.push(line));
  const probe = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) {
      await Promise.all([watcher.step("blue"), watcher.step("green")]);
    }
  };
  return { host, store, log, watcher, probe };
}

describe("the watch", () => {
  it("takes the share of a colour that falls sick, and gives it back when it is well", async () => {
    const faults: Partial<Record<Colour, string>> = {};
    const { host, store, log, probe } = await watch(watching(canary), faults);
    await probe(3);
    expect(host.events).toEqual([]);
    faults.green = "instance 1 does not answer";
    await probe(1);
    expect(routeOf(store.site).weight).toBe(25);
    await probe(1);
    expect(host.events).toEqual(["saved", "route blue 100 green 0"]);
    expect(log).toEqual(["green is not healthy: instance 1 does not answer"]);
    delete faults.green;
    await probe(3);
    expect(routeOf(store.site).weight).toBe(25);
    expect(host.events.at(-1)).toBe("route blue 75 green 25");
    expect(log.at(-1)).toBe("green is healthy");
  });

  it("tells a front door again that did not take the route, and goes on", async () => {
    const { host, store, log, probe } = await watch(watching(canary), { green: "gone" });
    let fails = true;
    host.hook = (step) => {
      if (fails && step.startsWith("route")) throw new Error("no answer");
    };
    await probe(4);
    expect(log).toEqual(["green is not healthy: gone", "the front door does not take the route: no answer"]);
    fails = false;
    await probe(1);
    expect(host.route).toBe(encodeRoute(routeOf(store.site)));
    const { length } = host.events;
    await probe(1);
    expect(host.events).toHaveLength(length);
  });

  it("takes a sick stable's users to the candidate that has a share", async () => {
    const { host, probe } = await watch(watching(canary), { blue: "gone" });
    await probe(2);
    expect(host.events.at(-1)).toBe("route blue 0 green 100");
  });

  it("gives nothing to a testers' release by it", async () => {
    const { store, probe } = await watch(watching(siteOf({ blue: serving("v1"), green: released("v2") })), {
      blue: "gone",
    });
    await probe(3);
    expect(routeOf(store.site)).toMatchObject({ weight: 0, failsOver: { blue: false, green: false } });
  });

  it("leaves a colour to the act that changes it, and begins to count when that has ended", async () => {
    const host = new FakeHost();
    const changing = { ...serving("v2"), withdrawn: true, before: serving("v1") };
    const { store } = await host.become(watching(siteOf({ green: changing })));
    const probe = jest.fn(() => Promise.resolve("starting"));
    const watcher = new HealthWatch(store, host.frontDoor, { probe }, () => undefined);
    await watcher.step("green");
    expect(probe).not.toHaveBeenCalled();
    expect(store.site.colours.green).toEqual(changing);
    await store.update((site) => withColour(site, "green", { before: null }));
    await watcher.step("green");
    expect(store.site.colours.green.healthy).toBe(true);
    await watcher.step("green");
    expect(store.site.colours.green.healthy).toBe(false);
  });

  it("holds no probe against a release that came while it was under way", async () => {
    const host = new FakeHost();
    const { store } = await host.become(watching(siteOf({ blue: serving("v1") })));
    let probes = 0;
    const prober: Prober = {
      probe: async () => {
        if (++probes === 2) {
          await store.update((site) => withColour(site, "blue", { release: runningOf("v2") }));
        }
        return "about v1";
      },
    };
    const watcher = new HealthWatch(store, host.frontDoor, prober, () => undefined);
    await watcher.step("blue");
    await watcher.step("blue");
    expect(store.site.colours.blue).toMatchObject({ healthy: true, release: { intent: { version: "v2" } } });
  });

  it("probes nothing that does not run, on a host without settings neither", async () => {
    const probe = jest.fn<Promise<string | null>, []>();
    const host = new FakeHost();
    const { store } = await host.start();
    const watcher = new HealthWatch(store, host.frontDoor, { probe }, () => undefined);
    await watcher.step("blue");
    await store.update(() => siteOf({ green: serving("v1") }));
    await watcher.step("blue");
    expect(probe).not.toHaveBeenCalled();
  });

  it("goes on until it is stopped, at the settings' interval", async () => {
    const { watcher, host } = await watch(watching(canary), { green: "gone" });
    const pauses: number[] = [];
    await watcher.run((milliseconds) => {
      pauses.push(milliseconds);
      if (pauses.length === 4) {
        watcher.stop();
      }
      return Promise.resolve();
    });
    expect(pauses).toEqual([10, 10, 10, 10]);
    expect(host.events).toContain("route blue 100 green 0");
  });
});
