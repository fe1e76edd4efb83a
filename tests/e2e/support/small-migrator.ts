import { Client } from "pg";
import { Failed } from "../../../host/conductor/faults";
import type { OpenMigrator } from "../../../host/database/surroundings";

const HISTORY = "supabase_migrations.schema_migrations";

/** A migrator as small as one can be: what backups and rehearsals need of one. */
export const openSmallMigrator: OpenMigrator = async (url) => {
  const client = new Client({ connectionString: url });
  client.on("error", () => undefined);
  await client.connect();
  await client.query(`
    create schema if not exists supabase_migrations;
    create table if not exists ${HISTORY} (version text primary key, statements text[], name text)`);
  const versions = async (): Promise<string[]> => {
    const { rows } = await client.query<{ version: string }>(`select version from ${HISTORY} order by 1`);
    return rows.map(({ version }) => version);
  };
  return {
    schemaVersion: async () => (await versions()).at(-1) ?? null,
    compare: async ({ files }) => {
      const applied = await versions();
      const pending = files.map(({ version }) => version).filter((version) => !applied.includes(version));
      return { schemaVersion: applied.at(-1) ?? null, pending, waiting: [] };
    },
    apply: async ({ version, name, sql }) => {
      try {
        await client.query(`begin; ${sql}`);
        const { rows } = await client.query<{ table: string; mode: string }>(
          `select relation::regclass::text as table, mode from pg_locks
           where pid = pg_backend_pid() and mode = 'AccessExclusiveLock' and relation is not null`,
        );
        await client.query(`insert into ${HISTORY} (version, name) values ($1, $2)`, [version, name]);
        await client.query("commit");
        const locks = rows.map((lock) => ({ ...lock, version, milliseconds: 1 }));
        return { outcome: "applied", milliseconds: 1, locks };
      } catch (error) {
        throw new Failed(`${version}_${name}.sql: ${(error as Error).message}`);
      }
    },
    check: async (checks) => {
      for (const { name, sql } of checks) {
        const { rowCount } = await client.query(sql);
        if (rowCount !== 0) throw new Failed(`the check ${name} found ${String(rowCount)} rows`);
      }
      return checks.map(({ name }) => name);
    },
    close: () => client.end(),
  };
};
