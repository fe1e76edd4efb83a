import { z } from "zod";
import { argumentList, commandLine, releaseFile, smokeTestName, variableName } from "../rules/release";
import { integer, ruled } from "../rules/rule";
import { bodyText, statuses, urlPath, urlPathOrNone } from "../rules/web";

/** The group `application`: how a release is built, run and proven. */

const smokeTestFields = z.strictObject({
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
  /**
   * Variable with signing secrets, commas between them: by each of them a harmless event is signed as Stripe signs, and sent. Only for
   * a POST; default none, and `{}` is sent unsigned.
   */
  signedWith: variableName().optional(),
});

const smokeTest = ruled(
  smokeTestFields.refine(({ method, signedWith }) => signedWith === undefined || method === "POST"),
  "method: POST beside signedWith, for what is signed is a body",
  "{ name: signed-webhook, path: /api/business/wallet/webhook, method: POST, signedWith: STRIPE_WEBHOOK_SECRET }",
);

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

/** Every key of the group `application`. */
export const application = z.strictObject({
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
  /** Longest install, build or prune of a release, in seconds, each for itself. */
  buildTimeoutSeconds: integer(1, 86_400, "seconds", 1800).default(1800),
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
