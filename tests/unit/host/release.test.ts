import { otherColour, type Colour, type ReleaseAct } from "../../../host/conductor/protocol";
import { encodeRoute, RETIRED, routeOf, type Site } from "../../../host/conductor/site";
import { failAt, FakeHost, outline } from "./support/fake-host";
import {
  ENVIRONMENT,
  intentOf,
  released,
  removeDirectories,
  runningOf,
  serving,
  SETTINGS,
  siteOf,
} from "./support/fixtures";

afterAll(removeDirectories);

const releaseOf = (colour: Colour, version: string): ReleaseAct => ({
  act: "release",
  colour,
  release: intentOf(version),
});
const retire = (colour: Colour): ReleaseAct => ({ act: "release", colour, release: null });
const silent = (): void => undefined;
/** A truth apart from how often it was written. */
const content = ({ colours, traffic }: Site): unknown => ({ colours, traffic });

const canary = siteOf({ blue: serving("v1"), green: serving("v2") }, { stable: "blue", weight: 25 });
/**
 * A deadline that a sick release meets soon. One that is well passes by its first probe, before anybody looks at the clock: what
 * comes back in the same act is proven within the same deadline, on however slow a machine.
 */
const SHORT_HEALTH = { ...SETTINGS.health, passes: 1, deadlineSeconds: 0.1 };

