import type { LineHandler, ProgramEnd, ProgramProcess } from "../../language/host";
import type { StartMessage } from "../../language/messages";
import { EngineError } from "../../errors";

/** How long a process may take to end by itself, in milliseconds, before it is killed. */
const PATIENCE = 2000;

/** The process in which the SDK runs the providers that a program brings along as closures. */
export class DynamicProcess {
  /** Where it listens, `HOST:PORT`. Fails where it ends before it says so. */
  readonly address: Promise<string>;
  private readonly ended: Promise<ProgramEnd>;

  /** Lets a waiting process serve. Lines that it, or a provider in it, prints go to `onLine`. */
  constructor(
    private readonly process: ProgramProcess,
    message: StartMessage,
    onLine: LineHandler,
  ) {
    const errors: string[] = [];
    let listening: ((address: string) => void) | undefined;
    const said = new Promise<string>((resolve) => {
      listening = resolve;
    });
    this.ended = process.run(message, (stream, line) => {
      // The first line that the SDK prints is the port, before any provider is loaded.
      if (stream === "stdout" && listening) {
        listening(`127.0.0.1:${line.trim()}`);
        listening = undefined;
      } else {
        if (listening) errors.push(line);
        onLine(stream, line);
      }
    });
    const failed = this.ended.then((end): never => {
      throw new EngineError([`${description(end)} before it was ready`, ...errors].join("\n"));
    });
    this.address = Promise.race([said, failed]);
    // Whoever needs it meets the failure then; nobody may.
    this.address.catch(() => undefined);
    failed.catch(() => undefined);
  }

  /** Ends the process at once. */
  kill(): void {
    this.process.kill();
  }

  /** Lets the process end, waits for it, and says how it ended. */
  async close(): Promise<string> {
    const impatience = setTimeout(() => {
      this.process.kill();
    }, PATIENCE);
    this.process.release();
    const end = await this.ended;
    clearTimeout(impatience);
    return description(end);
  }
}

function description({ code, signal }: ProgramEnd): string {
  return `the process of the dynamic providers ended with ${signal ? `signal ${signal}` : `exit code ${String(code)}`}`;
}
