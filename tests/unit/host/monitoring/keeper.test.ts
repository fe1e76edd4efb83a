import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseAct } from "../../../../host/conductor/acts";
import { MonitoringKeeper } from "../../../../host/conductor/monitoring/monitoring-keeper";
import {
  publisherProcess,
  type PublisherEvents,
  type StartPublisher,
} from "../../../../host/conductor/monitoring/publisher-process";
import type { MonitoringSettings, MonitoringStatus } from "../../../../host/monitoring/protocol";
import { MonitoringStore } from "../../../../host/monitoring/state";
import { waitFor } from "../../../../sandbox/processes";
import { FakeHost } from "../support/fake-host";
import { removeDirectories, siteOf, temporaryDirectory } from "../support/fixtures";

afterAll(removeDirectories);
afterEach(() => void jest.useRealTimers());

const silent = (): void => undefined;
/** Longest wait for a condition, in seconds. */
const WAIT_SECONDS = 60;
const settings: MonitoringSettings = {
  ...{ namespace: "Garage", stack: "garage/test", intervalSeconds: 60, region: "eu-central-1" },
  ...{ endpoint: null, authority: null },
  credentials: { accessKeyId: "AKIDOFGARAGE", secretAccessKey: "secretOfGarage" },
  business: { PaymentsProcessed: "select count(*) from payments where at >= $1 and at < $2" },
  logGroups: { access: "/garage/test/access" },
};
const status: MonitoringStatus = {
  lastPublished: "2026-05-05T05:05:00Z",
  pending: 0,
  dropped: 0,
  lastFailure: null,
};

/** Publishers that a test speaks for. */
class Publishers {
  readonly started: { settings: MonitoringSettings; events: PublisherEvents; stopped: boolean }[] = [];
  /** What the first try of each comes to. */
  fault: string | null = null;
  /** What the first try of each waits for before that. */
  waitingFor: string | null = null;
  readonly start: StartPublisher = (wanted, events) => {
    const one = { settings: wanted, events, stopped: false };
    this.started.push(one);
    if (this.waitingFor !== null) events.onWaiting(this.waitingFor);
    events.onFirstTry(this.fault);
    return {
      stop: () => {
        one.stopped = true;
        return Promise.resolve();
      },
    };
  };
  get running(): MonitoringSettings[] {
    return this.started.filter(({ stopped }) => !stopped).map((one) => one.settings);
  }
}

function keeping(): {
  publishers: Publishers;
  keeper: MonitoringKeeper;
  store: MonitoringStore;
  log: string[];
  again: () => MonitoringKeeper;
} {
  const publishers = new Publishers();
  const store = new MonitoringStore(join(temporaryDirectory(), "monitoring"));
  const log: string[] = [];
  const again = (): MonitoringKeeper =>
    new MonitoringKeeper(publishers.start, store, (line) => log.push(line));
  return { publishers, keeper: again(), store, log, again };
}

const act = (
  wanted: MonitoringSettings | null,
): { act: "monitoring"; settings: MonitoringSettings | null } => ({
  act: "monitoring",
  settings: wanted,
});

