import { chown, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { CommandFailed, runCommand, type Command } from "../system/command";
import type { Paths } from "../paths";

/** User and group that a release is built and run by. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** A program to run enclosed. */
export interface EnclosedCommand extends Command {
  /** The directory that it makes: the only one, beside those of {@link Walls}, that it can write into. */
  readonly writes?: string;
}

/** Runs other people's programs as {@link Account}, and ends with each one all that it started. */
export interface Enclosure {
  /** Runs a program to its end, like {@link runCommand}, at a low priority: the other colour serves on the same processors. */
  run(command: EnclosedCommand): Promise<string>;
  /** Ends what a conductor that died left running in here. */
  end(): Promise<void>;
}

/** Returns the argument list that runs `argv` behind everything else. */
export function atLowPriority(argv: readonly string[]): string[] {
  return ["nice", "-n", "19", "ionice", "-c", "3", ...argv];
}

/**
 * A process group, for machines without systemd, and for tests. It has no walls: its programs read, write and signal what
 * their user can, environments and what serves included. What leaves the group, as a daemon does, goes on. It has no
 * weight of its own against what serves, but its nice value.
 */
export function processGroup(account: Account): Enclosure {
  return {
    run: (command) => runCommand({ ...command, ...account, argv: atLowPriority(command.argv) }),
    end: () => Promise.resolve(),
  };
}

/** What separates a program from the rest of the host, beside its user. */
export interface Walls {
  /** Program that builds them, `host/bin/enclose`. */
  readonly program: string;
  /** Directories in which nothing is found, and nothing can be made. One that is not there is none to hide. */
  readonly hidden: readonly string[];
  /** Directories that stay as they are, and writable, also within hidden ones. */
  readonly kept: readonly string[];
  /** Is `/tmp` and `/var/tmp` in there; made for each program, and removed with it. Only root may write above it. */
  readonly temporary: string;
}

/** Returns the walls between installs or builds and what serves: its secrets, its processes, its files, its sockets. */
export function wallsOf(paths: Paths): Walls {
  return {
    program: paths.enclose,
    // Keys for fetching private repositories are in the user's own home, which is where releases are. Nginx' workers are
    // of the same user: its logs tell of users, and its directory holds what they send.
    hidden: [paths.state, paths.runtime, "/var/log", "/var/lib/nginx", join(paths.releases, ".ssh")],
    kept: [paths.home],
    temporary: paths.temporary,
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
 * @param walls None for programs of the host's own, which may meet what serves.
 */
export function systemdScope(unit: string, account: Account, walls?: Walls): Enclosure {
  const stop = async (): Promise<void> => {
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
  const end = async (): Promise<void> => {
    await stop();
    if (walls !== undefined) {
      await rm(walls.temporary, { recursive: true, force: true });
    }
  };
  return {
    end,
    async run({ writes, ...command }) {
      await end();
      if (walls !== undefined) {
        await mkdir(walls.temporary, { mode: 0o700 });
        await chown(walls.temporary, account.uid, account.gid);
      }
      const argv = enclosedArguments({ unit, account, argv: command.argv, writes, walls });
      return runCommand({ ...command, argv, onExit: end });
    },
  };
}

/** What {@link enclosedArguments} is about. */
export interface Enclosed extends Pick<EnclosedCommand, "argv"> {
  readonly unit: string;
  readonly account: Account;
  readonly writes?: string | undefined;
  readonly walls?: Walls | undefined;
}

/** Returns the argument list that runs `argv` in a scope of systemd, as the account, behind the walls. No part of an environment is in it. */
export function enclosedArguments({ unit, account, argv, writes, walls }: Enclosed): string[] {
  const { uid, gid } = account;
  const properties = ["KillSignal=SIGKILL", "CPUWeight=2", "IOWeight=2"].flatMap((text) => ["-p", text]);
  const scope = ["systemd-run", "--scope", "--quiet", "--collect", `--unit=${unit}.scope`, ...properties];
  if (walls === undefined) {
    const user = ["setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups"];
    return [...scope, "--", ...user, "--", ...atLowPriority(argv)];
  }
  const kept = [...walls.kept, ...(writes === undefined ? [] : [writes])];
  const options = [
    ["--user", `${uid}:${gid}`],
    ...walls.hidden.map((directory) => ["--hide", directory]),
    ...kept.map((directory) => ["--keep", directory]),
    ["--temporary", walls.temporary],
  ].flat();
  return [...scope, "--", walls.program, ...options, "--", ...atLowPriority(argv)];
}
