import split from "../../../host/nginx/split.js";
import { encodeRoute, routeOf, type Site } from "../../../host/conductor/site";
import { released, serving, siteOf } from "./support/fixtures";

/** What the module uses of njs's request. */
interface Request {
  variables: Record<string, string>;
  method: string;
  requestText: string;
  headersOut: Record<string, string>;
  return(status: number, body: string): void;
}

interface Module {
  pool(request: Request): string;
  ended(request: Request): string;
  traffic(request: Request): void;
  counters(request: Request): void;
}

/** A stand-in for one of njs's shared dictionaries, with the operations that the module uses. */
class SharedDictionary {
  private readonly entries = new Map<string, string | number>();
  get = (key: string): string | number | undefined => this.entries.get(key);
  set = (key: string, value: string | number): unknown => this.entries.set(key, value);
  items = (): [string, string | number][] => [...this.entries];
  clear = (): void => this.entries.clear();
  incr = (key: string, by: number, initial: number): unknown =>
    this.entries.set(key, Number(this.entries.get(key) ?? initial) + by);
}

const shared = { app_traffic: new SharedDictionary(), app_counters: new SharedDictionary() };
Object.assign(globalThis, { ngx: { shared } });
// njs finds its modules in one directory, by file name.
jest.mock("split.js", () => jest.requireActual<object>("../../../host/nginx/split.js"), { virtual: true });
const { default: njs } = jest.requireActual<{ default: Module }>("../../../host/nginx/front-door.js");

beforeEach(() => {
  shared.app_traffic.clear();
  shared.app_counters.clear();
});

const FALLBACK = "blue 0 0 0 0";

function request(
  variables: Record<string, string> = {},
  method = "GET",
  requestText = "",
): Request & { answer: string } {
  return {
    variables: {
      app_id: "0".repeat(32),
      app_tester: "",
      app_pinned: "",
      app_colour: "",
      app_traffic_fallback: FALLBACK,
      ...variables,
    },
    method,
    requestText,
    headersOut: {},
    answer: "",
    return(status, body) {
      this.answer = `${status} ${body}`;
    },
  };
}

function put(state: string): string {
  const asked = request({}, "PUT", state);
  njs.traffic(asked);
  return asked.answer;
}

const ids = Array.from({ length: 2000 }, (_, i) =>
  (i * 2_147_483).toString(16).padStart(8, "0").slice(-8).padEnd(32, "0"),
);
const poolsOf = (variables: Record<string, string> = {}): Set<string> =>
  new Set(ids.map((app_id) => njs.pool(request({ app_id, ...variables }))));
const state = (site: Site): string => encodeRoute(routeOf(site));

const canary = siteOf({ blue: serving("v1"), green: serving("v2") }, { stable: "blue", weight: 25 });

