import * as fc from "fast-check";
import { parseAct } from "../../../host/conductor/acts";
import { InvalidAct } from "../../../host/conductor/faults";
import type { Act } from "../../../host/conductor/protocol";
import { desiredOf, intentOf, SETTINGS } from "./support/fixtures";

const configure: Act = { act: "configure", site: SETTINGS };
const release: Act = {
  act: "release",
  colour: "blue",
  release: intentOf("v1.0.0", { prune: ["npm", "prune"], args: ["--port", "$PORT; it is one argument"] }),
};
const AUTHORITY = [
  "-----BEGIN CERTIFICATE-----",
  "MIIBhjCCAS2gAwIBAgIBATAKBggqhkjOPQQDAjAA",
  "-----END CERTIFICATE-----",
  "",
].join("\n");
const acme = {
  directory: "https://acme.example.com:14000/dir",
  email: "operations@example.com",
  authority: AUTHORITY,
  renewBeforeDays: 30,
};
const certify: Act = { act: "certify", domains: ["shop.example.com"], tls: { acme } };
const SOUND: readonly Act[] = [
  configure,
  { ...configure, site: { ...SETTINGS, testers: { name: "x-t", secret: "" }, stablePaths: [] } },
  {
    act: "plan",
    releases: { blue: intentOf("v1.0.0"), green: null },
    traffic: { stable: "blue", weight: 100 },
  },
  release,
  { act: "drift" },
  {
    act: "drift",
    desired: {
      ...desiredOf({
        releases: { blue: intentOf("v1.0.0"), green: null },
        traffic: { stable: "blue", weight: 0 },
      }),
      inPlace: true,
    },
  },
  {
    act: "plan",
    releases: { blue: intentOf("v1.0.0"), green: null },
    schema: { blue: { first: "001", last: null }, green: null },
    traffic: { stable: "blue", weight: 100 },
  },
  certify,
  { ...certify, tls: { acme: { ...acme, authority: AUTHORITY.repeat(3) } } },
  { ...certify, tls: { acme: { ...acme, email: "", authority: null } } },
  { act: "certify", domains: SETTINGS.domains, tls: SETTINGS.tls },
  { ...configure, site: { ...SETTINGS, domains: ["shop.example.com"], tls: { acme } } },
  { act: "release", colour: "green", release: null },
  {
    act: "release",
    colour: "green",
    release: intentOf("v1.2.3-rc.1", { commit: "0123456789abcdef0123456789abcdef01234567" }),
  },
  { act: "traffic", stable: "green", weight: 0 },
  { act: "maintenance", on: true },
  { act: "smoke", target: "green" },
  { act: "smoke", target: "site" },
  {
    ...configure,
    site: {
      ...SETTINGS,
      maintenance: { page: "<h1>Back soon</h1>\n", passPaths: ["/"], retryAfterSeconds: 1 },
      hsts: { maxAgeSeconds: 0, includeSubdomains: false, preload: false },
      headers: { "Content-Security-Policy": "default-src 'self'; img-src *" },
      rateLimit: { requestsPerMinute: 0, burst: 0, exemptPaths: [], exemptNetworks: ["2001:db8::/32"] },
      nginxSnippet: "location /x {\n\treturn 204;\n}\n",
      assetsPath: null,
      builds: { assets: "dist/public", cache: [], minFreeMegabytes: 1024, timeoutSeconds: 1800 },
      smokeTests: [
        { name: "unsigned-hook", path: "/hook", method: "POST", status: [400, 401], contains: "<b>no</b>" },
        {
          ...{ name: "signed-hook", path: "/hook", method: "POST" as const, status: [200], contains: null },
          signedWith: "HOOK_SECRET",
        },
      ],
    },
  },
  { act: "status" },
];

it.each(SOUND.map((act) => [act.act, act] as const))("takes a sound %s", (_, act) => {
  expect(parseAct(JSON.stringify(act))).toEqual(act);
});

it.each([
  "https://git.example.com/team/shop.git",
  "git://10.77.1.1/sample.git",
  "ssh://git@git.example.com:2222/team/shop.git",
  "file:///srv/git/shop.git",
  "file:///_srv/shop.git",
  "git@github.com:team/shop.git",
  "deploy_1@git.example.com:22/shop.git",
])("takes the repository %s", (repository) => {
  const act: Act = { act: "release", colour: "blue", release: intentOf("v1.0.0", { repository }) };
  expect(parseAct(JSON.stringify(act))).toEqual(act);
});

