import { Command, CommanderError } from "commander";
import type { askHost } from "../components/ask-host";
import { ConfigError } from "../config/faults";
import type { Machine } from "../config/keys";
import type { OpsCommand, OpsOptions, Outcome, Paint, Session } from "./command";
import { abort } from "./commands/abort";
import { ack } from "./commands/ack";
import { backup } from "./commands/backup";
import { db } from "./commands/db";
import { restore } from "./commands/restore";
import { status } from "./commands/status";
import { OpsError, OpsExit, type OpsExitCode } from "./faults";
import { hostOver } from "./host";
import { hostAccess } from "./host-access";
import type { Stack, StackReference } from "./stack";

/** What `ops` needs of the machine that it runs on. */
export interface Surroundings {
  readonly openStack: (reference: StackReference) => Stack;
  /** Runs a command on a host. */
  readonly askHost: typeof askHost;
  /** Home directory and files that the config may name. */
  readonly machine: Omit<Machine, "projectDirectory">;
  /** The current directory. */
  readonly directory: string;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly paint: Paint;
  readonly ask: Session["ask"];
  readonly now: () => Date;
}

const COMMANDS: readonly OpsCommand[] = [status, abort, ack, db, backup, restore];

const EXIT_CODES = `Exit codes, the same for every command:
  0  done
  1  failed: it was begun, or part of the answer could not be had
  2  wrong usage, or a key of the stack's config that reaching the host takes is wrong
  3  refused by the host, or not confirmed: nothing was touched
  5  the stack cannot be read, or the host or its conductor does not answer`;

const ABOUT = `How it finds the host:
  It reads the stack's config (host.address, host.port, host.user, host.hostKey or host.knownHostsFile,
  host.privateKeyFile or hostPrivateKey), and speaks over SSH to the conductor there. Where a host that the
  stack made (host.mode ec2) is, and its key, are the stack's outputs.

How it reads the stack:
  By the Pulumi CLI (its Automation API) where there is one on the PATH, else by the embedded engine.
  VEHICLESERVICE_ENGINE=embedded chooses the embedded one anyway. A project directory with a file .passphrase
  needs no PULUMI_CONFIG_PASSPHRASE.

Output:
  Answers go to standard output, progress and faults to standard error. --json prints one JSON document, after a
  failure too. NO_COLOR=1 takes the colours away; a pipe gets none.`;

/**
 * Carries out one command line.
 * @param argv The words after `ops`.
 * @returns the exit code
 */
export async function run(argv: readonly string[], surroundings: Surroundings): Promise<OpsExitCode> {
  let code: OpsExitCode = OpsExit.done;
  const program = buildProgram(surroundings, (end) => (code = end));
  try {
    await program.parseAsync([...argv], { from: "user" });
    return code;
  } catch (error) {
    return report(error, argv.includes("--json"), surroundings);
  }
}

function buildProgram(surroundings: Surroundings, end: (code: OpsExitCode) => void): Command {
  const { stdout, stderr } = surroundings;
  const program = withCommonOptions(new Command("ops"))
    .description("Looks after what a stack has put on its host: what is live, the database, its backups.")
    .exitOverride()
    .configureOutput({
      writeOut: stdout,
      writeErr: stderr,
      getOutHelpWidth: () => 110,
      getErrHelpWidth: () => 110,
    })
    .showHelpAfterError("See: ops --help")
    .addHelpText("after", `\n${ABOUT}\n\n${EXIT_CODES}`);
  for (const command of COMMANDS) {
    const added = withCommonOptions(program.command(command.name))
      .description(command.summary)
      .showHelpAfterError(`See: ops ${command.name} --help`)
      .addHelpText("after", helpOf(command))
      .action(async (_own: unknown, self: Command) => {
        const options = self.optsWithGlobals<OpsOptions>();
        end(deliver(await command.run(sessionOf(options, surroundings), options), options, surroundings));
      });
    for (const option of command.options ?? []) added.addOption(option);
  }
  return program;
}

/** The options that every command takes, before its name or behind it. */
function withCommonOptions(command: Command): Command {
  return command
    .option(
      "-C, --cwd <directory>",
      "the Pulumi project's directory, or one below it; default: the current one",
    )
    .option("-s, --stack <name>", "the stack; default: the selected one")
    .option("--json", "print one JSON document");
}

function helpOf({ touches, examples }: OpsCommand): string {
  const lines = examples.map(([line, what]) => `  ${line}\n      ${what}`);
  return `\nWhat it touches:\n${wrapped(touches)}\n\nExamples:\n${lines.join("\n")}\n\n${EXIT_CODES}`;
}

function wrapped(text: string): string {
  return text.replace(/(.{1,105})(?: |$)/g, "  $1\n").trimEnd();
}

function sessionOf(options: OpsOptions, surroundings: Surroundings): Session {
  const { openStack, askHost: ask, machine, directory, stderr } = surroundings;
  const stack = openStack({ directory: options.cwd ?? directory, name: options.stack });
  return {
    stack,
    host: async () => {
      const { raw, projectDirectory } = await stack.config();
      const access = await hostAccess(raw, { ...machine, projectDirectory }, () => stack.outputs());
      return hostOver(access, ask);
    },
    progress: (line) => stderr(`${line}\n`),
    ask: surroundings.ask,
    now: surroundings.now,
    paint: options.json === true ? (_colour, text) => text : surroundings.paint,
  };
}

function deliver(
  { document, text, fault }: Outcome,
  options: OpsOptions,
  { stdout, stderr }: Surroundings,
): OpsExitCode {
  if (options.json === true) stdout(`${JSON.stringify(document, undefined, 2)}\n`);
  else if (text !== "") stdout(`${text}\n`);
  if (fault === undefined) return OpsExit.done;
  stderr(`ops: ${fault.message}\n`);
  return fault.exitCode;
}

/** Tells a fault, as text and where it was asked for as a document. */
function report(error: unknown, asJson: boolean, { stdout, stderr }: Surroundings): OpsExitCode {
  if (error instanceof CommanderError && error.exitCode === 0) return OpsExit.done;
  const { exitCode, message, headline } = told(error);
  // Commander has printed its message already.
  if (!(error instanceof CommanderError)) stderr(`ops: ${headline}\n`);
  if (asJson) stdout(`${JSON.stringify({ error: { exitCode, message } }, undefined, 2)}\n`);
  return exitCode;
}

function told(error: unknown): Pick<OpsError, "exitCode" | "message" | "headline"> {
  if (error instanceof OpsError) return error;
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  if (error instanceof CommanderError || error instanceof ConfigError) {
    const text = message.trim();
    return { exitCode: OpsExit.usage, message: text, headline: text };
  }
  return { exitCode: OpsExit.failed, message, headline: stack ?? message };
}
