import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { readIfThere, syncDirectory, writeDurably } from "../conductor/system/durable-file";
import { Failed } from "../conductor/faults";
import type { MonitoringSettings } from "./protocol";

/** The publisher's files, in a directory that only root reads: settings may hold a key. */
export class MonitoringStore {
  constructor(private readonly directory: string) {}

  /** Directory of the intervals that wait to be published. */
  get spool(): string {
    return join(this.directory, "spool");
  }

  /** File that tells how far logs were shipped. */
  get positions(): string {
    return join(this.directory, "positions.json");
  }

  /**
   * Returns where the host publishes to; null where it does not.
   * @throws Failed where the file is damaged, with the way out
   */
  async settings(): Promise<MonitoringSettings | null> {
    const text = await readIfThere(this.settingsFile);
    if (text === null) return null;
    try {
      return JSON.parse(text) as MonitoringSettings;
    } catch {
      // Not what the parser says: it repeats what it reads.
      throw new Failed(`${this.settingsFile} is damaged; remove it, and run \`pulumi up --refresh\``);
    }
  }

  /** Keeps where the host publishes to. */
  async keep(settings: MonitoringSettings): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    await writeDurably(this.settingsFile, `${JSON.stringify(settings)}\n`);
  }

  /** Forgets everything: settings, what waits to be published, and how far logs were shipped. */
  async forget(): Promise<void> {
    // The settings first: a host that has them publishes.
    await rm(this.settingsFile, { force: true });
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    await syncDirectory(this.directory);
    await rm(this.directory, { recursive: true, force: true });
  }

  private get settingsFile(): string {
    return join(this.directory, "settings.json");
  }
}
