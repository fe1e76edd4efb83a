import { UPSTREAM_IDLE_SECONDS } from "../../../host/launcher/connection-times";
import { renderSiteConfiguration } from "../../../host/conductor/front-door/site-configuration";
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
    expect(upstream).toContain(`keepalive_timeout ${UPSTREAM_IDLE_SECONDS}s;`);
  });

  it("lets idle connections live on at a reload, and busy ones for long", () => {
    const site = block(render().slice(render().indexOf("listen 443") - 20), "server");
    expect(site).toMatch(/keepalive_min_timeout 10s;/);
    expect(site).toMatch(/keepalive_requests 1000000;/);
    expect(site).toMatch(/keepalive_timeout 75s;/);
    expect(site).toMatch(/http2 on;/);
    expect(site).toMatch(/client_max_body_size 10m;/);
    expect(site).toContain("server_name shop.example.com *.shop.example.com;");
  });

  it("writes what is signed as Stripe does it to a log of its own, without the signature, beside the log of all", () => {
    const site = block(render().slice(render().indexOf("listen 443") - 20), "server");
    expect(site.match(/access_log .*;/g)).toEqual([
      "access_log /var/log/nginx/access.json app_requests buffer=64k flush=1s;",
      "access_log /var/log/nginx/webhooks.json app_signed buffer=4k flush=1s if=$app_signed;",
    ]);
    expect(block(render(), "map $http_stripe_signature $app_signed")).toMatch(/default 1;\s+"" "";/);
    const [, format = ""] = /log_format app_signed ([^;]*);/.exec(render()) ?? [];
    // Nothing of it runs njs: the counts are the other log's.
    expect(format.match(/\$\w+/g)).toEqual([
      "$time_iso8601",
      "$request_method",
      "$uri",
      "$status",
      "$request_id",
    ]);
  });

  it("leaves plain HTTP at once", () => {
    expect(render()).toContain("return 308 https://$host$request_uri;");
  });

  it("shows challenges by plain HTTP where the host gets its own certificate, and all else leads to HTTPS", () => {
    const acme = { directory: "https://acme.test/dir", email: "", authority: null, renewBeforeDays: 30 };
    const text = render({ tls: { acme } });
    const plain = block(text.slice(text.indexOf("listen 80") - 20), "server");
    expect(block(plain, "location ^~ /.well-known/acme-challenge/")).toContain("alias /var/lib/shop/acme/;");
    expect(block(plain, "location /")).toContain("return 308 https://$host$request_uri;");
    // Outside of a location it would come before every location.
    expect(plain.match(/return/g)).toHaveLength(1);
    expect(text).toContain("ssl_certificate /var/lib/shop/certificates/current/fullchain.pem;");
    expect(text).toContain("ssl_certificate_key /var/lib/shop/certificates/current/privkey.pem;");
  });

  it("shows no challenges where files are named", () => {
    expect(render()).not.toContain("acme-challenge");
    expect(render()).toContain("ssl_certificate /etc/ssl/shop/fullchain.pem;");
    expect(render()).toContain("ssl_certificate_key /etc/ssl/shop/privkey.pem;");
  });

  it("speaks to the conductor on its own socket only", () => {
    const text = render();
    const control = block(text.slice(text.indexOf("server {\n    listen unix:")), "server");
    for (const location of ["/traffic", "/counters", "/metrics", "/configuration"]) {
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
    expect(block(render(), "map $http_x_conductor_probe $app_probe")).toContain(`"~^${PROBE_KEY}$" 1;`);
    expect(block(render(), "map $app_probe $app_probed_colour")).toContain("1 $app_colour;");
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

/** The site's server block. */
const site = (change: Partial<SiteSettings> = {}): string =>
  block(render(change).slice(render(change).indexOf("server {\n    listen 443")), "server");

describe("maintenance", () => {
  it("is looked at for every request that would go to the application, and by file, too", () => {
    expect(site()).toContain("if (-f /var/www/shop/MAINTENANCE_MODE) {");
    for (const head of ["location /", "location @application"]) {
      expect(block(site(), head)).toMatch(/if \(\$app_pool = closed\) \{\s+return 503;\s+\}/);
    }
    expect(site()).toContain("error_page 429 503 @refused;");
    expect(site()).not.toContain("proxy_intercept_errors");
  });

  it("lets the paths pass that it is told", () => {
    const maintenance = { ...SETTINGS.maintenance, passPaths: ["/api/health", "/hooks/"] };
    const map = block(render({ maintenance }), "map $uri $app_passes");
    expect(map.match(/"~.*" 1;/g)).toEqual(['"~^/api/health(/|$)" 1;', '"~^/hooks(/|$)" 1;']);
  });
});

describe("headers", () => {
  it("are added where the application sets none, in every block that adds any", () => {
    expect(block(render(), "map $upstream_http_x_frame_options $app_header_x_frame_options")).toBe(
      'map $upstream_http_x_frame_options $app_header_x_frame_options {\n    default "";\n    "" "SAMEORIGIN";\n}',
    );
    const assets = block(site(), "location /_next/static/");
    for (const name of ["X-Frame-Options", "Permissions-Policy", "Strict-Transport-Security"]) {
      const line = `add_header ${name} $app_header_${name.toLowerCase().replaceAll("-", "_")} always;`;
      expect(site().split(assets).join("")).toContain(line);
      expect(assets).toContain(line);
    }
    expect(site().match(/location [^{]*\{[^}]*add_header/g)).toHaveLength(1);
  });

  it.each([
    [
      { maxAgeSeconds: 31_536_000, includeSubdomains: true, preload: false },
      "max-age=31536000; includeSubDomains",
    ],
    [{ maxAgeSeconds: 60, includeSubdomains: false, preload: false }, "max-age=60"],
    [{ maxAgeSeconds: 60, includeSubdomains: true, preload: true }, "max-age=60; includeSubDomains; preload"],
  ])("hold Strict-Transport-Security of %j", (hsts, value) => {
    expect(render({ hsts })).toContain(`"" "${value}";`);
  });

  it("hold none where its age is 0", () => {
    expect(render({ hsts: { maxAgeSeconds: 0, includeSubdomains: true, preload: true } })).not.toMatch(
      /strict/i,
    );
  });

  it("give no user's id to files that caches may keep", () => {
    expect(block(site(), "location /_next/static/")).not.toMatch(/Set-Cookie|app_probed_colour/);
  });
});

describe("request limits", () => {
  it("count by client, but for networks, paths and probes that are exempt", () => {
    const text = render();
    expect(text).toContain("limit_req_zone $app_limited_client zone=app_clients:10m rate=100r/m;");
    expect(block(text, "geo $app_exempt_network")).toContain("10.77.0.0/16 1;");
    expect(block(text, "map $uri $app_exempt_path")).toContain('"~^/api/health(/|$)" 1;');
    expect(text).toContain('map "$app_exempt_network$app_exempt_path$app_probe" $app_limited_client {');
    for (const head of ["location /", "location @application"]) {
      expect(block(site(), head)).toContain("limit_req zone=app_clients burst=200 nodelay;");
    }
    expect(block(site(), "location /_next/static/")).not.toContain("limit_req");
  });

  it("know no burst of 0, which Nginx refuses", () => {
    const rateLimit = { ...SETTINGS.rateLimit, burst: 0 };
    expect(block(site({ rateLimit }), "location /")).toContain("limit_req zone=app_clients;");
  });

  it("are off at 0", () => {
    const rateLimit = { ...SETTINGS.rateLimit, requestsPerMinute: 0 };
    expect(code(render({ rateLimit }))).not.toMatch(/limit_req |limit_req_zone|app_clients/);
  });
});

describe("files of the last releases", () => {
  it.each(["/_next/static", "/_next/static/"])(
    "below %s come from disk, or else from the application",
    (assetsPath) => {
      const assets = block(site({ assetsPath }), "location /_next/static/");
      expect(assets).toContain("root /var/www/shop-assets;");
      expect(assets).toContain("try_files $uri @application;");
      expect(assets).toContain('add_header Cache-Control "public, max-age=31536000, immutable";');
    },
  );

  it("are the application's own where there is no such path", () => {
    expect(site({ assetsPath: null })).not.toMatch(/@application|try_files/);
  });
});

it("gives up on an application that is silent for as long as it is told", () => {
  expect(site({ readTimeoutSeconds: 7 })).toContain("proxy_read_timeout 7s;");
});
