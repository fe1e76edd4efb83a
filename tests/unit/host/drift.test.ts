import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspectorOf, SITE_PARTS, type HostView, type SitePart } from "../../../host/conductor/drift/drift";
import {
  fileDrift,
  findFile,
  type FoundFile,
  type KeptFile,
  markOf,
  sha256,
} from "../../../host/conductor/drift/kept-file";
import type { Instance } from "../../../host/conductor/processes/pm2";
import type { Colour, DriftResult } from "../../../host/conductor/protocol";
import { encodeRoute, routeOf, type Site } from "../../../host/conductor/site";
import { FakeHost } from "./support/fake-host";
import {
  desiredOf,
  intentOf,
  removeDirectories,
  serving,
  siteOf,
  temporaryDirectory,
} from "./support/fixtures";

afterAll(removeDirectories);

const OWNER = process.getuid!();
const ENVIRONMENT_OWNER = 33;
const ENVIRONMENT_FILE = "/var/lib/shop/environments/9f3c.json";
const canary: Site = {
  ...siteOf({ blue: serving("v1"), green: serving("v2") }, { stable: "blue", weight: 25 }),
  environment: "9f3c",
};

/** A host on which everything is as the truth says, held in fields that a test changes. */
class Host {
  readonly files = new Map<string, FoundFile>();
  readonly present = new Set<string>();
  readonly running = new Set<Colour>();
  readonly listening = new Set<string>();
  pm2: Instance[] | null = null;
  served: string | null = "c0ffee";
  route: string | null;
  pm2Questions = 0;

  constructor(readonly site: Site) {
    this.route = encodeRoute(routeOf(site));
    for (const { path, text, mode } of this.kept()) {
      this.files.set(path, { text, mode, owner: OWNER });
    }
    this.files.set(ENVIRONMENT_FILE, { text: "{}", mode: 0o600, owner: ENVIRONMENT_OWNER });
    for (const colour of ["blue", "green"] as const) {
      const { release } = site.colours[colour];
      if (release !== null) {
        this.running.add(colour);
        this.present.add(release.directory).add(join(release.directory, release.intent.script));
        Array.from({ length: release.instances }, (_, number) => this.listening.add(`${colour} ${number}`));
      }
    }
  }

  private kept(): KeptFile[] {
    const colours = ["blue", "green"] as const;
    return [
      { path: "/etc/nginx/nginx.conf", text: "main", mode: 0o644 },
      { path: "/etc/nginx/conf.d/shop.conf", text: "secret site", mode: 0o600 },
      { path: "/etc/nginx/shop/page.html", text: "page", mode: 0o644 },
      { path: "/etc/nginx/shop/traffic-fallback", text: "route", mode: 0o644 },
      ...colours.map((colour) => ({ path: `/pm2/${colour}.json`, text: colour, mode: 0o644 })),
    ];
  }

  find(part: SitePart): Promise<string | null> {
    const kept = new Map(this.kept().map((file) => [file.path, file]));
    const file = (path: string): KeptFile => kept.get(path)!;
    const view: HostView = {
      nginxFiles: ({ settings }) =>
        Promise.resolve(
          settings === null
            ? null
            : {
                main: file("/etc/nginx/nginx.conf"),
                site: file("/etc/nginx/conf.d/shop.conf"),
                beside: [file("/etc/nginx/shop/page.html")],
                hash: "c0ffee",
              },
        ),
      routeFile: ({ traffic }) =>
        traffic === null ? null : markOf(file("/etc/nginx/shop/traffic-fallback")),
      environmentFile: ({ environment }) =>
        environment === null
          ? null
          : { path: ENVIRONMENT_FILE, sha256: sha256("{}"), mode: 0o600, owner: ENVIRONMENT_OWNER },
      ecosystemFile: (_site, colour) => markOf(file(`/pm2/${colour}.json`)),
      file: (path) => Promise.resolve(this.files.get(path) ?? null),
      exists: (path) => Promise.resolve(this.present.has(path)),
      servedConfiguration: () => Promise.resolve(this.served),
      route: () => Promise.resolve(this.route),
      runs: (colour) => Promise.resolve(this.running.has(colour)),
      listens: (colour, instance) => Promise.resolve(this.listening.has(`${colour} ${instance}`)),
      processes: () => {
        this.pm2Questions += 1;
        return Promise.resolve(this.pm2);
      },
      script: ({ directory, intent }) => join(directory, intent.script),
    };
    return inspectorOf(view).find(this.site, part);
  }
}

const app = (number: number, status: string): Instance => ({ id: number + 7, number, status });

