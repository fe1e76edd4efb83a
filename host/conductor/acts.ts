import { z } from "zod";
import { databaseActs } from "./database/acts";
import { InvalidAct } from "./faults";
import { monitoringActs } from "./monitoring/acts";
import {
  areDifferentHeaders,
  isAnswerHeader,
  isHeaderValue,
  isNetwork,
  isPlainText,
} from "./front-door/nginx-values";
import { COLOURS, type Act } from "./protocol";
import { isBelow } from "./front-door/url-path";
import { ENVIRONMENT_BYTES, isFreeVariable, VARIABLE_BYTES, VARIABLE_NAME } from "./releases/variables";

/**
 * The rules are those of the stack's config (`config.ts`), checked again here, because the host trusts nobody: what
 * passes is safe in an argument list, a path and an Nginx configuration.
 */
const colour = z.enum(COLOURS);
const port = z.number().int().min(1024).max(65535);
const percent = z.number().int().min(0).max(100);
const version = z.string().regex(/^v?[0-9]+(\.[0-9]+){1,3}(-[0-9A-Za-z.]+)?$/);
const staysBelow = (path: string): boolean => !path.split("/").includes("..");
const hostPath = z
  .string()
  .regex(/^(\/[A-Za-z0-9._@-]+)+$/)
  .refine(staysBelow);
const urlPath = z
  .string()
  .regex(/^\/[A-Za-z0-9._~/-]*$/)
  .refine(staysBelow);
const relativePath = z
  .string()
  .regex(/^[A-Za-z0-9._@][A-Za-z0-9._@/-]*$/)
  .refine(staysBelow);
const argument = z
  .string()
  .min(1)
  .max(4096)
  .regex(/^\P{Cc}*$/u);
const command = z.array(argument).max(64);
/** A URL, or `user@host:path`. No part of it begins with a dash, which git or ssh could take for an option. */
const repository = z
  .string()
  .max(512)
  .regex(
    /^((https|git):\/\/|ssh:\/\/(\w[\w.-]*@)?|file:\/\/\/|\w[\w.-]*@(?=[A-Za-z0-9.-]+:))[A-Za-z0-9._~][A-Za-z0-9._~:+/-]*$/,
  )
  .refine((address) => !/[:/]-/.test(address) && staysBelow(address));

const environmentHash = z.string().regex(/^[0-9a-f]{16}$/);
const variableName = z.string().regex(VARIABLE_NAME).refine(isFreeVariable);
const variables = z
  .record(
    variableName,
    z
      .string()
      .regex(/^[^\0]*$/)
      .refine((value) => Buffer.byteLength(value) <= VARIABLE_BYTES),
  )
  .refine((all) => Buffer.byteLength(Object.values(all).join("")) <= ENVIRONMENT_BYTES);

const releaseIntent = z.strictObject({
  version,
  tag: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._+-]*(\/[A-Za-z0-9][A-Za-z0-9._+-]*)*$/)
    .refine((tag) => !tag.includes("..")),
  repository,
  commit: z
    .string()
    .regex(/^[0-9a-f]{40}$/)
    .nullable(),
  install: command,
  build: command,
  prune: command,
  script: relativePath,
  args: command,
  environment: environmentHash,
  buildVariables: z.array(variableName).max(100),
});

const desiredRelease = releaseIntent.omit({ environment: true }).strict();

const ownText = z.string().min(1).refine(isPlainText);
const seconds = z.number().int().min(0);

/** What the front door does of its own. */
const policy = {
  readTimeoutSeconds: seconds.min(1),
  apiPaths: z.array(urlPath),
  maintenance: z.strictObject({
    page: ownText.nullable(),
    passPaths: z.array(urlPath),
    retryAfterSeconds: seconds.min(1),
  }),
  hsts: z.strictObject({ maxAgeSeconds: seconds, includeSubdomains: z.boolean(), preload: z.boolean() }),
  headers: z
    .record(z.string().refine(isAnswerHeader), z.string().refine(isHeaderValue))
    .refine((headers) => areDifferentHeaders(Object.keys(headers))),
  rateLimit: z.strictObject({
    requestsPerMinute: z.number().int().min(0),
    burst: z.number().int().min(0),
    exemptPaths: z.array(urlPath),
    exemptNetworks: z.array(z.string().refine(isNetwork)),
  }),
  nginxSnippet: ownText.nullable(),
  assetsPath: urlPath.refine((path) => path !== "/").nullable(),
};
/** One or more certificates in PEM, as OpenSSL writes them. */
const pem = z
  .string()
  .max(65_536)
  .regex(/^(-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n)+$/);
