import { isAbsolute, join } from "node:path";
import { type Fault, shown } from "../config/faults";
import { attempt, givenText, type Machine } from "../config/keys";
import { KeyFault } from "../config/ssh-keys";
import { faultAt, type RawConfig, soundAt } from "../config/validation";
import type { SchemaRange } from "../host/conductor/protocol";
import type { Acceptance, CheckFile } from "../host/database/protocol";
import { checkFit } from "./fit";
import { lintMigrations } from "./lint-faults";
import { compareVersions, type FoundFile, type Migration, readMigrations } from "./migrations-folder";
import { readReleaseRecords } from "./release-records";

/** What the schema shall be, and what each release can run on. */
export interface FoundSchema {
  /** In order. */
  readonly migrations: readonly Migration[];
  readonly checks: readonly CheckFile[];
  /** By version of the release. */
  readonly ranges: ReadonlyMap<string, SchemaRange>;
  readonly faults: readonly Fault[];
}

/** A path of the configuration that names a folder. */
const MIGRATIONS = ["database", "migrationsDirectory"] as const;
const RELEASES = ["source", "records"] as const;

/**
 * Reads and lints the folders of migrations and of release records that the configuration names. Reads through `machine`
 * only. Call it where there is a database.
 */
export function findSchema(raw: RawConfig, machine: Machine): FoundSchema {
  const faults: Fault[] = [];
  const folder = givenText(raw, MIGRATIONS);
  const releasesFolder = givenText(raw, RELEASES);
  // A path that breaks its rule is a fault already, and whatever is elsewhere is none.
  if (folder === undefined || releasesFolder === undefined)
    return { migrations: [], checks: [], ranges: new Map(), faults };
  const files = attempt(raw, MIGRATIONS, faults, () => filesIn(machine, folder, /\.sql$/i)) ?? [];
  const checks = optionalFiles(machine, join(folder, "checks"));
  const recordFiles =
    attempt(raw, RELEASES, faults, () => filesIn(machine, releasesFolder, /\.ya?ml$/i)) ?? [];

  const read = readMigrations(folder, { files, checks });
  const { migrations } = read;
  const isOld = oldFiles(raw);
  const releases = readReleaseRecords(releasesFolder, recordFiles);
  const { takings, faults: findings } = lintMigrations(folder, migrations, isOld);
  const inUse = releasesInUse(raw);
  // A record that is at fault is there all the same.
  const named = recordFiles.map(({ name }) => name.replace(/\.yaml$/, ""));
  const fit = checkFit({
    folders: { migrations: folder, releases: releasesFolder },
    ...{ migrations, takings, records: releases.records, inUse, isOld },
  }).filter(({ key }) => !(key in inUse && named.includes(inUse[key] ?? "")));
  faults.push(...read.faults, ...releases.faults, ...namedVersions(raw, migrations), ...findings, ...fit);
  const ranges = [...releases.records].map(
    ([version, { schema }]) => [version, { first: schema.first, last: schema.last }] as const,
  );
  return { migrations, checks: read.checks, ranges: new Map(ranges), faults };
}

function filesIn(machine: Machine, folder: string, pattern: RegExp): FoundFile[] {
  const directory = isAbsolute(folder) ? folder : join(machine.projectDirectory, folder);
  try {
    return machine
      .list(directory)
      .filter((name) => pattern.test(name))
      .map((name) => ({ name, bytes: machine.bytes(join(directory, name)) }));
  } catch (error) {
    const code = String((error as NodeJS.ErrnoException).code);
    const rule = code === "ENOENT" ? "a folder that exists" : `a folder that can be read (${code})`;
    throw new KeyFault(`${rule}; looked for ${directory}`);
  }
}

function optionalFiles(machine: Machine, folder: string): FoundFile[] {
  try {
    return filesIn(machine, folder, /\.sql$/i);
  } catch (error) {
    if (error instanceof KeyFault && error.message.startsWith("a folder that exists")) return [];
    throw error;
  }
}

/** Files that were applied before this program came: nobody may edit them any more, so that nothing is asked of them. */
function oldFiles(raw: RawConfig): (version: string) => boolean {
  const ends = [soundAt(raw, ["database", "baseline"]), soundAt(raw, ["database", "lintAfter"])].filter(
    (version): version is string => typeof version === "string" && version !== "",
  );
  return (version) => ends.some((end) => compareVersions(version, end) <= 0);
}

function releasesInUse(raw: RawConfig): Record<string, string> {
  const versions = ["blueVersion", "greenVersion"].map((key) => [
    `${raw.namespace}:${key}`,
    givenText(raw, [key]) ?? "",
  ]);
  return Object.fromEntries(versions.filter(([, version]) => version !== "")) as Record<string, string>;
}

/** Versions in the configuration are those of files that are there; one that is accepted as removed is not. */
function namedVersions(raw: RawConfig, migrations: readonly Migration[]): Fault[] {
  const known = new Set(migrations.map(({ version }) => version));
  const rule = "the version of a migration that is there";
  const ends = ["baseline", "lintAfter"]
    .map((key) => ["database", key])
    .filter((path) => {
      const version = givenText(raw, path);
      return version !== undefined && !known.has(version);
    })
    .map((path) => faultAt(raw, path, rule));
  const accept = (soundAt(raw, ["database", "accept"]) ?? []) as readonly (Omit<Acceptance, "sha256"> & {
    readonly sha256: string;
  })[];
  const accepted = accept.flatMap(({ version, sha256 }, index): Fault[] => {
    const path = ["database", "accept", index, "version"];
    if (sha256 !== "") return known.has(version) ? [] : [faultAt(raw, path, rule)];
    if (!known.has(version)) return [];
    const removed = "the version of a migration that is gone, for no sha256 is given";
    const present = migrations.find((migration) => migration.version === version)?.sha256 ?? "";
    const remedy = `write \`sha256: ${shown(present, false).slice(1, -1)}\` beside it, which the file has now`;
    return [faultAt(raw, path, removed, remedy)];
  });
  return [...ends, ...accepted];
}
