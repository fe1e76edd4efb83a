import { renderSiteConfiguration } from "../../../host/conductor/site-configuration";
import { pathsOf } from "../../../host/conductor/paths";
import type { SiteSettings } from "../../../host/conductor/protocol";
import { SETTINGS } from "./support/fixtures";

const PROBE_KEY = "0123456789abcdef0123456789abcdef";
const render = (change: Partial<SiteSettings> = {}): string =>
  renderSiteConfiguration({
    settings: { ...SETTINGS, ...change },
    paths: pathsOf("shop"),
    probeKey: PROBE_KEY,
  });

/** The text between the braces of the first block whose head matches. */
function block(text: string, head: string): string {
  const start = text.indexOf(`${head} {`);
  expect(start).toBeGreaterThanOrEqual(0);
  let depth = 0;
  for (let i = text.indexOf("{", start); i < text.length; i++) {
    depth += text[i] === "{" ? 1 : text[i] === "}" ? -1 : 0;
    if (depth === 0) {
      return text.slice(start, i + 1);
    }
  }
  throw new Error(`${head} is never closed`);
}

const code = (text: string): string => text.replace(/^\s*#.*$/gm, "");

describe("the site's configuration", () => {
  it("is a function of its input", () => {
    const input = { settings: SETTINGS, paths: pathsOf("shop"), probeKey: PROBE_KEY };
    const copy = structuredClone(input);
    expect(renderSiteConfiguration(input)).toBe(renderSiteConfiguration(structuredClone(input)));
    expect(input).toEqual(copy);
  });

  it("holds its own mark exactly once, for the hash of the text to be put in", () => {
    expect(render().split("@CONFIGURATION@")).toHaveLength(2);
  });

  it("has no weight: weights live in njs", () => {
    expect(code(render())).not.toMatch(/weight/);
  });

  it("never retries what may not be repeated", () => {
    expect(code(render())).not.toContain("non_idempotent");
    expect(render()).toContain("proxy_next_upstream error timeout http_502 http_503;");
    expect(render()).toContain("proxy_next_upstream_tries 2;");
  });

  it.each([
    ["app_blue", ["server 127.0.0.1:3001 max_fails=0;"]],
    ["app_green", ["server 127.0.0.1:3002 max_fails=0;"]],
    [
      "app_blue_or_green",
      ["server 127.0.0.1:3001 max_fails=0;", "server 127.0.0.1:3002 max_fails=0 backup;"],
    ],
    [
      "app_green_or_blue",
      ["server 127.0.0.1:3002 max_fails=0;", "server 127.0.0.1:3001 max_fails=0 backup;"],
    ],
  ])("has the upstream %s, in which no failure is held against a server", (name, servers) => {
    const upstream = block(render(), `upstream ${name}`);
    expect(upstream.match(/server .*;/g)).toEqual(servers);
    expect(upstream).toMatch(/keepalive 128;/);
  });

  it("lets idle connections live on at a reload, and busy ones for long", () => {
    const site = block(render().slice(render().indexOf("listen 443") - 20), "server");
    expect(site).toMatch(/keepalive_min_timeout 1s;/);
    expect(site).toMatch(/keepalive_requests 1000000;/);
    expect(site).toMatch(/keepalive_timeout 75s;/);
    expect(site).toMatch(/http2 on;/);
    expect(site).toMatch(/client_max_body_size 10m;/);
    expect(site).toContain("server_name shop.example.com *.shop.example.com;");
  });

  it("leaves plain HTTP at once", () => {
    expect(render()).toContain("return 308 https://$host$request_uri;");
  });

  it("speaks to the conductor on its own socket only", () => {
    const text = render();
    const control = block(text.slice(text.indexOf("server {\n    listen unix:")), "server");
    for (const location of ["/traffic", "/counters", "/configuration"]) {
      expect(control).toContain(`location = ${location} {`);
      expect(text.split(`location = ${location} {`)).toHaveLength(2);
    }
    expect(control).toContain("listen unix:/run/shop/front-door/control.sock;");
    expect(control.match(/listen/g)).toHaveLength(1);
  });

  it("falls back to the conductor's file while njs knows nothing", () => {
    expect(block(render(), 'map "" $app_traffic_fallback')).toContain(
      "include /etc/nginx/shop/traffic-fallback;",
    );
  });

  it("takes only ids that Nginx could have drawn", () => {
    expect(block(render(), "map $cookie_shop_id $app_id")).toContain('"~^[0-9a-f]{32}$" $cookie_shop_id;');
    expect(block(render(), "map $cookie_shop_id $app_set_id")).toMatch(/HttpOnly; Secure; SameSite=Lax/);
  });

  it("keeps the probes' key from the application, and tells colours to those who have it", () => {
    expect(render()).toContain('proxy_set_header X-Conductor-Probe "";');
    expect(render()).toContain(`proxy_set_header ${SETTINGS.testers.name} "";`);
    expect(block(render(), "map $http_x_conductor_probe $app_probed_colour")).toContain(
      `"~^${PROBE_KEY}$" $app_colour;`,
    );
    expect(render().split(PROBE_KEY)).toHaveLength(2);
  });
});

describe("the testers' route", () => {
  it("takes a header and a cookie, for either colour", () => {
    for (const source of ["$http_x_shop_tester $app_tester", "$cookie_x_shop_tester $app_tester_cookie"]) {
      const map = block(render(), `map ${source}`);
      expect(map).toContain(`"~^blue:${SETTINGS.testers.secret}$" blue;`);
      expect(map).toContain(`"~^green:${SETTINGS.testers.secret}$" green;`);
    }
  });

  it("is closed where the secret is empty: no value opens it, an empty one neither", () => {
    const text = render({ testers: { name: "x-shop-tester", secret: "" } });
    for (const source of ["$http_x_shop_tester $app_tester", "$cookie_x_shop_tester $app_tester_cookie"]) {
      expect(block(text, `map ${source}`)).not.toMatch(/" (blue|green);/);
    }
    expect(text).not.toContain('"blue:');
  });
});

describe("stable paths", () => {
  /** The rendered patterns, as Nginx's PCRE reads them. */
  function patterns(stablePaths: readonly string[]): RegExp[] {
    const map = block(render({ stablePaths }), "map $uri $app_pinned");
    return [...map.matchAll(/"~(.*)" 1;/g)].map(([, pattern]) => new RegExp(pattern!));
  }

  it.each([
    [
      "/api/webhook",
      ["/api/webhook", "/api/webhook/", "/api/webhook/stripe"],
      ["/api/webhooks", "/x/api/webhook", "/api", "/"],
    ],
    ["/api/webhook/", ["/api/webhook", "/api/webhook/stripe"], ["/api/webhooks"]],
    ["/a.b", ["/a.b", "/a.b/c"], ["/aXb"]],
    ["/", ["/", "//"], []],
  ])("%s matches itself and all below", (path, matching, others) => {
    const [pattern] = patterns([path]);
    expect(matching.filter((uri) => !pattern!.test(uri))).toEqual([]);
    expect(others.filter((uri) => pattern!.test(uri))).toEqual([]);
  });

  it("are as many as were given", () => {
    expect(patterns([])).toEqual([]);
    expect(patterns(["/a", "/b"])).toHaveLength(2);
  });
});
