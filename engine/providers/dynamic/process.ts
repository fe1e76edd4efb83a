import { fork, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { EngineError } from "../../errors";
import { forwardLines, type LineHandler } from "../../language/host";
import { howEnded } from "../process-group";
import { PartialFailure } from "../provider";
import {
  END,
  type Answer,
  type ConfigMessage,
  type Method,
  type Question,
  type Questions,
  type Values,
} from "./messages";

/** How long a process may take to end by itself, in milliseconds, before it is killed. */
const PATIENCE = 2000;

/** What the process is started with. */
export interface DynamicProcessOptions {
  /** The bundle that runs in it. */
  readonly server: string;
  /** The directory that it works in, and finds packages from: the program's. */
  readonly directory: string;
  /** The directory for compiled code. */
  readonly cache: string;
  /** Name of the project. */
  readonly project: string;
}

/** The process of the providers that a program brings along as source text, and the calls to it. */
export class DynamicProcess {
  private readonly child: ChildProcess;
  /** How it ended. */
  private readonly ended: Promise<string>;
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private asked = 0;

  /** Starts it. Lines that it, or a provider in it, prints go to `onLine`. */
  constructor({ server, directory, cache, project }: DynamicProcessOptions, onLine: LineHandler) {
    this.child = fork(server, [], {
      cwd: directory,
      execArgv: [],
      env: {
        ...process.env,
        NODE_COMPILE_CACHE: join(cache, "dynamic"),
        // As with the CLI, the config is for `configure`: a variable would reach whatever a provider starts.
        PULUMI_CONFIG: "{}",
        PULUMI_NODEJS_PROJECT: project,
        PULUMI_PROJECT: project,
      },
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      serialization: "advanced",
      // An interrupt from the terminal is the engine's to handle; it ends the process when it is done.
      detached: true,
    });
    forwardLines(this.child.stdout, "stdout", onLine);
    forwardLines(this.child.stderr, "stderr", onLine);
    this.child.on("message", (answer: Answer) => this.waiting.get(answer.number)?.(answer));
    this.ended = new Promise((resolve) => {
      this.child.once("error", (error) => {
        resolve(`the process of the dynamic providers cannot be run: ${error.message}`);
      });
      this.child.once("close", (code, signal) => {
        resolve(`the process of the dynamic providers ended with ${howEnded(code, signal)}`);
      });
    });
  }

  /** Tells it the stack's config; comes before the first question. */
  configure(config: Values): void {
    this.send({ config });
  }

  /**
   * Asks it. Fails with what the provider threw, with a {@link PartialFailure} where it says that the resource exists, or,
   * where the process has ended, with how it did.
   */
  async ask<Asked extends Method>(
    method: Asked,
    tell: Questions[Asked]["tell"],
  ): Promise<Questions[Asked]["get"]> {
    const number = (this.asked += 1);
    const answered = new Promise<Answer>((resolve) => this.waiting.set(number, resolve));
    this.send({ number, method, tell });
    const lost = this.ended.then((how): never => {
      throw new EngineError(how);
    });
    try {
      const { get, failure } = await Promise.race([answered, lost]);
      if (failure?.half) {
        const { id, outputs, reasons } = failure.half;
        throw new PartialFailure(id, outputs, reasons.length > 0 ? reasons : [failure.message]);
      }
      if (failure) throw new EngineError(failure.message);
      return get as Questions[Asked]["get"];
    } finally {
      this.waiting.delete(number);
    }
  }

  /** Ends it at once. */
  kill(): void {
    this.child.kill("SIGKILL");
  }

  /** Has it end, and waits for that. */
  async close(): Promise<void> {
    const impatience = setTimeout(() => {
      this.kill();
    }, PATIENCE);
    // Not by closing the channel: Node would never tell that the process has ended. It may be about to end anyway, and is
    // then not there to be asked.
    if (this.child.connected) this.child.send(END, () => undefined);
    await this.ended;
    clearTimeout(impatience);
  }

  private send(message: ConfigMessage | Question): void {
    // One that has ended is told by its end.
    if (this.child.connected) this.child.send(message, () => undefined);
  }
}
