import { X509Certificate } from "node:crypto";
import { validate } from "../../config";
import type { Path } from "../../config/faults";
import {
  changed,
  faultsOf,
  hostKey,
  machineWith,
  privateKey,
  rawConfig,
  settings,
} from "./support/configuration";
import { makePair } from "./host/support/fake-certificates";

const load = (values: Record<string, unknown>) => validate(rawConfig(values), machineWith());
const keysOf = (values: Record<string, unknown>) => faultsOf(values).map(({ key }) => key);

describe("a valid configuration", () => {
  it("becomes the host's own words, with the guide's values as defaults", () => {
    const { host, machine, site, releases, traffic } = load(settings());
    expect(traffic).toEqual({ stable: "blue", weight: 5 });
    expect(releases.green).toEqual({
      buildVariables: ["NEXT_SERVER_ACTIONS_ENCRYPTION_KEY"],
      version: "v1.0.0",
      tag: "v1.0.0-production",
      repository: "git://10.77.1.1/sample.git",
      commit: null,
      install: ["npm", "ci"],
      build: ["npm", "run", "build"],
      prune: ["npm", "prune", "--omit=dev"],
      script: "node_modules/next/dist/bin/next",
      args: ["start"],
    });
    expect(site).toMatchObject({
      domains: ["vehicleservice.test"],
      ports: { blue: 3001, green: 3002 },
      instances: 2,
      tls: {
        certificate: "/etc/ssl/vehicleservice/fullchain.pem",
        key: "/etc/ssl/vehicleservice/privkey.pem",
      },
      testers: { name: "x-vs-tester", secret: "" },
      drainSeconds: 30,
      assetsPath: "/_next/static",
      builds: {
        assets: ".next/static",
        cache: [".next/cache"],
        minFreeMegabytes: 1024,
        timeoutSeconds: 1800,
      },
    });
    expect(site.smokeTests.map(({ name, status }) => [name, status[0]])).toEqual([
      ["health", 200],
      ["home", 200],
      ["wallet", 200],
      ["admin", 200],
      ["unsigned-webhook", 400],
      ["unknown-path", 302],
    ]);
    expect(machine).toMatchObject({
      mode: "existing",
      address: "10.77.1.2",
      port: 22,
      user: "root",
      hostKey,
    });
    expect(host).toEqual({ app: "vehicleservice", privateKey });
  });

  it.each<[string, Path, unknown]>([
    ["a host by its DNS name", ["host", "address"], "web-1.example.com"],
    ["a host by its IPv6 address", ["host", "address"], "2001:db8::7"],
    ["a version before its release", ["greenVersion"], "v1.0.0-rc.1"],
    ["a version without v", ["greenVersion"], "1.0.0"],
    ["no build", ["application", "build"], []],
    ["a number typed behind --path, which Pulumi may keep as text", ["site", "drainSeconds"], "45"],
    ["a repository by SSH", ["source", "repository"], "git@github.com:example/vehicleservice.git"],
    ["a repository by an ssh:// URL", ["source", "repository"], "ssh://git@git.example.com:2222/a/b.git"],
    ["a repository on the host's disk", ["source", "repository"], "file:///srv/git/sample.git"],
    ["a tag with a folder", ["source", "tagPattern"], "release/{version}"],
    ["a pinned commit", ["source", "commits", "v1.0.0"], "0123456789abcdef0123456789abcdef01234567"],
    ["no files that outlive their release", ["application", "assets", "path"], ""],
    [
      "a smoke test with one status",
      ["application", "smokeTests"],
      [{ name: "home", path: "/", status: 204 }],
    ],
    ["no smoke test", ["application", "smokeTests"], []],
    [
      "a smoke test that is signed",
      ["application", "smokeTests"],
      [{ name: "signed", path: "/hook", method: "POST", signedWith: "STRIPE_WEBHOOK_SECRET" }],
    ],
    ["arguments that a shell would act on", ["application", "args"], ["start", "$(id)", "a b"]],
  ])("may have %s", (_, path, value) => {
    expect(faultsOf(changed(settings(), path, value))).toEqual([]);
  });

  it("pins the commit of the version that has one", () => {
    const commits = { "v1.0.0": "0123456789abcdef0123456789abcdef01234567" };
    const { releases } = load(changed(settings(), ["source", "commits"], commits));
    expect([releases.blue?.commit, releases.green?.commit]).toEqual([null, commits["v1.0.0"]]);
  });

  it("retires a colour without a version", () => {
    const values = changed(changed(settings(), ["canaryWeight"], "0"), ["greenVersion"], "");
    expect(load(values).releases.green).toBeNull();
  });

  it("is named after its application on the host", () => {
    const { host, site } = load(changed(settings(), ["name"], "garage"));
    const files = { certificate: "/etc/ssl/garage/fullchain.pem", key: "/etc/ssl/garage/privkey.pem" };
    expect([host.app, site.tls]).toEqual(["garage", files]);
  });

  it("has the guide's limits, which hold for neither health nor webhooks, and the headers that do no harm", () => {
    const { site, maintenance } = load(settings());
    expect(maintenance).toBe(false);
    expect(site).toMatchObject({
      readTimeoutSeconds: 60,
      apiPaths: ["/api"],
      maintenance: { page: null, passPaths: ["/api/health"], retryAfterSeconds: 120 },
      hsts: { maxAgeSeconds: 31_536_000, includeSubdomains: true, preload: false },
      rateLimit: {
        requestsPerMinute: 100,
        burst: 200,
        exemptPaths: ["/api/health", "/api/business/wallet/webhook"],
        exemptNetworks: [],
      },
      nginxSnippet: null,
      assetsPath: "/_next/static",
    });
    expect(Object.keys(site.headers)).toHaveLength(4);
  });

  it("follows the health path and the stable paths where it names no others", () => {
    const values = changed(
      changed(settings(), ["site", "stablePaths"], ["/hooks"]),
      ["application", "health"],
      {
        path: "/up",
      },
    );
    const { site } = load(values);
    expect([site.maintenance.passPaths, site.rateLimit.exemptPaths]).toEqual([["/up"], ["/up", "/hooks"]]);
    const named = changed(values, ["site", "rateLimit"], { exemptPaths: [] });
    expect(load(named).site.rateLimit.exemptPaths).toEqual([]);
  });

  it.each([
    ["true", true],
    [true, true],
    ["false", false],
  ])("takes maintenance as %j", (value, on) => {
    expect(load(changed(settings(), ["maintenance"], value)).maintenance).toBe(on);
  });

  it("serves no assets where their path is empty", () => {
    expect(load(changed(settings(), ["application", "assets"], { path: "" })).site.assetsPath).toBeNull();
  });

  it("lets the host get its certificate by ACME, from Let's Encrypt where no other server is named", () => {
    const { site } = load(changed(settings(), ["site", "tls"], { acme: {} }));
    const directory = "https://acme-v02.api.letsencrypt.org/directory";
    expect(site.tls).toEqual({ acme: { directory, email: "", authority: null, renewBeforeDays: 30 } });
  });

  it("reads the authority behind an ACME server from a local file, and nothing else that is in it", async () => {
    const { chain, key } = await makePair(["acme.test"]);
    const values = changed(settings(), ["site", "tls", "acme"], { authority: "ca.pem", email: "me@a.test" });
    const machine = machineWith({
      "/project/ca.pem": `A comment\r\n${key}${chain.replaceAll("\n", "\r\n")}`,
    });
    const { tls } = validate(rawConfig(values), machine).site;
    expect(tls).toMatchObject({
      acme: { authority: new X509Certificate(chain).toString(), email: "me@a.test" },
    });
  });

  it.each([
    ["that is not there", {}, "a file that exists"],
    ["without a certificate", { "/project/ca.pem": "x" }, "certificates in PEM"],
    [
      "with a broken certificate",
      { "/project/ca.pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" },
      "certificates in PEM",
    ],
  ])("refuses an authority %s", (_, files, rule) => {
    const values = changed(settings(), ["site", "tls", "acme", "authority"], "ca.pem");
    expect(faultsOf(values, machineWith(files))).toEqual([
      expect.objectContaining({
        key: "vehicleservice:site.tls.acme.authority",
        rule: expect.stringContaining(rule),
      }),
    ]);
  });

  it("leaves `environment` to the engine", () => {
    expect(faultsOf(changed(settings(), ["environment"], "production"))).toEqual([]);
  });
});

