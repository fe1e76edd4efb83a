import { z } from "zod";
import { areDifferentHeaders } from "../host/conductor/front-door/nginx-values";
import {
  accessKeyOrNone,
  answerHeader,
  applicationName,
  argumentList,
  bodyText,
  bucketOrNone,
  commandLine,
  commit,
  cookieName,
  domain,
  endpointOrNone,
  fitsEnvironment,
  flag,
  headerName,
  headerValue,
  hostAddress,
  hostFile,
  httpsUrl,
  integer,
  keyPrefix,
  localFile,
  mailOrNone,
  migrationVersion,
  migrationVersionOrNone,
  network,
  reason,
  region,
  releaseFile,
  repository,
  ruled,
  schemaName,
  sha256OrNone,
  smokeTestName,
  statuses,
  tagPattern,
  testerSecret,
  urlPath,
  urlPathOrNone,
  urlPaths,
  userName,
  variableName,
  variableValue,
  version,
  versionOrNone,
} from "./rules";
import { monitoring, monitoringKeyOrNone } from "./monitoring-schema";
import { secrets } from "./secrets-schema";
import { backupBucket, ec2Machine } from "./cloud-schema";
import { signingSecretOrNone, stripe, stripeKeyOrNone } from "./stripe-schema";
import { accessTokenOrNone, smtpPasswordOrNone, supabase } from "./supabase-schema";

/**
 * Every key of the stack's configuration: its type, its rule and its default. `Pulumi.yaml` declares the same keys and
 * defaults for those who read that first; a test keeps the two equal.
 */

/** Directory of the authority whose certificates cost nothing. */
const LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory";

/** {@link parseDatabaseUrl} reads it. */
const databaseUrl = () =>
  ruled(z.string().max(4096), "postgres://USER:PASSWORD@HOST:PORT/DATABASE", "< url-file");

const colour = () => ruled(z.enum(["blue", "green"]), "blue or green", "blue");

const host = z.strictObject({
  /** How the host comes about. `existing`: it is there, and reached by SSH. `ec2`: the stack makes it. */
  mode: ruled(
    z.enum(["existing", "ec2"]),
    "existing for a host that is there, or ec2 for one that the stack makes",
    "existing",
  ).default("existing"),
  /** Where SSH reaches a host that is there. */
  address: hostAddress().optional(),
  /** TCP port of SSH. */
  port: integer(1, 65535, "TCP port", 22).default(22),
  /** User that SSH logs in as on a host that is there: root, or one who may use sudo without a password. */
  user: userName().default("root"),
  /** File with the private SSH key, unless the secret `hostPrivateKey` holds the key itself. */
  privateKeyFile: localFile("~/.ssh/id_ed25519").optional(),
  /** The host's public SSH key, pinned: `<type> <base64>`. */
  hostKey: ruled(
    z.string().max(1024),
    "the host's public key, one line `ssh-ed25519 AAAA...` or `ecdsa-sha2-nistp256 AAAA...` (as in the host's " +
      "/etc/ssh/ssh_host_ed25519_key.pub)",
    '"ssh-ed25519 AAAA..."',
  ).optional(),
  /** A known_hosts file with the host's public key, instead of `hostKey`. */
  knownHostsFile: localFile("~/.ssh/known_hosts").optional(),
  /** The machine that the stack makes, where `mode` is `ec2`. */
  ec2: ec2Machine.optional(),
});

const maintenance = z.strictObject({
  /** File with the page for people while the site is closed, HTML; default a built-in one. */
  page: localFile("maintenance.html").optional(),
  /** Paths, as prefixes, that pass while the site is closed; default the health path. */
  passPaths: urlPaths("/api/health").optional(),
  /** When callers are told to come back, in seconds. */
  retryAfterSeconds: integer(1, 86_400, "seconds", 120).default(120),
});

const hsts = z.strictObject({
  /** How long browsers come by HTTPS only, in seconds; 0 sends no such header. */
  maxAgeSeconds: integer(0, 1_000_000_000, "seconds", 31_536_000).default(31_536_000),
  /** Whether that holds for all names below, too. */
  includeSubdomains: flag(true).default(true),
  /** Whether the domain may be put on the browsers' own lists. */
  preload: flag(false).default(false),
});

