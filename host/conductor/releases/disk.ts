import { statfs } from "node:fs/promises";
import { runCommand } from "../system/command";

const DU_TIMEOUT_SECONDS = 300;

const MEGABYTE = 1024 * 1024;

/** Space, in bytes, that users other than root have on the file system of `path`. */
export async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

/** Space, in bytes, that a directory takes. */
export async function bytesOf(directory: string): Promise<number> {
  const output = await runCommand({
    argv: ["du", "--summarize", "--block-size=1", "--", directory],
    timeoutSeconds: DU_TIMEOUT_SECONDS,
  });
  return Number.parseInt(output, 10);
}

/** Waits until what was written to the file system of `path` is on the disk. */
export async function flush(path: string): Promise<void> {
  await runCommand({ argv: ["sync", "--file-system", path], timeoutSeconds: DU_TIMEOUT_SECONDS });
}

/** Whole megabytes, rounded up. */
export function inMegabytes(bytes: number): number {
  return Math.ceil(bytes / MEGABYTE);
}
