import { readdir } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Refused } from "../../conductor/faults";
import { runCommand } from "../../conductor/system/command";

/** Where Debian has a directory of Postgres' programs for each major version. */
export const PROGRAMS_ROOT = "/usr/lib/postgresql";

/** Postgres' programs of one version. */
export interface Programs {
  /** Major version, e.g. 17. */
  readonly major: number;
  /** Directory that they are in. */
  readonly directory: string;
}

/** Major version of a server's or a program's version, e.g. 17 of `17.6 (Debian 17.6-1)`. */
export function majorOf(version: string): number {
  return Number.parseInt(version, 10);
}

/** Versions that have all of these programs, oldest first. */
export async function installed(root: string, needed: readonly string[]): Promise<Programs[]> {
  const names = await readdir(root).catch(() => []);
  return names
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ major: Number(name), directory: join(root, name, "bin") }))
    .filter(({ directory }) => needed.every((program) => existsSync(join(directory, program))))
    .sort((a, b) => a.major - b.major);
}

/**
 * The programs for a server: its own version's where they are there, for what a newer one writes may be more than an
 * older server takes; else the newest.
 * @throws Refused where all are older than the server, with the way out
 */
export function fitting(
  found: readonly Programs[],
  server: number,
  what: string,
  packages: string,
): Programs {
  const newest = found.at(-1);
  const fits = found.find(({ major }) => major === server) ?? newest;
  if (fits === undefined || fits.major < server) {
    const state =
      newest === undefined
        ? "is not installed"
        : `is of version ${String(newest.major)}, older than the server`;
    throw new Refused(
      `the server has version ${String(server)}, and ${what} on this host ${state}: install ${packages} ` +
        `(version ${String(server)} or newer; apt.postgresql.org has all versions)`,
    );
  }
  return fits;
}

/** `pg_dump` and `pg_restore` for a server of this major version. */
export async function clientPrograms(root: string, server: number): Promise<Programs> {
  const found = await installed(root, ["pg_dump", "pg_restore", "psql"]);
  return fitting(found, server, "pg_dump", `postgresql-client-${String(server)}`);
}

/** A server, to restore what comes from a server of this major version. */
export async function serverPrograms(root: string, server: number): Promise<Programs> {
  const found = await installed(root, ["initdb", "postgres", "pg_restore"]);
  const what = "the server that a rehearsal starts";
  return fitting(found, server, what, `postgresql-${String(server)}, or set rehearsalUrl`);
}

/** Version of a program, e.g. `17.6`. */
export async function versionOf({ directory }: Programs, program: string): Promise<string> {
  const text = await runCommand({ argv: [join(directory, program), "--version"], timeoutSeconds: 30 });
  const version = /\(PostgreSQL\) (\S+)/.exec(text)?.[1];
  if (version === undefined) throw new Refused(`${join(directory, program)} is no program of Postgres`);
  return version;
}

/** An argument list whose program ends with the process that runs it, however that ends. */
export function bound(argv: readonly string[], user: string | null = null): string[] {
  const as = user === null ? [] : [`--reuid=${user}`, `--regid=${user}`, "--init-groups"];
  return ["setpriv", "--pdeathsig=KILL", ...as, "--", ...argv];
}

/** What these programs see of the environment, beside where the database is: nothing of root's own settings. */
export const BARE_ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  LC_ALL: "C.UTF-8",
  // Files that are not there: neither root's passwords nor root's services count.
  PGPASSFILE: "/nonexistent/pgpass",
  PGSERVICEFILE: "/nonexistent/service",
};
