import { constants } from "node:fs";
import { open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/** Writes a file so that after a crash either the old or the new text is there, whole (write, fsync, rename, fsync). */
export async function writeDurably(path: string, text: string, mode = 0o600): Promise<void> {
  await writeWhole(path, text, mode);
  await syncDirectory(dirname(path));
}

/** Where the new text of `path` is until it is whole. */
export function temporaryOf(path: string): string {
  return `${path}.new`;
}

/** As {@link writeDurably}, but for that a power cut may bring the old text back, whole (write, fsync, rename). */
export async function writeWhole(path: string, text: string, mode = 0o600): Promise<void> {
  const temporary = temporaryOf(path);
  // What is there already is overwritten and cut, not emptied first: on a full disk its room would be lost.
  const file = await open(temporary, constants.O_WRONLY | constants.O_CREAT, mode);
  try {
    await file.chmod(mode);
    await file.writeFile(text);
    await file.truncate(Buffer.byteLength(text));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}

/** Removes a file so that it stays removed after a crash. No error where it is not there. */
export async function removeDurably(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncDirectory(dirname(path));
}

/** Reads a file; null where it is not there. */
export async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      return null;
    }
    throw error;
  }
}

/** Makes what was renamed, made or removed in a directory survive a crash. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
