import * as fs from "node:fs";

/** A process, told apart from a later one with the same id. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in clock ticks since the machine's boot. */
  readonly startTicks: number;
  /** The machine's boot that it ran in. */
  readonly bootId: string;
}

/** Returns the identity of a process of this machine's present boot, or null if there is none with that id. */
export function identify(pid: number): ProcessIdentity | null {
  const startTicks = startTicksOf(pid);
  return startTicks === null ? null : { pid, startTicks, bootId: bootId() };
}

/** Tells whether exactly this process still runs; a zombie does not. */
export function isAlive(identity: ProcessIdentity): boolean {
  return identity.bootId === bootId() && startTicksOf(identity.pid) === identity.startTicks;
}

/** Sends a signal to exactly this process; does nothing when it has ended. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isAlive(identity)) return;
  try {
    process.kill(identity.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** The machine's present boot. */
export function bootId(): string {
  return fs.readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

function startTicksOf(pid: number): number | null {
  const fields = readStat(pid);
  // Counted after the program's name, which may hold anything: state is the first field, the start time the 20th.
  if (fields === null || fields[0] === "Z" || fields[0] === "X") return null;
  return Number(fields[19]);
}

function readStat(pid: number): string[] | null {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return null;
  }
}

/** A condition that did not come true in time. */
export class TimeoutError extends Error {
  override readonly name = "TimeoutError";
}

/**
 * Waits until `probe` returns something other than undefined, and returns that.
 *
 * @param what what is waited for, in words, for the {@link TimeoutError}
 * @param seconds longest wait
 */
export async function waitFor<T>(
  what: string,
  seconds: number,
  probe: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const value = await probe();
    if (value !== undefined) return value;
    if (performance.now() > deadline) throw new TimeoutError(`waited ${seconds} s in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Waits for all that is done side by side, and then fails as the first that failed: nothing goes on behind who cleans up. */
export async function allDone<T extends readonly unknown[] | []>(
  work: T,
): Promise<{ -readonly [Index in keyof T]: Awaited<T[Index]> }> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

/** Pause between two looks at a condition: short beside a boot, long beside a look. */
const POLL_MS = 20;
