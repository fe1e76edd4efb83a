import type { BackupBucketSpec } from "../components/backup-bucket";
import { AUDIT_PREFIX } from "./schema/cloud";
import { hasDatabase } from "./database";
import { configCommand, type Fault, type Path } from "./faults";
import type { StackValues } from "./schema/stack";
import { faultAt, isSet, type RawConfig, soundAt } from "./validation";

/** The bucket of backups, where the stack makes it. */

/** Checks what a bucket that is made needs beside its own keys. */
export function bucketFaults(raw: RawConfig): Fault[] {
  if (!isSet(raw, ["backups", "create"])) return [];
  return [
    ...nameFaults(raw),
    ...prefixFaults(raw),
    ...ageFaults(raw),
    ...lockFaults(raw),
    ...databaseFaults(raw),
  ];
}

function nameFaults(raw: RawConfig): Fault[] {
  const path = ["backups", "bucket"];
  const name = soundAt(raw, path) as string | undefined;
  // Of a name with dots no certificate of S3's is.
  if (name === undefined || (name !== "" && !name.includes("."))) return [];
  const rule =
    "the name of the bucket that backups.create makes: 3 to 63 of a-z, 0-9 and -, which nobody in the world has";
  return [faultAt(raw, path, rule)];
}

/** What the host may put and read is what lies below the prefix. */
function prefixFaults(raw: RawConfig): Fault[] {
  const path = ["backups", "prefix"];
  const prefix = soundAt(raw, path) as string | undefined;
  if (prefix === undefined || (prefix !== "" && !prefix.startsWith(AUDIT_PREFIX))) return [];
  const rule = `a prefix, and not below ${AUDIT_PREFIX}, where backups.create makes the bucket: the host may read what is below it`;
  return [faultAt(raw, path, rule, `${configCommand("set", path)} database/`)];
}

function ageFaults(raw: RawConfig): Fault[] {
  const [transition, expiry] = ["transitionDays", "expiryDays"].map(
    (key) => soundAt(raw, ["backups", "create", key]) as number | undefined,
  );
  if (transition === undefined || expiry === undefined || transition < expiry) return [];
  const rule = `more than the ${String(transition)} days of transitionDays: S3 moves nothing that is gone`;
  const path = ["backups", "create", "expiryDays"];
  return [faultAt(raw, path, rule, `${configCommand("set", path)} ${String(transition + 1)}`)];
}

/** In production no key that leaks, and no hand that slips, may delete every backup. */
function lockFaults(raw: RawConfig): Fault[] {
  const path: Path = ["backups", "create", "objectLock"];
  if (soundAt(raw, ["environment"]) !== "production" || isSet(raw, path)) return [];
  const rule =
    "set where environment is production: mode (governance or compliance), and days that no backup can be deleted for";
  return [faultAt(raw, path, rule)];
}

/** One line that was forgotten must not ship code behind no backup. Nothing is shipped as long as no colour has a version. */
function databaseFaults(raw: RawConfig): Fault[] {
  const path: Path = ["databaseUrl"];
  if (soundAt(raw, ["environment"]) !== "production" || hasDatabase(raw)) return [];
  if (!isSet(raw, ["blueVersion"]) && !isSet(raw, ["greenVersion"])) return [];
  const rule =
    "the database's URL where environment is production and backups.create makes a bucket: else code is shipped without a backup, " +
    "a rehearsal or migrations";
  const remedy =
    `${configCommand("set --secret", path)} < url-file; for a site without a database: ` +
    configCommand("rm", ["backups", "create"]);
  return [faultAt(raw, path, rule, remedy)];
}

/** What the component is given; null where the bucket is there already, or nothing is backed up. */
export function bucketSpec(values: StackValues): BackupBucketSpec | null {
  const { bucket: name, prefix, create } = values.backups;
  if (create === undefined) return null;
  const { objectLock = null, ...ages } = create;
  return { name, prefix, auditPrefix: AUDIT_PREFIX, ...ages, objectLock };
}
