import * as fc from "fast-check";
import split from "../../../host/nginx/split.js";
import { COLOURS, otherColour, type Colour } from "../../../host/conductor/protocol";
import {
  emptySite,
  encodeRoute,
  isAdmitted,
  isClosed,
  RETIRED,
  routeOf,
  shareOf,
  statusOf,
  withColour,
  withTraffic,
  type ColourState,
  type Site,
} from "../../../host/conductor/site";
import { ENVIRONMENT, released, runningOf, serving, siteOf } from "./support/fixtures";

const SICK = { healthy: false };

describe("admission and route", () => {
  // blue's and green's state, traffic; admitted colours; the candidate's effective share; failover
  it.each([
    ["nothing was ever released", emptySite("k"), [], 0],
    ["released, traffic never set", siteOf({ blue: released("v1") }, null), [], 0],
    ["one colour serves", siteOf({ blue: serving("v1") }), ["blue"], 0],
    [
      "a candidate that never had a share",
      siteOf({ blue: serving("v1"), green: serving("v2") }),
      ["blue"],
      0,
    ],
    [
      "the way back",
      siteOf({ blue: serving("v1"), green: serving("v2", { wasStable: true }) }),
      ["blue", "green"],
      0,
    ],
    [
      "a canary",
      siteOf({ blue: serving("v1"), green: serving("v2") }, { stable: "blue", weight: 5 }),
      ["blue", "green"],
      5,
    ],
    [
      "all on the candidate",
      siteOf({ blue: serving("v1"), green: serving("v2") }, { stable: "blue", weight: 100 }),
      ["blue", "green"],
      100,
    ],
    [
      "a sick canary",
      siteOf({ blue: serving("v1"), green: serving("v2", SICK) }, { stable: "blue", weight: 25 }),
      ["blue"],
      0,
    ],
    [
      "a sick stable beside a canary",
      siteOf({ blue: serving("v1", SICK), green: serving("v2") }, { stable: "blue", weight: 5 }),
      ["green"],
      100,
    ],
    [
      "a sick stable beside testers' release",
      siteOf({ blue: serving("v1", SICK), green: serving("v2") }),
      [],
      0,
    ],
    [
      "both sick",
      siteOf({ blue: serving("v1", SICK), green: serving("v2", SICK) }, { stable: "blue", weight: 50 }),
      [],
      0,
    ],
    [
      "a withdrawn canary",
      siteOf({ blue: serving("v1"), green: released("v2") }, { stable: "blue", weight: 25 }),
      ["blue"],
      0,
    ],
    [
      "a withdrawn stable",
      siteOf({ blue: released("v1"), green: serving("v2") }, { stable: "blue", weight: 25 }),
      ["green"],
      100,
    ],
    [
      "a weight for a retired colour",
      siteOf({ blue: serving("v1") }, { stable: "blue", weight: 25 }),
      ["blue"],
      0,
    ],
    [
      "green stable",
      siteOf({ blue: serving("v1"), green: serving("v2") }, { stable: "green", weight: 5 }),
      ["blue", "green"],
      5,
    ],
  ] as const)("%s", (_, site, admitted, weight) => {
    expect(COLOURS.filter((colour) => isAdmitted(site, colour))).toEqual(admitted);
    const route = routeOf(site);
    expect(route.weight).toBe(weight);
    const both = admitted.length === 2;
    expect(route.failsOver).toEqual({ blue: both, green: both });
    expect(statusOf(site, null).effectiveWeight).toBe(weight);
  });
});

