import { Command, InvalidArgumentError, Option } from "commander";
import { ENGINE_VERSION } from "../state/checkpoint";
import type { Startup } from "./main";

/** Commander's codes for a word that is not known; a subcommand that is not counts as an argument too many. */
const LACKING = ["commander.unknownOption", "commander.unknownCommand", "commander.excessArguments"];

/** A command that names the engine where it refuses what the CLI has and the engine lacks. */
class EngineCommand extends Command {
  override createCommand(name?: string): Command {
    return new EngineCommand(name);
  }

  override error(message: string, options?: { exitCode?: number; code?: string }): never {
    const lacking = LACKING.includes(options?.code ?? "");
    return super.error(
      lacking ? `${message.trim()}\nThe embedded engine does not have it; the Pulumi CLI may.` : message,
      options,
    );
  }
}

/** Builds the command line: the CLI's words for what the engine has. */
export function buildProgram(startup: Startup): Command {
  const program = new EngineCommand("pulumi");
  program
    .description("The embedded Pulumi engine: runs this repository's program without the Pulumi CLI")
    .version(ENGINE_VERSION, "--version", "show the version")
    .exitOverride()
    .showSuggestionAfterError(false)
    .enablePositionalOptions(false);
  addGlobalOptions(program);
  addUpdateCommands(program, startup);
  addStackCommands(program);
  addConfigCommands(program);
  addGlobalOptions(
    program.command("cancel [stack]").description("remove the stack's locks, left by whatever process"),
  ).action(async (stack: string | undefined, _options: unknown, command: Command) => {
    await (await import("./cancel.js")).cancel(stack, command.optsWithGlobals());
  });
  return program;
}

/** The flags that every command takes, in any place of the command line. */
function addGlobalOptions(command: Command): Command {
  return command
    .option("-C, --cwd <directory>", "run as if started in this directory")
    .option("-s, --stack <name>", "the stack; default: the selected one")
    .option("--config-file <path>", "the stack's config file; default: Pulumi.<stack>.yaml")
    .option("--non-interactive", "never ask")
    .addOption(
      new Option("--color <when>", "accepted for the CLI's sake: the output has no colours").choices([
        "always",
        "never",
        "raw",
        "auto",
      ]),
    );
}

function addUpdateCommands(program: Command, startup: Startup): void {
  const update = (name: string, description: string): Command =>
    addGlobalOptions(program.command(name).description(description))
      .option("--expect-no-changes", "fail where anything changes")
      .option("-p, --parallel <number>", "how many operations run at a time", positiveInteger)
      .option("--show-secrets", "show secret outputs and values in clear")
      .option("--diff", "accepted for the CLI's sake: changes are always shown")
      .option("-m, --message <text>", "a message for the history");
  const approve = (command: Command): Command =>
    command
      .option("-y, --yes", "do not ask for approval")
      .option("-f, --skip-preview", "do not preview first");
  const refreshable = (command: Command): Command =>
    command.option("-r, --refresh", "look first at what is really there");
  refreshable(update("preview", "show what up would do"))
    .alias("pre")
    .option("-j, --json", "as JSON")
    .addOption(
      new Option(
        "--offline-plan",
        "ask nobody: providers are stood in for, what they would say is unknown",
      ).conflicts("refresh"),
    )
    .action(async (_options: unknown, command: Command) => {
      await (await import("./update.js")).preview(command.optsWithGlobals(), startup);
    });
  approve(refreshable(update("up", "bring the stack to what the program says")).alias("update")).action(
    async (_options: unknown, command: Command) => {
      await (await import("./update.js")).up(command.optsWithGlobals(), startup);
    },
  );
  approve(
    refreshable(update("destroy", "delete everything in the stack")).option(
      "--exclude-protected",
      "leave what is protected, and all that this needs",
    ),
  ).action(async (_options: unknown, command: Command) => {
    await (await import("./update.js")).destroy(command.optsWithGlobals(), startup);
  });
  approve(
    update("refresh", "bring the state up to date with what is really there").option(
      "--preview-only",
      "show what differs, and leave the state as it is",
    ),
  ).action(async (_options: unknown, command: Command) => {
    await (await import("./update.js")).refresh(command.optsWithGlobals(), startup);
  });
}

function addStackCommands(program: Command): void {
  const stack = addGlobalOptions(
    program.command("stack").description("show a stack's resources and outputs, or manage stacks"),
  )
    .option("--show-secrets", "show secret outputs in clear")
    .option("--show-urns", "show URNs")
    .action(async (_options: unknown, command: Command) => {
      await (await import("./stack.js")).show(command.optsWithGlobals());
    });
  const sub = (name: string, description: string): Command =>
    addGlobalOptions(stack.command(name).description(description));
  sub("init [name]", "make a stack")
    .option("--no-select", "do not select it")
    .option("--secrets-provider <name>", 'only "passphrase"')
    .action(async (name: string | undefined, _options: unknown, command: Command) => {
      await (await import("./stack.js")).init(name, command.optsWithGlobals());
    });
  sub("select [name]", "select a stack")
    .option("-c, --create", "make it where it is not there")
    .action(async (name: string | undefined, _options: unknown, command: Command) => {
      await (await import("./stack.js")).select(name, command.optsWithGlobals());
    });
  sub("output [name]", "show a stack's outputs")
    .option("-j, --json", "as JSON")
    .option("--show-secrets", "show secret outputs in clear")
    .action(async (name: string | undefined, _options: unknown, command: Command) => {
      await (await import("./stack.js")).output(name, command.optsWithGlobals());
    });
  sub("ls", "list the project's stacks")
    .option("-j, --json", "as JSON")
    .action(async (_options: unknown, command: Command) => {
      await (await import("./stack.js")).list(command.optsWithGlobals());
    });
  sub("rm [name]", "remove a stack that has no resources")
    .option("-f, --force", "remove it with its resources in the state")
    .option("--preserve-config", "keep the config file")
    .option("-y, --yes", "do not ask for approval")
    .action(async (name: string | undefined, _options: unknown, command: Command) => {
      await (await import("./stack.js")).remove(name, command.optsWithGlobals());
    });
}

function addConfigCommands(program: Command): void {
  const config = addGlobalOptions(
    program.command("config").description("list a stack's config, or change it"),
  )
    .option("-j, --json", "as JSON")
    .option("--show-secrets", "show secrets in clear")
    .action(async (_options: unknown, command: Command) => {
      await (await import("./config.js")).list(command.optsWithGlobals());
    });
  const sub = (name: string, description: string): Command =>
    addGlobalOptions(config.command(name).description(description)).option(
      "--path",
      "KEY is a path, such as site.hosts[0]",
    );
  sub("get <key>", "show a value")
    .option("-j, --json", "as JSON")
    .action(async (key: string, _options: unknown, command: Command) => {
      await (await import("./config.js")).get(key, command.optsWithGlobals());
    });
  sub("set <key> [value]", "set a value; without VALUE it is read from the input")
    .option("--secret", "encrypt it")
    .option("--plaintext", "do not encrypt it")
    .action(async (key: string, value: string | undefined, _options: unknown, command: Command) => {
      await (await import("./config.js")).set(key, value, command.optsWithGlobals());
    });
  sub("rm <key>", "remove a value").action(async (key: string, _options: unknown, command: Command) => {
    await (await import("./config.js")).remove(key, command.optsWithGlobals());
  });
}

function positiveInteger(text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1)
    throw new InvalidArgumentError("expected a whole number above 0");
  return number;
}
