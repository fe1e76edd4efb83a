import { createHash } from "node:crypto";
import { open, readdir, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { Failed } from "../../conductor/faults";
import type { Bucket } from "./bucket";
import type { StoredManifest } from "./manifest";

/** What stays free on the disk beside what is to be written, in bytes. */
const RESERVE = 64 * 1024 * 1024;

/** A dump's file in the scratch directory. */
const FILE = "restore.dump";

/**
 * Refuses where a disk has no room for so much.
 * @param what What the room is for, in words.
 * @throws Failed with the figures
 */
export async function requireSpace(directory: string, bytes: number, what: string): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  if (free >= bytes + RESERVE) return;
  const mebibytes = (count: number): string => `${String(Math.ceil(count / 1024 / 1024))} MiB`;
  throw new Failed(
    `${what} needs ${mebibytes(bytes + RESERVE)} on the disk of ${directory}, and ${mebibytes(free)} are free: ` +
      "make room there",
  );
}

/** Below this, in bytes, whatever failed to write to a disk failed for want of room. */
const FULL = 1024 * 1024;

/** Tells that a disk is full, where it is; null where it is not. */
export async function fullDisk(directory: string): Promise<string | null> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize < FULL ? `the disk of ${directory} is full: make room there` : null;
}

/** Removes what a run that was killed left in the scratch directory. */
export async function clearDownloads(directory: string): Promise<void> {
  const names = await readdir(directory);
  await Promise.all(
    names.filter((name) => name.endsWith(".dump")).map((name) => rm(join(directory, name), { force: true })),
  );
}

/**
 * Gets a dump from S3 into a directory, as its manifest has it.
 * @returns the file's path; the caller removes it
 * @throws Failed where the object is missing, cut, longer, or another one, or the disk is full; no file stays then
 */
export async function download(
  bucket: Bucket,
  manifest: Pick<StoredManifest, "key" | "bytes" | "sha256">,
  directory: string,
): Promise<string> {
  const head = await bucket.head(manifest.key);
  if (head === null) throw broken(manifest.key, "is not in the bucket any more");
  if (head.bytes !== manifest.bytes) throw broken(manifest.key, lengthFault(head.bytes, manifest.bytes));
  await requireSpace(directory, manifest.bytes, "the dump");
  const path = join(directory, FILE);
  try {
    const found = await receive(bucket, manifest.key, path);
    if (found.bytes !== manifest.bytes) throw broken(manifest.key, lengthFault(found.bytes, manifest.bytes));
    if (found.sha256 !== manifest.sha256)
      throw broken(manifest.key, "has another checksum than its manifest");
    return path;
  } catch (error) {
    await rm(path, { force: true });
    if ((error as NodeJS.ErrnoException).code === "ENOSPC") {
      throw new Failed(
        `the disk of ${directory} is full: the dump has ${String(manifest.bytes)} bytes; make room there`,
      );
    }
    throw error;
  }
}

async function receive(
  bucket: Bucket,
  key: string,
  path: string,
): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const hash = createHash("sha256");
  let bytes = 0;
  const file = await open(path, "w", 0o600);
  try {
    for await (const chunk of bucket.read(key)) {
      hash.update(chunk);
      bytes += chunk.length;
      await file.writeFile(chunk);
    }
  } finally {
    await file.close();
  }
  return { bytes, sha256: hash.digest("hex") };
}

function broken(key: string, what: string): Failed {
  return new Failed(`${key} ${what}: it cannot be restored, and nothing was changed. Take another backup`);
}

function lengthFault(found: number, expected: number): string {
  return `has ${String(found)} bytes, not the ${String(expected)} of its manifest`;
}