describe("withTraffic", () => {
  it("gives withdrawn colours their share again, but none to a retired one", () => {
    const site = withTraffic(siteOf({ blue: released("v1") }, null), { stable: "blue", weight: 0 });
    expect(site.colours.blue.withdrawn).toBe(false);
    expect(site.colours.green.withdrawn).toBe(true);
  });

  it("takes the candidate's version as salt, and none where there is no candidate", () => {
    const both = siteOf({ blue: serving("v1"), green: released("v2") });
    expect(withTraffic(both, { stable: "blue", weight: 5 }).traffic?.salt).toBe("v2");
    expect(withTraffic(both, { stable: "green", weight: 5 }).traffic?.salt).toBe("v1");
    expect(withTraffic(siteOf({ blue: serving("v1") }), { stable: "blue", weight: 0 }).traffic?.salt).toBe(
      "",
    );
  });

  it("remembers the colour that was stable as the way back", () => {
    const canary = siteOf({ blue: serving("v1"), green: serving("v2") });
    const promoted = withTraffic(canary, { stable: "green", weight: 0 });
    expect(isAdmitted(promoted, "blue")).toBe(true);
    expect(isAdmitted(withTraffic(promoted, { stable: "green", weight: 0 }), "blue")).toBe(true);
    expect(routeOf(promoted)).toMatchObject({
      stable: "green",
      weight: 0,
      failsOver: { blue: true, green: true },
    });
  });

  it("does not count a candidate as way back", () => {
    const back = withTraffic(siteOf({ blue: serving("v1"), green: serving("v2") }), {
      stable: "blue",
      weight: 0,
    });
    expect(isAdmitted(back, "green")).toBe(false);
  });

  it("leaves the site that it was given as it was", () => {
    const site = siteOf({ blue: serving("v1"), green: released("v2") });
    const copy = structuredClone(site);
    withTraffic(site, { stable: "green", weight: 7 });
    expect(site).toEqual(copy);
  });

  it("does not take for the way back what was put on the colour that was stable", () => {
    const site = siteOf({ blue: released("v3"), green: serving("v2") }, { stable: "blue", weight: 50 });
    expect(isAdmitted(withTraffic(site, { stable: "green", weight: 0 }), "blue")).toBe(false);
  });
});

describe("a closed site", () => {
  const canary = siteOf({ blue: serving("v1"), green: serving("v2") }, { stable: "blue", weight: 25 });

  it.each([
    ["an open site", canary, false],
    ["maintenance", { ...canary, maintenance: true }, true],
    ["a colour that is changed in place", withColour(canary, "green", { closesSite: true }), true],
    ["a colour that no longer is", withColour(canary, "green", { closesSite: false }), false],
  ])("%s", (_, site, closed) => {
    expect(isClosed(site)).toBe(closed);
    expect(statusOf(site, null)).toMatchObject({ closed, maintenance: site.maintenance });
    // Nothing else of the route changes: what passes goes where it would have gone.
    expect(encodeRoute(routeOf(site))).toBe(encodeRoute({ ...routeOf(canary), closed }));
  });
});

describe("statusOf", () => {
  it("tells versions, commits, health, admission and the act under way", () => {
    const site = siteOf({ blue: serving("v1"), green: serving("v2", SICK) }, { stable: "blue", weight: 5 });
    expect(statusOf(site, "traffic")).toEqual({
      generation: 0,
      traffic: { stable: "blue", weight: 5, salt: "salt" },
      effectiveWeight: 0,
      aborted: null,
      maintenance: false,
      closed: false,
      colours: {
        blue: {
          version: "v1",
          commit: "commit-of-v1",
          directory: "/var/www/shop-v1",
          environment: ENVIRONMENT,
          pendingEnvironment: null,
          healthy: true,
          admitted: true,
        },
        green: {
          version: "v2",
          commit: "commit-of-v2",
          directory: "/var/www/shop-v2",
          environment: ENVIRONMENT,
          pendingEnvironment: null,
          healthy: false,
          admitted: false,
        },
      },
      certificate: null,
      underWay: "traffic",
    });
  });

  it("tells of a host on which nothing was released", () => {
    const { colours, traffic } = statusOf(emptySite("k"), null);
    expect(traffic).toEqual({ stable: "blue", weight: 0, salt: "" });
    expect(colours.green).toEqual({
      version: null,
      commit: null,
      directory: null,
      environment: null,
      pendingEnvironment: null,
      healthy: false,
      admitted: false,
    });
  });

  it("never tells the probes' key or the testers' secret", () => {
    const site = siteOf({ blue: serving("v1") });
    expect(JSON.stringify(statusOf(site, null))).not.toContain(site.probeKey);
    expect(JSON.stringify(statusOf(site, null))).not.toContain(site.settings!.testers.secret);
  });
});