describe("what somebody changed", () => {
  it.each<[string, SitePart, (host: Host) => void, string]>([
    [
      "the site's file",
      "frontDoor",
      ({ files }) => files.set("/etc/nginx/conf.d/shop.conf", { text: "x", mode: 0o600, owner: OWNER }),
      "/etc/nginx/conf.d/shop.conf was edited",
    ],
    [
      "the site's file, made readable for all",
      "frontDoor",
      ({ files }) =>
        files.set("/etc/nginx/conf.d/shop.conf", { text: "secret site", mode: 0o644, owner: OWNER }),
      "/etc/nginx/conf.d/shop.conf has mode 644 instead of 600",
    ],
    [
      "two files",
      "frontDoor",
      ({ files }) => {
        files.delete("/etc/nginx/nginx.conf");
        files.delete("/etc/nginx/shop/traffic-fallback");
      },
      "/etc/nginx/nginx.conf is gone; /etc/nginx/shop/traffic-fallback is gone",
    ],
    ["Nginx, stopped", "frontDoor", (host) => (host.served = null), "Nginx does not run"],
    [
      "Nginx, which serves by another file",
      "frontDoor",
      (host) => (host.served = "d00d"),
      "Nginx serves by another configuration than its files",
    ],
    [
      "the route",
      "frontDoor",
      (host) => (host.route = "green 0 0 0 0"),
      "Nginx splits the traffic another way than the conductor told it to",
    ],
    [
      "the environment",
      "environment",
      ({ files }) => files.set(ENVIRONMENT_FILE, { text: '{"A":1}', mode: 0o600, owner: ENVIRONMENT_OWNER }),
      `${ENVIRONMENT_FILE} was edited`,
    ],
    [
      "the environment, taken by root",
      "environment",
      ({ files }) => files.set(ENVIRONMENT_FILE, { text: "{}", mode: 0o600, owner: 1 }),
      `${ENVIRONMENT_FILE} belongs to user 1 instead of 33`,
    ],
    [
      "a release, deleted",
      "green",
      ({ present }) => present.delete("/var/www/shop-v2"),
      "the directory of v2 is gone (/var/www/shop-v2)",
    ],
    [
      "a script, deleted",
      "green",
      ({ present }) => present.delete("/var/www/shop-v2/server.js"),
      "the script of v2 is gone (/var/www/shop-v2/server.js)",
    ],
    [
      "an ecosystem file",
      "blue",
      ({ files }) => files.set("/pm2/blue.json", { text: "x", mode: 0o644, owner: OWNER }),
      "/pm2/blue.json was edited",
    ],
    ["a unit, stopped", "blue", ({ running }) => running.delete("blue"), "blue was stopped"],
    [
      "an instance, stopped",
      "blue",
      (host) => {
        host.listening.delete("blue 1");
        host.pm2 = [app(0, "online"), app(1, "stopped")];
      },
      "instance 1 of blue was stopped",
    ],
    [
      "an instance, deleted",
      "blue",
      (host) => {
        host.listening.delete("blue 0");
        host.pm2 = [app(1, "online")];
      },
      "instance 0 of blue was stopped",
    ],
  ])("is told: %s", async (_, part, change, told) => {
    const host = new Host(canary);
    change(host);
    expect(await host.find(part)).toBe(told);
    const others = SITE_PARTS.filter((other) => other !== part);
    const found = await Promise.all(others.map((other) => host.find(other)));
    expect(found.filter((text) => text !== null)).toEqual([]);
  });

  it("is told of a retired colour that runs", async () => {
    const host = new Host(siteOf({ blue: serving("v1") }));
    host.running.add("green");
    expect(await host.find("green")).toBe("green is retired, and runs");
  });
});

describe("what is no drift", () => {
  it.each([
    ["a canary", canary],
    ["one colour alone", siteOf({ blue: serving("v1") })],
    ["no traffic yet", siteOf({ blue: serving("v1") }, null)],
    ["nothing yet", { ...siteOf({}, null), settings: null }],
  ])("%s, as it was left, without a question to PM2", async (_, site) => {
    const host = new Host(site);
    const found = await Promise.all(SITE_PARTS.map((part) => host.find(part)));
    expect(found.filter((text) => text !== null)).toEqual([]);
    expect(host.pm2Questions).toBe(0);
  });

  it.each(["online", "launching", "errored", "waiting restart"])(
    "an instance that PM2 has as %s and that does not listen: it is sick, and going back must not wait for it",
    async (status) => {
      const host = new Host(canary);
      host.listening.delete("green 0");
      host.pm2 = [app(0, status), app(1, "online")];
      expect(await host.find("green")).toBeNull();
    },
  );

  it("a colour whose PM2 is only being started", async () => {
    const host = new Host(canary);
    host.listening.clear();
    expect(await host.find("blue")).toBeNull();
  });

  it("a route that follows the truth a moment later", async () => {
    const host = new Host(canary);
    const right = host.route;
    host.route = "blue 0 0 0 0";
    const found = host.find("frontDoor");
    setImmediate(() => (host.route = right));
    expect(await found).toBeNull();
  });
});

describe("a file", () => {
  it("is compared with what is on the disk", async () => {
    const path = join(temporaryDirectory(), "file");
    const mark = markOf({ path, text: "text", mode: 0o600 });
    expect(await findFile(path)).toBeNull();
    writeFileSync(path, "text", { mode: 0o600 });
    expect(fileDrift(mark, await findFile(path))).toBeNull();
    expect(fileDrift({ ...mark, owner: OWNER + 1 }, await findFile(path))).toBe(
      `${path} belongs to user ${OWNER} instead of ${OWNER + 1}`,
    );
    chmodSync(path, 0o4600);
    expect(fileDrift(mark, await findFile(path))).toBe(`${path} has mode 4600 instead of 600`);
  });

  it("is never repeated", () => {
    const mark = markOf({ path: "/x", text: "text", mode: 0o600 });
    expect(fileDrift(mark, { text: "PASSWORD", mode: 0o600, owner: OWNER })).toBe("/x was edited");
  });
});

