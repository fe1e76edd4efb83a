import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Client } from "pg";
import { Failed } from "../../conductor/faults";
import { CommandFailed, runCommand } from "../../conductor/system/command";
import { LIBPQ_KEEPALIVE, libpqEnvironment, type Address } from "../connection";
import { catalogDifferences, type CatalogComparison } from "./catalog";
import type { StoredManifest } from "./manifest";
import { BARE_ENVIRONMENT, bound, majorOf, type Programs } from "./programs";
import { catalogOf, countRows } from "./snapshot";

/** Longest restore, in seconds: a day. */
const TIMEOUT_SECONDS = 24 * 60 * 60;

/** How many differences are told. */
const TOLD = 12;

/** A setting that pg_restore sets since version 17 and that older servers do not know: no loss. */
const HARMLESS = /unrecognized configuration parameter "transaction_timeout"/;

/** How a dump is loaded. */
export interface LoadOptions {
  readonly programs: Programs;
  /** Leaves owners and grants away: for a role that may not give objects to others. */
  readonly withoutOwners: boolean;
}

/** The argument list of a restore into an empty database; the connection is in the environment. */
export function loadArguments(file: string, database: string, options: LoadOptions): string[] {
  const name = database.replace(/[\\']/g, "\\$&");
  return [
    join(options.programs.directory, "pg_restore"),
    ...["--no-password", `--jobs=${String(availableParallelism())}`, "--no-subscriptions"],
    ...(options.withoutOwners ? ["--no-owner", "--no-privileges"] : []),
    `--dbname=dbname='${name}' ${LIBPQ_KEEPALIVE}`,
    file,
  ];
}

/**
 * Restores a dump into an empty database.
 * @throws Failed with what pg_restore said
 */
export async function load(file: string, address: Address, options: LoadOptions): Promise<void> {
  const errors: string[] = [];
  try {
    await runCommand(
      {
        argv: bound(loadArguments(file, address.database, options)),
        env: { ...BARE_ENVIRONMENT, ...libpqEnvironment(address) },
        timeoutSeconds: TIMEOUT_SECONDS,
      },
      (line) => {
        if (/^pg_restore: (error|fatal)/.test(line)) errors.push(line);
      },
    );
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    if (!isHarmless(error.how, errors)) {
      throw new Failed(
        ["the dump cannot be restored", ...errors.slice(0, TOLD), error.ending, ...hints(errors)].join(
          "\n  ",
        ),
      );
    }
  }
}

function hints(errors: readonly string[]): string[] {
  const roles = errors.flatMap((line) => /role "(.+)" does not exist/.exec(line)?.[1] ?? []);
  const superuser = errors.some((line) => /permission denied to create|must be (superuser|owner)/.test(line));
  return [
    ...[...new Set(roles)].map((role) => `make that role on the server first: create role "${role}" nologin`),
    ...(superuser
      ? ["a superuser can restore it; for another role name the product's own schemas as database.schemas"]
      : []),
  ];
}

/** Whether a restore that ended like this lost nothing: all its errors are about a setting that an older server does not know. */
export function isHarmless(how: string, errors: readonly string[]): boolean {
  return how === "ended with exit code 1" && errors.length > 0 && errors.every((line) => HARMLESS.test(line));
}

/**
 * Compares a restored database with the manifest: the rows of every table, and what the schema consists of.
 * @throws Failed that names what differs
 */
export async function compareWithManifest(
  client: Client,
  manifest: StoredManifest,
  { owners }: Pick<CatalogComparison, "owners">,
): Promise<void> {
  await client.query("begin isolation level repeatable read read only; set local row_security = off");
  const { rows: version } = await client.query<{ version: string }>(
    "select current_setting('server_version') as version",
  );
  const rows = await countRows(client, manifest.schemas);
  const catalog = await catalogOf(client, manifest.schemas);
  await client.query("commit");
  const extras = majorOf(version[0]?.version ?? "") === majorOf(manifest.server);
  const differences = [
    ...rowDifferences(manifest.rows, rows),
    ...catalogDifferences(manifest.catalog, catalog, { owners, extras }),
  ];
  if (differences.length === 0) return;
  const more = differences.length - TOLD;
  const lines = [...differences.slice(0, TOLD), ...(more > 0 ? [`and ${String(more)} more`] : [])];
  throw new Failed(`what was restored is not what ${manifest.name} was taken of:\n  ${lines.join("\n  ")}`);
}

/** Names the tables whose rows are not as many, a line each. */
export function rowDifferences(
  then: Readonly<Record<string, number>>,
  now: Readonly<Record<string, number>>,
): string[] {
  return [...new Set([...Object.keys(then), ...Object.keys(now)])]
    .filter((table) => (then[table] ?? -1) !== (now[table] ?? -1))
    .sort()
    .map((table) => {
      const count = (rows: number | undefined): string =>
        rows === undefined ? "no such table" : `${String(rows)} rows`;
      return `${table}: ${count(now[table])}, in the backup ${count(then[table])}`;
    });
}

/**
 * Names the tables that lost more rows than may be missing. Tables that are gone were dropped on purpose.
 * @param tolerancePercent Of the rows in the backup.
 */
export function lostRows(
  then: Readonly<Record<string, number>>,
  now: Readonly<Record<string, number>>,
  tolerancePercent: number,
): string[] {
  return Object.entries(then).flatMap(([table, before]) => {
    const left = now[table];
    if (left === undefined || left >= before * (1 - tolerancePercent / 100)) return [];
    return [`${table}: ${String(left)} rows, ${String(before)} in the backup`];
  });
}
