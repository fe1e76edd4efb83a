import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { readIfThere, removeDurably, writeDurably } from "../conductor/system/durable-file";
import type { Complaints } from "./complaints";
import type { Interval } from "./figures/figure";
import type { Baseline } from "./figures/measure";

/** An interval that waits, and where the next one begins. One file, so that no count is in two of them or in none. */
interface Entry {
  readonly interval: Interval;
  readonly baseline: Baseline;
}

/** An interval that waits. */
export interface Waiting {
  readonly number: number;
  readonly interval: Interval;
}

/** Intervals that are kept on the disk at most: a day of them. */
export const MOST_INTERVALS = 1440;

/** Intervals that are kept in memory at most, where the disk takes none: it may be full, and that has to be told. */
const MOST_IN_MEMORY = 60;

/** CloudWatch takes nothing older. */
const OLDEST_MS = 13 * 24 * 3600 * 1000;

/**
 * Intervals that wait to be published, in files of their own: they outlive this process, and what the next one begins with
 * does, too.
 */
export class Spool {
  /** Numbers of those that wait, the oldest first; an interval where the disk did not take it. */
  private readonly waiting = new Map<number, Interval | null>();
  private lastNumber = 0;
  private lastBaseline: Baseline | null = null;
  private gone = 0;

  private constructor(
    private readonly directory: string,
    private readonly complaints: Complaints,
    private readonly most: number,
  ) {}

  /** Opens what an earlier process left. */
  static async open(directory: string, complaints: Complaints, most = MOST_INTERVALS): Promise<Spool> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const spool = new Spool(directory, complaints, most);
    const numbers = (await readdir(directory))
      .flatMap((name) => /^(\d+)\.json$/.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
    for (const number of numbers) spool.waiting.set(number, null);
    const newest = numbers.at(-1);
    const kept = newest === undefined ? null : await spool.read(newest);
    const text = await readIfThere(spool.baselineFile);
    const before = text === null ? null : (JSON.parse(text) as { number: number; baseline: Baseline });
    spool.lastNumber = newest ?? before?.number ?? 0;
    spool.lastBaseline = kept?.baseline ?? before?.baseline ?? null;
    return spool;
  }

  /** Where the next interval begins; null for a host that was never measured. */
  get baseline(): Baseline | null {
    return this.lastBaseline;
  }

  /** How many wait. */
  get pending(): number {
    return this.waiting.size;
  }

  /** How many were given up since this was opened. */
  get dropped(): number {
    return this.gone;
  }

  /** Takes an interval in. It is kept once this resolves, on the disk, or in memory where the disk takes nothing. */
  async add(interval: Interval, baseline: Baseline): Promise<void> {
    const number = ++this.lastNumber;
    this.lastBaseline = baseline;
    try {
      const entry: Entry = { interval, baseline };
      await writeDurably(this.file(number), JSON.stringify(entry));
      this.waiting.set(number, null);
      this.complaints.end("keeping intervals");
    } catch (error) {
      this.complaints.begin("keeping intervals", (error as Error).message);
      this.waiting.set(number, interval);
    }
    const inMemory = [...this.waiting].filter(([, kept]) => kept !== null).map(([one]) => one);
    const tooMany = [
      ...inMemory.slice(0, Math.max(0, inMemory.length - MOST_IN_MEMORY)),
      ...[...this.waiting.keys()].slice(0, Math.max(0, this.waiting.size - this.most)),
    ];
    for (const one of new Set(tooMany)) await this.drop(one);
  }

  /** The oldest that wait, with at most so many figures together; one at least. What is too old for the API is given up. */
  async oldest(mostFigures: number, now: number): Promise<Waiting[]> {
    const found: Waiting[] = [];
    let figures = 0;
    for (const [number, inMemory] of [...this.waiting]) {
      const interval = inMemory ?? (await this.read(number))?.interval ?? null;
      if (interval === null || now - interval.at > OLDEST_MS) {
        await this.drop(number);
        continue;
      }
      figures += interval.figures.length;
      if (found.length > 0 && figures > mostFigures) break;
      found.push({ number, interval });
    }
    return found;
  }

  /** These are published. */
  async sent(numbers: readonly number[]): Promise<void> {
    for (const number of numbers) await this.remove(number);
  }

  /** Gives one up. */
  async drop(number: number): Promise<void> {
    this.gone += 1;
    await this.remove(number);
  }

  /** Where the next interval begins is kept before the file that holds it goes. */
  private async remove(number: number): Promise<void> {
    const isOnDisk = this.waiting.get(number) === null;
    // First: what a full disk does not let go of is published again by the next process, and not once a minute.
    this.waiting.delete(number);
    if (!isOnDisk) return;
    try {
      if (number === this.lastNumber) {
        await writeDurably(this.baselineFile, JSON.stringify({ number, baseline: this.lastBaseline }));
      }
      await removeDurably(this.file(number));
    } catch (error) {
      this.complaints.begin("keeping intervals", (error as Error).message);
    }
  }

  /** Null for a file that is no interval: somebody else's, for what is written here is whole. */
  private async read(number: number): Promise<Entry | null> {
    const text = await readIfThere(this.file(number));
    try {
      return text === null ? null : (JSON.parse(text) as Entry);
    } catch {
      return null;
    }
  }

  private file(number: number): string {
    return join(this.directory, `${String(number).padStart(12, "0")}.json`);
  }

  private get baselineFile(): string {
    return join(this.directory, "baseline");
  }
}