type Path = readonly (string | number)[];

/** The fields whose text ends in a path, an argument list, or Nginx's configuration: every string but free arguments. */
const FIELDS: readonly (readonly [string, Act, Path])[] = [
  ["a domain", configure, ["site", "domains", 0]],
  ["the certificate", configure, ["site", "tls", "certificate"]],
  ["the key", configure, ["site", "tls", "key"]],
  ["a domain to certify", certify, ["domains", 0]],
  ["the ACME directory", certify, ["tls", "acme", "directory"]],
  ["the mail address", certify, ["tls", "acme", "email"]],
  ["the health path", configure, ["site", "health", "path"]],
  ["the id cookie", configure, ["site", "idCookie"]],
  ["the testers' header", configure, ["site", "testers", "name"]],
  ["the testers' secret", configure, ["site", "testers", "secret"]],
  ["a stable path", configure, ["site", "stablePaths", 0]],
  ["a path for programs", configure, ["site", "apiPaths", 0]],
  ["a path that passes", configure, ["site", "maintenance", "passPaths", 0]],
  ["a path without limit", configure, ["site", "rateLimit", "exemptPaths", 0]],
  ["a network without limit", configure, ["site", "rateLimit", "exemptNetworks", 0]],
  ["the assets' path", configure, ["site", "assetsPath"]],
  ["the assets' directory", configure, ["site", "builds", "assets"]],
  ["a build cache", configure, ["site", "builds", "cache", 0]],
  ["a smoke test's name", configure, ["site", "smokeTests", 0, "name"]],
  ["a smoke test's path", configure, ["site", "smokeTests", 0, "path"]],
  ["the version", release, ["release", "version"]],
  ["the tag", release, ["release", "tag"]],
  ["the repository", release, ["release", "repository"]],
  ["the commit", release, ["release", "commit"]],
  ["the script", release, ["release", "script"]],
  ["the colour", release, ["colour"]],
  ["a planned version", SOUND[2]!, ["releases", "blue", "version"]],
];

/** The text of `act` with another value at `path`. */
function withValue(act: Act, path: Path, value: unknown): string {
  const copy = structuredClone(act) as unknown as Record<string | number, unknown>;
  const parent = path
    .slice(0, -1)
    .reduce<Record<string | number, unknown>>((node, key) => node[key] as typeof node, copy);
  const last = path.at(-1)!;
  expect(parent).toHaveProperty([last]);
  parent[last] = value;
  return JSON.stringify(copy);
}

function refusalOf(text: string): string | null {
  try {
    parseAct(text);
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidAct);
    return (error as Error).message;
  }
}

const HOSTILE = [
  "v1.0.0; rm -rf /",
  "$(touch /x)",
  "`touch /x`",
  "v1.0.0\nrm",
  "v1.0.0\r",
  "v1.0.0\n",
  "--upload-pack=touch",
  "-x",
  "--upload-pack@host:path",
  "a b",
  "..",
  "../../etc/passwd",
  "/etc/../../x",
  "a/../../b",
  "a\u0000b",
  "ext::sh -c touch",
  "fd::17/x",
  "https://host/x --upload-pack=y",
  "/x; } server { listen 1",
  '/x"',
  "/x'",
  "/x{}",
  "/x$uri",
  "/x\\",
  "/x#",
  "a..b/../c",
  "http://plain.example.com/shop.git",
  "https://user:word@git.example.com/shop.git",
  "ssh://-oProxyCommand/x",
  "git@-oProxyCommand:x",
  "https://git.example.com/--upload-pack/x",
  "é",
  "\u2028",
];

