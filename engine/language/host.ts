import { fork, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { END, type StartMessage } from "./messages";

/** Takes a line that a program wrote to one of its streams. */
export type LineHandler = (stream: "stdout" | "stderr", line: string) => void;

/** How a program ended. */
export interface ProgramEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The exit code by which the SDK says that it has told the user about the program's error. */
export const REPORTED_EXIT_CODE = 32;

/** A process that is ready, or is getting ready, to run a Pulumi program. */
export class ProgramProcess {
  private readonly ended: Promise<ProgramEnd>;

  private constructor(private readonly child: ChildProcess) {
    this.ended = new Promise((resolve) => {
      child.once("error", () => {
        resolve({ code: 1, signal: null });
      });
      child.once("close", (code, signal) => {
        resolve({ code, signal });
      });
    });
  }

  /**
   * Starts the process; it loads the SDK that is found from `directory` and waits. `launcher` is the bundled launcher,
   * `cache` the directory for compiled code.
   */
  static spawn(
    launcher: string,
    directory: string,
    cache: string,
    nodeArguments: readonly string[] = [],
  ): ProgramProcess {
    return new ProgramProcess(
      fork(launcher, [], {
        cwd: directory,
        execArgv: [...nodeArguments],
        env: {
          ...process.env,
          NODE_COMPILE_CACHE: cache,
          PULUMI_ENGINE_CACHE: cache,
          // The launcher transpiles, so that the SDK must not load its own TypeScript compiler.
          PULUMI_NODEJS_TYPESCRIPT: "false",
        },
        stdio: ["ignore", "pipe", "pipe", "ipc"],
        // An interrupt from the terminal is the engine's to handle; it ends the program when it is done.
        detached: true,
      }),
    );
  }

  /** Runs the program; resolves when the process has ended. */
  async run(message: StartMessage, onLine: LineHandler): Promise<ProgramEnd> {
    forwardLines(this.child.stdout, "stdout", onLine);
    forwardLines(this.child.stderr, "stderr", onLine);
    this.child.send(message);
    return this.ended;
  }

  /** Asks a process to end that would go on as long as the engine. */
  release(): void {
    // Not by closing the channel: Node would never tell that the process has ended. It may be about to end anyway, and
    // is then not there to be asked.
    if (this.child.connected) this.child.send(END, () => undefined);
  }

  /** Ends the process at once. */
  kill(): void {
    this.child.kill("SIGKILL");
  }
}

function forwardLines(stream: Readable | null, name: "stdout" | "stderr", onLine: LineHandler): void {
  if (stream)
    createInterface({ input: stream }).on("line", (line) => {
      onLine(name, line);
    });
}
