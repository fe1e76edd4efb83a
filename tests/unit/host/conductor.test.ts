import {
  COLOURS,
  type Act,
  type Colour,
  type ReleaseAct,
  type ReleaseIntent,
  type SiteSettings,
  type TrafficAct,
} from "../../../host/conductor/protocol";
import type { Conductor } from "../../../host/conductor/conductor";
import type { Store } from "../../../host/conductor/store";
import { encodeRoute, routeOf, type Site } from "../../../host/conductor/site";
import { dieAt, FakeHost, outline } from "./support/fake-host";
import { intentOf, released, removeDirectories, serving, SETTINGS, siteOf } from "./support/fixtures";

afterAll(removeDirectories);

const silent = (): void => undefined;
const releaseOf = (colour: Colour, version: string): ReleaseAct => ({
  act: "release",
  colour,
  release: intentOf(version),
});
const retire = (colour: Colour): ReleaseAct => ({ act: "release", colour, release: null });
const traffic = (stable: Colour, weight: number): TrafficAct => ({ act: "traffic", stable, weight });

const canary = siteOf({ blue: serving("v1"), green: serving("v2") }, { stable: "blue", weight: 25 });
const content = ({ colours, traffic: shares }: Site): unknown => ({ colours, shares });

/** Is everything on the host what the truth says? */
function expectConverged(host: FakeHost, site: Site): void {
  expect(host.route).toBe(encodeRoute(routeOf(site)));
  for (const colour of COLOURS) {
    expect(host.running[colour]).toBe(site.colours[colour].release?.intent.version ?? null);
    expect(site.colours[colour].before).toBeNull();
  }
  expect(host.violations).toEqual([]);
}

/** Lets a conductor die at its `n`th step; returns the step's name, or null where the act ended before. */
async function dieDuring(host: FakeHost, site: Site, act: Act, n: number): Promise<string | null> {
  const { conductor } = await host.become(site);
  const { hook, dead } = dieAt(n);
  host.hook = hook;
  const ended = conductor.take(act, silent).then(() => null);
  return Promise.race([ended, dead]);
}

describe("a conductor that dies", () => {
  it.each([
    ["a release on the candidate", canary, releaseOf("green", "v3")],
    ["a release on stable beside a canary", canary, releaseOf("blue", "v3")],
    ["a first release", siteOf({ blue: serving("v1") }), releaseOf("green", "v2")],
    ["a retirement", canary, retire("green")],
    ["a raise", siteOf({ blue: serving("v1"), green: released("v2") }), traffic("blue", 5)],
    ["a promotion", canary, traffic("green", 0)],
    ["a rollback", canary, traffic("blue", 0)],
  ] as const)("at any step of %s: the next one finishes it", async (_, site, act) => {
    const whole = new FakeHost();
    const undisturbed = await whole.become(site);
    await undisturbed.conductor.take(act, silent);

    const steps: string[] = [];
    for (let n = 0; ; n++) {
      const host = new FakeHost();
      const step = await dieDuring(host, site, act, n);
      host.hook = () => undefined;
      if (step === null) {
        break;
      }
      steps.push(step);
      const { conductor, store } = await host.start();
      await conductor.recover(silent);
      await conductor.take(act, silent);
      expect({ step, ...(content(store.site) as object) }).toEqual({
        step,
        ...(content(undisturbed.store.site) as object),
      });
      expectConverged(host, store.site);
      expect(store.unfinished).toBeNull();
    }
    expect(steps).toContain("begin");
    expect(steps).toContain("saved");
    expect(steps.length).toBeGreaterThanOrEqual(4);
  });

  it("finishes without anybody asking", async () => {
    const host = new FakeHost();
    expect(await dieDuring(host, canary, releaseOf("green", "v3"), 1)).toBe("prepare v3");
    host.hook = () => undefined;
    const { conductor, store } = await host.start();
    const log: string[] = [];
    await conductor.recover((line) => log.push(line));
    expect(host.running.green).toBe("v3");
    expect(log[0]).toBe("finishing the act that was under way: release green");
    expectConverged(host, store.site);
  });

  it.each(["drain green", "swap green v3", "probe green v3"])(
    "at '%s' of a release that then fails: the colour is as it was before the crash, share included",
    async (step) => {
      const host = new FakeHost();
      // By its first probe a release that is well passes before anybody looks at the clock; a sick one meets the deadline.
      const settings = { ...SETTINGS, health: { ...SETTINGS.health, passes: 1, deadlineSeconds: 0.05 } };
      const { conductor: first } = await host.become({ ...canary, settings });
      const dead = new Promise<void>((resolve) => {
        host.hook = (reached) => (reached === step ? (resolve(), new Promise(() => undefined)) : undefined);
      });
      void first.take(releaseOf("green", "v3"), silent);
      await dead;
      host.hook = () => undefined;
      host.sick.add("v3");
      const { conductor, store } = await host.start();
      await conductor.recover(silent);
      expect(content(store.site)).toEqual(content(canary));
      expectConverged(host, store.site);
    },
  );

  it("tells what it cannot finish, and goes on", async () => {
    const host = new FakeHost();
    await dieDuring(host, siteOf({ blue: serving("v1") }), releaseOf("green", "v2"), 1);
    host.hook = (step) => {
      if (step === "prepare v2") {
        throw new Error("the tag is gone");
      }
    };
    const { conductor, store } = await host.start();
    const log: string[] = [];
    await conductor.recover((line) => log.push(line));
    expect(log.at(-1)).toBe("release green: the tag is gone");
    expect(store.unfinished).toBeNull();
  });

  it("puts the route in force again, with nothing under way", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become(canary);
    host.route = "blue 0 0 0 0";
    await conductor.recover(silent);
    expect(host.route).toBe(encodeRoute(routeOf(canary)));
  });

  it("finishes what was asked for earlier before what comes in meanwhile", async () => {
    const host = new FakeHost();
    expect(await dieDuring(host, canary, traffic("blue", 50), 0)).toBe("begin");
    host.hook = () => undefined;
    const { conductor, store } = await host.start();
    const recovered = conductor.recover(silent);
    await Promise.all([recovered, conductor.take(traffic("blue", 0), silent)]);
    expect(store.site.traffic?.weight).toBe(0);
  });
});

