import fc from "fast-check";
import { z } from "zod";
import { validate } from "../../config";
import { ConfigError, type Path } from "../../config/faults";
import type { Machine } from "../../config/keys";
import { stackSchema } from "../../config/schema/stack";
import { schemaAt } from "../../config/validation";
import { canonicalJson } from "../../components/host-act";
import { monitoringSettings } from "../../components/monitoring";
import { parseAct } from "../../host/conductor/acts";
import { pathsOf } from "../../host/conductor/paths";
import type { Act, Colour } from "../../host/conductor/protocol";
import type { DatabaseActs } from "../../host/database/protocol";
import { renderSiteConfiguration } from "../../host/conductor/front-door/site-configuration";
import { changed, hostKey, machineWith, rawConfig, settings } from "./support/configuration";

/**
 * A value that a shell, Nginx or Git would act on is refused, or ends up where it cannot do anything: as one whole
 * argument in a list, or as the name of a file that is only opened.
 */

/** What means something to a shell, to Nginx or to a terminal. */
const DANGEROUS = /[\s;|&$`"'\\<>(){}*?!#\p{Cc}]/u;
const FRAGMENTS = [
  ";",
  "; rm -rf /",
  "$(id)",
  "`id`",
  "${IFS}",
  "\n",
  "\r\nX: y",
  "\0",
  "\u001b[2J",
  " ",
  "\t",
  "'",
  '"',
  "\\",
  "{",
  "}",
  "(",
  ")",
  "|",
  "&",
  ">",
  "<",
  "*",
  "?",
  "!",
  "#",
  "%0a;",
  "--upload-pack=x",
  "../",
  "ext::sh -c ",
];

/** Does a path lead out of where it starts? */
const climbs = (text: string) => text.split("/").includes("..");

/**
 * What reaches a program as it is: elements of a list, without a shell; variables; quoted texts; files of their own; and
 * what is compared only.
 */
const AS_THEY_ARE = [
  ...["install", "build", "prune", "args", "variables"],
  ...["headers", "page", "nginxSnippet", "contains"],
  // A client of the database or of S3 gets them, or the database itself.
  ...["url", "credentials", "reason", "sql", "business"],
];

/** What a machine is known by and logged in to: a public key, in one line. */
const KEY_LINES: ReadonlySet<string> = new Set(["hostKey", "authorizedKey"]);

/** Values that are not read by a rule of characters alone: those, names of files here, and keys. */
const READ_OTHERWISE =
  /^(application\.(install|build|prune|args|smokeTests\.0\.contains)(\.0)?|host\.(privateKeyFile|knownHostsFile|hostKey)|hostPrivateKey|variables\.LOG_LEVEL|site\.(headers\..*|maintenance\.page|nginxSnippet|tls\.acme\.authority)|databaseUrl|rehearsalUrl|source\.records|database\.(migrationsDirectory|accept\.0\.reason)|backups\.authorityFile|supabaseSmtpPassword|stripe\.webhook\.description|supabase\.(auth\.(redirectUrls\.0|smtp\.senderName|templates\..*)|apiFunctions\.0\.arguments\..*)|monitoring\.(authorityFile|business\..*|(page|warn)\.webhooks\.0))$/;

/** A key that each record takes; versions where it is not named. */
const KEYS: Readonly<Record<string, string>> = {
  headers: "X-Frame-Options",
  variables: "LOG_LEVEL",
  business: "OrdersPlaced",
};

/** Paths of all values that are a text or a list of texts, in the whole configuration. */
function textPaths(schema: z.ZodType = stackSchema, path: Path = []): Path[] {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional) {
    return textPaths(schema.unwrap() as z.ZodType, path);
  }
  if (schema instanceof z.ZodObject) {
    return Object.entries(schema.shape as Record<string, z.ZodType>).flatMap(([key, inner]) =>
      textPaths(inner, [...path, key]),
    );
  }
  if (schema instanceof z.ZodArray) return textPaths(schema.element as z.ZodType, [...path, 0]);
  if (schema instanceof z.ZodRecord) {
    return textPaths(schema.valueType as z.ZodType, [...path, KEYS[String(path.at(-1))] ?? "v1.0.0"]);
  }
  return [path];
}

/** A value that is valid at each path, so that a fragment is tried in the middle of one, too. */
function validAt(path: Path): string {
  const examples: Record<string, string> = {
    "host.hostKey": hostKey,
    "host.address": "10.77.1.2",
    "site.domains.0": "vehicleservice.test",
    "site.rateLimit.exemptNetworks.0": "203.0.113.0/24",
    "application.assets.path": "/_next/static",
    "site.tls.acme.directory": "https://acme.example.com:14000/dir",
    "site.tls.acme.email": "operations@example.com",
    "source.repository": "git://10.77.1.1/sample.git",
    "source.tagPattern": "{version}-production",
    "source.commits.v1.0.0": "0123456789abcdef0123456789abcdef01234567",
    databaseUrl: "postgres://postgres@db.example.com/postgres",
    rehearsalUrl: "postgres://postgres@rehearsal.example.com/postgres",
    "database.schemas.0": "public",
    "database.baseline": "001",
    "database.lintAfter": "001",
    "database.accept.0.version": "001",
    "database.accept.0.sha256": "0".repeat(64),
    "database.accept.0.reason": "it is meant, and harmless",
    "backups.endpoint": "https://s3.example.com:9000",
    "backups.prefix": "sites/vehicleservice/",
    "backups.region": "eu-central-1",
    "host.ec2.sshFrom.0": "203.0.113.0/24",
    "host.ec2.imageId": "ami-0123456789abcdef0",
    "host.ec2.instanceType": "t3.medium",
    "host.ec2.availabilityZone": "eu-central-1a",
    "host.ec2.networkCidr": "10.20.0.0/24",
    "host.ec2.zoneId": "Z0123456789ABCDEF",
    supabaseAccessToken: `sbp_${"0123456789abcdef".repeat(2)}`,
    "supabase.projectRef": "abcdefghijklmnopqrst",
    "supabase.apiUrl": "https://api.supabase.com",
    "supabase.auth.siteUrl": "https://www.example.com",
    "supabase.auth.smtp.host": "smtp.resend.com",
    "supabase.auth.smtp.sender": "noreply@example.com",
    "supabase.network.allow.0": "203.0.113.0/24",
    "monitoring.region": "eu-central-1",
    "monitoring.endpoint": "https://cloudwatch.example.com:9000",
    "monitoring.page.emails.0": "oncall@example.com",
    "monitoring.page.slack.teamId": "T01234567",
    "monitoring.page.slack.channelId": "C01234567",
    "monitoring.page.slack.region": "us-east-2",
    "monitoring.alarms.paymentFailures.metric": "PaymentsFailed",
    "monitoring.alarms.paymentsAllFailed.processed": "PaymentsProcessed",
    testerSecret: "0123456789abcdef",
    blueVersion: "v0.9.9",
    greenVersion: "v1.0.0",
  };
  return examples[path.join(".")] ?? "npm";
}

const hostile = (path: Path) => {
  const valid = validAt(path);
  const fragment = fc.oneof(
    fc.constantFrom(...FRAGMENTS),
    fc.string({ unit: "binary", minLength: 1, maxLength: 8 }),
  );
  const spliced = fc
    .tuple(fragment, fc.nat(valid.length))
    .map(([text, at]) => valid.slice(0, at) + text + valid.slice(at));
  return fc.oneof(spliced, fragment, fc.string({ unit: "grapheme", maxLength: 40 }));
};

/** Settings with one of everything that is a list of groups. */
const everything = () => ({
  ...changed(settings(), ["application", "smokeTests"], [{ name: "npm", path: "/npm" }]),
  databaseUrl: "postgres://postgres:secret@db.example.com/postgres",
  backupAccessKeyId: "npm",
  backupSecretAccessKey: "npm",
  monitoringAccessKeyId: "npm",
  monitoringSecretAccessKey: "npm",
  backups: { bucket: "npm" },
  monitoring: {
    enabled: true,
    region: "eu-central-1",
    page: { emails: ["oncall@example.com"], slack: { teamId: "T01234567", channelId: "C01234567" } },
    warn: { webhooks: ["https://alarms.example.com/take"] },
  },
  database: {
    // No file is linted: that has tests of its own, and takes another program.
    lintAfter: "001",
    accept: [{ version: "001", sha256: "0".repeat(64), reason: "it is meant, and harmless" }],
  },
});

const RECORD = "schema: { first: '001', last: null, needs: [] }";

type Loaded = ReturnType<typeof validate>;

/** The configuration, or undefined where it is refused. */
function accepted(values: Record<string, unknown>): Loaded | undefined {
  // A file of any name is there, so that only its name decides.
  const machine: Machine = {
    ...machineWith(),
    read: () => machineWith().read("/project/keys/id"),
    list: () => ["001_a.sql", "v0.9.9.yaml", "v1.0.0.yaml"],
    bytes: (path) => Buffer.from(path.endsWith(".sql") ? "select 1" : RECORD),
  };
  try {
    return validate(rawConfig(values), machine);
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}

/** What goes to the database's worker. */
function databaseActsOf({ database }: Loaded): DatabaseActs[] {
  if (database === null) return [{ act: "database", database }];
  const { settings: known, epoch, baseline, migrations: files, checks, accept } = database;
  return [
    { act: "database", database: known },
    { act: "migrations", epoch, baseline, files, checks, accept },
  ];
}

function actsOf(loaded: Loaded): Act[] {
  const { site, variables, releases: specs, traffic, maintenance, database, monitoring } = loaded;
  const hash = "0123456789abcdef";
  const intent = (colour: Colour) => {
    const spec = specs[colour];
    return spec === null ? null : { ...spec, environment: hash };
  };
  const releases = { blue: intent("blue"), green: intent("green") };
  return [
    { act: "maintenance", on: maintenance },
    { act: "configure", site },
    { act: "certify", domains: site.domains, tls: site.tls },
    { act: "plan", releases, traffic, ...(database === null ? {} : { schema: database.ranges }) },
    { act: "release", colour: "blue", release: releases.blue },
    { act: "release", colour: "green", release: releases.green },
    { act: "traffic", ...traffic },
    { act: "environment", hash, variables },
    {
      act: "monitoring",
      settings: monitoring && {
        ...monitoringSettings(monitoring),
        credentials: monitoring.credentials,
      },
    },
    ...databaseActsOf(loaded),
  ];
}

/** Every text inside a value but those that are kept as they are. */
function textsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => (AS_THEY_ARE.includes(key) ? [] : textsIn(inner)));
}

const ruledByCharacters = textPaths().filter((path) => !READ_OTHERWISE.test(path.join(".")));

it.each(ruledByCharacters.map((path) => [path.join("."), path] as const))(
  "%s takes no fragment anywhere",
  (_, path) => {
    const valid = validAt(path);
    const places = Array.from({ length: valid.length + 1 }, (_unused, at) => at);
    const spliced = FRAGMENTS.flatMap((text) =>
      places.map((at) => valid.slice(0, at) + text + valid.slice(at)),
    );
    const taken = spliced.filter((text) => schemaAt(path)?.safeParse(text).success !== false);
    expect(taken.filter((text) => DANGEROUS.test(text.replace("{version}", "")) || climbs(text))).toEqual([]);
  },
);

describe.each(textPaths().map((path) => [path.join("."), path] as const))("%s", (_, path) => {
  it("refuses what is dangerous, or keeps it where it does nothing", () => {
    const values =
      path[0] === "hostPrivateKey"
        ? changed(everything(), ["host", "privateKeyFile"], undefined)
        : everything();
    fc.assert(
      fc.property(hostile(path), (text) => {
        const config = accepted(changed(values, path, text));
        if (config === undefined) return;
        const { privateKey, ...host } = config.host;
        expect(privateKey).toBe(machineWith().read("/project/keys/id"));
        // One blank, between type and key.
        const machine = Object.entries(config.machine).map(([key, value]: [string, unknown]) =>
          KEY_LINES.has(key) ? String(value).replace(" ", "") : value,
        );
        const texts = textsIn([host, machine, config.bucket, actsOf(config)]);
        expect(texts.filter((inert) => DANGEROUS.test(inert) || climbs(inert))).toEqual([]);
      }),
      { numRuns: 40 },
    );
  });
});

it("hands arguments over as they are, each one element of a list", () => {
  const argument = fc
    .string({ unit: "grapheme", minLength: 1, maxLength: 60 })
    .filter((text) => !/\p{Cc}/u.test(text));
  fc.assert(
    fc.property(fc.array(argument, { maxLength: 5 }), (args) => {
      const config = accepted(changed(settings(), ["application", "args"], args));
      expect(config?.releases.green?.args).toEqual(args);
      const release = actsOf(config!).find((act) => act.act === "release" && act.colour === "green");
      expect(parseAct(canonicalJson(release))).toMatchObject({ release: { args } });
    }),
  );
});

it("keeps the value of a header between its quotes", () => {
  fc.assert(
    fc.property(hostile(["site", "headers", "X-Frame-Options"]), (value) => {
      const config = accepted(changed(settings(), ["site", "headers"], { "X-Frame-Options": value }));
      if (config === undefined) return;
      const paths = pathsOf("vehicleservice");
      const text = renderSiteConfiguration({ settings: config.site, paths, probeKey: "0123456789abcdef" });
      expect(value).not.toMatch(/["\\$]/);
      expect(text.split("\n")).toContain(`    "" "${value}";`);
    }),
  );
});

it("lets nothing through that the host refuses", () => {
  const anyChange = fc
    .constantFrom(...textPaths())
    .chain((path) => hostile(path).map((text) => ({ path, text })));
  fc.assert(
    fc.property(anyChange, ({ path, text }) => {
      const config = accepted(changed(everything(), path, text));
      for (const act of config === undefined ? [] : actsOf(config))
        expect(parseAct(canonicalJson(act))).toEqual(act);
    }),
    { numRuns: 400 },
  );
});
