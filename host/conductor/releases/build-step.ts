import { Failed } from "../faults";
import { CommandFailed, runCommand } from "../system/command";
import { atLowPriority, type Account, type Enclosure } from "./enclosure";
import type { Environments } from "./environments";
import type { Paths } from "../paths";
import { scrub } from "../processes/scrub";

/** A step of a release that failed. */
export class StepFailed extends Failed {
  constructor(
    message: string,
    /** What its program wrote last. */
    readonly output: string,
  ) {
    super(message);
  }
}

/** One program that a release is made with. */
export interface Step {
  /** What it does, for people. */
  readonly name: string;
  readonly argv: readonly string[];
  readonly cwd?: string;
  /** The directory that a stranger makes; it writes into no other one of the releases. */
  readonly writes?: string;
  /** Longest run, in seconds. */
  readonly timeoutSeconds: number;
  /** What an operator can do where it fails. */
  readonly wayOut: (output: string) => string;
  /** As {@link Step.wayOut}, where it took too long; that one by default. */
  readonly wayOutOfTime?: string;
  /** Not worth a line of progress. */
  readonly quiet?: boolean;
  /**
   * Who runs it. `builder`: the user of the releases. `stranger`: the same user, for programs of the application's
   * choice, and for work on files where one of theirs may lead elsewhere: enclosed, so that nothing of them stays, nor
   * meets what serves, and with the build's variables. `conductor`: the conductor's own
   * user, for files out of the builder's reach.
   */
  readonly as: "builder" | "stranger" | "conductor";
}

/** Longest fetch, and longest work on files, in seconds. */
export const FETCH_TIMEOUT_SECONDS = 300;

/** What the steps of a release need of the host. */
export interface Builder {
  readonly paths: Paths;
  /** The user of the releases. */
  readonly account: Account;
  /** Where that user's installs and builds run. */
  readonly enclosure: Enclosure;
  readonly environments: Pick<Environments, "read">;
}

/** Who has a release prepared. */
export interface Caller {
  /** Gets a line for each step. */
  readonly progress: (line: string) => void;
  /** Says that nobody wants it any more; its reason is thrown then. */
  readonly signal: AbortSignal;
}

/** Runs the steps of one release. */
export class StepRunner {
  /**
   * @param variables What installs and builds see of the release's environment; failures never show their values.
   * @param caller Gets a line for each step, and may give the release up.
   */
  constructor(
    private readonly builder: Builder,
    private readonly version: string,
    private readonly variables: Readonly<Record<string, string>>,
    private readonly caller: Caller,
  ) {}

  /** Tells something about the release that no step does. */
  tell(line: string): void {
    this.caller.progress(`${this.version}: ${line}`);
  }

  /**
   * Runs a step, and returns what it wrote to standard output.
   * @throws StepFailed that names the step, how it ended, its last lines, and the way out. The signal's reason where the release is
   * given up.
   */
  async run(step: Step): Promise<string> {
    this.caller.signal.throwIfAborted();
    if (step.quiet !== true) {
      this.tell(step.name);
    }
    try {
      return await this.start(step);
    } catch (error) {
      this.caller.signal.throwIfAborted();
      if (!(error instanceof CommandFailed)) {
        throw error;
      }
      const output = [...error.firstErrors, ...error.lastLines].join("\n");
      const wayOut = isDiskFull(output)
        ? diskFull(this.builder.paths)
        : ((error.tookTooLong ? step.wayOutOfTime : undefined) ?? step.wayOut(output));
      const message = `${this.version}: ${step.name} ${error.ending}\nWay out: ${wayOut}`;
      throw new StepFailed(scrub(message, this.variables), output);
    }
  }

  private start({ as, argv, cwd, writes, timeoutSeconds }: Step): Promise<string> {
    const { paths, account, enclosure } = this.builder;
    const { signal } = this.caller;
    const command = { argv, timeoutSeconds, signal, ...(cwd === undefined ? {} : { cwd }) };
    switch (as) {
      case "conductor":
        return runCommand({ ...command, argv: atLowPriority(argv) });
      case "builder":
        return runCommand({
          ...command,
          ...account,
          argv: atLowPriority(argv),
          env: ownEnvironment(paths.fetchHome),
        });
      case "stranger":
        return enclosure.run({
          ...command,
          env: { ...this.variables, ...ownEnvironment(paths.home) },
          ...(writes === undefined ? {} : { writes }),
        });
    }
  }
}

function isDiskFull(output: string): boolean {
  return /\b(ENOSPC|EDQUOT)\b|no space left on device|disk quota exceeded/i.test(output);
}

function diskFull(paths: Paths): string {
  return (
    `the disk is full: make room on the host (\`df -h ${paths.releases}\`), or lower application.releasesKept; ` +
    "application.minFreeMegabytes refuses a build before it gets that far"
  );
}

/** What fetches, installs and builds see: no secret of the conductor's, and nothing that asks a question. */
function ownEnvironment(home: string): Record<string, string> {
  const certificates = process.env["NODE_EXTRA_CA_CERTS"];
  return {
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: home,
    LANG: "C.UTF-8",
    CI: "true",
    GIT_TERMINAL_PROMPT: "0",
    GIT_SSH_COMMAND: "ssh -oBatchMode=yes -oConnectTimeout=20",
    NEXT_TELEMETRY_DISABLED: "1",
    NPM_CONFIG_AUDIT: "false",
    NPM_CONFIG_FUND: "false",
    NPM_CONFIG_UPDATE_NOTIFIER: "false",
    ...(certificates === undefined ? {} : { NODE_EXTRA_CA_CERTS: certificates }),
  };
}
