import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir, readdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { hostname, userInfo } from "node:os";
import { join } from "node:path";
import { EngineError, hasCode } from "../errors";

/** Clock ticks per second in /proc; fixed by Linux's user interface. */
const TICKS_PER_SECOND = 100;
/** How much later than its lock a process may seem to have started, for the clocks' grain. */
const START_TOLERANCE_MILLISECONDS = 2000;

/** What a lock file says: the CLI's four keys, and two more by which a reused process id is told from the holder. */
export interface LockContent {
  readonly pid: number;
  readonly username: string;
  readonly hostname: string;
  readonly timestamp: string;
  /** Id of the machine's boot. Only in the engine's own locks. */
  readonly bootId?: string;
  /** When the process started, in clock ticks since boot. Only in the engine's own locks. */
  readonly startTicks?: number;
}

/** What is known of a running process of this machine. */
export interface ProcessFacts {
  readonly bootId: string;
  /** Start of the process in ticks since boot; undefined where there is no such process. */
  readonly startTicks: (pid: number) => number | undefined;
  /** Time of the boot, in milliseconds since 1970. */
  readonly bootTime: number;
  readonly hostname: string;
}

/** Reads the facts about this machine's processes from /proc. */
export function localProcesses(): ProcessFacts {
  const bootSeconds = /^btime (\d+)$/m.exec(readFileSync("/proc/stat", "utf8"))?.[1] ?? "0";
  return {
    bootId: readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(),
    startTicks: startTicksOf,
    bootTime: Number(bootSeconds) * 1000,
    hostname: hostname(),
  };
}

function startTicksOf(pid: number): number | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${String(pid)}/stat`, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT") || hasCode(error, "ESRCH")) return undefined;
    throw error;
  }
  // The command name is in parentheses and may itself hold spaces and parentheses, so count from the last one.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state] = fields;
  return state === "Z" || state === "X" ? undefined : Number(fields[19]);
}

/**
 * Whether the process that wrote the lock is surely gone: it ran on this machine, and either the machine has been
 * booted since, or no process has its id, or the one that has it started after the lock was written.
 */
export function isAbandoned(lock: LockContent, processes: ProcessFacts): boolean {
  if (lock.hostname !== processes.hostname) return false;
  if (lock.bootId !== undefined && lock.bootId !== processes.bootId) return true;
  const startTicks = processes.startTicks(lock.pid);
  if (startTicks === undefined) return true;
  if (lock.startTicks !== undefined) return lock.startTicks !== startTicks;
  const started = processes.bootTime + (startTicks / TICKS_PER_SECOND) * 1000;
  return started > Date.parse(lock.timestamp) + START_TOLERANCE_MILLISECONDS;
}

/** A stack's lock, held until `release`. The protocol is the CLI's: a file of one's own, and no other beside it. */
export class StackLock {
  private readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /**
   * Takes the lock. A lock whose process is dead is removed and told to `notice`. Fails, saying who holds it, where
   * the stack is locked by a process that lives or that runs on another machine.
   */
  static async acquire(directory: string, notice: (text: string) => void): Promise<StackLock> {
    const processes = localProcesses();
    await mkdir(directory, { recursive: true });
    const path = join(directory, `${randomUUID()}.json`);
    await refuseIfLocked(directory, path, processes, notice);
    await writeFile(path, JSON.stringify(contentOf(processes)), { flag: "wx" });
    const lock = new StackLock(path);
    try {
      // Two processes may both have seen no lock; each now sees the other's file and gives way.
      await refuseIfLocked(directory, path, processes, notice);
    } catch (error) {
      await lock.release();
      throw error;
    }
    return lock;
  }

  /** Gives the lock back. */
  async release(): Promise<void> {
    await rm(this.path, { force: true });
  }
}

/** Removes every lock of a stack, whoever holds it. Returns how many there were. */
export async function removeLocks(directory: string): Promise<number> {
  const paths = await lockFiles(directory);
  await Promise.all(paths.map((path) => rm(path, { force: true })));
  if (paths.length > 0) await rmdir(directory);
  return paths.length;
}

function contentOf(processes: ProcessFacts): LockContent {
  const startTicks = processes.startTicks(process.pid);
  return {
    pid: process.pid,
    username: userInfo().username,
    hostname: processes.hostname,
    timestamp: new Date().toISOString(),
    bootId: processes.bootId,
    ...(startTicks === undefined ? {} : { startTicks }),
  };
}

async function lockFiles(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory))
      .filter((name) => name.endsWith(".json"))
      .map((name) => join(directory, name));
  } catch (error) {
    if (hasCode(error, "ENOENT")) return [];
    throw error;
  }
}

async function refuseIfLocked(
  directory: string,
  own: string,
  processes: ProcessFacts,
  notice: (text: string) => void,
): Promise<void> {
  const holders: string[] = [];
  for (const path of await lockFiles(directory)) {
    if (path === own) continue;
    const lock = await readLock(path);
    if (lock === undefined) continue;
    const holder = `${lock.username}@${lock.hostname} (pid ${String(lock.pid)}) at ${lock.timestamp}`;
    if (isAbandoned(lock, processes)) {
      await rm(path, { force: true });
      notice(`took over the lock of a process that is gone: ${holder}`);
    } else {
      holders.push(`  ${path}: created by ${holder}`);
    }
  }
  if (holders.length > 0) {
    throw new EngineError(
      `the stack is currently locked by ${String(holders.length)} lock(s). Wait for the other process to end, or remove the lock with \`pulumi cancel\`.\n${holders.join("\n")}`,
    );
  }
}

/** Reads a lock file; undefined where it went away meanwhile. */
async function readLock(path: string): Promise<LockContent | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
  try {
    return JSON.parse(text) as LockContent;
  } catch {
    // Another process is writing its file right now, or died while it did; either way nobody can tell who it is.
    throw new EngineError(
      `the lock ${path} cannot be read. If no other process runs, remove it with \`pulumi cancel\``,
    );
  }
}
