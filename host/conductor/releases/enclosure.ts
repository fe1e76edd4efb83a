import { CommandFailed, runCommand, type Command } from "../system/command";

/** User and group that a release is built and run by. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** Runs other people's programs as {@link Account}, and ends with each one all that it started. */
export interface Enclosure {
  /** Runs a program to its end, like {@link runCommand}, at a low priority: the other colour serves on the same processors. */
  run(command: Command): Promise<string>;
  /** Ends what a conductor that died left running in here. */
  end(): Promise<void>;
}

/** Returns the argument list that runs `argv` behind everything else. */
export function atLowPriority(argv: readonly string[]): string[] {
  return ["nice", "-n", "19", "ionice", "-c", "3", ...argv];
}

/** A process group. What leaves it, as a daemon does, goes on: for machines without systemd. */
export function processGroup(account: Account): Enclosure {
  return {
    run: (command) => runCommand({ ...command, ...account, argv: atLowPriority(command.argv) }),
    end: () => Promise.resolve(),
  };
}

const STOP_TIMEOUT_SECONDS = 30;

/** What systemctl ends with for a unit that is not loaded: nothing runs in it. */
const NOT_LOADED = "exit code 5";

/**
 * A systemd scope, in which even a daemon stays. Nice values count only within one control group, so that the scope
 * has its own low weight against the colours'. A scope, unlike a service, keeps the environment to the program itself:
 * a unit's environment can be read by every user of the host.
 * @param unit Name of the scope, without suffix. One program at a time runs in it.
 */
export function systemdScope(unit: string, { uid, gid }: Account): Enclosure {
  const end = async (): Promise<void> => {
    try {
      await runCommand({
        argv: ["systemctl", "stop", "--quiet", `${unit}.scope`],
        timeoutSeconds: STOP_TIMEOUT_SECONDS,
      });
    } catch (error) {
      if (!(error instanceof CommandFailed) || !error.how.endsWith(NOT_LOADED)) {
        throw error;
      }
    }
  };
  const properties = ["KillSignal=SIGKILL", "CPUWeight=2", "IOWeight=2"].flatMap((text) => ["-p", text]);
  const user = [`--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"];
  const scope = ["systemd-run", "--scope", "--quiet", "--collect", `--unit=${unit}.scope`, ...properties];
  return {
    end,
    async run(command) {
      await end();
      const argv = [...scope, "--", "setpriv", ...user, "--", ...atLowPriority(command.argv)];
      return runCommand({ ...command, argv, onExit: end });
    },
  };
}