describe("acts that meet", () => {
  it("are joined where they are the same, and both are told", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become(canary);
    const [first, second]: string[][] = [[], []];
    const results = await Promise.all([
      conductor.take(releaseOf("green", "v3"), (line) => first!.push(line)),
      conductor.take(releaseOf("green", "v3"), (line) => second!.push(line)),
    ]);
    expect(host.events.filter((event) => event === "prepare v3")).toHaveLength(1);
    expect(results[0]).toEqual(results[1]);
    expect(first).toEqual(second);
    expect(first).toContain("green: every instance passed 3 times in a row");
  });

  it("run one after the other where they differ", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    await Promise.all([
      conductor.take(releaseOf("green", "v3"), silent),
      conductor.take(traffic("blue", 50), silent),
      conductor.take(traffic("blue", 10), silent),
    ]);
    const order = host.events.filter((event) => event === "begin" || event === "end");
    expect(order).toEqual(["begin", "end", "begin", "end", "begin", "end"]);
    expect(store.site.traffic?.weight).toBe(10);
  });

  it("go on after one that failed", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(siteOf({ blue: serving("v1") }));
    const refused = conductor.take(retire("blue"), silent);
    const next = conductor.take(releaseOf("green", "v2"), silent);
    await expect(refused).rejects.toThrow("blue serves everyone");
    await expect(next).resolves.toMatchObject({ version: "v2" });
    expect(store.unfinished).toBeNull();
  });

  it("are repeated, not joined, once they have ended", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become(canary);
    await conductor.take(traffic("blue", 30), silent);
    await conductor.take(traffic("blue", 40), silent);
    await conductor.take(traffic("blue", 30), silent);
    expect(host.events.filter((event) => event === "prove traffic")).toHaveLength(3);
  });
});

