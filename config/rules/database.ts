import { isIPv4 } from "node:net";
import { hasOddSegment, text } from "./rule";
import { HOST_NAME } from "./web";

/** What a database and its backups know: migrations, schemas, buckets. */

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
