import { spawn } from "node:child_process";
import { once } from "node:events";

/**
 * Runs `work` while this process holds an exclusive lock on `path`, an existing file or directory. The kernel takes the
 * lock back when this process ends, however it ends, so no lock can be left over; nothing is written.
 *
 * Not re-entrant: taking the same lock inside `work` waits until `waitSeconds` (default 600) are over and throws.
 */
export async function withLock<T>(path: string, work: () => Promise<T>, waitSeconds = 600): Promise<T> {
  // Node has no flock(2). The child holds the lock as long as the pipe to it is open, that is: as long as we live.
  const child = spawn("flock", ["--timeout", String(waitSeconds), path, "sh", "-c", "echo held; exec cat"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  const held = await Promise.race([once(child.stdout, "data").then(() => true), ended.then(() => false)]);
  if (!held)
    throw new Error(`the lock on ${path} was not free within ${waitSeconds} s: another run holds it`);
  try {
    return await work();
  } finally {
    child.stdin.end();
    await ended;
  }
}
