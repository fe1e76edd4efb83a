import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { readIfThere, writeDurably } from "../../conductor/system/durable-file";
import type { LogPosition } from "./log-source";

/** How far each log was shipped, by label, in one file. */
export class Positions {
  private constructor(
    private readonly path: string,
    private readonly positions: Map<string, LogPosition | null>,
    /** Nothing was ever shipped from this host. */
    readonly isNew: boolean,
  ) {}

  static async open(path: string): Promise<Positions> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const text = await readIfThere(path);
    const kept = text === null ? {} : (JSON.parse(text) as Record<string, LogPosition | null>);
    return new Positions(path, new Map(Object.entries(kept)), text === null);
  }

  /** Null for a log that is read from its beginning. */
  of(label: string): LogPosition | null {
    return this.positions.get(label) ?? null;
  }

  /** Keeps positions. They hold once this resolves. */
  async keep(change: Readonly<Record<string, LogPosition | null>>): Promise<void> {
    for (const [label, position] of Object.entries(change)) this.positions.set(label, position);
    await writeDurably(this.path, JSON.stringify(Object.fromEntries(this.positions)));
  }
}
