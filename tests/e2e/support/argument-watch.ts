import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

/**
 * Looks at every process of this machine and of the host on it for as long as `work` takes. Returns the argument lists that
 * hold one of the texts.
 */
export async function argumentsDuring(
  texts: string | readonly string[],
  work: () => Promise<unknown>,
): Promise<string[]> {
  const wanted = [texts].flat();
  const found: string[] = [];
  const before = new Set(processIds());
  let children = 0;
  let done = false;
  const watch = async (): Promise<void> => {
    while (!done) {
      for (const pid of processIds()) {
        const line = commandLineOf(pid);
        if (wanted.some((text) => line.includes(text))) found.push(line);
        if (!before.has(pid) && parentOf(pid) === process.pid) children++;
      }
      await pause(5);
    }
  };
  const watching = watch();
  await work().finally(() => (done = true));
  await watching;
  // It saw what the work started, however slow the looks were.
  expect(children).toBeGreaterThan(0);
  return found;
}

function processIds(): string[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name));
}

/** Id of the process that started another one; null where that has ended. */
function parentOf(pid: string): number | null {
  const [, parent] = /^PPid:\t(\d+)$/m.exec(readOf(pid, "status")) ?? [];
  return parent === undefined ? null : Number(parent);
}

function commandLineOf(pid: string): string {
  return readOf(pid, "cmdline");
}

function readOf(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return ""; // Ended meanwhile.
  }
}
