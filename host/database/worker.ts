import { randomUUID } from "node:crypto";
import { Failed, Refused } from "../conductor/faults";
import { backup, settingsOf } from "./backups/backup";
import { lostRows } from "./backups/load";
import { rehearse } from "./backups/rehearse";
import { restore } from "./backups/restore";
import { countRows, schemasOfDump } from "./backups/snapshot";
import { addressOf, connect } from "./connection";
import { openMigrator } from "./migrations/migrator";
import type {
  BackupAct,
  BackupResult,
  CheckAct,
  CheckResult,
  DatabaseAct,
  DatabaseActs,
  DatabaseResult,
  DatabaseStatusAct,
  MigrateAct,
  MigrateResult,
  MigrationsAct,
  MigrationsResult,
  RehearseResult,
  RestoreAct,
  RestoreResult,
} from "./protocol";
import { digestOf, type DatabaseState, type DatabaseStore, type Staged } from "./state";
import { status } from "./status";
import type { Migrator, Surroundings } from "./surroundings";

/** What a worker is given for all of its acts. */
export type WorkerSettings = Pick<Surroundings, "app" | "store" | "scratch">;

/** What an act is given beside it. */
export type ActSettings = Pick<Surroundings, "progress" | "holdContract" | "closeSite" | "openSite">;

/** How long the connection of the migrations is kept for the next one, in milliseconds. */
const IDLE_MS = 30_000;

/** What users may delete of a table between the backup and the checks, whichever is more, beside what config tolerates. */
const USERS_DELETE_ROWS = 10;
const USERS_DELETE_PERCENT = 1;

/** The acts that wait for one another. */
type QueuedAct = Exclude<DatabaseActs, DatabaseStatusAct>;

/** No file may be applied before another backup was restored and rehearsed on. */
const UNPROVEN: Partial<DatabaseState> = { proven: [], backupFor: null, rowsBefore: null };

/**
 * Carries out the acts about the database. One connection, and one lease, for all migrations of a run: the run ends with
 * its checks, with an act of another kind, or when nothing more is asked.
 */
export class Worker {
  private readonly run = randomUUID();
  private migrator: Migrator | null = null;
  /** What was staged last: all files, which is much to read again for each of them. */
  private staged: Staged | null = null;
  private idle: NodeJS.Timeout | null = null;
  /** Progress of the act under way, for what outlives one act. */
  private tell: Surroundings["progress"] = () => undefined;

  constructor(private readonly settings: WorkerSettings) {}

  /** @throws Refused, Failed */
  async take(act: DatabaseActs, around: ActSettings): Promise<unknown> {
    const surroundings: Surroundings = {
      ...this.settings,
      ...around,
      run: this.run,
      now: () => new Date(),
    };
    if (act.act === "database-status") return status(surroundings, act);
    if (this.idle !== null) clearTimeout(this.idle);
    try {
      return await this.carryOut(act, surroundings);
    } catch (error) {
      // Whatever it was in the middle of, the next act begins with a connection of its own.
      await this.close();
      throw error;
    } finally {
      this.idle = setTimeout(() => void this.close(), IDLE_MS).unref();
    }
  }

  /** Ends the run. */
  async close(): Promise<void> {
    const { migrator } = this;
    this.migrator = null;
    await migrator?.close();
  }

  private async carryOut(act: QueuedAct, surroundings: Surroundings): Promise<unknown> {
    switch (act.act) {
      case "database":
        return keepSettings(this.settings.store, act);
      case "migrations":
        return this.stage(act, surroundings);
      case "migrate":
        return this.migrate(act, surroundings);
      case "check":
        return this.check(act, surroundings);
      case "backup":
        await this.close();
        return this.backup(surroundings, act);
      case "rehearse":
        await this.close();
        return this.rehearse(surroundings);
      case "restore":
        await this.close();
        return this.restore(surroundings, act);
    }
  }

  private async open({ store, progress, run }: Surroundings): Promise<Migrator> {
    const { url, limits } = await settingsOf(store);
    this.tell = progress;
    const migrator =
      this.migrator ??
      (await openMigrator(url, { limits, run, lease: true, progress: (line) => this.tell(line) }));
    this.migrator = migrator;
    return migrator;
  }

  private async stage(act: MigrationsAct, surroundings: Surroundings): Promise<MigrationsResult> {
    const { store, holdContract } = surroundings;
    const { epoch, baseline, files, checks, accept } = act;
    const staged: Staged = { epoch, baseline, files, checks, accept };
    if ((await store.settings()) === null) return { schemaVersion: null, pending: [], waiting: [] };
    const migrator = await this.open(surroundings);
    const result = await migrator.compare({ ...staged, holdContract });
    // Another epoch is another database as far as its content goes: what was proven on the one before proves nothing.
    const isNew = (await store.staged())?.epoch !== epoch;
    // First: an act that is cut in between and sent again finds the epoch that it brought.
    await store.update({ ...result, ...(isNew ? UNPROVEN : {}) });
    await store.stage(staged);
    this.staged = staged;
    // Others may hold what comes next for as long as a backup takes.
    await this.close();
    return result;
  }