describe("the upstream of a request", () => {
  it.each([
    ["stable alone", siteOf({ blue: serving("v1") }), ["app_blue"]],
    [
      "the other stable alone",
      siteOf({ green: serving("v1") }, { stable: "green", weight: 0 }),
      ["app_green"],
    ],
    ["a testers' release beside it", siteOf({ blue: serving("v1"), green: released("v2") }), ["app_blue"]],
    ["a canary", canary, ["app_blue_or_green", "app_green_or_blue"]],
    [
      "all on the candidate",
      siteOf({ blue: serving("v1"), green: serving("v2") }, { stable: "blue", weight: 100 }),
      ["app_green_or_blue"],
    ],
    [
      "a sick canary",
      siteOf(
        { blue: serving("v1"), green: serving("v2", { healthy: false }) },
        { stable: "blue", weight: 25 },
      ),
      ["app_blue"],
    ],
    [
      "a sick stable",
      siteOf(
        { blue: serving("v1", { healthy: false }), green: serving("v2") },
        { stable: "blue", weight: 25 },
      ),
      ["app_green"],
    ],
    [
      "the way back",
      siteOf(
        { blue: serving("v1", { wasStable: true }), green: serving("v2") },
        { stable: "green", weight: 0 },
      ),
      ["app_green_or_blue"],
    ],
  ])("%s", (_, site, pools) => {
    put(state(site));
    expect([...poolsOf()].sort()).toEqual(pools);
  });

  it("follows the split, user by user", () => {
    put(state(canary));
    const seed = split.seed("salt");
    for (const app_id of ids) {
      const asked = request({ app_id });
      const expected = split.bucket(app_id, seed) < 2500 ? "green" : "blue";
      expect(njs.pool(asked)).toBe(expected === "green" ? "app_green_or_blue" : "app_blue_or_green");
      expect(asked.variables["app_colour"]).toBe(expected);
    }
  });

  it.each(["blue", "green"])("takes testers to %s alone, at any weight and on any path", (app_tester) => {
    for (const weight of [0, 25, 100]) {
      put(state(siteOf({ blue: serving("v1"), green: serving("v2") }, { stable: "blue", weight })));
      expect([...poolsOf({ app_tester, app_pinned: "1" })]).toEqual([`app_${app_tester}`]);
    }
  });

  it.each([5, 50, 100])("keeps pinned paths on stable at %i %%", (weight) => {
    put(state(siteOf({ blue: serving("v1"), green: serving("v2") }, { stable: "blue", weight })));
    expect([...poolsOf({ app_pinned: "1" })]).toEqual(["app_blue_or_green"]);
  });

  it.each([
    ["is being changed", released("v1")],
    ["is sick", serving("v1", { healthy: false })],
  ])("takes pinned paths off a stable colour that %s, to the candidate that serves everyone", (_, blue) => {
    put(state(siteOf({ blue, green: serving("v2") }, { stable: "blue", weight: 25 })));
    expect([...poolsOf({ app_pinned: "1" })]).toEqual(["app_green"]);
  });
});

describe("the traffic state", () => {
  it("is the configuration's until the conductor has spoken, and after a restart of Nginx", () => {
    const app_traffic_fallback = state(siteOf({ green: serving("v1") }, { stable: "green", weight: 0 }));
    expect([...poolsOf({ app_traffic_fallback })]).toEqual(["app_green"]);
    put(state(canary));
    expect(poolsOf({ app_traffic_fallback }).size).toBe(2);
    shared.app_traffic.clear();
    expect([...poolsOf({ app_traffic_fallback })]).toEqual(["app_green"]);
  });

  it("is answered as it is in force, when set and when asked for", () => {
    const asked = request();
    njs.traffic(asked);
    expect(asked.answer).toBe(`200 ${FALLBACK}`);
    expect(put(state(canary))).toBe(`200 ${state(canary)}`);
    const again = request();
    njs.traffic(again);
    expect(again.answer).toBe(`200 ${state(canary)}`);
  });
});

describe("the counters", () => {
  const counts = (): unknown => {
    const asked = request();
    njs.counters(asked);
    expect(asked.headersOut["Content-Type"]).toBe("application/json");
    return JSON.parse(asked.answer.replace(/^200 /, ""));
  };

  it("tell what was begun and ended, by the colour first tried", () => {
    put(state(siteOf({ blue: serving("v1"), green: serving("v2") }, { stable: "blue", weight: 100 })));
    const [first, second] = [request(), request({ app_tester: "blue" })];
    njs.pool(first);
    njs.pool(second);
    njs.pool(request());
    expect(counts()).toEqual({ "begun:green": 2, "begun:blue": 1 });
    expect(njs.ended(first)).toBe("green");
    expect(njs.ended(second)).toBe("blue");
    expect(counts()).toEqual({ "begun:green": 2, "begun:blue": 1, "ended:green": 1, "ended:blue": 1 });
  });

  it("do not count as ended what was never proxied", () => {
    expect(njs.ended(request())).toBe("");
    expect(counts()).toEqual({});
  });
});