const rateLimit = z.strictObject({
  /** Requests that one client (an IPv4 address, an IPv6 /64) may send a minute; 0 is no limit. */
  requestsPerMinute: integer(0, 10_000_000, "requests a minute", 100).default(100),
  /** Requests above that which it may send at once. */
  burst: integer(0, 1_000_000, "requests", 200).default(200),
  /** Paths, as prefixes, that do not count; default the health path and `stablePaths`. */
  exemptPaths: urlPaths("/api/health").optional(),
  /** Networks whose clients are not limited. */
  exemptNetworks: ruled(
    z.array(network()).max(1000),
    "a list of at most 1000 networks",
    "[203.0.113.0/24]",
  ).default([]),
});

const headers = ruled(
  z
    .record(answerHeader(), headerValue())
    .refine((all) => areDifferentHeaders(Object.keys(all)) && Object.keys(all).length <= 50),
  "at most 50 headers, value by name, each name once",
  "{ X-Frame-Options: SAMEORIGIN }",
);

const site = z.strictObject({
  /** Names that the front door answers to; the first one is canonical. */
  domains: ruled(
    z
      .array(domain())
      .min(1)
      .max(100)
      .refine((domains) => new Set(domains).size === domains.length),
    "a list of 1 to 100 domain names, each of them once",
    "[www.example.com]",
  ),
  tls: z
    .strictObject({
      /** Certificate chain in PEM, a path on the host; default `/etc/ssl/<name>/fullchain.pem`. */
      certificate: hostFile("/etc/ssl/vehicleservice/fullchain.pem").optional(),
      /** Private key in PEM, a path on the host; default `/etc/ssl/<name>/privkey.pem`. */
      key: hostFile("/etc/ssl/vehicleservice/privkey.pem").optional(),
      /** Lets the host get one certificate for all domains, and renew it. Whoever sets it agrees to the server's terms. */
      acme: z
        .strictObject({
          /** URL of the ACME server's directory. */
          directory: httpsUrl(LETS_ENCRYPT).default(LETS_ENCRYPT),
          /** Where the server may write to about the account; empty for nowhere. */
          email: mailOrNone().default(""),
          /** Local file with the authority, in PEM, that signed the server's own TLS certificate, if it is no public one. */
          authority: localFile("acme-authority.pem").optional(),
          /** Days before its end that a certificate is renewed. */
          renewBeforeDays: integer(1, 365, "days", 30).default(30),
        })
        .optional(),
    })
    .prefault({}),
  /** Longest wait for a withdrawn colour's requests and streams to end, in seconds. */
  drainSeconds: integer(0, 3600, "seconds", 30).default(30),
  /** Longest silence of the application, or of a WebSocket, before a request is given up, in seconds. */
  readTimeoutSeconds: integer(1, 86_400, "seconds", 60).default(60),
  /** Requests that one client connection may carry before Nginx closes it. */
  keepaliveRequests: integer(1000, 1_000_000_000, "requests", 1_000_000).default(1_000_000),
  /** How long an idle client connection stays open, in seconds. */
  keepaliveSeconds: integer(1, 3600, "seconds", 75).default(75),
  /** Paths, as prefixes, that stay on the stable colour at any weight. */
  stablePaths: urlPaths("/api/business/wallet/webhook").default(["/api/business/wallet/webhook"]),
  /** Paths, as prefixes, where what the front door answers itself (maintenance, limits) is JSON. */
  apiPaths: urlPaths("/api").default(["/api"]),
  maintenance: maintenance.prefault({}),
  hsts: hsts.prefault({}),
  /** Headers of every answer that the application gives no header of that name. */
  headers: headers.default({
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
  }),
  rateLimit: rateLimit.prefault({}),
  /** File with Nginx directives for the site's server block. */
  nginxSnippet: localFile("nginx-snippet.conf").optional(),
  /** Largest request body, in megabytes. */
  maxBodyMegabytes: integer(1, 10_240, "megabytes", 10).default(10),
  /** Name of the first-party cookie that keeps a user on one colour. */
  idCookie: cookieName("vs_id").default("vs_id"),
  /** Name of the header, and of the cookie, that takes a tester to a colour. */
  testerName: headerName("x-vs-tester").default("x-vs-tester"),
});

const smokeTest = z.strictObject({
  /** What is tested. */
  name: smokeTestName("wallet"),
  /** Path that is asked for. */
  path: urlPath("/business/wallet"),
  /** Method that is asked by; a POST sends `{}` as JSON. */
  method: ruled(z.enum(["GET", "HEAD", "POST"]), "GET, HEAD or POST", "GET").default("GET"),
  /** Status that is a pass, or a list of such; redirects are not followed. */
  status: statuses("200").default([200]),
  /** Text that the body has to hold. */
  contains: bodyText("Wallet").optional(),
});