describe("a release that the next plan asks for no longer", () => {
  const planOf = (green: ReleaseIntent | null): Act => ({
    act: "plan",
    releases: { blue: intentOf("v1"), green },
    traffic: { stable: "blue", weight: 0 },
  });

  /** A release of v3 on green that never ends being prepared, and one of v4 on blue behind it. */
  async function building(): Promise<{
    host: FakeHost;
    conductor: Conductor;
    store: Store;
    results: string[];
  }> {
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    const prepared = new Promise<void>((reached) => {
      host.hook = (step) => (step === "prepare v3" ? (reached(), new Promise(() => undefined)) : undefined);
    });
    const results: string[] = [];
    const tell = (act: Act): Promise<unknown> =>
      conductor.take(act, silent).catch((error: unknown) => results.push((error as Error).message));
    void tell(releaseOf("green", "v3"));
    void tell(releaseOf("blue", "v4"));
    await prepared;
    return { host, conductor, store, results };
  }

  it.each([
    ["another version", intentOf("v2"), "v2"],
    ["nothing", null, "nothing"],
    ["another make of it", { ...intentOf("v3"), environment: "other" }, "another make of it"],
  ])(
    "is given up for %s, with those that wait behind it, and what serves is as it was",
    async (_, green, name) => {
      const { host, conductor, store, results } = await building();
      const progress: string[] = [];
      await conductor.take(planOf(green), (line) => progress.push(line));
      expect(results).toEqual([
        `v3 is given up before it touched what serves: a later \`up\` asks for ${name} on green`,
        "v4 is given up before it touched what serves: a later `up` asks for v1 on blue",
      ]);
      expect(progress).toEqual(["waiting for release green, release blue"]);
      expect(content(store.site)).toEqual(content(canary));
      expect(store.unfinished).toBeNull();
      expectConverged(host, store.site);
      // What is asked for again later is made again, not joined.
      host.hook = () => undefined;
      await conductor.take(releaseOf("green", "v3"), silent);
      expect(host.running.green).toBe("v3");
    },
  );

  it("goes on where the plan still asks for it", async () => {
    const { host, conductor, results } = await building();
    const planned = conductor.take(planOf(intentOf("v3")), silent);
    // The one behind it is told at once when its turn comes, which the release of green has to end for.
    expect(await conductor.take({ act: "status" }, silent)).toMatchObject({ underWay: "release green" });
    expect(results).toEqual([]);
    expect(host.running.green).toBe("v2");
    void planned;
  });

  it("goes on where it has begun to change what runs", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become(canary);
    let goOn: () => void = silent;
    const swapping = new Promise<void>((reached) => {
      host.hook = (step) =>
        step === "swap green v3" ? (reached(), new Promise((resolve) => (goOn = resolve))) : undefined;
    });
    const release = conductor.take(releaseOf("green", "v3"), silent);
    await swapping;
    const planned = conductor.take(planOf(intentOf("v2")), silent);
    goOn();
    await expect(release).resolves.toMatchObject({ version: "v3" });
    await expect(planned).resolves.toMatchObject({
      steps: [expect.stringContaining("v3 -> v2"), expect.anything()],
    });
  });
});

describe("plan and status", () => {
  it("plan touches nothing and leaves no journal", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    const { site } = store;
    const plan: Act = {
      act: "plan",
      releases: { blue: intentOf("v1"), green: intentOf("v3") },
      traffic: { stable: "blue", weight: 25 },
    };
    expect(await conductor.take(plan, silent)).toEqual({
      steps: ["green: its users go to blue first; v2 -> v3"],
    });
    expect(host.events).toEqual([]);
    expect(store.site).toBe(site);
  });

  it("status answers while an act is under way, and names it without its content", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become(canary);
    const { hook, dead } = dieAt(1);
    host.hook = hook;
    void conductor.take(releaseOf("green", "v3"), silent);
    await dead;
    expect(await conductor.take({ act: "status" }, silent)).toMatchObject({ underWay: "release green" });
  });

  it("status never repeats the secret of a `configure` under way", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become(canary);
    const { hook, dead } = dieAt(0);
    host.hook = hook;
    void conductor.take({ act: "configure", site: SETTINGS }, silent);
    await dead;
    expect(JSON.stringify(await conductor.take({ act: "status" }, silent))).not.toContain(
      SETTINGS.testers.secret,
    );
  });
});

describe("configure", () => {
  it("is refused where a colour that runs would change its port", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    const { site } = store;
    const act: Act = { act: "configure", site: { ...SETTINGS, ports: { blue: 3001, green: 4002 } } };
    await expect(conductor.take(act, silent)).rejects.toThrow(
      "green listens on port 3002; retire green before its port is changed",
    );
    expect(store.site).toBe(site);
    expect(outline(host.events)).toEqual([]);
  });
});

describe("certify", () => {
  const settings: SiteSettings = {
    ...SETTINGS,
    domains: ["shop.example.com"],
    tls: { acme: { directory: "https://acme.test/dir", email: "", authority: null, renewBeforeDays: 30 } },
  };
  const certify: Act = { act: "certify", domains: settings.domains, tls: settings.tls };

  it("gets what the settings ask for, and the status shows it", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become({ ...canary, settings });
    await expect(conductor.take(certify, silent)).resolves.toMatchObject({
      source: "acme",
      domains: settings.domains,
    });
    await expect(conductor.take({ act: "status" }, silent)).resolves.toMatchObject({
      certificate: { source: "acme", domains: settings.domains, lastFailure: null },
      underWay: null,
    });
  });

  it("is refused where the host was configured otherwise", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become({ ...canary, settings });
    const other: Act = { ...certify, domains: ["other.example.com"] };
    await expect(conductor.take(other, silent)).rejects.toThrow("configured for other domains");
  });

  it("waits for no release, and no release for it", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become({ ...canary, settings });
    const { hook, dead } = dieAt(1);
    host.hook = hook;
    void conductor.take(releaseOf("green", "v3"), silent);
    await dead;
    await expect(conductor.take(certify, silent)).resolves.toMatchObject({ source: "acme" });
  });
});
