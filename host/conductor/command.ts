import { spawn } from "node:child_process";

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
  /** Called once the program itself has ended, however it did: ends what it left behind. */
  readonly onExit?: () => Promise<void>;
}

/** A program that ended badly. */
export class CommandFailed extends Error {
  constructor(
    readonly argv: readonly string[],
    /** How it ended, in words. */
    readonly how: string,
    /** Its last lines of output, standard output and error together. */
    readonly lastLines: readonly string[],
  ) {
    super(`\`${argv.join(" ")}\` ${describeEnding(how, lastLines)}`);
  }

  /** How it ended, with its last lines, without its arguments. */
  get ending(): string {
    return describeEnding(this.how, this.lastLines);
  }
}

function describeEnding(how: string, lastLines: readonly string[]): string {
  return lastLines.length === 0 ? how : `${how}:\n${lastLines.map((line) => `  ${line}`).join("\n")}`;
}

/** How many of a failed program's last lines are told. */
const LAST_LINES = 20;

/**
 * Runs a program to its end and returns what it wrote to standard output.
 * @throws CommandFailed with the last lines, where it cannot be started, ends badly, or takes too long.
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
    const lastLines: string[] = [];
    let late = false;
    let cleanedUp: Promise<void> = Promise.resolve();
    const timer = setTimeout(() => {
      late = true;
      endGroup(child.pid);
      // What left the group may hold the output open for ever.
      child.stdout.destroy();
      child.stderr.destroy();
    }, command.timeoutSeconds * 1000);
    const keep = (line: string): void => {
      lastLines.push(line);
      if (lastLines.length > LAST_LINES) {
        lastLines.shift();
      }
      onLine(line);
    };
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => output.push(chunk));
    eachLine(child.stdout, keep);
    eachLine(child.stderr, keep);
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(new CommandFailed(command.argv, `could not be started (${error.message})`, []));
    });
    child.on("exit", () => {
      // What a program leaves behind may hold its output open, and `close` would wait for that.
      endGroup(child.pid);
      cleanedUp = command.onExit?.() ?? cleanedUp;
      cleanedUp.catch(reject);
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const end = (): void => {
        if (code === 0 && !late) {
          resolve(output.join(""));
        } else {
          const how = describeExit(late ? command.timeoutSeconds : null, code, signal);
          reject(new CommandFailed(command.argv, how, lastLines));
        }
      };
      cleanedUp.then(end, reject);
    });
  });
}

function describeExit(limitSeconds: number | null, code: number | null, signal: string | null): string {
  if (limitSeconds !== null) {
    return `took longer than ${limitSeconds} s`;
  }
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
