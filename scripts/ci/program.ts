import { Command, InvalidArgumentError, Option } from "commander";
import { environmentsIn } from "./environments";
import { StepError } from "./faults";
import { setOutput, setVariable, type Job } from "./job";
import type { StackOf } from "./pulumi";
import { PURPOSES, readSettings, type Purpose } from "./settings";
import { sshAccess, type SshAccess } from "./ssh-access";
import { commentStep, deployStep, driftStep, previewStep, rollbackStep } from "./steps";

/** Pause between two looks at a stack that is locked. */
const LOCK_PAUSE_MS = 10_000;

interface StepOptions {
  readonly cwd: string;
  readonly stack: string;
  readonly markdown?: string;
  readonly pullRequest: number;
  readonly approved: string;
  readonly ref: string;
  readonly refresh?: string;
  readonly minutes: number;
  readonly waitMinutes: number;
  readonly for: Purpose;
}

/** Builds the words of `bin/ci`. */
export function buildProgram(job: Job): Command {
  const program = new Command("ci").description("The steps of the pipelines in .github/workflows.");
  addStackSteps(program, job);
  addSshSteps(program, job);
  return program;
}

function addStackSteps(program: Command, job: Job): void {
  program
    .command("environments")
    .description("sets the output `environments`: the stacks that pipelines look after, as JSON")
    .option("-C, --cwd <directory>", "the Pulumi project's directory", ".")
    .action(({ cwd }: StepOptions) => {
      setOutput(job, "environments", JSON.stringify(environmentsIn(cwd)));
    });
  step(
    program,
    "settings",
    "sets the variables of the stack's file in .github/environments for the later steps",
  )
    .addOption(new Option("--for <purpose>", "what the job is for").choices(PURPOSES).makeOptionMandatory())
    .action((options: StepOptions) => {
      const variables = readSettings(options.cwd, options.stack, options.for);
      for (const [name, value] of variables) setVariable(job, name, value);
    });
  step(program, "preview", "previews a stack; sets the outputs `digest` and `changes`")
    .option("--markdown <file>", "also write it there, for `ci comment`")
    .addOption(refreshOption())
    .action((options: StepOptions) => previewStep(job, stackOf(options), options.markdown));
  step(program, "comment", "shows a preview on a pull request, in the place of the last one")
    .requiredOption("--pull-request <number>", "its number", wholeNumber)
    .requiredOption("--markdown <file>", "what `ci preview` wrote")
    .action((options: StepOptions) =>
      commentStep(job, stackOf(options), options.pullRequest, options.markdown ?? ""),
    );
  step(program, "deploy", "carries out a preview that was approved, and nothing else")
    .requiredOption("--approved <digest>", "the output `digest` of `ci preview`")
    .addOption(refreshOption())
    .option("--wait-minutes <number>", "longest wait for another run at the same stack", wholeNumber, 30)
    .action((options: StepOptions) => deployStep(job, stackOf(options), options.approved, lockWait(options)));
  step(program, "rollback", "applies the config that a stack had at a commit")
    .option("--ref <ref>", "a commit of this branch; empty: the one before the last change of the config", "")
    .addOption(refreshOption())
    .option("--wait-minutes <number>", "longest wait for another run at the same stack", wholeNumber, 30)
    .action((options: StepOptions) => rollbackStep(job, stackOf(options), options.ref, lockWait(options)));
  step(program, "drift", "fails, and keeps an issue open, while a stack is not as its config says").action(
    (options: StepOptions) => driftStep(job, stackOf(options)),
  );
}

function addSshSteps(program: Command, job: Job): void {
  program
    .command("open-ssh")
    .description("lets this machine in to the host, where SSH_SECURITY_GROUP_ID names its security group")
    .requiredOption(
      "--minutes <number>",
      "the job's limit: after that the rule counts as left behind",
      wholeNumber,
    )
    .action(({ minutes }: StepOptions) => withAccess(job, (access) => access.open(minutes)));
  program
    .command("close-ssh")
    .description("takes away what open-ssh did in this run; to be called always")
    .action(() => withAccess(job, (access) => access.close()));
  program
    .command("sweep-ssh")
    .description("takes away what runs left behind that died before they closed it")
    .action(() => withAccess(job, (access) => access.sweep()));
}

function step(program: Command, name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .requiredOption("-s, --stack <name>", "the stack")
    .option("-C, --cwd <directory>", "the Pulumi project's directory", ".");
}

/** With a value, for a workflow hands its input on as a text; empty where nobody was asked. */
function refreshOption(): Option {
  return new Option(
    "--refresh <boolean>",
    "look first at what there is: makes a host that was lost anew",
  ).choices(["true", "false", ""]);
}

function stackOf({ cwd, stack, refresh }: StepOptions): StackOf {
  return { directory: cwd, stack, refresh: refresh === "true" };
}

function lockWait({ waitMinutes }: StepOptions) {
  return { minutes: waitMinutes, pauseMs: LOCK_PAUSE_MS };
}

async function withAccess(job: Job, work: (access: SshAccess) => Promise<void>): Promise<void> {
  const access = sshAccess(job);
  if (access === null) return;
  try {
    await work(access);
  } finally {
    access.end();
  }
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("a whole number is needed");
  return Number(text);
}

/** Carries out one command line. Returns the exit code. */
export async function runSteps(argv: readonly string[], job: Job): Promise<number> {
  try {
    await buildProgram(job).parseAsync([...argv], { from: "user" });
    return 0;
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    job.log(`ci: ${error.message}`);
    return 1;
  }
}
