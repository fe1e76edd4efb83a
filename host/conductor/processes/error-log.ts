import { open, stat } from "node:fs/promises";

/** How many of the last lines of a log are told, and how far they are looked for, in bytes. */
const LINES = 20;
const BYTES = 64 * 1024;

/** A place in a log: what was written before it is not of interest. */
export interface LogMark {
  readonly file: string;
  readonly bytes: number;
}

/** Marks the end of a log, which need not be there yet. */
export async function markLog(file: string): Promise<LogMark> {
  const found = await stat(file).catch(() => null);
  return { file, bytes: found?.size ?? 0 };
}

/** Returns the last lines that were written since a mark, without empty ones. A log that was cut since is read from its start. */
export async function linesSince({ file, bytes }: LogMark): Promise<string[]> {
  const log = await open(file).catch(() => null);
  if (log === null) {
    return [];
  }
  try {
    const { size } = await log.stat();
    const start = Math.max(size < bytes ? 0 : bytes, size - BYTES);
    const { buffer, bytesRead } = await log.read({ position: start, buffer: Buffer.alloc(size - start) });
    const lines = buffer.toString("utf8", 0, bytesRead).split("\n");
    return lines.filter((line) => line.trim() !== "").slice(-LINES);
  } finally {
    await log.close();
  }
}

/** Names the port that somebody else has, if that is what a log tells; with the way out. */
export function portTaken(lines: readonly string[]): string | null {
  const text = lines.join("\n");
  const port =
    /EADDRINUSE.*?:(\d{2,5})\b/.exec(text)?.[1] ?? /EADDRINUSE[\s\S]*?port: (\d{2,5})/.exec(text)?.[1];
  return port === undefined
    ? null
    : `port ${port} is taken by another program; \`ss -ltnp 'sport = :${port}'\` on the host names it: ` +
        "stop it, or choose another port in application.ports";
}