describe("a hostile or mistaken value is refused", () => {
  it.each<[string, Path, unknown]>([
    ["a version with a command behind it", ["greenVersion"], "v1.0.0; rm -rf /"],
    ["a version from a subshell", ["greenVersion"], "$(touch /tmp/x)"],
    ["a version in backticks", ["greenVersion"], "`id`"],
    ["a version with a second line", ["greenVersion"], "v1.0.0\nv1.0.1"],
    ["a version with a line break at its end", ["greenVersion"], "v1.0.0\n"],
    ["an option for a version", ["greenVersion"], "--upload-pack=x"],
    ["a version with a NUL", ["greenVersion"], "v1.0.0\0"],
    ["a version with .. in it", ["greenVersion"], "v1.0.0-a..b"],
    ["a version with leading zeros", ["greenVersion"], "v01.0.0"],
    ["a version in look-alike digits", ["greenVersion"], "v1.0.٣"],
    ["a colour in capitals", ["stable"], "Blue"],
    ["a weight above 100", ["canaryWeight"], "101"],
    ["a weight below 0", ["canaryWeight"], "-1"],
    ["half a percent", ["canaryWeight"], "0.5"],
    ["a weight in hex", ["canaryWeight"], "0x5"],
    ["a weight with an exponent", ["canaryWeight"], "1e1"],
    ["a domain with a space", ["site", "domains", 0], "a.example b.example"],
    ["a domain with Nginx's ;", ["site", "domains", 0], "example.com;return 200"],
    ["a domain with a block", ["site", "domains", 0], "example.com{}"],
    ["a wildcard domain", ["site", "domains", 0], "*.example.com"],
    ["a domain with a scheme", ["site", "domains", 0], "https://example.com"],
    ["a bare top-level name", ["site", "domains", 0], "localhost"],
    ["a label of 64 characters", ["site", "domains", 0], `${"a".repeat(64)}.example.com`],
    ["one domain twice", ["site", "domains"], ["a.example.com", "a.example.com"]],
    ["no domain", ["site", "domains"], []],
    ["a domain that is no list", ["site", "domains"], "example.com"],
    ["an IPv6 address with a zone", ["host", "address"], "fe80::1%eth0"],
    ["an SSH option for an address", ["host", "address"], "-oProxyCommand=id"],
    ["an address with a port", ["host", "address"], "10.0.0.1:22"],
    ["a broken IPv4 address", ["host", "address"], "10.0.0.256"],
    ["a user with a space", ["host", "user"], "root -o"],
    ["a user that is an option", ["host", "user"], "-l"],
    ["a port of SSH above 65535", ["host", "port"], 65536],
    ["a mode that is not there yet", ["host", "mode"], "aws"],
    ["a host path with ..", ["site", "tls", "key"], "/etc/ssl/../shadow"],
    ["a relative host path", ["site", "tls", "key"], "privkey.pem"],
    ["a host path with a line break", ["site", "tls", "key"], "/etc/ssl/key\n.pem"],
    ["a host path with Nginx's ;", ["site", "tls", "key"], "/etc/ssl/key;"],
    [
      "an ACME server without encryption",
      ["site", "tls", "acme", "directory"],
      "http://acme.example.com/dir",
    ],
    ["an ACME server with a user", ["site", "tls", "acme", "directory"], "https://me@acme.example.com/dir"],
    [
      "an ACME directory with a query",
      ["site", "tls", "acme", "directory"],
      "https://acme.example.com/dir?x",
    ],
    ["an ACME directory with ..", ["site", "tls", "acme", "directory"], "https://acme.example.com/../dir"],
    ["an ACME server that is no host", ["site", "tls", "acme", "directory"], "https://-x.example.com/dir"],
    ["no mail address", ["site", "tls", "acme", "email"], "operations"],
    ["a mail address with a line break", ["site", "tls", "acme", "email"], "a@example.com\nX: y"],
    ["a renewal 0 days before the end", ["site", "tls", "acme", "renewBeforeDays"], 0],
    ["a health path with a query", ["application", "health", "path"], "/api/health?x=1"],
    ["a health path with a header in it", ["application", "health", "path"], "/x HTTP/1.1\r\nHost: y"],
    ["a stable path with a regular expression", ["site", "stablePaths", 0], "/api/(.*)"],
    ["maintenance that is neither on nor off", ["maintenance"], "yes"],
    ["assets at the root", ["application", "assets", "path"], "/"],
    ["a network without length", ["site", "rateLimit", "exemptNetworks", 0], "10.0.0.1"],
    ["a network that is too long", ["site", "rateLimit", "exemptNetworks", 0], "10.0.0.0/33"],
    ["a network with Nginx's ;", ["site", "rateLimit", "exemptNetworks", 0], "10.0.0.0/8;"],
    ["a header's value that ends its quotes", ["site", "headers", "X-A"], 'a"; return 200 "'],
    ["a header's value with a variable", ["site", "headers", "X-A"], "$host"],
    ["a header's value with a second header", ["site", "headers", "X-A"], "a\r\nX-B: c"],
    ["a header without a value", ["site", "headers", "X-A"], ""],
    ["a cache above the release", ["application", "buildCache", 0], "../cache"],
    ["assets above the release", ["application", "assets", "directory"], ".next/../.."],
    ["assets below a query", ["application", "assets", "path"], "/static?x"],
    ["a smoke test with a query", ["application", "smokeTests"], [{ name: "home", path: "/?x" }]],
    ["a smoke test without a name", ["application", "smokeTests"], [{ path: "/" }]],
    ["a status that is none", ["application", "smokeTests"], [{ name: "home", path: "/", status: 99 }]],
    [
      "a signature without a body",
      ["application", "smokeTests"],
      [{ name: "x", path: "/", signedWith: "STRIPE_WEBHOOK_SECRET" }],
    ],
    [
      "a secret in the place of a variable's name",
      ["application", "smokeTests"],
      [{ name: "x", path: "/", method: "POST", signedWith: "a-b" }],
    ],
    [
      "a method that changes things",
      ["application", "smokeTests"],
      [{ name: "x", path: "/", method: "DELETE" }],
    ],
    [
      "two smoke tests of one name",
      ["application", "smokeTests"],
      [
        { name: "home", path: "/" },
        { name: "home", path: "/x" },
      ],
    ],
    ["a header with a second header in it", ["site", "testerName"], "x-a: b\r\nx-c"],
    ["a header that HTTP uses", ["site", "testerName"], "authorization"],
    ["a cookie with a dash, no name of a variable", ["site", "idCookie"], "vs-id"],
    ["a transport helper", ["source", "repository"], "ext::sh -c id"],
    ["an SSH option for a repository", ["source", "repository"], "-oProxyCommand=id"],
    ["an SSH option for a repository's host", ["source", "repository"], "ssh://-oProxyCommand=id/x"],
    ["an SSH option behind user@", ["source", "repository"], "git@-oProxyCommand=id:x"],
    ["a repository with a password", ["source", "repository"], "https://me:pass@git.example.com/a.git"],
    ["a repository without encryption", ["source", "repository"], "http://git.example.com/a.git"],
    ["a repository above its root", ["source", "repository"], "https://git.example.com/a/../b.git"],
    ["a tag pattern without a version", ["source", "tagPattern"], "production"],
    ["a tag pattern with two versions", ["source", "tagPattern"], "{version}-{version}"],
    ["a tag pattern that is an option", ["source", "tagPattern"], "--upload-pack={version}"],
    ["a tag pattern that Git refuses", ["source", "tagPattern"], "{version}.lock"],
    ["half a commit", ["source", "commits", "v1.0.0"], "0123456"],
    ["a commit for no version", ["source", "commits", "latest"], "0123456789abcdef0123456789abcdef01234567"],
    ["an absolute script", ["application", "script"], "/usr/bin/id"],
    ["a script outside the release", ["application", "script"], "../../etc/passwd"],
    ["a script that is an option", ["application", "script"], "--eval"],
    ["nothing to install with", ["application", "install"], []],
    ["a program with a space", ["application", "build"], ["npm run build"]],
    ["a program above the release", ["application", "build"], ["../x"]],
    ["an argument with a line break", ["application", "args", 0], "start\n--inspect"],
    ["two colours on one port", ["application", "ports"], { blue: 3001, green: 3001 }],
    ["a privileged port", ["application", "ports", "blue"], 80],
    ["a name in capitals", ["name"], "VehicleService"],
    ["a name with a slash", ["name"], "a/b"],
    ["a local file above the project", ["host", "privateKeyFile"], "../id"],
    ["a local file with a line break", ["host", "privateKeyFile"], "keys/id\n"],
    ["a secret that is short", ["testerSecret"], "0123456789"],
    ["a secret with a quote", ["testerSecret"], "0123456789abcdef'"],
  ])("%s", (_, path, value) => {
    const faults = faultsOf(changed(settings(), path, value));
    expect(faults).toHaveLength(1);
    const [{ rule, remedy } = { rule: "", remedy: "" }] = faults;
    expect(rule).not.toBe("");
    expect(remedy).toMatch(/^(pulumi config (set|rm) |write `.+` under )/);
    // eslint-disable-next-line no-control-regex -- what a terminal must not get
    expect(JSON.stringify(Object.values(faults[0]!))).not.toMatch(/[\u0000-\u001f\u007f]/);
  });
});

