import { randomUUID } from "node:crypto";
import { copyFile, link, mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { homedir } from "node:os";
import { EngineError, ExitCode, hasCode } from "../errors";
import { parseCheckpoint, type CheckpointFile } from "./checkpoint";

/** Pulumi has no organizations in a file backend; every stack is in this one. */
export const ORGANIZATION = "organization";

/** A project's stack, as the backend names it. */
export interface StackReference {
  readonly project: string;
  readonly stack: string;
}

/** The full name of a stack: `organization/PROJECT/STACK`. */
export function fullName(reference: StackReference): string {
  return `${ORGANIZATION}/${reference.project}/${reference.stack}`;
}

/** Pulumi's state store in a directory (`file://`): checkpoints, their backups, the history, and where locks go. */
export class FileBackend {
  /** The `.pulumi` directory. */
  readonly directory: string;
  private readonly prepared = new Set<string>();

  private constructor(directory: string) {
    this.directory = directory;
  }

  /**
   * Opens the store that a URL names. A relative path starts at `base`, `~` at the home directory. Fails for every
   * scheme but `file`.
   */
  static at(url: string, base: string): FileBackend {
    if (!url.startsWith("file://")) {
      throw new EngineError(
        `the backend ${url} is not supported: the embedded engine keeps state in file:// only. Use the Pulumi CLI, or set PULUMI_BACKEND_URL`,
        ExitCode.configuration,
      );
    }
    const path = (url.slice("file://".length).split("?")[0] ?? "").replace(/^~(?=\/|$)/, () => homedir());
    return new FileBackend(join(isAbsolute(path) ? path : resolve(base, path), ".pulumi"));
  }

  /** The checkpoint file of a stack. */
  checkpointPath({ project, stack }: StackReference): string {
    return join(this.directory, "stacks", project, `${stack}.json`);
  }

  /** The directory of a stack's locks. */
  lockDirectory(reference: StackReference): string {
    return join(this.directory, "locks", fullName(reference));
  }

  /** The names of a project's stacks, sorted. */
  async stacks(project: string): Promise<string[]> {
    const files = await listDirectory(join(this.directory, "stacks", project));
    return files
      .filter((file) => file.endsWith(".json"))
      .map((file) => file.slice(0, -".json".length))
      .sort();
  }

  /** Reads a stack's checkpoint; undefined where there is no such stack. */
  async load(reference: StackReference): Promise<CheckpointFile | undefined> {
    const path = this.checkpointPath(reference);
    let text: string;
    try {
      text = await readFile(path, "utf8");
    } catch (error) {
      if (!hasCode(error, "ENOENT")) throw error;
      await this.refuseCompressed(path);
      return undefined;
    }
    return parseCheckpoint(text, path);
  }

  private async refuseCompressed(path: string): Promise<void> {
    const names = await listDirectory(dirname(path));
    const compressed = names.find((name) =>
      [".gz", ".zst"].some((extension) => join(dirname(path), name) === `${path}${extension}`),
    );
    if (compressed !== undefined) {
      throw new EngineError(
        `the state ${join(dirname(path), compressed)} is compressed: the embedded engine reads plain JSON only`,
      );
    }
  }

  /**
   * Writes a stack's checkpoint so that a crash leaves the old one or the new one; the old one becomes `.bak`.
   * @param pieces JSON of `file`, where the caller has it already.
   */
  async save(
    reference: StackReference,
    file: CheckpointFile,
    pieces: readonly Uint8Array[] = [Buffer.from(JSON.stringify(file))],
  ): Promise<void> {
    const path = this.checkpointPath(reference);
    await this.prepare(dirname(path));
    await backUp(path);
    await writeAtomically(path, pieces);
  }

  /** Adds an entry to the stack's history, beside a copy of the checkpoint that it led to. */
  async addHistory(reference: StackReference, entry: object): Promise<void> {
    const directory = join(this.directory, "history", reference.project, reference.stack);
    await mkdir(directory, { recursive: true });
    // Pulumi names the files by nanoseconds, so that they sort by time.
    const name = join(directory, `${reference.stack}-${String(BigInt(Date.now()) * 1_000_000n)}`);
    await writeFile(`${name}.history.json`, JSON.stringify(entry, undefined, 4));
    await copyFile(this.checkpointPath(reference), `${name}.checkpoint.json`);
  }

  /** Removes a stack with its history; its last checkpoint stays as `.bak`. */
  async remove(reference: StackReference): Promise<void> {
    const path = this.checkpointPath(reference);
    await backUp(path);
    await rm(path);
    await rm(join(this.directory, "history", reference.project, reference.stack), {
      recursive: true,
      force: true,
    });
  }

  /**
   * Makes the store itself, and a directory in it, where that was not done before: a deployment saves hundreds of times.
   * `meta.yaml` tells the CLI that stacks are kept by project.
   */
  private async prepare(directory: string): Promise<void> {
    if (this.prepared.has(directory)) return;
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    try {
      await writeFile(join(this.directory, "meta.yaml"), "version: 1\n", { flag: "wx" });
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw error;
    }
    await mkdir(directory, { recursive: true });
    this.prepared.add(directory);
  }
}

async function listDirectory(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    throw error;
  }
}

/** A second name is enough: what is written next takes the first one, and leaves this file as it is. */
async function linkOrCopy(path: string, name: string): Promise<void> {
  try {
    await link(path, name);
  } catch (error) {
    if (hasCode(error, "ENOENT")) throw error;
    // Not every file system has hard links.
    await copyFile(path, name);
  }
}

async function backUp(path: string): Promise<void> {
  const temporary = `${path}.bak.${randomUUID()}.tmp`;
  try {
    await linkOrCopy(path, temporary);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return;
    throw error;
  }
  await rename(temporary, `${path}.bak`);
}

/** Writes a file as a whole or not at all: to a temporary name, to the disk, then renamed. Mode 0600. */
export async function writeAtomically(path: string, content: string | readonly Uint8Array[]): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  const pieces = typeof content === "string" ? [Buffer.from(content)] : content;
  const file = await open(temporary, "wx", 0o600);
  try {
    const { bytesWritten } = await file.writev(pieces);
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (bytesWritten !== bytes) {
      throw new EngineError(
        `${temporary}: ${String(bytesWritten)} of ${String(bytes)} bytes could be written: make room on the disk`,
      );
    }
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const directory = await open(dirname(path), "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
