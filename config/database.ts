import { findSchema, type FoundSchema } from "../schema/find-schema";
import { type DatabaseAddress, parseDatabaseUrl } from "./database-url";
import { configCommand, type Fault } from "./faults";
import { attempt, givenText, type Machine } from "./keys";
import { KeyFault } from "./ssh-keys";
import { faultAt, type RawConfig } from "./validation";

/** The database that the configuration names, and the schema that it shall have; undefined where it names none. */
export interface FoundDatabase {
  readonly address: DatabaseAddress;
  readonly schema: FoundSchema;
}

/** Reads all about the database, but for values that stand for themselves. Reads through `machine` only. */
export function findDatabase(
  raw: RawConfig,
  machine: Machine,
): { readonly found?: FoundDatabase; readonly faults: readonly Fault[] } {
  const faults: Fault[] = keyPairFaults(raw);
  const url = givenText(raw, ["databaseUrl"]);
  const address =
    url === undefined ? undefined : attempt(raw, ["databaseUrl"], faults, () => parseDatabaseUrl(url));
  const rehearsalUrl = givenText(raw, ["rehearsalUrl"]);
  if (rehearsalUrl !== undefined) {
    attempt(raw, ["rehearsalUrl"], faults, () =>
      requireAnotherServer(parseDatabaseUrl(rehearsalUrl), address),
    );
  }
  // Without a database nobody asks for migrations.
  if (url === undefined) return { faults };
  if (givenText(raw, ["backups", "bucket"]) === undefined) {
    const rule = "a bucket for backups, for there is a database, whose schema changes only behind one";
    faults.push(faultAt(raw, ["backups", "bucket"], rule));
  }
  const schema = findSchema(raw, machine);
  faults.push(...schema.faults);
  return address === undefined ? { faults } : { found: { address, schema }, faults };
}

/** A rehearsal takes a server's disk and processors. */
function requireAnotherServer(rehearsal: DatabaseAddress, database: DatabaseAddress | undefined): void {
  if (rehearsal.server !== database?.server) return;
  throw new KeyFault(
    "the URL of another server than databaseUrl's: a rehearsal would take disk and processors from the users",
  );
}

/** Both halves of a key, or none. */
function keyPairFaults(raw: RawConfig): Fault[] {
  const halves = ["backupAccessKeyId", "backupSecretAccessKey"];
  const given = halves.filter((key) => givenText(raw, [key]) !== undefined);
  if (given.length !== 1) return [];
  const missing = halves.filter((key) => !given.includes(key));
  const rule = `set beside ${raw.namespace}:${String(given[0])}; or neither of the two, where the host's role may write`;
  const remedy = (key: string) =>
    `${configCommand("set --secret", [key])} < key-file, or ${configCommand("rm", [String(given[0])])}`;
  return missing.map((key) => faultAt(raw, [key], rule, remedy(key)));
}
