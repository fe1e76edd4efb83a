import { isIPv4, isIPv6 } from "node:net";
import { z } from "zod";
import { isAnswerHeader, isHeaderValue, isNetwork } from "../host/conductor/front-door/nginx-values";
import {
  ENVIRONMENT_BYTES,
  isFreeVariable,
  VARIABLE_BYTES,
  VARIABLE_NAME,
} from "../host/conductor/releases/variables";

/**
 * The vocabulary of the configuration: what a version, a domain or a path may be.
 *
 * Every rule is an allow list of characters. What passes is inert wherever it ends up: in Nginx's configuration, in a
 * file's name, in a Git ref or in an argument list.
 */

/** What a fault says about the value that broke a rule. */
export interface Rule {
  /** What the value has to be, as the end of the sentence "it has to be ...". */
  readonly rule: string;
  /** A value that keeps the rule: for a list or a group as YAML, else as typed behind `pulumi config set KEY`. */
  readonly example: string;
}

/** Rule and example of each schema that can break. Filled by {@link ruled}. */
export const rules = z.registry<Rule>();

/** Attaches a rule and an example to a schema, and returns the schema. */
export function ruled<S extends z.ZodType>(schema: S, rule: string, example: string): S {
  rules.add(schema, { rule, example });
  return schema;
}

/** What the deployment guide writes where the reader's own value belongs. */
const GUIDE_PLACEHOLDERS = [/\[[^\][\n]{1,60}\]/, /\byourdomain\.com\b/i, /\byour-org\b/i];

/** Returns the guide's placeholder inside `value`, or undefined. */
export function placeholderIn(value: string): string | undefined {
  for (const placeholder of GUIDE_PLACEHOLDERS) {
    const found = placeholder.exec(value);
    if (found !== null) return found[0];
  }
  return undefined;
}

/** A text that a pattern allows as a whole. */
function text(longest: number, allowed: (value: string) => boolean, rule: string, example: string) {
  const keepsRule = (value: string) => value.length <= longest && allowed(value);
  return ruled(z.string().refine(keepsRule), rule, example);
}

/** Configuration hands numbers over as text, too. */
function wholeNumber(value: unknown): unknown {
  return typeof value === "string" && /^(0|[1-9]\d{0,14})$/.test(value) ? Number(value) : value;
}

/** An integer. */
export function integer(smallest: number, largest: number, unit: string, example: number) {
  return ruled(
    z.preprocess(wholeNumber, z.int().min(smallest).max(largest)),
    `a whole number from ${String(smallest)} to ${String(largest)}${unit === "" ? "" : ` (${unit})`}`,
    String(example),
  );
}

/** Does a path hold a segment that is empty, or that means "here" or "above"? */
function hasOddSegment(path: string): boolean {
  return path.split("/").some((segment) => segment === "" || segment === "." || segment === "..");
}

const VERSION = /^v?(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})(-[0-9A-Za-z]+(\.[0-9A-Za-z]+)*)?$/;

/** A version of the application, as it stands in the tag. */
export const version = () =>
  text(64, (value) => VERSION.test(value), "a version such as v1.0.0 or 1.2.3-rc.1", "v1.0.0");

/** A version, or nothing: a colour without a version is retired. */
export const versionOrNone = () =>
  text(
    64,
    (value) => value === "" || VERSION.test(value),
    "a version such as v1.0.0 or 1.2.3-rc.1, or empty to retire the colour",
    "v1.0.0",
  );

/** Name of the application; part of the names of directories, services and processes on the host. */
export const applicationName = () =>
  text(
    31,
    (value) => /^[a-z][a-z0-9-]*$/.test(value),
    "1 to 31 of a-z, 0-9 and -, a letter first",
    "vehicleservice",
  );

const LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
const DOMAIN = new RegExp(`^(?:${LABEL}\\.)+(?=[a-z])${LABEL}$`);
const HOST_NAME = new RegExp(`^(?:${LABEL}\\.)*(?=[a-z])${LABEL}$`);

