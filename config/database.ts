import { createHash } from "node:crypto";
import type { NewProject } from "../components/supabase-origin";
import { findSchema, type FoundSchema } from "../schema/find-schema";
import { type DatabaseAddress, parseDatabaseUrl } from "./database-url";
import { configCommand, type Fault } from "./faults";
import { attempt, givenText, type Machine } from "./keys";
import { KeyFault } from "./ssh-keys";
import { makesProject } from "./supabase";
import { faultAt, type RawConfig, soundAt } from "./validation";

/** The database that the configuration names, and the schema that it shall have; undefined where it names none. */
export interface FoundDatabase {
  /** Names the database and nothing else of its settings. */
  readonly identity: string;
  readonly schema: FoundSchema;
}

/**
 * Does the stack look after a database's schema? That of a URL; or, of a project of Supabase's that it makes, the project's own, as long as there is a
 * bucket for the backups that a schema changes behind.
 */
export function hasDatabase(raw: RawConfig): boolean {
  return givenText(raw, ["databaseUrl"]) !== undefined || (makesProject(raw) && hasBucket(raw));
}

function hasBucket(raw: RawConfig): boolean {
  return givenText(raw, ["backups", "bucket"]) !== undefined;
}

/** Of a project that is made, by what makes it another one: its URL is known only later. */
function identityOfMade(raw: RawConfig): string {
  const { organization, region, name } = (soundAt(raw, ["supabase", "create"]) ?? {}) as Partial<NewProject>;
  const words = [organization, region, name, raw.namespace, raw.stack];
  return createHash("sha256").update(JSON.stringify(words)).digest("hex").slice(0, 12);
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
  if (!hasDatabase(raw)) return { faults };
  if (!hasBucket(raw)) {
    const rule = "a bucket for backups, for there is a database, whose schema changes only behind one";
    faults.push(faultAt(raw, ["backups", "bucket"], rule));
  }
  const schema = findSchema(raw, machine);
  faults.push(...schema.faults);
  // A URL that is at fault leads to no other database.
  const identity = url === undefined ? identityOfMade(raw) : address?.identity;
  return identity === undefined ? { faults } : { found: { identity, schema }, faults };
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