/** What a page behind a login answers someone who is not logged in. */
const PAGE_OR_LOGIN = [200, 302, 303, 307, 308];

/** The guide's critical paths, as someone without a login finds them. */
const SMOKE_TESTS = [
  { name: "health", path: "/api/health", method: "GET" as const, status: [200] },
  { name: "home", path: "/", method: "GET" as const, status: [200] },
  { name: "wallet", path: "/business/wallet", method: "GET" as const, status: PAGE_OR_LOGIN },
  { name: "admin", path: "/admin", method: "GET" as const, status: PAGE_OR_LOGIN },
  {
    name: "unsigned-webhook",
    path: "/api/business/wallet/webhook",
    method: "POST" as const,
    status: [400],
  },
  {
    name: "unknown-path",
    path: "/no-page-has-this-path",
    method: "GET" as const,
    status: [302, 303, 307, 308, 401, 403, 404],
  },
];

const application = z.strictObject({
  /** Loopback TCP port of each colour. */
  ports: ruled(
    z
      .strictObject({
        blue: integer(1024, 65535, "TCP port", 3001).default(3001),
        green: integer(1024, 65535, "TCP port", 3002).default(3002),
      })
      .refine(({ blue, green }) => blue !== green),
    "two different ports, one for each colour",
    "{ blue: 3001, green: 3002 }",
  ).prefault({}),
  /** PM2 cluster instances of each colour. */
  instances: integer(1, 64, "instances of each colour", 2).default(2),
  health: z
    .strictObject({
      /** Path that answers 2xx when an instance can serve. */
      path: urlPath("/api/health").default("/api/health"),
      /** Passes in a row that every instance needs before it counts as healthy. */
      passes: integer(1, 100, "passes in a row", 3).default(3),
      /** Failures in a row after which a healthy colour no longer counts as one. */
      failures: integer(1, 100, "failures in a row", 3).default(3),
      /** Pause between two probes of an instance, in milliseconds. */
      intervalMs: integer(50, 60_000, "milliseconds", 250).default(250),
      /** Longest wait for the answer to a probe, in milliseconds. */
      timeoutMs: integer(50, 60_000, "milliseconds", 2000).default(2000),
      /** Longest wait for a new release to become healthy, in seconds. */
      deadlineSeconds: integer(1, 3600, "seconds", 60).default(60),
    })
    .prefault({}),
  assets: z
    .strictObject({
      /** Path of a URL below which files of the last releases are served from disk; empty for none. */
      path: urlPathOrNone("/_next/static").default("/_next/static"),
      /** Where a finished release has them, relative to its directory. */
      directory: releaseFile(".next/static").default(".next/static"),
    })
    .prefault({}),
  /** Finished releases kept on the host's disk beside those in use. */
  releasesKept: integer(1, 100, "releases", 3).default(3),
  /** Space that is left on the host's disk before a build, in megabytes, beside twice the size of the last release. */
  minFreeMegabytes: integer(0, 1_048_576, "megabytes", 1024).default(1024),
  /** Directories inside the release that a build takes over from the newest one. */
  buildCache: ruled(
    z.array(releaseFile(".next/cache")).max(20),
    "a list of at most 20 paths inside the release",
    "[.next/cache]",
  ).default([".next/cache"]),
  /** What every instance of a new release has to answer before it counts as proven. */
  smokeTests: ruled(
    z
      .array(smokeTest)
      .max(100)
      .refine((tests) => new Set(tests.map(({ name }) => name)).size === tests.length),
    "a list of at most 100 smoke tests, each with a name of its own",
    "[{ name: home, path: /, status: 200 }]",
  ).default(SMOKE_TESTS),
  /** Installs the dependencies; run in the release's directory, before the build. */
  install: commandLine("[npm, ci]", true).default(["npm", "ci"]),
  /** Builds; empty for an application that needs no build. */
  build: commandLine("[npm, run, build]").default(["npm", "run", "build"]),
  /** Removes what only the build needed; empty for nothing. */
  prune: commandLine("[npm, prune, --omit=dev]").default(["npm", "prune", "--omit=dev"]),
  /** Node script that PM2 runs in every instance, relative to the release's directory. */
  script: releaseFile("node_modules/next/dist/bin/next").default("node_modules/next/dist/bin/next"),
  /** Arguments of `script`. */
  args: argumentList("[start]").default(["start"]),
  /** Variables that the build sees beside those whose names begin with NEXT_PUBLIC_; it sees no others. */
  buildVariables: ruled(
    z.array(variableName()).max(100),
    "a list of at most 100 names of variables",
    "[NEXT_SERVER_ACTIONS_ENCRYPTION_KEY]",
  ).default(["NEXT_SERVER_ACTIONS_ENCRYPTION_KEY"]),
});