describe("settings", () => {
  it("by which values were taken are kept, and the next conductor publishes by them", async () => {
    const { publishers, keeper, store, again } = keeping();
    expect(keeper.status).toBeNull();
    expect(await keeper.take(act(settings), silent)).toEqual({ publishing: true });
    expect(await store.settings()).toEqual(settings);
    publishers.started[0]!.events.onStatus(status);
    expect(keeper.status).toEqual(status);
    await again().recover();
    expect(publishers.started.at(-1)?.settings).toEqual(settings);
  });

  it("by which nothing was taken are not, and those before hold on", async () => {
    const { publishers, keeper, store } = keeping();
    await keeper.take(act(settings), silent);
    publishers.fault = "the key is not known";
    const wrong = { ...settings, region: "eu-west-1" };
    await expect(keeper.take(act(wrong), silent)).rejects.toThrow(
      "nothing can be published: the key is not known",
    );
    expect(await store.settings()).toEqual(settings);
    expect(publishers.running).toEqual([settings]);
  });

  it("by which values are taken after a while are kept, and what is waited for is told", async () => {
    const { publishers, keeper, store } = keeping();
    publishers.waitingFor = "AccessDenied";
    const told: string[] = [];
    expect(await keeper.take(act(settings), (line) => told.push(line))).toEqual({ publishing: true });
    expect(await store.settings()).toEqual(settings);
    expect(told.at(-1)).toBe(
      "waiting up to two minutes for rights to be known that may be new: AccessDenied",
    );
  });

  it("that are null end it, and forget what was kept", async () => {
    const { publishers, keeper, store, again } = keeping();
    await keeper.take(act(settings), silent);
    expect(await keeper.take(act(null), silent)).toEqual({ publishing: false });
    expect([publishers.running, await store.settings(), keeper.status]).toEqual([[], null, null]);
    await again().recover();
    expect(publishers.running).toEqual([]);
  });

  it("that are damaged are told, and keep no conductor from starting", async () => {
    const { keeper, store, log, again } = keeping();
    await keeper.take(act(settings), silent);
    writeFileSync(join(store.spool, "..", "settings.json"), '{"secretAccessKey": "secretOfGarage');
    await again().recover();
    expect(log).toEqual([expect.stringMatching(/settings\.json is damaged; remove it/)]);
    expect(log.join()).not.toContain("secretOfGarage");
  });
});

describe("an act that waits until alarms find the values", () => {
  const at = (minute: number): MonitoringStatus => ({
    ...status,
    lastPublished: `2026-05-05T05:0${String(minute)}:00Z`,
  });
  const sight = (longestMs = 10_000, seenForSeconds = 0.2) => {
    const parts = keeping();
    const keeper = new MonitoringKeeper(parts.publishers.start, parts.store, silent, longestMs);
    const told: string[] = [];
    const take = (change: Partial<MonitoringSettings> = {}, tell = (line: string) => void told.push(line)) =>
      keeper.take({ ...act({ ...settings, ...change }), seenForSeconds }, tell);
    const publish = (minute: number): void => parts.publishers.started.at(-1)!.events.onStatus(at(minute));
    return { ...parts, keeper, told, take, publish };
  };
  /** Whether a promise is still open a while later. */
  const isOpen = (promise: Promise<unknown>, ms: number): Promise<boolean> =>
    Promise.race([
      promise.then(() => false),
      new Promise<boolean>((resolve) => setTimeout(() => resolve(true), ms)),
    ]);
  const begun = ({ publishers }: ReturnType<typeof sight>, count = 1): Promise<true> =>
    waitFor(`publisher ${count} to be started`, WAIT_SECONDS, () =>
      publishers.started.length >= count ? true : undefined,
    );
  /** The act itself is done then: the same one, asked for before, would be joined. */
  const waiting = ({ told }: ReturnType<typeof sight>): Promise<true> =>
    waitFor("the act to wait for alarms", WAIT_SECONDS, () =>
      /waiting until alarms find/.test(told.at(-1) ?? "") ? true : undefined,
    );

  it("is done so long after the second set, for the first one is not whole; it is told, and kept before", async () => {
    const site = sight();
    const taken = site.take();
    await begun(site);
    site.publish(1);
    site.publish(1);
    await waiting(site);
    expect(await isOpen(taken, 500)).toBe(true);
    expect(site.told.at(-1)).toMatch(/waiting until alarms find/);
    expect(await site.store.settings()).toEqual(settings);
    const before = performance.now();
    site.publish(2);
    expect(await taken).toEqual({ publishing: true });
    expect(performance.now() - before).toBeGreaterThanOrEqual(199);
  });

  it("waits for nothing that is there, whoever publishes it, and again in another place", async () => {
    const site = sight();
    const first = site.take();
    await begun(site);
    site.publish(1);
    site.publish(2);
    await first;
    const told = site.told.length;
    await site.take({ intervalSeconds: 30 });
    expect(site.told.slice(told).join()).not.toMatch(/waiting until/);
    const before = site.told.length;
    await site.take({ business: { ...settings.business, Orders: "select 1" } });
    expect(site.told.slice(before).join()).not.toMatch(/waiting until/);
    const other = site.take({ namespace: "Elsewhere" });
    await begun(site, 4);
    expect(await isOpen(other, 400)).toBe(true);
    await site.keeper.take(act(null), silent);
    expect(await other).toEqual({ publishing: true });
  });

  it("waits for nothing that an earlier conductor published, and goes on to wait for what it was cut short at", async () => {
    const site = sight();
    const cut = site.take();
    await waiting(site);
    expect(await isOpen(cut, 50)).toBe(true);
    const again = site.take();
    await begun(site, 2);
    site.publish(1);
    site.publish(2);
    expect(await again).toEqual({ publishing: true });
    await cut;
    const later = site.again();
    const told: string[] = [];
    await later.take({ ...act(settings), seenForSeconds: 10 }, (line) => void told.push(line));
    expect(told.join()).not.toMatch(/waiting until/);
  });

  it("keeps no other act waiting", async () => {
    const site = sight();
    const taken = site.take();
    await begun(site);
    expect(await site.keeper.take(act(null), silent)).toEqual({ publishing: false });
    await taken;
  });

  it("is done where they do not come: an alarm shall tell that", async () => {
    const site = sight(50);
    expect(await site.take()).toEqual({ publishing: true });
    expect(site.told.at(-1)).toMatch(/find no whole set of values yet/);
  });
});

