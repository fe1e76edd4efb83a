import { spawn, type ChildProcessByStdio } from "node:child_process";
import type { Readable } from "node:stream";

/** A program to run; an argument list, never a shell line. */
export interface Command {
  readonly argv: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Run as this user; default: the conductor's own. */
  readonly uid?: number;
  readonly gid?: number;
  /** Longest run, in seconds; the whole process group is ended after it. */
  readonly timeoutSeconds: number;
  /** Ends the whole process group at once, as the time limit does; none by default. */
  readonly signal?: AbortSignal;
  /** Called once the program itself has ended, however it did: ends what it left behind. */
  readonly onExit?: () => Promise<void>;
}

const TOOK_LONGER = "took longer than";

/** A program that ended badly. */
export class CommandFailed extends Error {
  constructor(
    readonly argv: readonly string[],
    /** How it ended, in words. */
    readonly how: string,
    /** Its last lines of output, standard output and error together. */
    readonly lastLines: readonly string[],
    /** The first lines of its standard error, as far as they are none of the last ones: npm ends with pages of usage. */
    readonly firstErrors: readonly string[] = [],
  ) {
    super(`\`${argv.join(" ")}\` ${describeEnding(how, [...cut(firstErrors), ...lastLines])}`);
  }

  /** Was it ended for {@link Command.timeoutSeconds}? */
  get tookTooLong(): boolean {
    return this.how.startsWith(TOOK_LONGER);
  }

  /** How it ended, with its lines, without its arguments. */
  get ending(): string {
    return describeEnding(this.how, [...cut(this.firstErrors), ...this.lastLines]);
  }
}

/** Marks that there was more behind these lines. */
function cut(lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [...lines, "[...]"];
}

function describeEnding(how: string, lastLines: readonly string[]): string {
  return lastLines.length === 0 ? how : `${how}:\n${lastLines.map((line) => `  ${line}`).join("\n")}`;
}

/** How many of a failed program's last lines are told, and how many of the first ones of its standard error. */
const LAST_LINES = 20;
const FIRST_ERRORS = 8;

/** What a failed program is told by. */
class Lines {
  private readonly newest: { readonly line: string; readonly error: number | null }[] = [];
  private readonly firstErrors: string[] = [];
  private errors = 0;

  add(line: string, isError: boolean): void {
    this.newest.push({ line, error: isError ? this.errors : null });
    if (this.newest.length > LAST_LINES) {
      this.newest.shift();
    }
    if (isError) {
      this.errors += 1;
      if (this.errors <= FIRST_ERRORS) {
        this.firstErrors.push(line);
      }
    }
  }

  last(): string[] {
    return this.newest.map(({ line }) => line);
  }

  /** The first lines of standard error that are none of {@link Lines.last}. */
  first(): string[] {
    const told = this.newest.find(({ error }) => error !== null)?.error ?? this.errors;
    return this.firstErrors.slice(0, told);
  }
}

/**
 * Runs a program to its end and returns what it wrote to standard output.
 * @throws CommandFailed with the last lines, where it cannot be started, ends badly, takes too long, or is given up.
 */
export function runCommand(
  command: Command,
  onLine: (line: string) => void = () => undefined,
): Promise<string> {
  const [program = "", ...args] = command.argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: command.cwd,
      env: command.env === undefined ? process.env : { ...command.env },
      ...(command.uid === undefined ? {} : { uid: command.uid }),
      ...(command.gid === undefined ? {} : { gid: command.gid }),
      stdio: ["ignore", "pipe", "pipe"],
      // A group of its own, so that a time limit ends what the program started, too.
      detached: true,
    });
    const output: string[] = [];
    const lines = new Lines();
    const limits = limitRun(child, command);
    let cleanedUp: Promise<void> = Promise.resolve();
    const keep =
      (isError: boolean) =>
      (line: string): void => {
        lines.add(line, isError);
        onLine(line);
      };
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => output.push(chunk));
    eachLine(child.stdout, keep(false));
    eachLine(child.stderr, keep(true));
    child.on("error", (error) => {
      limits.settle();
      reject(new CommandFailed(command.argv, `could not be started (${error.message})`, []));
    });
    child.on("exit", () => {
      // What a program leaves behind may hold its output open, and `close` would wait for that.
      endGroup(child.pid);
      cleanedUp = command.onExit?.() ?? cleanedUp;
      cleanedUp.catch(reject);
    });
    child.on("close", (code, signal) => {
      limits.settle();
      const end = (): void => {
        const { cut } = limits;
        if (code === 0 && cut === null) {
          resolve(output.join(""));
        } else {
          const how = cut ?? describeExit(code, signal);
          reject(new CommandFailed(command.argv, how, lines.last(), lines.first()));
        }
      };
      cleanedUp.then(end, reject);
    });
  });
}

/** What may end a program before it ends by itself. */
interface Limits {
  /** Why it was ended, in words; null where it was not. */
  readonly cut: string | null;
  /** Stops watching: the program has ended. */
  settle(): void;
}

/** Ends a program and its group after its longest time, and as soon as it is given up. */
function limitRun(child: ChildProcessByStdio<null, Readable, Readable>, command: Command): Limits {
  const { timeoutSeconds, signal } = command;
  let cut: string | null = null;
  const end = (how: string): void => {
    cut ??= how;
    endGroup(child.pid);
    // What left the group may hold the output open for ever.
    child.stdout.destroy();
    child.stderr.destroy();
  };
  const giveUp = (): void => end("was given up");
  const timer = setTimeout(() => end(`${TOOK_LONGER} ${timeoutSeconds} s`), timeoutSeconds * 1000);
  signal?.addEventListener("abort", giveUp);
  return {
    get cut() {
      return cut;
    },
    settle() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", giveUp);
    },
  };
}

function describeExit(code: number | null, signal: string | null): string {
  return signal === null ? `ended with exit code ${code ?? "unknown"}` : `was ended by ${signal}`;
}

/** Ends a process group; what has already ended is no fault. */
function endGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) {
      process.kill(-leader, "SIGKILL");
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") {
      throw error;
    }
  }
}

/** Longest line that is kept; the rest of it is cut. */
const LINE_LIMIT = 2000;

function eachLine(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = (lines.pop() ?? "").slice(0, LINE_LIMIT);
    lines.forEach((line) => onLine(line.slice(0, LINE_LIMIT)));
  });
  stream.on("end", () => {
    if (rest !== "") {
      onLine(rest);
    }
  });
}