const source = z.strictObject({
  /** Where the application's source is fetched from. */
  repository: repository(),
  /** How a version becomes the tag that it was published under. */
  tagPattern: tagPattern().default("{version}-production"),
  /** Commit that a version's tag has to resolve to, by version. */
  commits: ruled(
    z.record(version(), commit()),
    "commit hashes by version",
    "{ v1.0.0: 0123456789abcdef0123456789abcdef01234567 }",
  ).default({}),
  /** Local folder with a record for each release, `<version>.yaml`. Read where there is a database. */
  records: localFile("releases").default("releases"),
});

const acceptance = z.strictObject({
  /** The migration that was edited, removed or put in between. */
  version: migrationVersion(),
  /** SHA-256 of its file as it is accepted; empty where the file is gone. */
  sha256: sha256OrNone().default(""),
  /** Why; kept in the database. */
  reason: reason(),
});

const database = z.strictObject({
  /** Local folder with the migrations, `<digits>_<name>.sql`, and `checks/`. */
  migrationsDirectory: localFile("migrations").default("migrations"),
  /** Schemas that backups hold; empty for all of them. */
  schemas: ruled(
    z.array(schemaName()).max(100),
    "a list of at most 100 names of schemas",
    "[public]",
  ).default([]),
  /** Longest wait for one lock, in milliseconds: as long as that, users' writes may queue behind it. */
  lockTimeoutMs: integer(10, 600_000, "milliseconds", 2000).default(2000),
  /** How long a file is tried again where others hold its locks, in seconds. */
  lockWaitSeconds: integer(0, 86_400, "seconds", 60).default(60),
  /** Longest statement of a migration, in seconds; a file's own `set statement_timeout` goes before it. */
  statementTimeoutSeconds: integer(1, 86_400, "seconds", 300).default(300),
  /** Rows of a table that may be missing after the migrations, in percent of those in the backup. */
  rowTolerancePercent: integer(0, 100, "percent", 0).default(0),
  /** Another number sends all migrations again, after a restore. */
  epoch: integer(0, 1_000_000_000, "", 1).default(0),
  /** Another number than 0, and than before, asks for a backup. */
  backupGeneration: integer(0, 1_000_000_000, "", 1).default(0),
  /** Migrations up to this version count as applied where the history is empty; empty for none. */
  baseline: migrationVersionOrNone().default(""),
  /** Migrations up to this version are not linted: they are applied everywhere, and nobody may edit them; empty for none. */
  lintAfter: migrationVersionOrNone().default(""),
  /** Differences between the files and the history that are meant. */
  accept: ruled(
    z
      .array(acceptance)
      .max(100)
      .refine((all) => new Set(all.map(({ version, sha256 }) => `${version} ${sha256}`)).size === all.length),
    "a list of at most 100 acceptances, each of them once",
    "[{ version: '20250103000000', sha256: '', reason: 'never reached any database' }]",
  ).default([]),
});

const backups = z.strictObject({
  /** S3 bucket that backups go to; a database needs one. */
  bucket: bucketOrNone().default(""),
  /** Region of the bucket. */
  region: region().default("us-east-1"),
  /** URL of another S3 than Amazon's; empty for Amazon's. */
  endpoint: endpointOrNone().default(""),
  /** What every object's key begins with, ending in `/`; may be empty. */
  prefix: keyPrefix().default(""),
  /** Local file with the authority, in PEM, that signed the endpoint's certificate, if it is no public one. */
  authorityFile: localFile("s3-authority.pem").optional(),
  /** Lets the stack make the bucket, under the name of `bucket`; without it the bucket is there. */
  create: backupBucket.optional(),
});

