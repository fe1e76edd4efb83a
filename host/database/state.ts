import { mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { readIfThere, removeDurably, writeDurably, writeWhole } from "../conductor/system/durable-file";
import { Failed } from "../conductor/faults";
import type { BackupManifest, DatabaseSettings, MigrationsAct, MigrationFile, Rehearsal } from "./protocol";

/** What the host knows of the database. */
export interface DatabaseState {
  readonly schemaVersion: string | null;
  /** Versions that are to be applied. */
  readonly pending: readonly string[];
  /** Versions that wait for an older release to be gone. */
  readonly waiting: readonly string[];
  /** The newest backup that this host made. */
  readonly backup: BackupManifest | null;
  /** {@link digestOf} the pending files that {@link DatabaseState.backup} was made before; null for any other backup. */
  readonly backupFor: string | null;
  /** The backup that was made before the files that are pending, which rows are compared with; null for none. */
  readonly rowsBefore: BackupManifest | null;
  /** The last rehearsal that passed. */
  readonly rehearsal: Rehearsal | null;
  /** `<version>:<sha256>` of the files that may be applied: they were rehearsed on a backup of what is there. */
  readonly proven: readonly string[];
}

const EMPTY: DatabaseState = {
  schemaVersion: null,
  pending: [],
  waiting: [],
  backup: null,
  backupFor: null,
  rowsBefore: null,
  rehearsal: null,
  proven: [],
};

/** What was staged by the last {@link MigrationsAct}. */
export type Staged = Omit<MigrationsAct, "act">;

/** Names files: equal for equal files in equal order. Each is `<version>:<sha256>`. */
export function digestOf(files: readonly Pick<MigrationFile, "version" | "sha256">[]): string {
  return files.map(({ version, sha256 }) => `${version}:${sha256}`).join(" ");
}

/** The worker's files, in a directory that only root reads. */
export class DatabaseStore {
  constructor(private readonly directory: string) {}

  /**
   * Returns where the database is; null where there is none.
   * @throws Failed where the file is damaged, with the way out
   */
  settings(): Promise<DatabaseSettings | null> {
    return this.read<DatabaseSettings>("settings.json");
  }

  /** When {@link DatabaseStore.settings} were written last; null where there are none. */
  async settingsSince(): Promise<Date | null> {
    try {
      return (await stat(join(this.directory, "settings.json"))).mtime;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
      throw error;
    }
  }

  /** Keeps where the database is; null forgets it. */
  async writeSettings(settings: DatabaseSettings | null): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    if (settings === null) await removeDurably(join(this.directory, "settings.json"));
    else await this.write("settings.json", settings);
  }

  /** Returns what the last `migrations` act sent; null where none ever did. */
  staged(): Promise<Staged | null> {
    return this.read<Staged>("staged.json");
  }

  async stage(staged: Staged): Promise<void> {
    await this.write("staged.json", staged);
  }

  async state(): Promise<DatabaseState> {
    return { ...EMPTY, ...(await this.read<DatabaseState>("state.json")) };
  }

  async update(change: Partial<DatabaseState>): Promise<DatabaseState> {
    const next = { ...(await this.state()), ...change };
    await this.write("state.json", next);
    return next;
  }

  /**
   * Notes that one of the pending files is applied. A power cut may take that back, for the history has it, which the next
   * `migrations` act asks; it waits for the disk half as long as {@link DatabaseStore.update}.
   */
  async noteApplied(version: string, schemaVersion: string | null): Promise<void> {
    const state = await this.state();
    const pending = state.pending.filter((one) => one !== version);
    await this.write("state.json", { ...state, schemaVersion, pending }, writeWhole);
  }

  private async write(name: string, value: unknown, write = writeDurably): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    await write(join(this.directory, name), `${JSON.stringify(value)}\n`);
  }

  private async read<T>(name: string): Promise<T | null> {
    const path = join(this.directory, name);
    const text = await readIfThere(path);
    if (text === null) return null;
    try {
      return JSON.parse(text) as T;
    } catch {
      throw new Failed(
        `${path} is damaged; remove it, and run \`pulumi up\` with another number as database.epoch`,
      );
    }
  }
}

/** The staged files of these versions, in order. */
export function filesOf(staged: Staged, versions: readonly string[]): MigrationFile[] {
  return staged.files.filter(({ version }) => versions.includes(version));
}
