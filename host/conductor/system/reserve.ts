import { randomBytes } from "node:crypto";
import { open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { syncDirectory, temporaryOf, writeDurably } from "./durable-file";
import { Lane } from "./lane";

/** Writes a file as {@link writeDurably} does. */
export type WriteDurably = (path: string, text: string, mode?: number) => Promise<void>;

/** How much is kept back. */
export interface ReserveSize {
  /** Spare files: writes that a full disk takes before anybody has made room. */
  readonly files: number;
  /** Bytes of each: what is written by them has to fit in. */
  readonly bytes: number;
}

/** Does an error say that the disk is full, or the quota used up? */
export function isNoRoom(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOSPC" || code === "EDQUOT";
}

/**
 * Spare files, `reserve-N` in a directory, by which files of that directory can be written on a full disk. A spare file takes the
 * place of the new file before it is written, so that neither a block nor an inode has to be found: were it removed to make
 * room, then whatever fills the disk would have that room first.
 */
export class Reserve {
  private isWhole = false;
  private readonly lane = new Lane();

  /** @param writePlainly writes into the new file that is there, if one is */
  constructor(
    private readonly directory: string,
    private readonly size: ReserveSize,
    private readonly writePlainly: WriteDurably = writeDurably,
  ) {}

  /** Makes the spare files that are missing. Returns why some are missing still, or null. Throws nothing. */
  fill(): Promise<string | null> {
    return this.lane.run(async () => {
      try {
        for (let number = 0; number < this.size.files; number++) await this.make(this.file(number));
        await syncDirectory(this.directory);
        this.isWhole = true;
        return null;
      } catch (error) {
        return (error as Error).message;
      }
    });
  }

  /**
   * Writes a file of the directory, by a spare file where there is no room for it, which is made anew as soon as a write finds
   * room for it.
   * @throws Error as {@link writeDurably}; with the reserve used up, or another fault than want of room, too.
   */
  readonly write: WriteDurably = async (path, text, mode) => {
    await this.writeBySpares(path, text, mode);
    if (!this.isWhole) await this.fill();
  };

  private async writeBySpares(path: string, text: string, mode?: number): Promise<void> {
    for (;;) {
      try {
        await this.writePlainly(path, text, mode);
        return;
      } catch (error) {
        // Where the spare file did not do (the file system copies what it overwrites), the next one takes its place: so
        // the room of the one before is free.
        if (!isNoRoom(error) || !(await this.spend(temporaryOf(path)))) throw error;
      }
    }
  }

  /** Puts a spare file in the place of `path`. False where none is left. */
  private async spend(path: string): Promise<boolean> {
    this.isWhole = false;
    for (let number = 0; number < this.size.files; number++) {
      try {
        await rename(this.file(number), path);
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      }
    }
    return false;
  }

  private async make(path: string): Promise<void> {
    const found = await stat(path).catch(() => null);
    if (found?.size === this.size.bytes) return;
    const temporary = temporaryOf(path);
    try {
      const file = await open(temporary, "w", 0o600);
      try {
        // A file system may take nothing for zeros.
        await file.writeFile(randomBytes(this.size.bytes));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  private file(number: number): string {
    return join(this.directory, `reserve-${String(number)}`);
  }
}