describe("rules between values", () => {
  it.each<[string, Path, unknown, string]>([
    ["the stable colour has a version", ["blueVersion"], "", "blueVersion"],
    ["a share needs a candidate", ["greenVersion"], "", "canaryWeight"],
    ["the host's key is pinned", ["host", "hostKey"], undefined, "host.hostKey"],
    ["the host's key is pinned once", ["host", "knownHostsFile"], "known_hosts", "host.knownHostsFile"],
    ["there is a private key", ["host", "privateKeyFile"], undefined, "host.privateKeyFile"],
    ["there is one private key", ["hostPrivateKey"], privateKey, "hostPrivateKey"],
    ["the application is not where SSH is", ["host", "port"], 3002, "application.ports.green"],
    [
      "a new release can become healthy in time",
      ["application", "health"],
      { passes: 10, intervalMs: 1000, deadlineSeconds: 9 },
      "application.health.deadlineSeconds",
    ],
    [
      "a candidate can be proven by the health path",
      ["site", "stablePaths"],
      ["/api"],
      "application.health.path",
    ],
    [
      "certificates come from one place",
      ["site", "tls"],
      { acme: {}, certificate: "/etc/ssl/a.pem" },
      "site.tls.certificate",
    ],
    ["keys come from one place", ["site", "tls"], { acme: {}, key: "/etc/ssl/a.pem" }, "site.tls.key"],
    ["no tag ends in .lock", ["source", "tagPattern"], "x-{version}", "greenVersion"],
  ])("%s", (_, path, value, key) => {
    const values = key === "greenVersion" ? changed(settings(), [key], "v1.0.0-a.lock") : settings();
    expect(keysOf(changed(values, path, value))).toEqual([`vehicleservice:${key}`]);
  });
});

