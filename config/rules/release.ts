import { z } from "zod";
import {
  ENVIRONMENT_BYTES,
  isFreeVariable,
  VARIABLE_BYTES,
  VARIABLE_NAME,
} from "../../host/conductor/releases/variables";
import { hasOddSegment, placeholderIn, ruled, text, ONE_LINE } from "./rule";

/** What a release is: versions, where its source is, commands, variables. */

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

const PROGRAM = /^[A-Za-z0-9._/][A-Za-z0-9._/@+-]{0,254}$/;

/** One argument. It reaches its program as one element of a list, never through a shell. */
const argument = () =>
  ruled(
    z.preprocess((value) => (typeof value === "number" ? String(value) : value), z.string().regex(ONE_LINE)),
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
