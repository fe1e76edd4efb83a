import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** An entry of the journal. */
export interface JournalEntry {
  readonly cursor: string;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  readonly message: string;
}

/** Entries that are read at once. */
const MOST_ENTRIES = 2000;

/** Longest read, in milliseconds: one that hangs would keep every log from being shipped. */
const TIMEOUT_MS = 60_000;

interface JournalLine {
  readonly __CURSOR?: string;
  /** Microseconds. */
  readonly __REALTIME_TIMESTAMP?: string;
  /** Bytes where it is no text; null where it is very long. */
  readonly MESSAGE?: string | number[] | null;
}

/** Reads an entry as `journalctl --output=json` prints it. */
export function parseEntry(line: string): JournalEntry {
  const { __CURSOR: cursor, __REALTIME_TIMESTAMP: microseconds, MESSAGE } = JSON.parse(line) as JournalLine;
  if (cursor === undefined || microseconds === undefined) throw new Error("no entry of the journal");
  const message = Array.isArray(MESSAGE) ? Buffer.from(MESSAGE).toString("utf8") : (MESSAGE ?? "");
  return { cursor, timestamp: Math.floor(Number(microseconds) / 1000), message };
}

/** Reads what a unit wrote behind a cursor, the oldest first, at most some thousand entries; null reads from the beginning. */
export function readJournal(unit: string, after: string | null): Promise<JournalEntry[]> {
  return journalctl(unit, after === null ? [] : [`--after-cursor=${after}`]);
}

/** The cursor of what a unit wrote last; null where it has written nothing. */
export async function lastCursor(unit: string): Promise<string | null> {
  return (await journalctl(unit, ["--lines=1"])).at(-1)?.cursor ?? null;
}

function journalctl(unit: string, more: readonly string[]): Promise<JournalEntry[]> {
  const argv = ["--unit", unit, "--output=json", "--output-fields=MESSAGE", "--all", "--no-pager", "--quiet"];
  const child = spawn("journalctl", [...argv, ...more], {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  const entries: JournalEntry[] = [];
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(-1000)));
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => reject(new Error(`journalctl ${why}`));
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (entries.length >= MOST_ENTRIES) return;
      try {
        entries.push(parseEntry(line));
      } catch {
        fail("prints what is no entry");
      }
      // The rest is read the next time.
      if (entries.length === MOST_ENTRIES) child.kill();
    });
    child.on("error", (error) => fail(`cannot be started: ${error.message}`));
    child.on("close", (code, signal) => {
      if (code === 0 || entries.length === MOST_ENTRIES) resolve(entries);
      else fail(`ended with ${signal ?? `exit code ${String(code)}`}: ${said.trim()}`);
    });
  });
}