describe("a release", () => {
  it("prepares, withdraws, drains, swaps and proves, in that order", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    const result = await conductor.take(releaseOf("green", "v3"), silent);
    expect(outline(host.events)).toEqual([
      "prepare v3",
      "probe blue v1",
      "route blue 100 green 0",
      "drain green",
      "probe blue v1",
      "route blue 100 green 0",
      "swap green v3",
      "probe green v3",
      "smoke green v3",
      "route blue 100 green 0",
      "prune all but /var/www/shop-v1 /var/www/shop-v3 and 3",
      `prune environments but ${ENVIRONMENT}`,
    ]);
    expect(result).toMatchObject({
      colour: "green",
      version: "v3",
      commit: "commit-of-v3",
      directory: "/var/www/shop-v3",
    });
    expect(store.site.colours.green).toEqual({ ...released("v3"), before: null });
    expect(host.violations).toEqual([]);
  });

  it("takes a stable colour's users to an admitted candidate first", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become(canary);
    await conductor.take(releaseOf("blue", "v3"), silent);
    expect(outline(host.events).slice(0, 4)).toEqual([
      "prepare v3",
      "probe green v2",
      "route blue 0 green 100",
      "drain blue",
    ]);
    expect(host.violations).toEqual([]);
    expect(host.running).toEqual({ blue: "v3", green: "v2" });
  });

  describe("sends no users to a colour that died a moment ago, though it still counts as healthy", () => {
    it("waits until it answers again", async () => {
      const host = new FakeHost();
      const { conductor } = await host.become(canary);
      host.running.blue = null;
      let blueAtTheRoute: string | null = null;
      host.hook = (step) => {
        if (step === "route blue 100 green 0") blueAtTheRoute ??= host.running.blue ?? "nothing";
        // Back by the third time.
        if (host.events.filter((event) => event === "probe blue v1").length > 2) host.running.blue = "v1";
      };
      await conductor.take(releaseOf("green", "v3"), silent);
      expect(host.running).toEqual({ blue: "v1", green: "v3" });
      expect(blueAtTheRoute).toBe("v1");
    });

    it.each([releaseOf("green", "v3"), retire("green")])(
      "refuses where it does not come back",
      async (act) => {
        const host = new FakeHost();
        const { conductor, store } = await host.become({
          ...canary,
          settings: { ...SETTINGS, health: SHORT_HEALTH },
        });
        const before = content(store.site);
        host.running.blue = null;
        await expect(conductor.take(act, silent)).rejects.toThrow(
          /^green serves users, and blue does not answer/,
        );
        expect(content(store.site)).toEqual(before);
        expect(host.running.green).toBe("v2");
        expect(host.events.filter((event) => event.startsWith("route"))).toEqual([]);
      },
    );

    it("gives them back where it dies while they are on their way", async () => {
      const host = new FakeHost();
      const { conductor, store } = await host.become(canary);
      const before = content(store.site);
      host.hook = (step) => {
        if (step === "drain green") host.running.blue = null;
      };
      await expect(conductor.take(releaseOf("green", "v3"), silent)).rejects.toThrow(
        /^blue took the users of green over, and does not answer now: .*; green runs v2, as before$/,
      );
      expect(content(store.site)).toEqual(before);
      expect(host.events).not.toContain("swap green v3");
    });
  });

  it("waits until requests under way have ended", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become(canary);
    host.inFlight.green = 3;
    host.hook = (step) => {
      host.inFlight.green -= step === "drain green" ? 1 : 0;
    };
    await conductor.take(releaseOf("green", "v3"), silent);
    expect(host.events.filter((event) => event === "drain green")).toHaveLength(3);
    expect(host.violations).toEqual([]);
  });

  it("goes on after drainSeconds where requests do not end, and says so", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become({ ...canary, settings: { ...SETTINGS, drainSeconds: 0.1 } });
    host.inFlight.green = 1;
    const progress: string[] = [];
    await conductor.take(releaseOf("green", "v3"), (line) => progress.push(line));
    expect(progress).toContain("green: closing 1 still open after 0.1 s");
    expect(host.running.green).toBe("v3");
  });

  it("needs no front door that answers", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become(canary);
    host.route = null;
    host.inFlight.green = 1;
    await conductor.take(releaseOf("green", "v3"), silent);
    expect(host.running.green).toBe("v3");
  });

  it("leaves a colour alone that runs it, well", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    const before = store.site;
    await conductor.take(releaseOf("green", "v2"), silent);
    expect(outline(host.events)).toEqual([]);
    expect(store.site).toBe(before);
  });

  it("starts a colour that runs it and is down, without a build", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(
      siteOf(
        { blue: serving("v1"), green: serving("v2", { healthy: false }) },
        { stable: "blue", weight: 25 },
      ),
    );
    host.running.green = null;
    await conductor.take(releaseOf("green", "v2"), silent);
    expect(outline(host.events).slice(0, 2)).toEqual(["ensure green v2", "probe green v2"]);
    expect(routeOf(store.site).weight).toBe(25);
  });

  it.each([true, false])("builds a directory again that is gone, healthy: %s", async (healthy) => {
    const host = new FakeHost();
    const { conductor } = await host.become({
      ...canary,
      colours: { ...canary.colours, green: serving("v2", { healthy }) },
    });
    host.gone.add("/var/www/shop-v2");
    await conductor.take(releaseOf("green", "v2"), silent);
    const steps = outline(host.events);
    expect(steps[0]).toBe("rebuild v2");
    expect(steps.includes("ensure green v2")).toBe(!healthy);
    expect(steps).not.toContain("swap green v2");
  });

  it("is a new one where anything of the intent is new, and nobody is on the colour", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become(siteOf({ blue: serving("v1"), green: serving("v2") }));
    await conductor.take({ ...releaseOf("green", "v2"), release: intentOf("v2", { args: ["--x"] }) }, silent);
    expect(outline(host.events)).toContain("swap green v2");
  });

  it.each([
    [
      "it runs nothing",
      RETIRED,
      "blue serves everyone, and green cannot take them over (it runs nothing); put the new version on green",
    ],
    ["it is sick", serving("v2", { healthy: false }), "(it is not healthy)"],
    ["it only serves testers", serving("v2"), "(it never had a share)"],
    ["it was changed", released("v2"), "(it was changed since traffic was set)"],
  ])(
    "is refused on the colour that serves everyone while the other cannot take over: %s",
    async (_, green, reason) => {
      const host = new FakeHost();
      const { conductor, store } = await host.become(siteOf({ blue: serving("v1"), green }));
      const before = store.site;
      await expect(conductor.take(releaseOf("blue", "v3"), silent)).rejects.toThrow(reason);
      expect(outline(host.events)).toEqual([]);
      expect(store.site).toBe(before);
    },
  );

  it("is refused where the other colour fell sick during the build", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    host.hook = async (step) => {
      if (step === "prepare v3") {
        await store.update((site) => ({
          ...site,
          colours: { ...site.colours, blue: { ...site.colours.blue, healthy: false } },
        }));
      }
    };
    await expect(conductor.take(releaseOf("green", "v3"), silent)).rejects.toThrow(
      "blue cannot take them over",
    );
    expect(host.running.green).toBe("v2");
  });
});

