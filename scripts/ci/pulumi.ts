import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { run } from "../../sandbox/command";
import { repositoryRoot } from "../../sandbox/repository";
import { StepError } from "./faults";
import type { Job } from "./job";
import { readPlan, type Plan } from "./plan";

/** A stack, and the project that it is of. */
export interface StackOf {
  /** Name of the stack. */
  readonly stack: string;
  /** Directory of the project. */
  readonly directory: string;
  /** Look first at what there is, by `--refresh`: without it an `up` refuses a host that was lost. Default: false. */
  readonly refresh?: boolean;
}

/** Runs `pulumi preview` and reads what it found. */
export async function preview(job: Job, of: StackOf, options: readonly string[] = []): Promise<Plan> {
  const argv = command("preview", of, ["--json", ...options]);
  job.log(`$ ${argv.join(" ")}`);
  return readPlan(await run(argv, { check: false, env: job.environment }));
}

/** How long to wait for a stack that somebody else is changing, and how often to look. */
export interface LockWait {
  readonly minutes: number;
  /** Pause between two looks. The backend tells nobody when a lock ends. */
  readonly pauseMs: number;
}

/**
 * Runs `pulumi up`, with all that it prints in the job's log.
 * @param message Kept in the stack's history.
 * @throws StepError where it fails
 */
export async function up(job: Job, of: StackOf, message: string, wait: LockWait): Promise<void> {
  const argv = command("up", of, ["--yes", "--skip-preview", "--message", message]);
  const deadline = job.now().getTime() + wait.minutes * 60_000;
  for (;;) {
    job.log(`$ ${argv.join(" ")}`);
    const { exitCode, output } = await runAloud(job, argv);
    if (exitCode === 0) return;
    const locked = output.includes("the stack is currently locked by");
    if (!locked || job.now().getTime() >= deadline) {
      throw new StepError(
        locked
          ? `stack ${of.stack} is locked; if no other run is at work, \`pulumi cancel\` takes the lock away`
          : `\`pulumi up\` of ${of.stack} failed with exit code ${String(exitCode)}; what served before serves on, and the same \`up\` goes on where this one ended`,
      );
    }
    job.log("another run is changing this stack; waiting for its end");
    await new Promise((resolve) => setTimeout(resolve, wait.pauseMs));
  }
}

function command(word: string, { stack, directory, refresh }: StackOf, options: readonly string[]): string[] {
  const program = join(repositoryRoot(), "bin", "pulumi");
  const look = refresh === true ? ["--refresh"] : [];
  return [program, word, "--cwd", directory, "--stack", stack, "--non-interactive", ...look, ...options];
}

async function runAloud(
  job: Job,
  [program = "", ...args]: readonly string[],
): Promise<{ exitCode: number; output: string }> {
  const child = spawn(program, args, { env: job.environment, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      job.log(text.replace(/\n$/, ""));
    });
  }
  const [code] = (await once(child, "close")) as [number | null];
  return { exitCode: code ?? 1, output };
}