describe("all faults at once", () => {
  it("names every one of them, whether of a value, between values, of a key or of a file", () => {
    const values = {
      ...changed(settings(), ["host", "privateKeyFile"], "keys/none"),
      blueVersion: "",
      greenVersion: "v1.0.0; rm -rf /",
      canaryWieght: "5",
      site: { domains: ["a b"], drainSecond: 3 },
    };
    expect(keysOf(values)).toEqual([
      "vehicleservice:greenVersion",
      "vehicleservice:site.domains[0]",
      "vehicleservice:site.drainSecond",
      "vehicleservice:canaryWieght",
      "vehicleservice:blueVersion",
      "vehicleservice:host.privateKeyFile",
    ]);
  });

  it("names every required key of a stack without configuration", () => {
    expect(keysOf({ variableRules: "none" })).toEqual([
      "vehicleservice:site.domains",
      "vehicleservice:source.repository",
      "vehicleservice:host.address",
      "vehicleservice:blueVersion",
      "vehicleservice:host.hostKey",
      "vehicleservice:host.privateKeyFile",
    ]);
  });

  it.each<[string, unknown]>([
    ["text", "just text"],
    ["a list", "[1]"],
    ["broken JSON", "{"],
    ["null", "null"],
  ])("takes no %s for a group", (_, value) => {
    expect(keysOf({ ...settings(), application: value })).toContain("vehicleservice:application");
  });

  it("takes no prototype for a key", () => {
    const values = { ...settings(), site: '{"domains": ["a.example.com"], "__proto__": {"idCookie": "x"}}' };
    expect(keysOf(values)).toEqual(["vehicleservice:site.__proto__"]);
  });
});