describe.each(FIELDS)("%s", (_, act, path) => {
  it.each(HOSTILE)("refuses %j, and does not repeat it", (value) => {
    const refusal = refusalOf(withValue(act, path, value));
    expect(refusal).not.toBeNull();
    expect(refusal).toContain(path.join("."));
    // Short values are part of the message's own words.
    expect(value.length > 3 && refusal!.includes(value)).toBe(false);
  });

  it("refuses any text with a character that a shell or Nginx gives a meaning to", () => {
    const meaningful = fc.constantFrom(...Array.from(" ;$`\n\r\t\0'\"\\{}()<>|&#*?![]^"));
    fc.assert(
      fc.property(fc.string(), meaningful, fc.string(), (before, character, after) => {
        // A domain may begin with `*.`, and with nothing else that is special.
        fc.pre(character !== "*" || before !== "");
        expect(refusalOf(withValue(act, path, before + character + after))).not.toBeNull();
      }),
      { numRuns: 100 },
    );
  });

  it.each([42, null, true, ["x"], { x: 1 }])("refuses %j, unless it is a null for none", (value) => {
    const text = withValue(act, path, value);
    const mayBeNone = ["commit", "assetsPath"].includes(String(path.at(-1)));
    expect(refusalOf(text) === null).toBe(value === null && mayBeNone);
  });
});

describe.each(["install", "build", "prune", "args"])("argument lists: %s", (list) => {
  it.each(["a\nb", "a\0b", "\u001b[2J", "", "x".repeat(5000)])("refuses %j as an argument", (value) => {
    expect(refusalOf(withValue(release, ["release", list], ["npm", value]))).toContain(`release.${list}.1`);
  });

  it("keeps an argument with spaces and shell characters as one argument", () => {
    const parsed = parseAct(withValue(release, ["release", list], ["node", "-e", "a; $(b) `c`"]));
    expect(parsed).toMatchObject({ release: { [list]: ["node", "-e", "a; $(b) `c`"] } });
  });
});

it.each([
  ["text that is not JSON", "{'act':", "not JSON"],
  ["an act of no known kind", '{"act":"shutdown"}', "act"],
  ["no object", "[]", "rule"],
  ["a weight above 100", '{"act":"traffic","stable":"blue","weight":101}', "weight"],
  ["a weight below 0", '{"act":"traffic","stable":"blue","weight":-1}', "weight"],
  ["half a percent", '{"act":"traffic","stable":"blue","weight":0.5}', "weight"],
  ["a key that nobody reads", '{"act":"traffic","stable":"blue","weight":1,"force":true}', "force"],
  ["a missing key", '{"act":"traffic","stable":"blue"}', "weight"],
  ["a privileged port", withValue(configure, ["site", "ports", "blue"], 80), "site.ports.blue"],
  ["an authority that is none", withValue(certify, ["tls", "acme", "authority"], "x"), "tls.acme.authority"],
  [
    "a private key for an authority",
    withValue(certify, ["tls", "acme", "authority"], AUTHORITY.replaceAll("CERTIFICATE", "PRIVATE KEY")),
    "tls.acme.authority",
  ],
  [
    "a directive behind an authority",
    withValue(certify, ["tls", "acme", "authority"], `${AUTHORITY}user root;`),
    "tls.acme.authority",
  ],
  [
    "a directory without encryption",
    withValue(certify, ["tls", "acme", "directory"], "http://acme.example.com/dir"),
    "tls.acme.directory",
  ],
  ["no day to renew", withValue(certify, ["tls", "acme", "renewBeforeDays"], 0), "renewBeforeDays"],
  [
    "a wildcard by HTTP",
    withValue(configure, ["site", "tls"], { acme }),
    "site.domains: holds a wildcard, for which an ACME server gives no certificate by HTTP",
  ],
  ["no domain", withValue(configure, ["site", "domains"], []), "site.domains"],
  ["one port for two", withValue(configure, ["site", "ports", "blue"], SETTINGS.ports.green), "site.ports"],
])("refuses %s", (_, text, told) => {
  expect(refusalOf(text)).toContain(told);
});

it("names all faults at once", () => {
  const message = refusalOf('{"act":"traffic","stable":"red","weight":101}');
  expect(message).toMatch(/breaks 2 rule\(s\).*stable.*weight/);
});

it("never repeats a secret beside a fault", () => {
  const text = JSON.stringify({
    act: "configure",
    site: { ...SETTINGS, domains: [";"], testers: { name: "Bad", secret: "hush hush hush hush" } },
  });
  expect(refusalOf(text)).not.toContain("hush");
});
