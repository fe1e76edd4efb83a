import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import * as fc from "fast-check";
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
  refuse(request: Request): void;
  prometheus(request: Request): void;
  traffic(request: Request): void;
  counters(request: Request): void;
}

/** A stand-in for one of njs's shared dictionaries, with the operations that the module uses. */
class SharedDictionary {
  private readonly entries = new Map<string, string | number>();
  get = (key: string): string | number | undefined => this.entries.get(key);
  set = (key: string, value: string | number): unknown => this.entries.set(key, value);
  items = (): [string, string | number][] => [...this.entries];
  keys = (): string[] => [...this.entries.keys()];
  clear = (): void => this.entries.clear();
  delete = (key: string): boolean => this.entries.delete(key);
  incr = (key: string, by: number, initial: number): number => {
    const sum = Number(this.entries.get(key) ?? initial) + by;
    this.entries.set(key, sum);
    return sum;
  };
}

const shared = {
  app_counters: new SharedDictionary(),
  app_users: new SharedDictionary(),
};
Object.assign(globalThis, { ngx: { shared } });
// njs finds its modules in one directory, by file name.
for (const name of ["front-door.js", "metrics.js", "split.js"])
  jest.doMock(name, () => jest.requireActual<object>(`../../../host/nginx/${name}`), { virtual: true });
const moduleOf = (name: string): Partial<Module> =>
  jest.requireActual<{ default: Partial<Module> }>(`../../../host/nginx/${name}`).default;
const frontDoor = moduleOf("front-door.js");
const njs = {
  ...frontDoor,
  // Nginx keeps what it gave: a variable of the request.
  pool: (asked) => (asked.variables["app_pool"] = frontDoor.pool?.(asked) ?? ""),
  ...moduleOf("control.js"),
  ...moduleOf("refusal.js"),
} as Module;
const { BOUNDS } = jest.requireActual<{ default: { BOUNDS: number[] } }>(
  "../../../host/nginx/metrics.js",
).default;

beforeEach(() => {
  shared.app_counters.clear();
  shared.app_users.clear();
});

const FALLBACK = "blue 0 0 0 0 0";

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
      app_open: "",
      pid: String(process.pid),
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
/** What is counted, by key. */
function counts(): unknown {
  const asked = request();
  njs.counters(asked);
  expect(asked.headersOut["Content-Type"]).toBe("application/json");
  return JSON.parse(asked.answer.replace(/^200 /, ""));
}
/** Has something happen once, just after a request has read the state: its worker loses the processor there. */
function afterItsReading(happen: () => void): void {
  const { get } = shared.app_counters;
  shared.app_counters.get = (key) => {
    const before = get(key);
    shared.app_counters.get = get;
    happen();
    return before;
  };
}

const canary = siteOf({ blue: serving("v1"), green: serving("v2") }, { stable: "blue", weight: 25 });