/** A fully qualified domain name, in lower case. */
export const domain = () =>
  text(
    253,
    (value) => DOMAIN.test(value) && placeholderIn(value) === undefined,
    "a domain name in lower case, without scheme, port or wildcard",
    "www.example.com",
  );

const HTTPS_URL = /^https:\/\/([A-Za-z0-9.-]+)(?::\d{1,5})?(?:\/([A-Za-z0-9._~/-]*))?$/;

/** An HTTPS URL without user, query and fragment. */
export const httpsUrl = (example: string) =>
  text(
    255,
    (value) => {
      const [, host = "", path = ""] = HTTPS_URL.exec(value) ?? [];
      const below = path.replace(/\/$/, "");
      return (
        (isIPv4(host) || HOST_NAME.test(host.toLowerCase())) &&
        (below === "" || !hasOddSegment(below)) &&
        !/(^|\/)-/.test(below) &&
        placeholderIn(value) === undefined
      );
    },
    "an https:// URL without user and query, no part of its path .. or with a dash first",
    example,
  );

const MAILBOX = /^([A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*)@([a-z0-9.-]{1,253})$/;

/** Mail address, or nothing. */
export const mailOrNone = () =>
  text(
    320,
    (value) => {
      const [, user = "", domain = ""] = MAILBOX.exec(value) ?? [];
      const isMail = user.length <= 64 && DOMAIN.test(domain) && placeholderIn(value) === undefined;
      return value === "" || isMail;
    },
    "a mail address with its domain in lower case, or empty for none",
    "operations@example.com",
  );

/** Where a host is reached: IPv4, IPv6 (without a zone) or a DNS name. */
export const hostAddress = () =>
  text(
    253,
    (value) =>
      (isIPv4(value) || (isIPv6(value) && !value.includes("%")) || HOST_NAME.test(value)) &&
      placeholderIn(value) === undefined,
    "an IPv4 address, an IPv6 address without zone, or a DNS name in lower case",
    "203.0.113.10",
  );

/** Login name of a user of the host. */
export const userName = () =>
  text(
    32,
    (value) => /^[a-z_][a-z0-9_-]*$/.test(value),
    "a login name: a-z, 0-9, _ and -, a letter or _ first",
    "root",
  );

/** File on the machine that runs Pulumi. It is only ever opened, so that it may hold spaces and the like. */
export const localFile = (example: string) =>
  text(
    1024,
    (value) => /^\P{Cc}+$/u.test(value) && !value.split("/").includes(".."),
    "a path from the root, from ~/ or from the directory of Pulumi.yaml, without .. and control characters",
    example,
  );

/** File on the host, from its root. Stands in Nginx's configuration. */
export const hostFile = (example: string) =>
  text(
    255,
    (value) => /^\/[A-Za-z0-9._/-]+$/.test(value) && !hasOddSegment(value.slice(1)),
    "an absolute path of A-Z, a-z, 0-9, '.', '_', '-' and '/', without .. in it",
    example,
  );

/** Path of a URL, without a query. Stands in Nginx's configuration. */
export const urlPath = (example: string) =>
  text(
    255,
    (value) => /^\/[A-Za-z0-9._~/-]*$/.test(value) && (value === "/" || !hasOddSegment(value.slice(1))),
    "a path of a URL that begins with /, of A-Z, a-z, 0-9, '.', '_', '~', '-' and '/', without .. in it",
    example,
  );

/** Paths of URLs, each with all that is below it. */
export const urlPaths = (example: string) =>
  ruled(z.array(urlPath(example)).max(100), "a list of at most 100 paths", `[${example}]`);

/** Path of a URL that is not the root, or nothing. */
export const urlPathOrNone = (example: string) =>
  text(
    255,
    (value) => value === "" || (/^\/[A-Za-z0-9._~/-]+$/.test(value) && !hasOddSegment(value.slice(1))),
    "a path of a URL that begins with /, of A-Z, a-z, 0-9, '.', '_', '~', '-' and '/', without .. in it, and not the root; or empty for none",
    example,
  );

/** Yes or no; configuration hands it over as text, too. */
export function flag(example: boolean) {
  const truth = (value: unknown) => ({ true: true, false: false })[String(value)] ?? value;
  return ruled(z.preprocess(truth, z.boolean()), "true or false", String(example));
}

/** Name of a header that answers may be given. */
export const answerHeader = () =>
  ruled(
    z.string().refine(isAnswerHeader),
    "the name of a header, of A-Z, a-z, 0-9 and -, and none that HTTP, Nginx or site.hsts sets",
    "X-Frame-Options",
  );

/** Value of a header that answers may be given. */
export const headerValue = () =>
  ruled(
    z.string().refine(isHeaderValue),
    'a text of 1 to 4096 printable ASCII characters but ", \\ and $, without blanks around it',
    "SAMEORIGIN",
  );

/** A network, IPv4 or IPv6. */
export const network = () =>
  text(
    64,
    isNetwork,
    "a network in CIDR notation, such as 203.0.113.0/24 or 2001:db8::/32",
    "203.0.113.0/24",
  );

/** Script inside the release's directory. */
export const releaseFile = (example: string) =>
  text(
    255,
    (value) => /^[A-Za-z0-9._@][A-Za-z0-9._@/-]*$/.test(value) && !hasOddSegment(value),
    "a path inside the release, of A-Z, a-z, 0-9, '.', '_', '@', '-' and '/', without .. in it",
    example,
  );

/** Name of a smoke test; stands in messages. */
export const smokeTestName = (example: string) =>
  text(64, (value) => /^[a-z0-9][a-z0-9-]*$/.test(value), "1 to 64 of a-z, 0-9 and -, no - first", example);

/** An HTTP status, or a list of them. */
export const statuses = (example: string) =>
  ruled(
    z.preprocess(
      (value) => (Array.isArray(value) ? value : [value]).map((one: unknown) => wholeNumber(one)),
      z.array(z.int().min(100).max(599)).min(1).max(20),
    ),
    "an HTTP status, or a list of 1 to 20 of them",
    example,
  );

/** Text that is looked for in an answer, and nowhere else. */
export const bodyText = (example: string) =>
  text(
    4096,
    (value) => ARGUMENT.test(value),
    "a text of 1 to 4096 characters, without control characters",
    example,
  );

/** Name of a cookie that Nginx can read as a variable. */
export const cookieName = (example: string) =>
  text(64, (value) => /^[a-z][a-z0-9_]*$/.test(value), "1 to 64 of a-z, 0-9 and _, a letter first", example);

/** Headers whose meaning is taken; a testers' header of that name would break every request. */
const TAKEN_HEADERS = /^(host|cookie|connection|authorization|content-.*|transfer-encoding|upgrade|te|via)$/;

/** Name of a header that is a cookie's name at the same time. */
export const headerName = (example: string) =>
  text(
    64,
    (value) => /^[a-z][a-z0-9-]*$/.test(value) && !TAKEN_HEADERS.test(value),
    "1 to 64 of a-z, 0-9 and -, a letter first, and no header that HTTP itself uses",
    example,
  );

/** Secret that testers send; no character of it needs quoting in a header or a cookie. */
export const testerSecret = () =>
  text(
    128,
    (value) => value === "" || /^[A-Za-z0-9_-]{16,}$/.test(value),
    "16 to 128 of A-Z, a-z, 0-9, _ and -, or empty to close the testers' route",
    '"$(openssl rand -hex 16)"',
  );

/** Full commit hash, SHA-1. */
export const commit = () =>
  text(
    40,
    (value) => /^[0-9a-f]{40}$/.test(value),
    "a full commit hash: 40 of 0-9 and a-f",
    "0123456789abcdef0123456789abcdef01234567",
  );

const GIT_HOST = "[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?";
const GIT_PATH = "[A-Za-z0-9._~+/-]+";
const GIT_USER = "[A-Za-z0-9_][A-Za-z0-9._-]*";
const REPOSITORIES = [
  new RegExp(`^(?:https|git)://${GIT_HOST}(?::\\d{1,5})?/${GIT_PATH}$`),
  new RegExp(`^ssh://(?:${GIT_USER}@)?${GIT_HOST}(?::\\d{1,5})?/${GIT_PATH}$`),
  new RegExp(`^file:///${GIT_PATH}$`),
  new RegExp(`^${GIT_USER}@${GIT_HOST}:(?!-)${GIT_PATH}$`),
];

/** Where Git fetches from. No transport helpers (`ext::`), no options, no credentials. */
export const repository = () =>
  text(
    512,
    (value) =>
      REPOSITORIES.some((pattern) => pattern.test(value)) &&
      !value.split("/").some((segment) => segment === ".." || segment.startsWith("-")) &&
      placeholderIn(value) === undefined,
    "a Git repository: https://, ssh://, git:// or file:// URL, or user@host:path; without password, spaces and ..",
    "https://github.com/example/vehicleservice.git",
  );

/** How a version becomes a tag. The rest of the tag has to be what Git takes as part of a ref's name. */
export const tagPattern = () =>
  text(
    128,
    (value) => {
      const tag = value.replace("{version}", "v1.0.0");
      const segments = tag.split("/");
      return (
        value.includes("{version}") &&
        /^[A-Za-z0-9][A-Za-z0-9._+/-]*$/.test(tag) &&
        !tag.includes("..") &&
        segments.every((segment) => /^[A-Za-z0-9]/.test(segment) && !/(\.|\.lock)$/.test(segment))
      );
    },
    "a pattern of A-Z, a-z, 0-9, '.', '_', '+', '-' and '/' that holds {version} exactly once",
    "'{version}-production'",
  );

const ARGUMENT = /^\P{Cc}{1,4096}$/u;
const PROGRAM = /^[A-Za-z0-9._/][A-Za-z0-9._/@+-]{0,254}$/;

/** One argument. It reaches its program as one element of a list, never through a shell. */
const argument = () =>
  ruled(
    z.preprocess((value) => (typeof value === "number" ? String(value) : value), z.string().regex(ARGUMENT)),
    "a text of 1 to 4096 characters, without control characters",
    "start",
  );

/** Arguments of a program. */
export const argumentList = (example: string) =>
  ruled(z.array(argument()).max(64), "a list of at most 64 texts", example);

/** A program and its arguments; empty for none unless `required`. */
export function commandLine(example: string, required = false) {
  const program = (list: readonly string[]) =>
    list.length === 0 ? !required : PROGRAM.test(list[0] ?? "") && !(list[0] ?? "").split("/").includes("..");
  return ruled(
    z.array(argument()).max(64).refine(program),
    `a program and its arguments as a list of at most 64 texts${required ? "" : ", or an empty list for none"}`,
    example,
  );
}

/** Name of a variable of the application's environment. */
export const variableName = () =>
  ruled(
    z.string().regex(VARIABLE_NAME).refine(isFreeVariable),
    "a name of A-Z, a-z, 0-9 and _, no digit first, and none that PM2, Node or the launcher sets (PORT, NODE_ENV, " +
      "NODE_OPTIONS, APP_VERSION, CONDUCTOR_* and the like)",
    "LOG_LEVEL",
  );

/** Value of a variable. YAML reads some texts as numbers or truth values; they are meant as texts. */
export const variableValue = () =>
  ruled(
    z.preprocess(
      (value) => (typeof value === "number" || typeof value === "boolean" ? String(value) : value),
      z
        .string()
        .refine(
          (value) =>
            !value.includes("\0") && value.isWellFormed() && Buffer.byteLength(value) <= VARIABLE_BYTES,
        ),
    ),
    "a text of at most 64 KiB, without the character NUL",
    "warn",
  );

/** Are the values together small enough for one environment? */
export const fitsEnvironment = (variables: Readonly<Record<string, string>>): boolean =>
  Buffer.byteLength(Object.values(variables).join("")) <= ENVIRONMENT_BYTES;

const MIGRATION_VERSION = /^[0-9]{1,20}$/;

/** Version of a migration: the digits that its file begins with. */
export const migrationVersion = () =>
  text(
    20,
    (value) => MIGRATION_VERSION.test(value),
    "the digits that a migration's file begins with; in quotes, for YAML would take them for a number",
    "'20250103000000'",
  );

/** Version of a migration, or nothing. */
export const migrationVersionOrNone = () =>
  text(
    20,
    (value) => value === "" || MIGRATION_VERSION.test(value),
    "the digits that a migration's file begins with (in quotes, for YAML would take them for a number), or empty for none",
    "'20250103000000'",
  );

/** SHA-256 of a file, or nothing. */
export const sha256OrNone = () =>
  text(
    64,
    (value) => /^([0-9a-f]{64})?$/.test(value),
    "the SHA-256 of the file, 64 of 0-9 and a-f, or empty for a file that is gone",
    '""',
  );

/** Why somebody overrides a refusal. Kept in the database. */
export const reason = () =>
  text(
    500,
    (value) => /^\P{Cc}*$/u.test(value) && value.isWellFormed() && value.trim().length >= 10,
    "a reason of 10 to 500 characters, in one line",
    "'a comment was corrected, the statements are the same'",
  );

/** Name of a schema of the database. */
export const schemaName = () =>
  text(
    63,
    (value) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(value) && !/^pg_/i.test(value),
    "the name of a schema: A-Z, a-z, 0-9 and _, no digit first, and none of Postgres' own",
    "public",
  );

/** Name of an S3 bucket, or nothing. */
export const bucketOrNone = () =>
  text(
    63,
    (value) =>
      value === "" ||
      (/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(value) && !/\.[.-]|-\./.test(value) && !isIPv4(value)),
    "the name of an S3 bucket: 3 to 63 of a-z, 0-9, '.' and '-', or empty for none",
    "example-backups",
  );

/** Region of an S3 bucket. */
export const region = () =>
  text(
    32,
    (value) => /^[a-z0-9]+(-[a-z0-9]+)*$/.test(value),
    "a region of S3: a-z, 0-9 and -",
    "eu-central-1",
  );

/** Networks whose traffic nobody else reads. */
const PRIVATE_ADDRESS = /^(127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/;
const ENDPOINT = /^(https?):\/\/([A-Za-z0-9.-]+)(?::\d{1,5})?\/?$/;

/** URL of an S3 that is not Amazon's, or nothing. */
export const endpointOrNone = () =>
  text(
    255,
    (value) => {
      const [, scheme = "", host = ""] = ENDPOINT.exec(value) ?? [];
      const isSafe = scheme === "https" || (isIPv4(host) && PRIVATE_ADDRESS.test(host));
      return value === "" || (isSafe && (isIPv4(host) || HOST_NAME.test(host.toLowerCase())));
    },
    "an https:// URL without path, or an http:// one of a private IPv4 address, or empty for Amazon's S3",
    "https://s3.example.com",
  );

/** What the keys of objects begin with. */
export const keyPrefix = () =>
  text(
    200,
    (value) => value === "" || (/^[A-Za-z0-9._/-]+\/$/.test(value) && !hasOddSegment(value.slice(0, -1))),
    "A-Z, a-z, 0-9, '.', '_', '-' and '/', with / at its end and without .. in it, or empty",
    "vehicleservice/",
  );

/** One half of a key of S3, or nothing. */
export const accessKeyOrNone = () =>
  text(
    256,
    (value) => /^[A-Za-z0-9+/=_-]*$/.test(value),
    "at most 256 of A-Z, a-z, 0-9 and + / = _ -, or empty for the host's own role",
    "< key-file",
  );
