import { Refused } from "../../conductor/faults";
import { runChecks } from "../checks";
import { addressOf } from "../connection";
import type { CheckFile, MigrationFile, MigrationsResult } from "../protocol";
import type { AppliedFile, ApplyOptions, Migrator, OpenMigrator } from "../surroundings";
import { newestVersion, readRecorded, recordAccepted, recordAdopted, setUp } from "./bookkeeping";
import { applyByStatement } from "./by-statement";
import { compareFiles, type Wanted } from "./comparison";
import { assertLease, enter, type Workplace } from "./gate";
import { applyInTransaction } from "./in-transaction";
import { Lease } from "./lease";
import { readScript, type Script } from "./script";
import { Session } from "./session";

/** Connects to a database, and takes its lease unless it is nobody else's. */
export const openMigrator: OpenMigrator = async (url, { limits, run, lease, progress }) => {
  const address = addressOf(url);
  const session = new Session(address, "migrations");
  const watch = new Session(address, "migrations, watching");
  try {
    await session.open();
    await watch.open();
    if (lease) await setUp(session);
    const held = lease ? await Lease.take(watch, run, progress) : null;
    return new PostgresMigrator({ session, watch, lease: held, limits, run, progress });
  } catch (error) {
    await Promise.all([session.close(), watch.close()]);
    throw error;
  }
};

/** A {@link Migrator} of a Postgres, with one session for all files. */
class PostgresMigrator implements Migrator {
  private ready = false;
  private readonly scripts = new Map<string, Script>();

  constructor(private readonly place: Workplace) {}

  schemaVersion(): Promise<string | null> {
    return newestVersion(this.place.session);
  }

  async has(version: string): Promise<boolean> {
    await this.prepare();
    const { rowCount } = await this.place.session.query(
      "select from supabase_migrations.schema_migrations where version = $1",
      [version],
    );
    return rowCount === 1;
  }

  async compare(order: Wanted): Promise<MigrationsResult> {
    await this.prepare();
    const { session, run, progress } = this.place;
    await enter(this.place, "transaction");
    try {
      await assertLease(this.place);
      const found = await compareFiles(await readRecorded(session), order);
      if (found.faults.length > 0) {
        throw new Refused(`the files do not fit the history of the database:\n${found.faults.join("\n")}`);
      }
      if (found.baseline.length > 0) {
        await recordAdopted(session, found.baseline, "baseline", run);
        progress(`${found.baseline.length} files up to ${order.baseline ?? ""} count as applied by hand`);
      }
      if (found.adopted.length > 0) {
        await recordAdopted(session, found.adopted, "adopted", run);
        progress(`${found.adopted.length} files of the history were written down as they are now`);
      }
      await recordAccepted(session, found.accepted, run);
      await session.query("commit");
      await session.clean();
      return found.result;
    } catch (error) {
      await session.abandon();
      throw error;
    }
  }

  async apply(file: MigrationFile, options: ApplyOptions): Promise<AppliedFile> {
    await this.prepare();
    if (!/^\d+$/.test(file.version)) throw new Refused(`${file.version} is no version: digits are`);
    const script = await this.scriptOf(file);
    const applied =
      (script.transaction ? await applyInTransaction(this.place, file, script, options) : null) ??
      (await applyByStatement(this.place, file, script, options));
    this.scripts.delete(file.sha256);
    return applied;
  }

  check(checks: readonly CheckFile[]): Promise<string[]> {
    return runChecks(this.place, checks);
  }

  async close(): Promise<void> {
    await this.place.lease?.release();
    await Promise.all([this.place.session.close(), this.place.watch.close()]);
  }

  private async prepare(): Promise<void> {
    if (!this.ready) await setUp(this.place.session);
    this.ready = true;
  }

  private async scriptOf(file: MigrationFile): Promise<Script> {
    const script = this.scripts.get(file.sha256) ?? (await readScript(file));
    this.scripts.set(file.sha256, script);
    return script;
  }
}
