import { spawn, type ChildProcess } from "node:child_process";
import { hasCode } from "../errors";

/**
 * Waits for the end of its input and then kills the process group $1. Its input is a pipe that only the engine holds,
 * so that a killed engine leaves nothing running.
 */
const GUARD = 'read -r _; kill -s KILL -- "-$1"';

/** Starts what kills a process group when the engine ends without doing so itself. It is killed where it is done with. */
export function startGuard(pid: number): ChildProcess {
  const guard = spawn("/bin/sh", ["-c", GUARD, "guard", String(pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  guard.stdin.on("error", () => undefined);
  guard.unref();
  return guard;
}

/** Ends a process group; one that has ended is no fault. */
export function killGroup(pid: number, signal: NodeJS.Signals = "SIGKILL"): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (!hasCode(error, "ESRCH")) throw error;
  }
}
