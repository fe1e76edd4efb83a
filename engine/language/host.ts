import { fork, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type { AnswerMessage, CallMessage, StartMessage } from "./messages";

/** Takes a line that a program wrote to one of its streams. */
export type LineHandler = (stream: "stdout" | "stderr", line: string) => void;

/** Answers a call that a program makes to the engine. */
export type CallHandler = (call: CallMessage) => Promise<AnswerMessage>;

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
          // Of its own: the SDK sets flags of V8's, and compiled code is of use only where the flags are the same.
          NODE_COMPILE_CACHE: join(cache, "program"),
          PULUMI_ENGINE_CACHE: cache,
          // The launcher transpiles, so that the SDK must not load its own TypeScript compiler.
          PULUMI_NODEJS_TYPESCRIPT: "false",
        },
        stdio: ["ignore", "pipe", "pipe", "ipc"],
        // Takes bytes as they are.
        serialization: "advanced",
        // An interrupt from the terminal is the engine's to handle; it ends the program when it is done.
        detached: true,
      }),
    );
  }

  /** Runs the program; resolves when the process has ended. Its calls go to `onCall`. */
  async run(message: StartMessage, onLine: LineHandler, onCall: CallHandler): Promise<ProgramEnd> {
    forwardLines(this.child.stdout, "stdout", onLine);
    forwardLines(this.child.stderr, "stderr", onLine);
    this.child.on("message", (call: CallMessage) => void this.answer(call, onCall));
    this.child.send(message);
    return this.ended;
  }

  private async answer(call: CallMessage, onCall: CallHandler): Promise<void> {
    const answer = await onCall(call);
    // Nobody waits for it where the program has ended.
    if (this.child.connected) this.child.send(answer, () => undefined);
  }

  /** Ends the process at once. */
  kill(): void {
    this.child.kill("SIGKILL");
  }
}

/** Gives the lines of a stream to a handler. */
export function forwardLines(stream: Readable | null, name: "stdout" | "stderr", onLine: LineHandler): void {
  if (stream)
    createInterface({ input: stream }).on("line", (line) => {
      onLine(name, line);
    });
}