describe("a publisher that ends", () => {
  it("is started again, after longer rests each time", async () => {
    jest.useFakeTimers({ doNotFake: ["nextTick", "setImmediate", "performance"] });
    const { publishers, keeper, log } = keeping();
    await keeper.take(act(settings), silent);
    publishers.fault = "no";
    for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
      publishers.started.at(-1)!.events.onEnd("was ended by SIGKILL");
      expect(log.at(-1)).toBe(
        `monitoring: the publisher was ended by SIGKILL; it is started again in ${String(seconds)} s`,
      );
      expect(keeper.status?.lastFailure?.reason).toBe("the publisher was ended by SIGKILL");
      const before = publishers.started.length;
      jest.advanceTimersByTime(seconds * 1000 - 1);
      expect(publishers.started.length).toBe(before);
      jest.advanceTimersByTime(1);
      expect(publishers.started.length).toBe(before + 1);
    }
  });

  it("is not when nobody wants one any more", async () => {
    jest.useFakeTimers({ doNotFake: ["nextTick", "setImmediate", "performance"] });
    const { publishers, keeper } = keeping();
    await keeper.take(act(settings), silent);
    publishers.started[0]!.events.onEnd("was ended by SIGKILL");
    await keeper.take(act(null), silent);
    jest.advanceTimersByTime(120_000);
    expect(publishers.started).toHaveLength(1);
  });

  it("during the first try fails the act", async () => {
    const { publishers, keeper } = keeping();
    publishers.start satisfies StartPublisher;
    const dying = new MonitoringKeeper(
      (_, { onEnd }) => {
        onEnd("ended with exit code 1");
        return { stop: () => Promise.resolve() };
      },
      new MonitoringStore(join(temporaryDirectory(), "monitoring")),
      silent,
    );
    await expect(dying.take(act(settings), silent)).rejects.toThrow("the publisher ended with exit code 1");
    await dying.take(act(null), silent);
    expect(keeper.status).toBeNull();
  });
});

