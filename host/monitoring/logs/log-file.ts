import { createHash } from "node:crypto";
import { open, type FileHandle } from "node:fs/promises";

/** How far a log was read, and which file it was: rotated logs change their names, or their contents. */
export interface FilePosition {
  readonly inode: number;
  /** Bytes that were read. */
  readonly offset: number;
  /** SHA-256 of the first bytes, in hex, as far as they were read: what a log begins with stays as it is. */
  readonly head: string;
  /** How many bytes {@link FilePosition.head} is of. */
  readonly headBytes: number;
}

/** A line of a log. */
export interface LogLine {
  readonly text: string;
  /** Where the log goes on behind it. */
  readonly position: FilePosition;
}

/** What was read of a log. */
export interface Chunk {
  readonly lines: readonly LogLine[];
  /** Where the log goes on. */
  readonly position: FilePosition;
  /** There may be more to read now. */
  readonly more: boolean;
  /** The log was rotated, and what was not read of it is gone. */
  readonly lost: boolean;
}

/** Bytes that are read at once; a longer line is cut. An event of CloudWatch's may be four times as long. */
export const CHUNK_BYTES = 256 * 1024;

/** Lines that are read at once: what CloudWatch takes in one request. */
const CHUNK_LINES = 10_000;

const HEAD_BYTES = 1024;

/**
 * How long nobody has written to a rotated log before it is left, in milliseconds. Nginx' workers write on into it until each of
 * them has heard of the new one, and then what they hold back: a second's lines (`flush` of `access_log`).
 */
const REST_MS = 10_000;

const NEWLINE = 10;

/** The end of a log as it is now; null where there is none. */
export async function endOf(path: string): Promise<FilePosition | null> {
  return withFile(path, null, async (file) => {
    const { ino, size } = await file.stat();
    return positionIn(file, ino, size);
  });
}

/**
 * Reads on in a log. One that was rotated since, by another name or by copying and cutting, is read to its end first, as far as
 * it is still there under the name that ends in `.1`, and left once nobody has written to it for a while.
 * @param from Null reads from the beginning.
 * @returns null where there is no log
 */
export async function readOn(path: string, from: FilePosition | null): Promise<Chunk | null> {
  return withFile(path, null, async (current) => {
    if (from === null || (await isSame(current, from))) return readChunk(current, from?.offset ?? 0, false);
    const rotated = await withFile(`${path}.1`, null, (previous) => readRotated(previous, from));
    if (rotated !== null && (rotated.more || rotated.isInUse)) return rotated;
    const beginning = await readChunk(current, 0, false);
    return { ...beginning, lost: rotated === null };
  });
}

/** Reads on in a log that has another name by now; null where it is not the one. `isInUse` tells that somebody may still write to it. */
async function readRotated(
  file: FileHandle,
  from: FilePosition,
): Promise<(Chunk & { isInUse: boolean }) | null> {
  if (!(await isSame(file, from))) return null;
  const isInUse = Math.abs(Date.now() - (await file.stat()).mtimeMs) < REST_MS;
  // While somebody may, a line without an end is half a line.
  const chunk = await readChunk(file, from.offset, !isInUse);
  return { ...chunk, more: chunk.lines.length > 0, isInUse };
}

/** Does `work` with a file that is there, and closes it. */
async function withFile<T, A>(
  path: string,
  absent: A,
  work: (file: FileHandle) => Promise<T>,
): Promise<T | A> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return absent;
    throw error;
  }
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

async function isSame(file: FileHandle, { inode, offset, head, headBytes }: FilePosition): Promise<boolean> {
  const { ino, size } = await file.stat();
  if (size < offset) return false;
  return headBytes === 0 ? ino === inode : (await headOf(file, headBytes)) === head;
}

async function headOf(file: FileHandle, bytes: number): Promise<string> {
  const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(bytes), position: 0 });
  return createHash("sha256").update(buffer.subarray(0, bytesRead)).digest("hex");
}

async function positionIn(file: FileHandle, inode: number, offset: number): Promise<FilePosition> {
  const headBytes = Math.min(offset, HEAD_BYTES);
  return { inode, offset, head: await headOf(file, headBytes), headBytes };
}

/** @param isOver Nobody writes to it any more: what has no end of line is a line, too. */
async function readChunk(file: FileHandle, offset: number, isOver: boolean): Promise<Chunk> {
  const { ino } = await file.stat();
  const read = await file.read({ buffer: Buffer.alloc(CHUNK_BYTES), position: offset });
  const bytes = read.buffer.subarray(0, read.bytesRead);
  const isWhole = isOver || bytes.length === CHUNK_BYTES;
  const ends = lineEnds(bytes, isWhole);
  const head = await positionIn(file, ino, offset + (ends.at(-1) ?? 0));
  const lines = ends.map((end, index) => {
    const text = bytes.toString("utf8", ends[index - 1] ?? 0, end).replace(/\r?\n$/, "");
    // A head of more bytes than were read is that of a longer log, and stays true of it.
    return { text, position: { ...head, offset: offset + end } };
  });
  const position = { ...head, offset: offset + (ends.at(-1) ?? 0) };
  return { lines, position, more: ends.length > 0 && (isWhole || ends.length === CHUNK_LINES), lost: false };
}

/** Offsets behind the lines' ends. Where there is no line's end in all of it, `isWhole` makes it one line. */
function lineEnds(bytes: Buffer, isWhole: boolean): number[] {
  const ends: number[] = [];
  let at = bytes.indexOf(NEWLINE);
  while (at >= 0 && ends.length < CHUNK_LINES) {
    ends.push(at + 1);
    at = bytes.indexOf(NEWLINE, at + 1);
  }
  if (ends.length === 0 && isWhole && bytes.length > 0) ends.push(bytes.length);
  return ends;
}