const tls = z.union([
  z.strictObject({ certificate: hostPath, key: hostPath }),
  z.strictObject({
    acme: z.strictObject({
      directory: z
        .string()
        .max(255)
        .regex(/^https:\/\/[A-Za-z0-9.-]+(:[0-9]{1,5})?(\/[A-Za-z0-9._~][A-Za-z0-9._~-]*)*\/?$/)
        .refine(staysBelow),
      email: z.string().regex(/^([A-Za-z0-9._+-]{1,64}@[a-z0-9.-]{1,253})?$/),
      authority: pem.nullable(),
      renewBeforeDays: z.number().int().min(1).max(365),
    }),
  }),
]);
const domains = z
  .array(z.string().regex(/^(\*\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?$/))
  .min(1);

const smokeTest = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/),
    path: urlPath,
    method: z.enum(["GET", "HEAD", "POST"]),
    status: z.array(z.number().int().min(100).max(599)).min(1).max(20),
    contains: argument.nullable(),
    signedWith: variableName.exactOptional(),
  })
  .refine(({ method, signedWith }) => signedWith === undefined || method === "POST");

const settings = z
  .strictObject({
    domains,
    ports: z.strictObject({ blue: port, green: port }).refine(({ blue, green }) => blue !== green),
    instances: z.number().int().min(1).max(64),
    tls,
    health: z.strictObject({
      path: urlPath,
      passes: z.number().int().min(1),
      failures: z.number().int().min(1),
      intervalMs: z.number().int().min(10),
      timeoutMs: z.number().int().min(10),
      deadlineSeconds: z.number().int().min(1),
    }),
    drainSeconds: z.number().int().min(0),
    keepaliveRequests: z.number().int().min(1),
    keepaliveSeconds: z.number().int().min(0),
    idCookie: z.string().regex(/^[a-z][a-z0-9_]*$/),
    testers: z.strictObject({
      name: z.string().regex(/^[a-z][a-z0-9-]*$/),
      secret: z.string().regex(/^([A-Za-z0-9_-]{16,128})?$/),
    }),
    stablePaths: z.array(urlPath),
    maxBodyMegabytes: z.number().int().min(1),
    releasesKept: z.number().int().min(1),
    ...policy,
    builds: z.strictObject({
      assets: relativePath,
      cache: z.array(relativePath).max(20),
      minFreeMegabytes: z.number().int().min(0),
      timeoutSeconds: z.number().int().min(1),
    }),
    smokeTests: z.array(smokeTest).max(100),
  })
  .refine(({ health, stablePaths }) => !stablePaths.some((path) => isBelow(health.path, path)), {
    path: ["health", "path"],
    message: "stays on the stable colour, so that no candidate could be proven by it",
  })
  .refine((site) => !("acme" in site.tls && site.domains.some((domain) => domain.startsWith("*."))), {
    path: ["domains"],
    message: "holds a wildcard, for which an ACME server gives no certificate by HTTP",
  });

/** Digits that a migration's file begins with. */
const migration = z.string().regex(/^[0-9]{1,20}$/);
const schemaRange = z.strictObject({ first: migration, last: migration.nullable() });

const trafficIntent = z.strictObject({ stable: colour, weight: percent });

const act = z.discriminatedUnion("act", [
  z.strictObject({ act: z.literal("configure"), site: settings }),
  z.strictObject({ act: z.literal("environment"), hash: environmentHash, variables }),
  z.strictObject({ act: z.literal("certify"), domains, tls }),
  z.strictObject({
    act: z.literal("plan"),
    releases: z.strictObject({ blue: releaseIntent.nullable(), green: releaseIntent.nullable() }),
    inPlace: z.literal(true).exactOptional(),
    schema: z.strictObject({ blue: schemaRange.nullable(), green: schemaRange.nullable() }).exactOptional(),
    traffic: trafficIntent,
  }),
  z.strictObject({
    act: z.literal("release"),
    colour,
    release: releaseIntent.nullable(),
    inPlace: z.literal(true).exactOptional(),
  }),
  z.strictObject({ act: z.literal("traffic"), stable: colour, weight: percent }),
  z.strictObject({ act: z.literal("maintenance"), on: z.boolean() }),
  z.strictObject({ act: z.literal("abort"), reason: argument }),
  z.strictObject({ act: z.literal("ack") }),
  z.strictObject({ act: z.literal("smoke"), target: z.enum([...COLOURS, "site"]) }),
  z.strictObject({ act: z.literal("status") }),
  z.strictObject({
    act: z.literal("drift"),
    desired: z
      .strictObject({
        releases: z.strictObject({ blue: desiredRelease.nullable(), green: desiredRelease.nullable() }),
        inPlace: z.literal(true).exactOptional(),
        traffic: trafficIntent,
      })
      .exactOptional(),
  }),
  ...databaseActs,
  ...monitoringActs,
]);

/**
 * Reads an act.
 * @throws InvalidAct that names every fault by its path. It never repeats a value: an act may hold a secret.
 */
export function parseAct(text: string): Act {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new InvalidAct("the act is not JSON; send one JSON object on standard input");
  }
  const parsed = act.safeParse(json);
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => `${issue.path.join(".") || "act"}: ${issue.message}`);
    throw new InvalidAct(`the act breaks ${faults.length} rule(s): ${faults.join("; ")}`);
  }
  return parsed.data;
}