describe("the publisher's process", () => {
  /** A program that gets its settings and says what a test says. */
  function program(does: string): string[] {
    const path = join(temporaryDirectory(), "publisher.js");
    writeFileSync(
      path,
      `const say = (message) => console.log(JSON.stringify(message));
       require("node:readline").createInterface({ input: process.stdin })
         .on("line", (line) => { const { settings } = JSON.parse(line); ${does} })
         .on("close", () => process.exit(0));`,
    );
    return [process.execPath, path];
  }
  const events = (change: Partial<PublisherEvents>): PublisherEvents => ({
    ...{ onFirstTry: silent, onWaiting: silent, onStatus: silent, onEnd: silent, log: silent },
    ...change,
  });

  it("gets the settings on its standard input, and is heard", async () => {
    const heard = await new Promise<unknown[]>((resolve) => {
      const all: unknown[] = [];
      const start = publisherProcess(
        program(
          `console.error("hello"); say({ status: settings.namespace }); say({ waitingFor: "rights" }); say({ firstTry: "no" });`,
        ),
      );
      const running = start(
        settings,
        events({
          log: (line) => all.push(line),
          onStatus: (told) => all.push(told),
          onWaiting: (waitingFor) => all.push(waitingFor),
          onFirstTry: (fault) => {
            all.push(fault);
            void running.stop().then(() => resolve(all));
          },
        }),
      );
    });
    expect(new Set(heard)).toEqual(new Set(["hello", "Garage", "rights", "no"]));
  });

  it("that is asked to go is gone, also where it does not listen; no end is told", async () => {
    const ends: string[] = [];
    const pid = await new Promise<number>((resolve) => {
      const argv = program(`process.stdin.removeAllListeners("close"); process.exit = () => undefined;
        setInterval(() => undefined, 1000); say({ status: process.pid });`);
      const running = publisherProcess(argv)(
        settings,
        events({
          onEnd: (how) => ends.push(how),
          onStatus: (told) => void running.stop().then(() => resolve(told as unknown as number)),
        }),
      );
    });
    expect(() => process.kill(pid, 0)).toThrow("ESRCH");
    expect(ends).toEqual([]);
  });

  it.each([
    [`process.kill(process.pid, "SIGKILL");`, "was ended by SIGKILL"],
    [`process.exit(3);`, "ended with exit code 3"],
    [
      `process.stdout.write('{"firstTry":nu', () => process.kill(process.pid, "SIGKILL"));`,
      "was ended by SIGKILL in the middle of an answer",
    ],
    [`console.log('{"firstTry":nu');`, "was ended by SIGKILL in the middle of an answer"],
  ])("that ends by itself is told: %s", async (does, how) => {
    const end = await new Promise<string>((resolve) => {
      publisherProcess(program(does))(settings, events({ onEnd: resolve }));
    });
    expect(end).toBe(how);
  });
});

describe("the conductor", () => {
  it("takes the act beside all others, and tells in its status how it goes", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become(siteOf({}));
    expect(await conductor.take({ act: "status" }, silent)).not.toHaveProperty("monitoring");
    host.publisher = (_, { onFirstTry, onStatus }) => {
      onStatus(status);
      onFirstTry(null);
      return { stop: () => Promise.resolve() };
    };
    expect(await conductor.take(act(settings), silent)).toEqual({ publishing: true });
    expect(await conductor.take({ act: "status" }, silent)).toMatchObject({ monitoring: status });
  });

  it("goes on by what was asked of the one before", async () => {
    const host = new FakeHost();
    await host.monitoringStore.keep(settings);
    const started: MonitoringSettings[] = [];
    host.publisher = (wanted) => {
      started.push(wanted);
      return { stop: () => Promise.resolve() };
    };
    const { conductor } = await host.become(siteOf({}));
    await conductor.recover(silent);
    expect(started).toEqual([settings]);
  });
});

describe("the act", () => {
  const parse = (change: object): unknown => parseAct(JSON.stringify(act({ ...settings, ...change })));

  it("is taken as it is", () => {
    expect(parse({})).toEqual(act(settings));
    expect(parseAct('{"act":"monitoring","settings":null}')).toEqual(act(null));
    const waits = { ...act(settings), seenForSeconds: 180 };
    expect(parseAct(JSON.stringify(waits))).toEqual(waits);
  });

  it.each([
    ["a namespace of Amazon's", { namespace: "AWS/EC2" }, "settings.namespace"],
    ["no namespace", { namespace: "" }, "settings.namespace"],
    ["a stack with a line's end", { stack: "a\nb" }, "settings.stack"],
    ["no interval", { intervalSeconds: 0 }, "settings.intervalSeconds"],
    ["an endpoint that is no URL", { endpoint: "monitoring" }, "settings.endpoint"],
    ["half of a key", { credentials: { accessKeyId: "AKID" } }, "settings.credentials"],
    ["a name that is the host's", { business: { Requests: "select 1" } }, "settings.business"],
    ["a name that is none", { business: { "2 x": "select 1" } }, "settings.business"],
    ["a log that there is none of", { logGroups: { mail: "/a" } }, "settings.logGroups"],
    ["a group's name that is none", { logGroups: { access: "/a b" } }, "settings.logGroups"],
    ["a key of its own", { more: 1 }, "settings"],
  ])("with %s is none", (_, change, path) => {
    expect(() => parse(change)).toThrow(path);
    expect(() => parse(change)).not.toThrow("secretOfGarage");
  });
});
