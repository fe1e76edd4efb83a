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
  let looks = 0;
  let done = false;
  const watch = async (): Promise<void> => {
    while (!done) {
      for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
        const line = commandLineOf(pid);
        if (wanted.some((text) => line.includes(text))) found.push(line);
      }
      looks++;
      await pause(5);
    }
  };
  const watching = watch();
  await work().finally(() => (done = true));
  await watching;
  expect(looks).toBeGreaterThan(20);
  return found;
}

function commandLineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return ""; // Ended meanwhile.
  }
}
