import { execFile, spawn, type ChildProcess } from "node:child_process";
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";

const root = resolve(__dirname, "../..");
const cache = join(root, "node_modules", ".cache", "engine-tests");
const run = promisify(execFile);

/** How an engine's process ended. */
export interface EngineEnd {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One resource of the `table` program; see `programs/table/index.ts`. */
export interface Row {
  readonly name: string;
  readonly type?: string;
  readonly args?: object;
  readonly options?: object;
}

/** A bundle of the engine, made from the sources for one test file. */
export class EngineBundle {
  private constructor(private readonly directory: string) {}

  static async build(): Promise<EngineBundle> {
    const directory = join(cache, `bundle-${String(process.pid)}`);
    await run(process.execPath, [join(root, "engine", "build.mjs"), directory]);
    return new EngineBundle(directory);
  }

  /** Builds the plugin of the package `shelf` as well; resolves with the directory to name in a project file. */
  async buildShelf(): Promise<string> {
    const directory = join(this.directory, "plugin");
    await build({
      entryPoints: [join(__dirname, "plugin", "shelf.ts")],
      outfile: join(directory, "shelf.js"),
      bundle: true,
      platform: "node",
      logLevel: "warning",
    });
    const start = `#!/bin/sh\nexec "${process.execPath}" "${join(directory, "shelf.js")}" "$@"\n`;
    writeFileSync(join(directory, "pulumi-resource-shelf"), start, { mode: 0o755 });
    return directory;
  }

  get entry(): string {
    return join(this.directory, "engine.js");
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** A copy of a fixture program with a stack `dev` of its own. */
export class Workspace {
  readonly directory = mkdtempSync(join(tmpdir(), "engine-test-"));

  constructor(
    private readonly engine: EngineBundle,
    program: string,
    private readonly environment: Readonly<Record<string, string>> = {},
  ) {
    cpSync(join(__dirname, "programs", program), this.directory, { recursive: true });
    symlinkSync(join(root, "node_modules"), join(this.directory, "node_modules"));
  }

  /** The variables of every engine that is started here. */
  get variables(): NodeJS.ProcessEnv {
    const { PATH } = process.env;
    return {
      PATH,
      HOME: this.directory,
      PULUMI_HOME: join(this.directory, "home"),
      PULUMI_CONFIG_PASSPHRASE: "correct horse",
      PULUMI_ENGINE_CACHE: join(cache, "cache"),
      ...this.environment,
    };
  }

  /** Starts the engine. */
  start(words: readonly string[], environment: Readonly<Record<string, string>> = {}): ChildProcess {
    return spawn(process.execPath, [this.engine.entry, ...words], {
      cwd: this.directory,
      env: { ...this.variables, ...environment },
      stdio: ["pipe", "pipe", "pipe"],
    });
  }

  /** Runs the engine to its end. */
  async pulumi(
    words: string,
    environment: Readonly<Record<string, string>> = {},
    input = "",
  ): Promise<EngineEnd> {
    const child = this.start(words.split(" "), environment);
    child.stdin?.end(input);
    return ended(child);
  }

  /** Runs the engine; fails, with all it printed, where it does not exit with 0. */
  async succeed(words: string, environment: Readonly<Record<string, string>> = {}): Promise<string> {
    const end = await this.pulumi(words, environment);
    if (end.code !== 0)
      throw new Error(`pulumi ${words} ended with ${String(end.code)}:\n${end.stdout}${end.stderr}`);
    return end.stdout;
  }

  /** Says what the `table` program, or another with such a table, is to register. */
  table(rows: readonly object[], outputs: object = {}): void {
    writeFileSync(join(this.directory, "table.json"), JSON.stringify({ rows, outputs }));
  }

  /** A file's text; empty where it is not there. */
  text(name: string): string {
    try {
      return readFileSync(join(this.directory, name), "utf8");
    } catch {
      return "";
    }
  }

  /** The last checkpoint. */
  checkpoint(): {
    resources?: { urn: string; [key: string]: unknown }[];
    pending_operations?: { type: string; resource: { urn: string } }[];
  } {
    const text = readFileSync(this.path(".pulumi/stacks/table/dev.json"), "utf8");
    return (JSON.parse(text) as { checkpoint: { latest: object } }).checkpoint.latest;
  }

  /** The names of the program's resources in the last checkpoint, in order; those waiting for deletion end in `!`. */
  names(): string[] {
    const resources = this.checkpoint().resources ?? [];
    return resources.filter(({ type }) => !String(type).startsWith("pulumi:")).map(nameOf);
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** Every file below a directory of the workspace, with its content; links are not followed. */
  files(name: string): Map<string, string> {
    const found = new Map<string, string>();
    for (const entry of readdirSync(this.path(name), { recursive: true }) as string[]) {
      const path = join(this.path(name), entry);
      if (statSync(path).isFile()) found.set(entry, readFileSync(path, "latin1"));
    }
    return found;
  }

  /** The processes that work in the workspace: the engine, its program and whatever they started. */
  processes(): number[] {
    const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    return pids.map(Number).filter((pid) => {
      try {
        return readlinkSync(`/proc/${String(pid)}/cwd`).startsWith(this.directory);
      } catch {
        // It has ended meanwhile, or it is none of ours.
        return false;
      }
    });
  }

  /** Removes the directory, and ends what a failed test left running in it. */
  remove(): void {
    for (const pid of this.processes()) {
      try {
        process.kill(pid, "SIGKILL");
      } catch (error) {
        // It has ended since it was looked for.
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
      }
    }
    // What was killed just now may have been writing.
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 10 });
  }
}

/** Waits for a process and gathers what it prints. */
export function ended(child: ChildProcess): Promise<EngineEnd> {
  let stdout = "";
  let stderr = "";
  child.stdout?.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr?.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((settle) => child.once("close", (code) => settle({ code, stdout, stderr })));
}

/** Waits until a condition holds; fails after the given time, which is to end a test that hangs, and no limit of a slow machine. */
export async function until(what: string, condition: () => boolean, milliseconds = 300_000): Promise<void> {
  const deadline = Date.now() + milliseconds;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`gave up waiting: ${what}`);
    await new Promise((settle) => setTimeout(settle, 10));
  }
}

function nameOf({ urn, delete: condemned }: { urn: string; delete?: unknown }): string {
  return `${urn.slice(urn.lastIndexOf("::") + 2)}${condemned ? "!" : ""}`;
}