/** Holds an act at a step, until it is released. */
function holdAt(host: FakeHost, step: string): { reached: Promise<void>; release: () => void } {
  let release = (): void => undefined;
  const held = new Promise<void>((go) => (release = go));
  const reached = new Promise<void>((tell) => {
    host.hook = (name) => (name === step ? (tell(), held) : undefined);
  });
  return { reached, release };
}

describe("the act", () => {
  const nothing = { frontDoor: null, environment: null, database: null, blue: null, green: null };

  it("tells every part, changes nothing, and waits for nobody", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    host.drift.set("green", "green was stopped");
    const { reached, release } = holdAt(host, "prepare v3");
    const underWay = conductor.take({ act: "release", colour: "blue", release: intentOf("v3") }, jest.fn());
    await reached;
    const before = store.site;
    expect(await conductor.take({ act: "drift" }, jest.fn())).toEqual({
      ...nothing,
      green: "green was stopped",
    });
    expect(store.site).toBe(before);
    release();
    await underWay;
  });

  it("tells whether a desired state would be refused, but for one that an act is on its way to", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become(canary);
    const desired = desiredOf({
      releases: { blue: intentOf("v3"), green: intentOf("v3") },
      traffic: { stable: "blue", weight: 0 },
    });
    const refusal = async () => (await conductor.take({ act: "drift", desired }, jest.fn())) as DriftResult;
    expect(await refusal()).toMatchObject({
      refusal: expect.stringContaining("change one colour at a time") as string,
    });
    const { reached, release } = holdAt(host, "prepare v3");
    const underWay = conductor.take({ act: "release", colour: "blue", release: intentOf("v3") }, jest.fn());
    await reached;
    expect(await refusal()).toMatchObject({ refusal: null });
    release();
    await underWay;
  });

  it("judges no part that an act is changing", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become(canary);
    host.drift.set("green", "its processes are being swapped");
    const { reached, release } = holdAt(host, "swap green v3");
    const underWay = conductor.take({ act: "release", colour: "green", release: intentOf("v3") }, jest.fn());
    await reached;
    expect(await conductor.take({ act: "drift" }, jest.fn())).toEqual(nothing);
    release();
    await underWay;
    host.drift.set("green", "green was stopped");
    expect(await conductor.take({ act: "drift" }, jest.fn())).toMatchObject({ green: "green was stopped" });
  });

  it("looks again where the truth changed meanwhile", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    host.drift.set("blue", "true of what was before");
    let looks = 0;
    host.hook = async (step) => {
      if (step !== "inspect blue") {
        return;
      }
      looks += 1;
      if (looks === 1) {
        await store.update((site) => ({ ...site, probeKey: "another" }));
      } else {
        host.drift.delete("blue");
      }
    };
    expect(await conductor.take({ act: "drift" }, jest.fn())).toEqual(nothing);
    expect(looks).toBe(2);
  });
});

describe("a release that is asked for again", () => {
  const again = (colour: Colour, version: string) =>
    ({ act: "release", colour, release: intentOf(version) }) as const;

  it("puts right what was changed of a colour with users, without touching what runs", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    host.drift.set("blue", "instance 1 of blue was stopped");
    const told: string[] = [];
    const before = store.site;
    await conductor.take(again("blue", "v1"), (line) => told.push(line));
    const done = host.events.filter((event) => /rebuild|mend|ensure|swap|prepare|stop/.test(event));
    expect(done).toEqual(["mend blue v1"]);
    expect(told[0]).toBe("instance 1 of blue was stopped; starting what is down");
    expect(store.site).toEqual(before);
    expect(host.violations).toEqual([]);
  });

  it("touches nothing where nothing was changed", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become(canary);
    await conductor.take(again("blue", "v1"), jest.fn());
    expect(host.events.filter((event) => !["begin", "end"].includes(event))).toEqual([]);
  });

  it("puts right a colour that keeps its environment, which stays pending", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    host.drift.set("blue", "instance 1 of blue was stopped");
    const environment = "00".repeat(8);
    await conductor.take(
      { act: "release", colour: "blue", release: intentOf("v1", { environment }) },
      jest.fn(),
    );
    expect(host.events).toContain("mend blue v1");
    expect(store.site.colours.blue.pendingEnvironment).toBe(environment);
    expect(host.violations).toEqual([]);
  });

  it("stops what runs on a retired colour", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become(siteOf({ blue: serving("v1") }));
    await conductor.take({ act: "release", colour: "green", release: null }, jest.fn());
    expect(host.events).not.toContain("stop green");
    host.drift.set("green", "green is retired, and runs");
    await conductor.take({ act: "release", colour: "green", release: null }, jest.fn());
    expect(host.events).toContain("stop green");
  });
});
