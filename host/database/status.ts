import type { Client } from "pg";
import { Bucket } from "./backups/bucket";
import { readManifest } from "./backups/backup";
import { DamagedManifest, dumpKey, namesIn, told } from "./backups/manifest";
import { newestVersion } from "./backups/snapshot";
import { addressOf, connect } from "./connection";
import type { BackupManifest, DatabaseSettings, DatabaseStatusAct, DatabaseStatusResult } from "./protocol";
import type { Surroundings } from "./surroundings";

/** How many backups are told, the newest ones. */
const TOLD_BACKUPS = 30;

/** How much of a query is told, in characters. */
const TOLD_QUERY = 200;

type Details = NonNullable<DatabaseStatusResult["details"]>;
type BucketDetails = Pick<Details, "backups" | "damagedBackups" | "bucketUnreachable">;

/**
 * What `ops status` and `ops db` show. A database, or a bucket, that does not answer is told as such.
 * Waits for nobody: it takes no lock, and nothing under way is asked.
 */
export async function status(
  surroundings: Surroundings,
  act: DatabaseStatusAct,
): Promise<DatabaseStatusResult> {
  const [settings, state] = await Promise.all([surroundings.store.settings(), surroundings.store.state()]);
  const { pending, waiting, backup, rehearsal } = state;
  const known = { schemaVersion: state.schemaVersion, pending, waiting, backup, rehearsal };
  if (settings === null) {
    return { configured: false, unreachable: null, server: null, ...known, details: null };
  }
  const backups = act.details ? await backupsOf(surroundings, settings) : null;
  try {
    const session = await connect(addressOf(settings.url), `${surroundings.app} status`);
    try {
      await session.query(
        "begin read only; set local statement_timeout = '10s'; set local lock_timeout = '1s'",
      );
      const { rows } = await session.query<{ server: string }>(
        "select split_part(current_setting('server_version'), ' ', 1) as server",
      );
      const schemaVersion = await newestVersion(session);
      const details = backups === null ? null : { ...(await look(session)), ...backups };
      const server = rows[0]?.server ?? null;
      return { configured: true, unreachable: null, server, ...known, schemaVersion, details };
    } finally {
      await session.end();
    }
  } catch (error) {
    const unreachable = (error as Error).message;
    return { configured: true, unreachable, server: null, ...known, details: null };
  }
}

async function backupsOf({ app }: Surroundings, settings: DatabaseSettings): Promise<BucketDetails> {
  const bucket = new Bucket(settings.bucket);
  try {
    const { prefix } = settings.bucket;
    const names = namesIn(await bucket.keys(), prefix, app).slice(0, TOLD_BACKUPS);
    const backups: BackupManifest[] = [];
    const damagedBackups: string[] = [];
    // A manifest names every object of a database: one after the other, so that few are in memory.
    for (const name of names) {
      try {
        backups.push(told(await readManifest(bucket, dumpKey(prefix, name))));
      } catch (error) {
        if (!(error instanceof DamagedManifest)) throw error;
        damagedBackups.push(name);
      }
    }
    return { backups, damagedBackups, bucketUnreachable: null };
  } catch (error) {
    return { backups: [], damagedBackups: [], bucketUnreachable: (error as Error).message };
  } finally {
    bucket.close();
  }
}

/** The guide's monitoring queries, and who waits for whom. */
async function look(session: Client): Promise<Omit<Details, keyof BucketDetails>> {
  const { rows: numbers } = await session.query<{ bytes: string; used: string; most: string }>(`
    select pg_database_size(current_database())::text as bytes, current_setting('max_connections') as most,
      (select count(*) from pg_stat_activity where backend_type = 'client backend')::text as used`);
  const { rows: longQueries } = await session.query<Details["longQueries"][number]>(
    `select pid, extract(epoch from now() - query_start)::float8 as seconds, left(query, ${String(TOLD_QUERY)}) as query
     from pg_stat_activity
     where state <> 'idle' and now() - query_start > interval '5 minutes' and pid <> pg_backend_pid()
     order by query_start`,
  );
  const { rows: blocked } = await session.query<Details["blocked"][number]>(`
    select pid, pg_blocking_pids(pid) as by, coalesce(extract(epoch from now() - state_change), 0)::float8 as seconds
    from pg_stat_activity where wait_event_type = 'Lock' order by state_change`);
  const [counted] = numbers;
  return {
    sizeBytes: Number(counted?.bytes),
    connections: { used: Number(counted?.used), limit: Number(counted?.most) },
    longQueries,
    blocked,
  };
}