/** The whole configuration of a stack, as it stands under the project's namespace. */
export const stackSchema = z.strictObject({
  /** The application's name on the host. */
  name: applicationName().default("vehicleservice"),
  /** Read by the engine only, which keeps its hands off a stack of the environment `production`. */
  environment: ruled(
    z.string().regex(/^[a-z0-9-]{0,32}$/),
    "at most 32 of a-z, 0-9 and -",
    "production",
  ).default(""),
  /** The colour that takes all that the candidate does not. */
  stable: colour().default("blue"),
  /** Share of the candidate, the colour that is not stable, in percent. */
  canaryWeight: integer(0, 100, "percent", 5).default(0),
  /** Keeps users out, from before the releases change until after they have. */
  maintenance: flag(true).default(false),
  /** Version on blue; empty retires blue. */
  blueVersion: versionOrNone().default(""),
  /** Version on green; empty retires green. */
  greenVersion: versionOrNone().default(""),
  /**
   * `in-place` lets a version be put on the colour that serves everyone, behind the maintenance page; `blue-green`
   * refuses that.
   */
  strategy: ruled(
    z.enum(["blue-green", "in-place"]),
    "blue-green, or in-place for a site without a second colour",
    "blue-green",
  ).default("blue-green"),
  /** Secret that takes testers to a colour of their choice; empty closes that route. */
  testerSecret: testerSecret().default(""),
  /** Private SSH key itself, where there is no `host.privateKeyFile`; empty for none. */
  hostPrivateKey: ruled(
    z.string().max(65536),
    "an unencrypted private SSH key, whole, in OpenSSH's or PEM format",
    "< ~/.ssh/id_ed25519",
  ).default(""),
  /** URL of the database, in session mode, as a role that owns the schema; empty for no database. */
  databaseUrl: databaseUrl().default(""),
  /** URL of a Postgres server to rehearse on, as a role that may make databases; empty for one on the host. */
  rehearsalUrl: databaseUrl().default(""),
  /** Key for the backups' bucket; empty, both of them, for the host's own role. */
  backupAccessKeyId: accessKeyOrNone().default(""),
  backupSecretAccessKey: accessKeyOrNone().default(""),
  /** Token of Supabase's Management API; needed where the group `supabase` names a project. */
  supabaseAccessToken: accessTokenOrNone().default(""),
  /** Password of `supabase.auth.smtp`; empty for `variables.RESEND_API_KEY`. */
  supabaseSmtpPassword: smtpPasswordOrNone().default(""),
  /** Key that the stack asks Stripe by, with fewer rights than the application's; empty for `variables.STRIPE_SECRET_KEY`. */
  stripeApiKey: stripeKeyOrNone().default(""),
  /** Signing secret of a webhook endpoint that is there already; empty where the stack makes its own. */
  stripeWebhookSecret: signingSecretOrNone().default(""),
  /** Key that a host without a role publishes by; empty, both of them, for its role or a chain of its own. */
  monitoringAccessKeyId: monitoringKeyOrNone().default(""),
  monitoringSecretAccessKey: monitoringKeyOrNone().default(""),
  host,
  site,
  /** The application's environment, value by name. */
  variables: ruled(
    z.record(variableName(), variableValue()).refine(fitsEnvironment),
    "names and values, 1 MiB of values at the most",
    "{ LOG_LEVEL: warn }",
  ).default({}),
  /** Which variables have to be there, and what they have to be: the `guide`'s, or `none` in particular. */
  variableRules: ruled(
    z.enum(["guide", "none"]),
    "guide, for an application that reads the guide's variables, or none for another one",
    "guide",
  ).default("guide"),
  /** Variables that this stack makes itself. */
  secrets: secrets.prefault({}),
  application: application.prefault({}),
  source,
  database: database.prefault({}),
  backups: backups.prefault({}),
  supabase: supabase.prefault({}),
  stripe: stripe.prefault({}),
  monitoring: monitoring.prefault({}),
});

/** A configuration in which every value keeps its own rule. */
export type StackValues = z.infer<typeof stackSchema>;

/** Keys that are groups of keys. Pulumi hands them over as JSON. */
export const GROUPS: ReadonlySet<string> = new Set([
  ...["host", "site", "variables", "application", "source"],
  ...["database", "backups", "supabase", "secrets", "stripe", "monitoring"],
]);

/** Keys whose values no message ever shows. */
export const SECRETS: ReadonlySet<string> = new Set([
  ...["testerSecret", "hostPrivateKey", "variables"],
  ...["databaseUrl", "rehearsalUrl", "backupAccessKeyId", "backupSecretAccessKey"],
  ...["supabaseAccessToken", "supabaseSmtpPassword"],
  ...["stripeApiKey", "stripeWebhookSecret"],
  ...["monitoringAccessKeyId", "monitoringSecretAccessKey"],
]);
