import { spawn, type ChildProcessByStdio } from "node:child_process";
import type { Writable } from "node:stream";
import { hasCode } from "../errors";

/**
 * Reads the id of a process group, waits for the end of its input, and then kills the group. Its input is a pipe that only
 * the engine holds, so that a killed engine leaves nothing running.
 */
const GUARD = 'read -r group || exit 0; read -r _; kill -s KILL -- "-$group"';

/**
 * Kills a process group when the engine ends without doing so itself. Open it before the group's first process is started: to start
 * a second one takes a while, in which nobody would look after the first.
 */
export class GroupGuard {
  private constructor(private readonly child: ChildProcessByStdio<Writable, null, null>) {}

  /** Starts the guard. */
  static open(): GroupGuard {
    const child = spawn("/bin/sh", ["-c", GUARD], { stdio: ["pipe", "ignore", "ignore"], detached: true });
    child.stdin.on("error", () => undefined);
    // One that cannot be started guards nothing; what it should have guarded cannot be started either.
    child.on("error", () => undefined);
    child.unref();
    return new GroupGuard(child);
  }

  /** Names the group; undefined means that there is none. */
  watch(group: number | undefined): void {
    if (group === undefined) this.close();
    else this.child.stdin.write(`${String(group)}\n`);
  }

  /** Ends the guard, and nothing else. */
  close(): void {
    this.child.kill("SIGKILL");
  }
}

/** Ends a process group; one that has ended is no fault. */
export function killGroup(pid: number, signal: NodeJS.Signals = "SIGKILL"): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (!hasCode(error, "ESRCH")) throw error;
  }
}

/** How a process ended, as the end of the sentence "it ended with ...". */
export function howEnded(code: number | null, signal: NodeJS.Signals | null): string {
  return signal ? `signal ${signal}` : `exit code ${String(code)}`;
}
