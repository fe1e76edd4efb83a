import { spawn, type SpawnOptionsWithoutStdio } from "node:child_process";
import { constants as osConstants } from "node:os";

/** What a finished command left behind. */
export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
  /** Exit code; 128 + the signal's number for a command that a signal ended, as shells count. */
  readonly exitCode: number;
}

/** How to run a command. */
export interface CommandOptions {
  /** Text for its standard input; empty by default. */
  readonly stdin?: string;
  /** Throws on an exit code other than 0; true by default. */
  readonly check?: boolean;
  /** Called with each line of its standard error as it comes. */
  readonly onProgress?: (line: string) => void;
  /** Its environment; this process's by default. */
  readonly env?: NodeJS.ProcessEnv;
  /** Its working directory; this process's by default. */
  readonly cwd?: string;
}

/** A command that ended with an exit code other than 0. */
export class CommandError extends Error {
  constructor(
    /** The argument list that was run. */
    readonly argv: readonly string[],
    readonly result: CommandResult,
  ) {
    // Pulumi tells the fault on standard output, and that there was one on standard error.
    const told = [result.stdout, result.stderr].map((text) => text.trim()).filter((text) => text !== "");
    const output = told.join("\n").split("\n").slice(-30).join("\n");
    super(`exit status ${result.exitCode} of: ${argv.join(" ")}${output === "" ? "" : `\n${output}`}`);
    this.name = "CommandError";
  }
}

/** Runs an argument list (no shell) to its end. Throws a {@link CommandError} unless it exits with 0. */
export async function run(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const [program, ...args] = argv;
  if (program === undefined) throw new Error("run: the argument list is empty");
  const spawnOptions: SpawnOptionsWithoutStdio = {
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  };
  const child = spawn(program, args, spawnOptions);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  const lines = new LineSplitter(options.onProgress ?? (() => undefined));
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => {
    stderr.push(chunk);
    lines.push(chunk.toString());
  });
  // A program that ends before it has read all of its input is judged by its exit code, not by the broken pipe.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.stdin ?? "");
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.once("error", (error) => reject(new Error(`cannot run ${program}: ${error.message}`)));
    child.once("close", (code, signal) => resolve(code ?? 128 + signalNumber(signal)));
  });
  lines.end();
  const result = {
    stdout: Buffer.concat(stdout).toString(),
    stderr: Buffer.concat(stderr).toString(),
    exitCode,
  };
  if (exitCode !== 0 && options.check !== false) throw new CommandError(argv, result);
  return result;
}

function signalNumber(signal: NodeJS.Signals | null): number {
  return signal === null ? 0 : osConstants.signals[signal];
}

/** Cuts a stream of text into lines. */
class LineSplitter {
  private rest = "";

  constructor(private readonly onLine: (line: string) => void) {}

  push(text: string): void {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    for (const line of lines) this.onLine(line);
  }

  end(): void {
    if (this.rest !== "") this.onLine(this.rest);
    this.rest = "";
  }
}