  private async stagedIn(store: DatabaseStore): Promise<Staged> {
    this.staged ??= await store.staged();
    if (this.staged === null) throw new Failed("the host has no migrations; run `pulumi up` again");
    return this.staged;
  }

  private async migrate(act: MigrateAct, surroundings: Surroundings): Promise<MigrateResult> {
    const { store } = surroundings;
    const { version } = act;
    const staged = await this.stagedIn(store);
    const file = staged.files.find((one) => one.version === version);
    if (file?.sha256 !== act.sha256) {
      throw new Refused(
        `${version}_${act.name}.sql is not what was sent with the migrations; run \`pulumi up\` again`,
      );
    }
    const { waiting, proven } = await store.state();
    if (waiting.includes(version)) return { version, outcome: "waiting" };
    const migrator = await this.open(surroundings);
    // What is in the history needs no proof, and is only told to be there.
    if (!proven.includes(digestOf([file])) && !(await migrator.has(version))) {
      throw new Refused(
        `${version}_${act.name}.sql was not rehearsed on a restored backup; ` +
          "set database.epoch to another number and run `pulumi up`",
      );
    }
    const after = staged.files.find((one) => one.version === act.after) ?? null;
    const { outcome } = await migrator.apply(file, { after });
    await store.noteApplied(version, await migrator.schemaVersion());
    return { version, outcome };
  }

  private async backup(surroundings: Surroundings, act: BackupAct): Promise<BackupResult> {
    const result = await backup(surroundings, act);
    return { backup: result.backup ?? (await surroundings.store.state()).backup };
  }

  private async rehearse(surroundings: Surroundings): Promise<RehearseResult> {
    const { store } = surroundings;
    const { rehearsal } = await rehearse(surroundings, openMigrator);
    if (rehearsal === null) return { rehearsal: (await store.state()).rehearsal };
    await store.update({ proven: rehearsal.files });
    return { rehearsal };
  }

  private async restore(surroundings: Surroundings, act: RestoreAct): Promise<RestoreResult> {
    // First: whatever becomes of it, what was proven of the content before proves nothing.
    if (act.confirmed) await surroundings.store.update(UNPROVEN);
    return restore(surroundings, act);
  }

  private async check(_act: CheckAct, surroundings: Surroundings): Promise<CheckResult> {
    const { store } = surroundings;
    if ((await store.settings()) === null) return { schemaVersion: null, passed: [] };
    const { checks } = await this.stagedIn(store);
    const migrator = await this.open(surroundings);
    const passed = await migrator.check(checks);
    await requireRows(store);
    const schemaVersion = await migrator.schemaVersion();
    // The next files that are pending come after whatever users write from now on.
    await store.update({ ...UNPROVEN, schemaVersion });
    await this.close();
    return { schemaVersion, passed };
  }
}

/** Keeps the settings once the database was reached by them. */
async function keepSettings(store: DatabaseStore, { database }: DatabaseAct): Promise<DatabaseResult> {
  if (database === null) throw new Error("a worker is only told of a database that there is");
  const client = await connect(addressOf(database.url), "settings");
  try {
    const { rows } = await client.query<{ version: string }>(
      "select current_setting('server_version') as version",
    );
    await store.writeSettings(database);
    // Debian's servers say more than their version.
    return { server: rows[0]?.version.split(" ")[0] ?? null };
  } finally {
    await client.end();
  }
}

/**
 * Compares the rows of every table with those in the backup that was taken before the migrations, where there was one.
 * @throws Failed naming the tables that lost more than `database.rowTolerancePercent` allows
 */
async function requireRows(store: DatabaseStore): Promise<void> {
  const { rowsBefore: before } = await store.state();
  if (before === null) return;
  const { url, schemas, rowTolerancePercent } = await settingsOf(store);
  const client = await connect(addressOf(url), "checks");
  try {
    const now = await countRows(client, await schemasOfDump(client, schemas));
    const lost = lostRows(before.rows, withUsersDeletes(now, before.rows), rowTolerancePercent);
    if (lost.length === 0) return;
    const tolerated = `more than database.rowTolerancePercent (${String(rowTolerancePercent)}) allows`;
    throw new Failed(
      `rows are gone since ${before.name}, ${tolerated}; if that is not meant, restore it (\`ops restore\`):\n  ` +
        lost.join("\n  "),
    );
  } finally {
    await client.end();
  }
}

/** Users delete rows while migrations run; the rehearsal, where there are none, is strict. */
function withUsersDeletes(
  now: Readonly<Record<string, number>>,
  before: Readonly<Record<string, number>>,
): Record<string, number> {
  return Object.fromEntries(
    Object.entries(now).map(([table, rows]) => {
      const deleted = Math.max(USERS_DELETE_ROWS, ((before[table] ?? 0) * USERS_DELETE_PERCENT) / 100);
      return [table, rows + deleted];
    }),
  );
}
