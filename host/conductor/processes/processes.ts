import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { KILL_AFTER_MS } from "../../launcher/connection-times";
import { CommandFailed, runCommand } from "../system/command";
import { readIfThere, removeDurably, writeDurably } from "../system/durable-file";
import { environmentFile } from "../releases/environments";
import { linesSince, markLog, type LogMark } from "./error-log";
import type { Paths } from "../paths";
import type { Pm2 } from "./pm2";
import type { Colour, SiteSettings } from "../protocol";
import type { RunningRelease } from "../site";

/** The processes of a colour: PM2 in a systemd unit of its own, so that one colour's PM2 never touches the other's. */
export interface Processes {
  /** Stops what the colour runs, and starts `release` in its place. */
  swap(colour: Colour, release: RunningRelease, settings: SiteSettings): Promise<void>;
  /**
   * Starts what is down: the instances of `release` that do not run, or the colour's unit where none does, or where its
   * ecosystem file is not what it should be. What runs is not touched otherwise.
   */
  ensure(colour: Colour, release: RunningRelease, settings: SiteSettings): Promise<void>;
  /**
   * {@link Processes.ensure} for a colour that has users: its unit is not started anew for a changed ecosystem file, which
   * is written for the next time.
   */
  mend(colour: Colour, release: RunningRelease, settings: SiteSettings): Promise<void>;
  /** Stops the colour, now and at the next boot. */
  stop(colour: Colour): Promise<void>;
  /** The last lines that the colour's instances wrote to their error log since this conductor started them. */
  errors(colour: Colour): Promise<readonly string[]>;
}

const SYSTEMCTL_TIMEOUT_SECONDS = 90;

/** PM2's words for an instance that it has stopped, or given up. */
const DOWN = ["stopped", "stopping", "errored"];

/** Processes by systemd and `pm2-runtime`. */
export function systemdProcesses(app: string, paths: Paths, pm2: Pm2): Processes {
  const marks = new Map<Colour, LogMark>();
  const unit = (colour: Colour): string => unitOf(paths, colour);
  const file = (colour: Colour): string => ecosystemPath(paths, colour);
  const systemctl = async (...argv: string[]): Promise<void> => {
    await runCommand({ argv: ["systemctl", ...argv], timeoutSeconds: SYSTEMCTL_TIMEOUT_SECONDS });
  };
  const start = async (colour: Colour, text: string): Promise<void> => {
    marks.set(colour, await markLog(errorLog(paths, colour)));
    await mkdir(join(paths.pm2, colour), { recursive: true });
    await writeDurably(file(colour), text, 0o644);
    if (!(await isEnabled(unit(colour)))) {
      await systemctl("enable", "--quiet", unit(colour));
    }
    await systemctl("start", unit(colour));
  };
  const startWhatIsDown = async (
    colour: Colour,
    release: RunningRelease,
    settings: SiteSettings,
  ): Promise<void> => {
    const instances = await pm2.instances(colour);
    if (instances === null) {
      return;
    }
    const down = instances.filter(({ status }) => DOWN.includes(status));
    if (down.length === instances.length) {
      await systemctl("stop", unit(colour));
      await start(colour, ecosystem(app, paths, colour, release, settings));
      return;
    }
    marks.set(colour, await markLog(errorLog(paths, colour)));
    if (down.length > 0) {
      await pm2.start(colour, down);
    }
    if (instances.length < release.instances) {
      await pm2.scale(colour, appName(app, colour), release.instances);
    }
  };
  return {
    async swap(colour, release, settings) {
      await systemctl("stop", unit(colour));
      await start(colour, ecosystem(app, paths, colour, release, settings));
    },
    async ensure(colour, release, settings) {
      const text = ecosystem(app, paths, colour, release, settings);
      if ((await readIfThere(file(colour))) !== text || !(await isRunning(paths, colour))) {
        await systemctl("stop", unit(colour));
        await start(colour, text);
      } else {
        await startWhatIsDown(colour, release, settings);
      }
    },
    async mend(colour, release, settings) {
      await start(colour, ecosystem(app, paths, colour, release, settings));
      await startWhatIsDown(colour, release, settings);
    },
    async stop(colour) {
      await systemctl("disable", "--quiet", "--now", unit(colour));
      await removeDurably(file(colour));
    },
    async errors(colour) {
      const mark = marks.get(colour);
      return mark === undefined ? [] : linesSince(mark);
    },
  };
}

/** Error log of a colour's instances. */
export function errorLog(paths: Paths, colour: Colour): string {
  return join(paths.logs, `${colour}_error.log`);
}

/** Does systemd run a colour, or is it about to start it again? */
export async function isRunning(paths: Paths, colour: Colour): Promise<boolean> {
  const state = await runCommand({
    argv: ["systemctl", "show", "--property=ActiveState", "--value", unitOf(paths, colour)],
    timeoutSeconds: SYSTEMCTL_TIMEOUT_SECONDS,
  });
  return ["active", "activating", "reloading"].includes(state.trim());
}

/**
 * Is a unit started at the next boot? Enabled once more, it would have systemd read all its units anew, while a colour is
 * down.
 */
async function isEnabled(unit: string): Promise<boolean> {
  try {
    const state = await runCommand({
      argv: ["systemctl", "is-enabled", unit],
      timeoutSeconds: SYSTEMCTL_TIMEOUT_SECONDS,
    });
    return state.trim() === "enabled";
  } catch (error) {
    // That is how it says no.
    if (error instanceof CommandFailed) {
      return false;
    }
    throw error;
  }
}

function unitOf(paths: Paths, colour: Colour): string {
  return `${paths.unit}@${colour}.service`;
}

function appName(app: string, colour: Colour): string {
  return `${app}-production-${colour}`;
}

/** Where the ecosystem file of a colour is. */
export function ecosystemPath(paths: Paths, colour: Colour): string {
  return join(paths.pm2, colour, "ecosystem.json");
}

/** PM2's ecosystem file of a colour, with the guide's names, logs and restarts. Pure. */
export function ecosystem(
  app: string,
  paths: Paths,
  colour: Colour,
  release: RunningRelease,
  settings: SiteSettings,
): string {
  const { intent, commit, directory } = release;
  const application = {
    name: appName(app, colour),
    script: paths.launcher,
    cwd: directory,
    exec_mode: "cluster",
    instances: release.instances,
    env: {
      NODE_ENV: "production",
      PORT: String(settings.ports[colour]),
      APP_COLOUR: colour,
      APP_VERSION: intent.version,
      APP_COMMIT: commit,
      CONDUCTOR_SCRIPT: join(directory, intent.script),
      CONDUCTOR_ARGUMENTS: JSON.stringify(intent.args),
      CONDUCTOR_HEALTH: join(paths.health, colour),
      CONDUCTOR_ENVIRONMENT: environmentFile(paths, intent.environment),
      CONDUCTOR_ERROR_LOG: errorLog(paths, colour),
    },
    error_file: errorLog(paths, colour),
    out_file: join(paths.logs, `${colour}_out.log`),
    log_date_format: "YYYY-MM-DD HH:mm:ss Z",
    merge_logs: true,
    autorestart: true,
    max_restarts: 10,
    min_uptime: "10s",
    kill_timeout: KILL_AFTER_MS,
  };
  return `${JSON.stringify({ apps: [application] }, null, 2)}\n`;
}
