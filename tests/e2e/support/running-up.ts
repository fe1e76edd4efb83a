import { spawn } from "node:child_process";
import { once } from "node:events";
import { STACK, type SandboxProject } from "../../../sandbox/project";

/** How an `up` ended. */
export interface UpOutcome {
  /** Exit code; null where it was killed. */
  readonly exitCode: number | null;
  /** All that it printed. */
  readonly output: string;
}

/** An `up` that is under way. */
export interface RunningUp {
  /** Process id of the engine. */
  readonly pid: number;
  /** Resolves when it has ended, well or not. */
  readonly ended: Promise<UpOutcome>;
  /** Has it printed, or will it print, this before it ends? */
  readonly printed: (pattern: RegExp) => Promise<boolean>;
}

/** Starts an `up` and does not wait for it. */
export function startUp(project: SandboxProject): RunningUp {
  const [program = "", ...args] = project.command();
  const up = spawn(program, [...args, "up", "--yes", "--skip-preview", "--stack", STACK], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (up.pid === undefined) throw new Error(`${program} cannot be started`);
  let output = "";
  const listeners = new Set<() => void>();
  for (const stream of [up.stdout, up.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      listeners.forEach((listener) => listener());
    });
  }
  const ended = once(up, "close").then(([exitCode]) => ({ exitCode: exitCode as number | null, output }));
  const printed = (pattern: RegExp): Promise<boolean> =>
    Promise.race([
      new Promise<boolean>((resolve) => {
        const look = (): void => {
          if (pattern.test(output)) resolve(true);
        };
        listeners.add(look);
        look();
      }),
      ended.then(() => pattern.test(output)),
    ]);
  return { pid: up.pid, ended, printed };
}
