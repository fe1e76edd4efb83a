import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";

/** A file that the conductor writes and nobody else, as it shall be. It belongs to the conductor's own user. */
export interface KeptFile {
  readonly path: string;
  readonly text: string;
  /** Permission bits. */
  readonly mode: number;
}

/** What a file is known again by. */
export interface FileMark {
  readonly path: string;
  /** Of its text, in hex. */
  readonly sha256: string;
  readonly mode: number;
  /** Its owner's user id. */
  readonly owner: number;
}

/** A file as it is. */
export interface FoundFile {
  readonly text: string;
  readonly mode: number;
  readonly owner: number;
}

/** SHA-256 of a text, in hex. */
export function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Returns what a file of the conductor's own is known again by. */
export function markOf({ path, text, mode }: KeptFile): FileMark {
  return { path, sha256: sha256(text), mode, owner: process.getuid?.() ?? 0 };
}

/** Reads a file with its mode and owner; null where there is none. */
export async function findFile(path: string): Promise<FoundFile | null> {
  try {
    const [text, { mode, uid }] = await Promise.all([readFile(path, "utf8"), stat(path)]);
    return { text, mode: mode & 0o7777, owner: uid };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      return null;
    }
    throw error;
  }
}

/** Tells how a file differs from its mark, or null where it does not. Its text is never repeated. Pure. */
export function fileDrift(mark: FileMark, found: FoundFile | null): string | null {
  const { path, mode, owner } = mark;
  if (found === null) {
    return `${path} is gone`;
  }
  if (sha256(found.text) !== mark.sha256) {
    return `${path} was edited`;
  }
  if (found.mode !== mode) {
    return `${path} has mode ${found.mode.toString(8)} instead of ${mode.toString(8)}`;
  }
  return found.owner === owner ? null : `${path} belongs to user ${found.owner} instead of ${owner}`;
}