describe("the upstream of a request", () => {
  it("is chosen anew where the state changed before the request was counted: a drain would not know of it", () => {
    put("green 0 7 0 0 0");
    const asked = request();
    afterItsReading(() => {
      put("blue 0 7 0 0 0");
      expect(counts()).toEqual({});
    });
    expect(njs.pool(asked)).toBe("app_blue");
    expect(asked.variables["app_open"]).toBe(`open|app_blue|${process.pid}`);
    expect(counts()).toEqual({ [`open|app_blue|${process.pid}`]: 1 });
  });

  it("is none where the site was closed before the request was counted", () => {
    put("green 0 7 0 0 0");
    afterItsReading(() => void put("green 0 7 0 0 1"));
    expect(njs.pool(request())).toBe("closed");
    expect(counts()).toEqual({});
  });

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
      const pool = expected === "green" ? "app_green_or_blue" : "app_blue_or_green";
      expect(njs.pool(asked)).toBe(pool);
      expect(asked.variables["app_open"]).toBe(`open|${pool}|${process.pid}`);
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
    shared.app_counters.clear();
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

describe("the traffic state in its dictionary", () => {
  it.each(["", "green", "green x y"])(
    "is one that can be read again, whatever the file holds: %j",
    (text) => {
      const pool = text === "" ? "app_blue" : "app_green";
      expect([...poolsOf({ app_traffic_fallback: text })]).toEqual([pool]);
    },
  );

  it("holds any route in one number, exactly", () => {
    const flag = fc.boolean().map(Number);
    const seed = fc.integer({ min: 0, max: 2 ** 32 - 1 });
    const route = fc.tuple(
      fc.constantFrom("blue", "green"),
      fc.integer({ min: 0, max: split.BUCKETS }),
      seed,
      flag,
      flag,
      flag,
    );
    fc.assert(
      fc.property(route, (fields) => {
        const told = fields.join(" ");
        expect(put(told)).toBe(`200 ${told}`);
        expect(shared.app_counters.keys()).toEqual(["state"]);
        expect(Number.isSafeInteger(shared.app_counters.get("state"))).toBe(true);
      }),
    );
  });
});

describe("a closed site", () => {
  const closed = state({ ...canary, maintenance: true });

  it.each([
    ["by the conductor", closed, {}],
    ["by the file", state(canary), { app_closed_by_file: "1" }],
    ["by both", closed, { app_closed_by_file: "1" }],
    ["for webhooks, too, unless they are let pass", closed, { app_pinned: "1" }],
  ])("%s: nobody is sent anywhere, and nothing is under way", (_, told, variables) => {
    put(told);
    expect([...poolsOf(variables)]).toEqual(["closed"]);
    expect(counts()).toEqual({});
  });

  it.each([
    ["testers", { app_tester: "green" }, ["app_green"]],
    ["probes", { app_probe: "1" }, ["app_blue_or_green", "app_green_or_blue"]],
    ["paths that pass", { app_passes: "1" }, ["app_blue_or_green", "app_green_or_blue"]],
  ])("lets %s pass, to where they would have gone", (_, variables, pools) => {
    put(closed);
    expect([...poolsOf(variables)].sort()).toEqual(pools);
    expect([...poolsOf({ ...variables, app_closed_by_file: "1" })].sort()).toEqual(pools);
  });

  it("is open where the state comes from a conductor that knew no maintenance", () => {
    put("blue 0 7 0 0");
    expect([...poolsOf()]).toEqual(["app_blue"]);
  });
});

describe("what the front door answers itself", () => {
  const page = join(mkdtempSync(join(tmpdir(), "page-")), "page.html");
  writeFileSync(page, "<h1>Back soon</h1>");
  afterAll(() => rmSync(dirname(page), { recursive: true }));
  const refused = (status: string, app_api: string): [string, Record<string, string>] => {
    const variables = { app_closed_page: page, app_closed_retry: "120", app_limit_retry: "1" };
    const asked = request({ ...variables, status, app_api });
    njs.refuse(asked);
    return [asked.answer, asked.headersOut];
  };

  it.each([
    ["maintenance, to people", "503", "", "503 <h1>Back soon</h1>", "text/html; charset=utf-8", "120"],
    ["maintenance, to programs", "503", "1", '503 {"error":"maintenance"}\n', "application/json", "120"],
    ["the limit, to programs", "429", "1", '429 {"error":"too many requests"}\n', "application/json", "1"],
    [
      "the limit, to people",
      "429",
      "",
      "429 Too many requests. Please try again in 1 s.\n",
      "text/plain; charset=utf-8",
      "1",
    ],
  ])("%s", (_, status, api, answer, type, retry) => {
    const headers = { "Content-Type": type, "Retry-After": retry, "Cache-Control": "no-store" };
    expect(refused(status, api)).toEqual([answer, headers]);
  });
});

describe("the counters", () => {
  const open = (pool: string): string => `open|${pool}|${process.pid}`;
  /** Ends a request that was answered, as Nginx's variables tell it in the log phase. */
  const end = (
    asked: Request,
    upstream_status: string,
    upstream_response_time: string,
    status = "200",
  ): string => {
    Object.assign(asked.variables, { upstream_status, upstream_response_time, status });
    return njs.ended(asked);
  };

  it("tell what was begun and ended, by pool, with the answer of the colour first tried", () => {
    put(state(siteOf({ blue: serving("v1"), green: serving("v2") }, { stable: "blue", weight: 100 })));
    const [first, second] = [request(), request({ app_tester: "blue" })];
    njs.pool(first);
    njs.pool(second);
    njs.pool(request());
    expect(counts()).toEqual({ [open("app_green_or_blue")]: 2, [open("app_blue")]: 1 });
    // A failover: green answered 502 after 0.3 s, blue 200 at once.
    expect(end(first, "502, 200", "0.300, 0.001")).toBe("green");
    expect(end(second, "204", "0.004")).toBe("blue");
    expect(counts()).toEqual({
      // By worker, and nothing of one that has nothing.
      [open("app_green_or_blue")]: 1,
      "app_green_or_blue|5|<=0.5": 1,
      "app_green_or_blue|5|seconds": 0.3,
      "app_blue|2|0.004": 1,
    });
  });

  it.each([
    [
      "a client that went away before the answer",
      "-",
      "1.5",
      "499",
      { "app_blue|-|<=2.5": 1, "app_blue|-|seconds": 1.5 },
    ],
    ["a client above its limit", "", "", "429", { "app_blue|d4|0.000": 1 }],
  ])("hold nothing against a colour for %s", (_, answer, seconds, status, counted) => {
    const asked = request();
    njs.pool(asked);
    end(asked, answer, seconds, status);
    expect(counts()).toEqual(counted);
  });

  it("hold no WebSocket for a slow answer", () => {
    const asked = request();
    njs.pool(asked);
    end(asked, "101", "3600.000", "101");
    njs.prometheus(asked);
    const samples = samplesIn(asked.answer.replace(/^200 /, ""));
    expect(samples.get('front_door_requests_total{colour="blue",class="1xx"}')).toBe(1);
    expect(samples.get('front_door_request_duration_seconds_count{colour="blue"}')).toBe(0);
    expect(samples.get('front_door_request_duration_seconds_sum{colour="blue"}')).toBe(0);
  });

  it("leave the conductor's own requests out", () => {
    const probe = request({ app_probe: "1" });
    njs.pool(probe);
    expect(end(probe, "200", "0.004")).toBe("blue");
    expect(end(request({ app_probe: "1" }), "", "", "503")).toBe("");
    expect(counts()).toEqual({});
    expect(shared.app_users.keys()).toEqual([]);
  });

  it("tell how many users came back with their id, and keep half of it", () => {
    const [one = "", other = ""] = ids.slice(1);
    for (const id of [one, one, other]) {
      const asked = request({ app_id: id, app_set_id: "" });
      njs.pool(asked);
      end(asked, "200", "0.004");
    }
    end(request({ app_id: ids[7] ?? "", app_set_id: "id=..." }), "200", "0.004");
    expect(shared.app_users.keys()).toEqual([one.slice(0, 16), other.slice(0, 16)]);
    const told = request();
    njs.prometheus(told);
    expect(told.answer).toContain("\nfront_door_active_users 2\n");
  });

  it("put a duration into the bucket whose bound it does not exceed", () => {
    let sum = 0;
    for (const [index, bound] of [...BOUNDS, Infinity].entries()) {
      for (const seconds of [(BOUNDS[index - 1] ?? -0.001) + 0.001, Math.min(bound, 1000)]) {
        const asked = request();
        njs.pool(asked);
        end(asked, "200", seconds.toFixed(3));
        sum += seconds;
      }
    }
    const told = request();
    njs.prometheus(told);
    const samples = samplesIn(told.answer.replace(/^200 /, ""));
    const name = "front_door_request_duration_seconds";
    for (const [index, bound] of [...BOUNDS, "+Inf"].entries())
      expect(samples.get(`${name}_bucket{colour="blue",le="${bound}"}`)).toBe(2 * (index + 1));
    expect(samples.get(`${name}_sum{colour="blue"}`)).toBeCloseTo(sum, 6);
  });

  it("forget what a worker had that was killed: it never ends", () => {
    njs.pool(request());
    const dead = `open|app_blue|${2 ** 22 + 1}`;
    shared.app_counters.set(dead, 3);
    expect(counts()).toEqual({ [open("app_blue")]: 1 });
    expect(shared.app_counters.get(dead)).toBeUndefined();
  });

  it("count what never got as far as a colour as the front door's own", () => {
    expect(end(request(), "", "", "503")).toBe("");
    expect(end(request(), "", "", "000")).toBe("");
    const told = request();
    njs.prometheus(told);
    const samples = samplesIn(told.answer.replace(/^200 /, ""));
    expect(samples.get('front_door_requests_total{colour="none",class="5xx"}')).toBe(1);
    expect(samples.get('front_door_requests_total{colour="none",class="none"}')).toBe(1);
  });

  it("are told as Prometheus text, where every request is counted once", () => {
    put(state(canary));
    const asked = ids.slice(0, 300).map((app_id) => request({ app_id }));
    asked.forEach((one) => njs.pool(one));
    asked.slice(0, 290).forEach((one, i) => end(one, i % 10 === 0 ? "500" : "200", (i / 1000).toFixed(3)));
    // A client that went away while it waited, and one that was turned away.
    end(asked[290]!, "-", "7.000", "499");
    end(request(), "", "", "429");
    const told = request();
    njs.prometheus(told);
    expect(told.headersOut["Content-Type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
    const samples = samplesIn(told.answer.replace(/^200 /, ""));
    const sum = (pattern: RegExp): number =>
      [...samples].filter(([name]) => pattern.test(name)).reduce((all, [, value]) => all + value, 0);
    expect(sum(/^front_door_requests_total\{colour="(blue|green)",class="2xx"\}/)).toBe(261);
    expect(sum(/^front_door_requests_total\{colour="(blue|green)",class="5xx"\}/)).toBe(29);
    expect(samples.get('front_door_requests_total{colour="none",class="4xx"}')).toBe(1);
    expect(sum(/^front_door_requests_total\{colour="(blue|green)",class="none"\}/)).toBe(1);
    expect(sum(/^front_door_requests_in_flight/)).toBe(9);
    expect(sum(/_bucket\{.*le="0.005"/)).toBe(6);
    expect(sum(/_bucket\{.*le="0.25"/)).toBe(251);
    expect(sum(/_bucket\{.*le="\+Inf"/)).toBe(290);
    expect(sum(/_seconds_count/)).toBe(290);
    expect(sum(/_seconds_sum/)).toBeCloseTo((289 * 290) / 2 / 1000, 6);
  });

  /** The samples of a text in Prometheus' format, by name with labels. */
  function samplesIn(text: string): Map<string, number> {
    const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    for (const line of lines)
      expect(line).toMatch(/^[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [\d.e+-]+$/);
    return new Map(lines.map((line) => [line.replace(/ \S+$/, ""), Number(line.replace(/^.* /, ""))]));
  }
});