describe("texts of the operator's own", () => {
  const withSnippet = changed(settings(), ["site", "nginxSnippet"], "snippet.conf");
  const snippet = (text: string) => machineWith({ "/project/snippet.conf": text });

  it("are read from the files that are named", () => {
    const values = changed(withSnippet, ["site", "maintenance"], { page: "~/page.html" });
    const machine = machineWith({
      "/project/snippet.conf": "location /x {\n\treturn 204;\n}\n",
      "/home/me/page.html": "<h1>Zurück um acht</h1>\r\n",
    });
    const { site } = validate(rawConfig(values), machine);
    expect(site.nginxSnippet).toBe("location /x {\n\treturn 204;\n}\n");
    expect(site.maintenance.page).toBe("<h1>Zurück um acht</h1>\r\n");
  });

  it.each([
    ["is not there", machineWith(), "a file that exists; looked for /project/snippet.conf"],
    ["is empty", snippet(""), "not an empty one"],
    ["is too long", snippet("#".repeat(64 * 1024 + 1)), "at most 64 KiB"],
    ["is no text", snippet("a\0b"), "without control characters"],
  ])("have to be what can be sent: one that %s is a fault", (_, machine, rule) => {
    expect(faultsOf(withSnippet, machine)).toEqual([
      expect.objectContaining({
        key: "vehicleservice:site.nginxSnippet",
        rule: expect.stringContaining(rule),
      }),
    ]);
  });

  it("may be as long as the host takes them", () => {
    expect(faultsOf(withSnippet, snippet("#".repeat(64 * 1024)))).toEqual([]);
  });
});

it.each([
  ["a name that Nginx has a use for", { "Content-Length": "1" }, "as its key the name of a header"],
  ["a name that is none", { "X A": "1" }, "as its key the name of a header"],
  ["one name twice", { "X-A": "1", "x-a": "2" }, "each name once"],
])("headers with %s are a fault", (_, headers, rule) => {
  const [fault] = faultsOf(changed(settings(), ["site", "headers"], headers));
  expect(fault?.rule).toContain(rule);
});