describe("a release that fails", () => {
  const stepsThatFail = ["prepare v3", "route blue 100 green 0", "swap green v3"];

  it.each(stepsThatFail)("at '%s' leaves the colour as it was, share included", async (step) => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    const before = content(store.site);
    host.hook = failAt(step);
    await expect(conductor.take(releaseOf("green", "v3"), silent)).rejects.toThrow(`${step} went wrong`);
    expect(content(store.site)).toEqual(before);
    expect(host.running).toEqual({ blue: "v1", green: "v2" });
    expect(host.route).toBe(encodeRoute(routeOf(store.site)));
    expect(host.violations).toEqual([]);
    expect(store.unfinished).toBeNull();
  });

  it.each([
    ["once: it goes on", 1, "v3"],
    ["at all: it leaves the colour as it was", Infinity, "v2"],
  ])("to hear from the front door what is under way, %s", async (_, times, runs) => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    let failed = 0;
    host.hook = (step) => {
      if (step === "drain green" && failed++ < times) throw new Error("no answer within 2000 ms");
    };
    const released = conductor.take(releaseOf("green", "v3"), silent);
    if (runs === "v3") await released;
    else await expect(released).rejects.toThrow("no answer within 2000 ms");
    expect(host.running).toEqual({ blue: "v1", green: runs });
    expect(host.violations).toEqual([]);
    expect(store.unfinished).toBeNull();
  });

  it("because its users came back while it was drained leaves them on what they had", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become(canary);
    host.hook = async (step) => {
      if (step === "drain blue") await conductor.take({ act: "abort", reason: "green is wrong" }, silent);
    };
    await expect(conductor.take(releaseOf("blue", "v3"), silent)).rejects.toThrow(
      "blue got its users back while it was drained",
    );
    expect(host.running).toEqual({ blue: "v1", green: "v2" });
    expect(host.violations).toEqual([]);
  });

  it("to become healthy is taken back, and says what was wrong", async () => {
    const host = new FakeHost();
    const settings = { ...SETTINGS, health: SHORT_HEALTH };
    const { conductor, store } = await host.become({ ...canary, settings });
    const before = content(store.site);
    host.sick.add("v3");
    await expect(conductor.take(releaseOf("green", "v3"), silent)).rejects.toThrow(
      /^v3 on green did not become healthy within 0.1 s; last: instance 0 runs v3\nIts error log says nothing\.\nWay out: correct the release.*\ngreen runs v2, as before$/,
    );
    expect(content(store.site)).toEqual(before);
    expect(host.running.green).toBe("v2");
    expect(host.route).toBe(encodeRoute(routeOf(store.site)));
  });

  it("tells the last lines of its error log, and a port that is taken by its number", async () => {
    const host = new FakeHost();
    const settings = { ...SETTINGS, health: SHORT_HEALTH };
    const { conductor } = await host.become({ ...canary, settings });
    host.sick.add("v3");
    host.errors.green.push("Error: listen EADDRINUSE: address already in use 127.0.0.1:3002");
    await expect(conductor.take(releaseOf("green", "v3"), silent)).rejects.toThrow(
      /last lines of its error log:\n {2}Error: listen EADDRINUSE.*\nWay out: port 3002 is taken/,
    );
  });

  it("its smoke tests is taken back before any user meets it", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    const before = content(store.site);
    host.smoking.add("v3");
    await expect(conductor.take(releaseOf("green", "v3"), silent)).rejects.toThrow(
      /^v3 on green failed 1 of 1 smoke tests:\n {2}home: GET \/ answered\n.*\nWay out: .*application\.smokeTests.*\ngreen runs v2, as before$/s,
    );
    expect(content(store.site)).toEqual(before);
    expect(host.running.green).toBe("v2");
    // What comes back was proven before: new smoke tests may ask for what it does not do.
    expect(host.events).not.toContain("smoke green v2");
  });

  it("on a colour that ran nothing leaves it so", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(siteOf({ blue: serving("v1") }));
    host.hook = failAt("swap green v3");
    await expect(conductor.take(releaseOf("green", "v3"), silent)).rejects.toThrow(
      "green runs nothing, as before",
    );
    expect(store.site.colours.green).toEqual(RETIRED);
    expect(host.running.green).toBeNull();
  });

  it("where the old one does not come back either: no share, watched again, and told", async () => {
    const host = new FakeHost();
    const settings = { ...SETTINGS, health: SHORT_HEALTH };
    const { conductor, store } = await host.become({ ...canary, settings });
    host.sick.add("v3").add("v2");
    await expect(conductor.take(releaseOf("green", "v3"), silent)).rejects.toThrow(
      /v2 did not come back on green/,
    );
    expect(routeOf(store.site)).toMatchObject({ weight: 0, failsOver: { blue: false, green: false } });
    // `before` set would keep the health watch from giving the share back once v2 is well.
    expect(store.site.colours.green).toEqual(serving("v2", { healthy: false }));
  });

  it("may be sent again, and then passes", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    host.hook = failAt("swap green v3");
    await expect(conductor.take(releaseOf("green", "v3"), silent)).rejects.toThrow("went wrong");
    await conductor.take(releaseOf("green", "v3"), silent);
    expect(store.site.colours.green).toEqual(released("v3"));
    expect(host.running.green).toBe("v3");
  });
});