const anyColour = fc.constantFrom<Colour>(...COLOURS);
const anyTraffic = fc.record({ stable: anyColour, weight: fc.integer({ min: 0, max: 100 }) });
/** A colour that runs something. */
const anyRelease = {
  release: fc.constantFrom("v1.0.0", "v1.0.1", "v2").map((version) => runningOf(version)),
  healthy: fc.boolean(),
  withdrawn: fc.boolean(),
  wasStable: fc.boolean(),
  pendingEnvironment: fc.constant(null),
  closesSite: fc.boolean(),
  before: fc.constant(null),
};
const anyState: fc.Arbitrary<ColourState> = fc.oneof(fc.constant(RETIRED), fc.record(anyRelease));
/** A colour that nothing but the traffic may keep from being admitted. */
const anyServing: fc.Arbitrary<ColourState> = fc.record({
  ...anyRelease,
  healthy: fc.constant(true),
  withdrawn: fc.constant(false),
});
const siteWith = (state: fc.Arbitrary<ColourState>): fc.Arbitrary<Site> =>
  fc
    .record({
      blue: state,
      green: state,
      traffic: fc.option(
        fc.record({ stable: anyColour, weight: fc.integer({ min: 0, max: 100 }), salt: fc.string() }),
      ),
    })
    .map(({ blue, green, traffic }) => ({ ...siteOf({ blue, green }), traffic }));
const anySite = siteWith(anyState);

describe("any site", () => {
  it("gives no share and no failover to a colour that is not admitted while the other one is", () => {
    fc.assert(
      fc.property(anySite, anyColour, (site, colour) => {
        fc.pre(!isAdmitted(site, colour) && isAdmitted(site, otherColour(colour)));
        const route = routeOf(site);
        expect(shareOf(route, colour)).toBe(0);
        expect(route.failsOver[otherColour(colour)]).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it("admits nothing that is unhealthy, withdrawn or not there", () => {
    fc.assert(
      fc.property(anySite, anyColour, (site, colour) => {
        const { release, healthy, withdrawn } = site.colours[colour];
        expect(isAdmitted(site, colour) && (release === null || !healthy || withdrawn)).toBe(false);
      }),
    );
  });

  it("shares out 100 %, each share between 0 and 100", () => {
    fc.assert(
      fc.property(anySite, (site) => {
        const [blue, green] = [shareOf(routeOf(site), "blue"), shareOf(routeOf(site), "green")];
        expect(blue + green).toBe(100);
        expect(Math.min(blue, green)).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  it("gives exactly the asked share where both are admitted", () => {
    fc.assert(
      // Of all sites, both are admitted on one in eighty: too few, in one run of some hundred, for fast-check to find enough.
      fc.property(siteWith(anyServing), (site) => {
        fc.pre(isAdmitted(site, "blue") && isAdmitted(site, "green"));
        expect(routeOf(site).weight).toBe(site.traffic!.weight);
      }),
    );
  });

  it("sends testers' releases nobody, whatever befalls the stable colour", () => {
    fc.assert(
      fc.property(anySite, anyColour, (site, stable) => {
        const candidate = otherColour(stable);
        const fresh = withColour({ ...site, traffic: { stable, weight: 0, salt: "" } }, candidate, {
          wasStable: false,
        });
        expect(shareOf(routeOf(fresh), candidate)).toBe(0);
        expect(routeOf(fresh).failsOver[stable]).toBe(false);
      }),
    );
  });

  it("writes its route so that it reads back", () => {
    fc.assert(
      fc.property(anySite, (site) => {
        const route = routeOf(site);
        const text = encodeRoute(route);
        expect(text).toMatch(/^(blue|green) \d+ \d+ [01] [01] [01]$/);
        const [stable, buckets, seed, blue, green, closed] = text.split(" ");
        expect({
          stable,
          weight: Number(buckets) / (split.BUCKETS / 100),
          seed: Number(seed),
          failsOver: { blue: blue === "1", green: green === "1" },
          closed: closed === "1",
        }).toEqual(route);
      }),
    );
  });

  it("has the same route after a second identical `traffic`", () => {
    fc.assert(
      fc.property(anySite, anyTraffic, (site, intent) => {
        const once = withTraffic(site, intent);
        expect(withTraffic(once, intent)).toEqual(once);
      }),
    );
  });
});
