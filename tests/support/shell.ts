import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run, type CommandResult } from "../../sandbox/command";
import { repositoryRoot } from "../../sandbox/repository";

/** A terminal as the reader of a page has it, in which `pulumi` is `bin/pulumi`. */
export class Terminal {
  /**
   * @param directory Where its commands run; `bin` in it is the repository's.
   * @param environment Its variables, beside PATH and HOME.
   * @param upOptions Words that every `pulumi up` gets, where nobody sits and says yes.
   */
  constructor(
    private readonly directory: string,
    private readonly environment: NodeJS.ProcessEnv,
    upOptions: readonly string[] = [],
  ) {
    const programs = join(directory, ".programs");
    mkdirSync(programs);
    symlinkSync(join(repositoryRoot(), "bin"), join(directory, "bin"));
    const pulumi = join(repositoryRoot(), "bin", "pulumi");
    const script = [
      "#!/bin/sh",
      // bin/pulumi looks for a program of its own name.
      'export PATH="${PATH#*:}"',
      `if [ "$1" = up ]; then set -- "$@" ${upOptions.join(" ")}; fi`,
      `exec '${pulumi}' "$@"`,
    ];
    writeFileSync(join(programs, "pulumi"), `${script.join("\n")}\n`, { mode: 0o755 });
    this.environment = {
      HOME: directory,
      ...environment,
      PATH: `${programs}:${process.env["PATH"] ?? ""}`,
    };
  }

  /** Runs commands as a shell does that stops at the first failure. */
  async run(commands: string, { check = true } = {}): Promise<CommandResult> {
    const argv = ["bash", "--norc", "-euo", "pipefail", "-c", commands];
    return run(argv, { cwd: this.directory, env: this.environment, check });
  }
}
