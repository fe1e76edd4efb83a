import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { createInterface } from "node:readline";

/** What is heard of a program that answers in lines of JSON. */
export interface Ears<T> {
  readonly onAnswer: (answer: T) => void;
  /** A line of its standard error. */
  readonly onLine: (line: string) => void;
  /** It is gone, or could not be started; in words that go on from its name. May be told twice. */
  readonly onEnd: (how: string) => void;
}

/**
 * Hears a program's answers, and how it ends. What is written to one that is gone is told by its end. One that cannot be
 * understood is ended: it was killed while it wrote half a line, or whoever waits for it would wait for ever.
 */
export function listenTo<T>(
  child: ChildProcessWithoutNullStreams,
  { onAnswer, onLine, onEnd }: Ears<T>,
): void {
  let when = "";
  createInterface({ input: child.stdout }).on("line", (line) => {
    let answer: T;
    try {
      answer = JSON.parse(line) as T;
    } catch {
      when = " in the middle of an answer";
      child.kill("SIGKILL");
      return;
    }
    onAnswer(answer);
  });
  createInterface({ input: child.stderr }).on("line", onLine);
  child.on("error", (error) => onEnd(`could not be started (${error.message})`));
  child.on("close", (code, signal) => {
    onEnd(`${signal === null ? `ended with exit code ${String(code)}` : `was ended by ${signal}`}${when}`);
  });
  child.stdin.on("error", () => undefined);
}
