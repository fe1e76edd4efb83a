import { spawn, type ChildProcess } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { createInterface } from "node:readline";
import { EngineError } from "../../errors";
import { GroupGuard, howEnded, killGroup } from "../process-group";

/** How long a plugin may take to end by itself, in milliseconds, before it is killed. */
const PATIENCE = 2000;
/** How many of the last lines that a plugin printed are told when it ends unasked. */
const LAST_LINES = 20;

/** What a plugin's process is started with. */
export interface PluginProcessOptions {
  readonly packageName: string;
  /** The directory that holds the executable, `pulumi-resource-<package>`. */
  readonly directory: string;
  /** Where the engine listens, `HOST:PORT`. */
  readonly engineAddress: string;
  /** Where the process works: the program's directory. */
  readonly workingDirectory: string;
  readonly project: string;
}

/** A provider plugin's process. It ends with the engine, whichever way that ends. */
export class PluginProcess {
  /** Where it listens, `HOST:PORT`. Fails where it ends before it says so. */
  readonly address: Promise<string>;
  private readonly child: ChildProcess;
  private readonly guard = GroupGuard.open();
  private readonly ended: Promise<string>;
  /** What it printed last; the CLI, too, shows that only where the plugin fails. */
  private readonly lines: string[] = [];

  constructor(private readonly options: PluginProcessOptions) {
    const executable = executableOf(options);
    this.child = spawn(executable, [options.engineAddress], {
      cwd: options.workingDirectory,
      env: { ...process.env, PULUMI_PROJECT: options.project },
      stdio: ["ignore", "pipe", "pipe"],
      // A group of its own: an interrupt from the terminal is the engine's to handle.
      detached: true,
    });
    this.guard.watch(this.child.pid);
    this.ended = new Promise((resolve) => {
      this.child.once("error", (error) => {
        resolve(`${executable} cannot be run: ${error.message}`);
      });
      this.child.once("close", (code, signal) => {
        resolve(this.describeEnd(code, signal));
      });
    });
    this.address = this.readAddress();
    // Whoever needs it meets the failure then; nobody may.
    this.address.catch(() => undefined);
  }

  /** Ends it, and all that it started in its group, at once. */
  kill(): void {
    if (this.child.pid !== undefined) killGroup(this.child.pid);
  }

  /** Asks it to end, and waits for that. */
  async close(): Promise<void> {
    this.child.kill("SIGTERM");
    await this.patience();
    this.guard.close();
  }

  /** Waits for the end of a process that does not answer any more, and says how it ended. */
  async lost(): Promise<string> {
    return this.withLines(await this.patience());
  }

  private async patience(): Promise<string> {
    const impatience = setTimeout(() => {
      this.kill();
    }, PATIENCE);
    const end = await this.ended;
    clearTimeout(impatience);
    return end;
  }

  private async readAddress(): Promise<string> {
    const port = new Promise<string>((resolve) => {
      let said = false;
      for (const stream of [this.child.stdout, this.child.stderr]) {
        if (!stream) continue;
        createInterface({ input: stream }).on("line", (line) => {
          // The first line that it prints is the port.
          if (stream === this.child.stdout && !said) {
            said = true;
            resolve(line.trim());
          } else {
            this.lines.push(line);
            if (this.lines.length > LAST_LINES) this.lines.shift();
          }
        });
      }
    });
    const failed = this.ended.then((end): never => {
      throw new EngineError(this.withLines(`${end} before it was ready`));
    });
    const said = await Promise.race([port, failed]);
    if (/^\d{1,5}$/.test(said)) return `127.0.0.1:${said}`;
    this.kill();
    throw new EngineError(
      `the provider plugin of package ${this.options.packageName} printed "${said}" where the port that it listens on is expected`,
    );
  }

  private describeEnd(code: number | null, signal: NodeJS.Signals | null): string {
    return `the provider plugin of package ${this.options.packageName} ended with ${howEnded(code, signal)}`;
  }

  private withLines(text: string): string {
    return this.lines.length === 0 ? text : `${text}. It had printed:\n${this.lines.join("\n")}`;
  }
}

/** Where the plugin is. Fails, naming it, where it cannot be run. */
function executableOf({ packageName, directory }: PluginProcessOptions): string {
  const executable = `${directory}/pulumi-resource-${packageName}`;
  try {
    accessSync(executable, constants.X_OK);
  } catch {
    throw new EngineError(
      `the provider plugin of package ${packageName} is not there: ${executable} is no program that can be run (plugins.providers in the project file names its directory)`,
    );
  }
  return executable;
}
