import { createHash } from "node:crypto";
import { type Fault, shown } from "../config/faults";
import type { CheckFile, MigrationFile } from "../host/database/protocol";
import { readMarks } from "./leading-comments";

/** A file as it is on the disk. */
export interface FoundFile {
  readonly name: string;
  readonly bytes: Buffer;
}

/** A migration, with what it says of itself. */
export interface Migration extends MigrationFile {
  /** Name of its file. */
  readonly file: string;
  /** Statement by statement, in no transaction of its own. */
  readonly alone: boolean;
  /** Its text is kept as a secret. */
  readonly secret: boolean;
}

/** A folder of migrations, read. */
export interface MigrationsFolder {
  /** In the order in which they are applied. */
  readonly migrations: readonly Migration[];
  readonly checks: readonly CheckFile[];
  readonly faults: readonly Fault[];
}

/** Longest file, in bytes. */
export const FILE_BYTES = 8 * 1024 * 1024;

/** Most that all files together may be as JSON, in bytes: they reach the host in one act, which takes no more. */
export const FOLDER_BYTES = 32 * 1024 * 1024;

const NAME = /^([0-9]{1,20})_([A-Za-z0-9][A-Za-z0-9_.-]{0,127})\.sql$/;
const CHECK_NAME = /^([A-Za-z0-9][A-Za-z0-9_.-]{0,127})\.sql$/;

/**
 * Reads a folder of migrations and its checks. Pure. What is no `.sql` file is none of its business.
 * @param folder How the folder is called in the configuration, for the messages.
 */
export function readMigrations(
  folder: string,
  found: { readonly files: readonly FoundFile[]; readonly checks: readonly FoundFile[] },
): MigrationsFolder {
  const faults: Fault[] = [];
  const migrations = sqlFiles(found.files).flatMap((file) => readMigration(folder, file, faults));
  const checks = sqlFiles(found.checks).flatMap((file) => readCheck(`${folder}/checks`, file, faults));
  faults.push(...orderFaults(folder, migrations), ...sizeFaults(folder, migrations, checks));
  return { migrations, checks, faults };
}

/** Those with SQL, in the order of their names: as `ls`, Git and the supabase CLI have them. */
function sqlFiles(files: readonly FoundFile[]): FoundFile[] {
  return files
    .filter(({ name }) => /\.sql$/i.test(name))
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}

function readMigration(folder: string, file: FoundFile, faults: Fault[]): Migration[] {
  const [, version, name] = NAME.exec(file.name) ?? [];
  const key = `${folder}/${file.name}`;
  if (version === undefined || name === undefined) {
    faults.push({
      key,
      value: shown(file.name, false),
      rule: "<digits>_<name>.sql: up to 20 digits, and a name of A-Z, a-z, 0-9, '.', '_' and '-'",
      remedy: "rename the file, as `supabase migration new NAME` would name it, or take it out of the folder",
    });
  }
  const sql = textOf(key, file, faults);
  if (sql === undefined || version === undefined || name === undefined) return [];
  const { contract, alone, secret, faults: marks } = readMarks(sql);
  for (const { line, text, rule } of marks) {
    faults.push({
      key: `${key}:${String(line)}`,
      value: shown(text, false),
      rule,
      remedy: "put the line right, above the first statement",
    });
  }
  return [{ file: file.name, version, name, sha256: sha256(file.bytes), sql, contract, alone, secret }];
}

function readCheck(folder: string, file: FoundFile, faults: Fault[]): CheckFile[] {
  const [, name] = CHECK_NAME.exec(file.name) ?? [];
  const key = `${folder}/${file.name}`;
  if (name === undefined) {
    faults.push({
      key,
      value: shown(file.name, false),
      rule: "a name of A-Z, a-z, 0-9, '.', '_' and '-', and .sql",
      remedy: "rename the file",
    });
  }
  const sql = textOf(key, file, faults);
  return name === undefined || sql === undefined ? [] : [{ name, sql }];
}

function textOf(key: string, { bytes }: FoundFile, faults: Fault[]): string | undefined {
  if (bytes.length > FILE_BYTES) {
    faults.push({
      key,
      value: `${String(bytes.length)} bytes`,
      rule: `at most ${String(FILE_BYTES)} bytes`,
      remedy: "split it; rows by the thousand are better copied than migrated",
    });
    return undefined;
  }
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    if (!text.includes("\0")) return text;
  } catch {
    // Told below.
  }
  faults.push({
    key,
    value: "bytes that are no text",
    rule: "text in UTF-8, without the character NUL",
    remedy: `find its encoding with \`file ${key}\`, and write it anew: iconv -t UTF-8`,
  });
  return undefined;
}

/** Versions are compared as numbers by some and as texts by others: both have to give one order. */
function orderFaults(folder: string, migrations: readonly Migration[]): Fault[] {
  return migrations.slice(1).flatMap((migration, index): Fault[] => {
    const before = migrations[index];
    if (before === undefined || compareVersions(before.version, migration.version) < 0) return [];
    const same = compareVersions(before.version, migration.version) === 0;
    return [
      {
        key: `${folder}/${migration.file}`,
        value: shown(migration.version, false),
        rule: same
          ? `a version of its own: ${before.file} has the same one`
          : `a greater number than ${before.version}, which ${before.file}, the file before it by name, begins with`,
        remedy: same
          ? "give one of the two another number; the one that is applied already keeps its own"
          : "give all files as many digits, 14 of them for a time, with zeros in front",
      },
    ];
  });
}

function sizeFaults(folder: string, migrations: readonly Migration[], checks: readonly CheckFile[]): Fault[] {
  const bytes = Buffer.byteLength(JSON.stringify([migrations.map(({ sql }) => sql), checks]));
  if (bytes <= FOLDER_BYTES) return [];
  return [
    {
      key: folder,
      value: `${String(bytes)} bytes in ${String(migrations.length)} files`,
      rule: `at most ${String(FOLDER_BYTES)} bytes in all`,
      remedy: "squash files that every database has: `supabase migration squash`",
    },
  ];
}

/** Orders versions by their numbers: below 0 where `one` comes first. */
export function compareVersions(one: string, other: string): number {
  const [first, second] = [BigInt(one), BigInt(other)];
  return first < second ? -1 : first > second ? 1 : 0;
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
