import { escapeIdentifier, type Client } from "pg";
import { Failed, Refused } from "../../conductor/faults";
import { addressOf, connect, type Address } from "../connection";
import type { Surroundings } from "../surroundings";
import { requireSpace } from "./download";
import type { Role, StoredManifest } from "./manifest";
import { clientPrograms, majorOf, PROGRAMS_ROOT, serverPrograms, type Programs } from "./programs";
import { ScratchServer } from "./scratch-server";
import { databaseFacts } from "./snapshot";

/** What a server needs to restore a database, by its size: indexes are built beside it. */
const SPACE_FACTOR = 1.3;

/** An empty database that is thrown away. */
export interface ScratchDatabase {
  /** How a dump is restored into it. */
  readonly restoreBy: Address;
  /** How migrations reach it: as who they run as on the real one, where that can be. */
  readonly migrateBy: Address;
  readonly programs: Programs;
  /** Whether the dump's owners and grants can be restored. */
  readonly owners: boolean;
  /** Throws it away. */
  drop(): Promise<void>;
}

/**
 * Makes a database to rehearse on: of a server that the host starts, or on the server of a URL.
 * @param url {@link DatabaseSettings.rehearsal}
 * @throws Refused where the server lacks an extension of the backup, or is too old; Failed where none can be made
 */
export function makeScratchDatabase(
  surroundings: Surroundings,
  url: string | null,
  manifest: StoredManifest,
): Promise<ScratchDatabase> {
  return url === null ? onOwnServer(surroundings, manifest) : onServer(surroundings, url, manifest);
}

async function onOwnServer(surroundings: Surroundings, manifest: StoredManifest): Promise<ScratchDatabase> {
  const { scratch, programs: root = PROGRAMS_ROOT } = surroundings;
  const programs = await serverPrograms(root, majorOf(manifest.server));
  await requireSpace(scratch, manifest.databaseBytes * SPACE_FACTOR, "the database to rehearse on");
  const server = await ScratchServer.start(scratch, programs, manifest.encoding);
  try {
    const session = await connect(server.address("postgres"), "rehearsal");
    try {
      await requireExtensions(
        session,
        manifest,
        `install them on this host for Postgres ${String(programs.major)}`,
      );
      for (const sql of roleStatements(manifest.roles, manifest.role)) await session.query(sql);
      await session.query(`create database rehearsal owner ${escapeIdentifier(manifest.owner)}`);
      for (const sql of grantStatements(manifest.grants)) await session.query(sql);
    } finally {
      await session.end();
    }
  } catch (error) {
    await server.stop();
    throw error;
  }
  return {
    restoreBy: server.address("rehearsal"),
    migrateBy: server.address("rehearsal", manifest.role),
    programs,
    owners: true,
    drop: () => server.stop(),
  };
}

/** Makes the roles of a backup on a server of nobody else's. None may log in but the one that migrations run as. */
export function roleStatements(roles: readonly Role[], user: string): string[] {
  const option = (word: string, holds: boolean): string => (holds ? word : `no${word}`);
  const make = roles.map(
    (role) =>
      `create role ${escapeIdentifier(role.name)} ` +
      [
        option("login", role.name === user),
        option("superuser", role.superuser),
        option("inherit", role.inherit),
        option("createrole", role.createRole),
        option("createdb", role.createDatabase),
        option("bypassrls", role.bypassRowSecurity),
      ].join(" "),
  );
  const grants = roles.flatMap(({ name, memberOf }) =>
    memberOf.map((group) => `grant ${escapeIdentifier(group)} to ${escapeIdentifier(name)}`),
  );
  return [...make, ...grants];
}

function grantStatements(grants: StoredManifest["grants"]): string[] {
  if (grants === null) return [];
  const given = grants.map(({ role, privilege }) => {
    const to = role === "public" ? role : escapeIdentifier(role);
    return `grant ${privilege} on database rehearsal to ${to}`;
  });
  return ["revoke all on database rehearsal from public", ...given];
}

async function onServer(
  { app, programs: root = PROGRAMS_ROOT, progress }: Surroundings,
  url: string,
  manifest: StoredManifest,
): Promise<ScratchDatabase> {
  const server = addressOf(url);
  const session = await connect(server, `${app} rehearsal`);
  const name = `${app.slice(0, 40)}_rehearsal`;
  const drop = `drop database if exists ${escapeIdentifier(name)} with (force)`;
  try {
    // Held by this session until it ends, however it does.
    const { rows } = await session.query<{ free: boolean }>(
      "select pg_try_advisory_lock(hashtextextended($1, 0)) as free",
      [name],
    );
    if (rows[0]?.free !== true) {
      throw new Refused(`another rehearsal of ${app} runs on the server of rehearsalUrl: wait for its end`);
    }
    const facts = await databaseFacts(session);
    if (majorOf(facts.server) < majorOf(manifest.server)) {
      throw new Refused(
        `the server of rehearsalUrl has version ${facts.server}, older than ${manifest.server}`,
      );
    }
    const { superuser: owners, seesAll, name: role } = await rightsOf(session);
    if (!seesAll) {
      throw new Refused(
        `the role ${role} of rehearsalUrl does not see every row: alter role ${escapeIdentifier(role)} bypassrls`,
      );
    }
    await requireExtensions(session, manifest, "install them on the server of rehearsalUrl");
    await session.query(drop);
    progress(`making the database ${name} on the server of rehearsalUrl`);
    await session.query(
      `create database ${escapeIdentifier(name)} template template0 encoding '${facts.encoding}'`,
    );
    const address = { ...server, database: name };
    return {
      restoreBy: address,
      migrateBy: address,
      programs: await clientPrograms(root, majorOf(facts.server)),
      owners,
      drop: async () => {
        try {
          await session.query(drop);
        } finally {
          await session.end();
        }
      },
    };
  } catch (error) {
    await session.end();
    if (error instanceof Refused || error instanceof Failed) throw error;
    throw new Failed(`no database can be made on the server of rehearsalUrl: ${(error as Error).message}`);
  }
}

/** Who a session is, and whether policies of row level security do not hold for it: what is counted has to be all there is. */
async function rightsOf(session: Client): Promise<{ name: string; superuser: boolean; seesAll: boolean }> {
  const { rows } = await session.query<{ name: string; superuser: boolean; seesAll: boolean }>(
    'select rolname as name, rolsuper as superuser, rolsuper or rolbypassrls as "seesAll" from pg_roles where rolname = current_user',
  );
  if (rows[0] === undefined)
    throw new Failed("the server of rehearsalUrl does not know its own session's role");
  return rows[0];
}

async function requireExtensions(session: Client, manifest: StoredManifest, wayOut: string): Promise<void> {
  const { rows } = await session.query<{ name: string }>("select name from pg_available_extensions");
  const missing = manifest.extensions.filter((name) => !rows.some((row) => row.name === name));
  if (missing.length === 0) return;
  throw new Refused(
    `the backup holds extensions that the server to rehearse on has not: ${missing.join(", ")}; ${wayOut}, or set ` +
      "rehearsalUrl to a server that has them",
  );
}