describe("retire", () => {
  it("withdraws, drains, stops and forgets", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    const result = await conductor.take(retire("green"), silent);
    const steps = outline(host.events);
    expect(steps.slice(0, 3)).toEqual(["probe blue v1", "route blue 100 green 0", "drain green"]);
    expect(steps).toContain("stop green");
    expect(steps).toContain("prune all but /var/www/shop-v1 and 3");
    expect(result).toEqual({
      ...{ colour: "green", version: null, commit: null, directory: null },
      ...{ environment: null, pending: false },
    });
    expect(store.site.colours.green).toEqual(RETIRED);
    expect(host.violations).toEqual([]);
  });

  it("touches nothing where nothing runs", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become(siteOf({ blue: serving("v1") }));
    await conductor.take(retire("green"), silent);
    expect(outline(host.events)).toEqual([]);
  });

  it.each<Colour>(["blue", "green"])("is refused for %s while it serves everyone", async (colour) => {
    const host = new FakeHost();
    const site = siteOf(
      { [colour]: serving("v1"), [otherColour(colour)]: released("v2") },
      { stable: colour, weight: 0 },
    );
    const { conductor } = await host.become(site);
    await expect(conductor.take(retire(colour), silent)).rejects.toThrow(`${colour} serves everyone`);
    expect(host.running[colour]).toBe("v1");
  });
});

it("is refused by a host that has no settings", async () => {
  const { conductor } = await new FakeHost().start();
  await expect(conductor.take(releaseOf("blue", "v1"), silent)).rejects.toThrow("send `configure` first");
});

it("starts with the instances of the settings, and keeps those of what runs", async () => {
  const host = new FakeHost();
  const { conductor, store } = await host.become({ ...canary, settings: { ...SETTINGS, instances: 4 } });
  await conductor.take(releaseOf("green", "v3"), silent);
  expect(store.site.colours.green.release?.instances).toBe(4);
  expect(store.site.colours.blue.release?.instances).toBe(runningOf("v1").instances);
});
