import * as fs from "node:fs";
import type { Colour } from "../../../host/conductor/protocol";
import { waitFor } from "../../../sandbox/processes";
import type { RunningUp } from "./running-up";
import { answersRightly } from "./visitor";
import type { TestWorld } from "./world";

/**
 * What users may notice of a death.
 *
 * - `nothing`: no request fails.
 * - `inFlight`: those fail that were under way inside the killed processes, until all of them are gone.
 * - `colour`: in addition those of a colour that nobody else may stand in for, until it is back.
 * - `frontDoor`: in addition those that cannot be sent, or are cut, until the front door answers again.
 * - `host`: in addition any other, until the front door answers rightly again.
 */
export type Notice = "nothing" | "inFlight" | "colour" | "frontDoor" | "host";

/** Something that dies during a release. */
export interface Victim {
  readonly name: string;
  /** Does the `up` that is under way carry a release to its end all the same? */
  readonly upSurvives: boolean;
  /** Kills it as soon as it runs; resolves when users may notice no more, with what they may have noticed. */
  readonly strike: (world: TestWorld, up: RunningUp) => Promise<Notice>;
}

/** Longest wait for a process to be there, to be gone, or to be back, in seconds. */
const LIMIT = 180;

const CONDUCTOR_UNIT = "vehicleservice-conductor.service";

/** Waits for processes of the host that match, kills them at once, and waits until they and their children are gone. */
async function kill(world: TestWorld, pattern: RegExp): Promise<void> {
  const pids = await waitFor(`a process ${String(pattern)} to kill`, LIMIT, () => {
    const found = world.host.pidsOf(pattern);
    return found.length > 0 ? found : undefined;
  });
  const family = [...pids, ...pids.flatMap(childrenOf)];
  pids.forEach(killed);
  await gone(family);
}

function childrenOf(pid: number): number[] {
  const file = `/proc/${pid}/task/${pid}/children`;
  let text: string;
  try {
    text = fs.readFileSync(file, "utf8");
  } catch {
    // It has ended.
    return [];
  }
  return text
    .split(" ")
    .filter((word) => word !== "")
    .map(Number);
}

/** Kills the host's conductor, and nothing that it has just started; returns its id as the host numbers it. */
export async function killConductor({ host }: TestWorld): Promise<string> {
  const pid = await conductorPid(host);
  await host.exec(["systemctl", "kill", "--kill-whom=main", "--signal=KILL", CONDUCTOR_UNIT]);
  return pid;
}

/** Id of the conductor that runs, as the host numbers it; `0` for none. */
export async function conductorPid(host: TestWorld["host"]): Promise<string> {
  const shown = ["systemctl", "show", "--property=MainPID", "--value", CONDUCTOR_UNIT];
  return (await host.exec(shown)).stdout.trim();
}

/** Kills a process that may have ended by itself just now. */
export function killed(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function gone(pids: readonly number[]): Promise<true> {
  return waitFor(`processes ${pids.join(", ")} to be gone`, LIMIT, () =>
    pids.some((pid) => fs.existsSync(`/proc/${pid}`)) ? undefined : true,
  );
}

function serving(world: TestWorld): Promise<true> {
  return waitFor("the front door to answer rightly", LIMIT, async () =>
    (await answersRightly(world)) ? true : undefined,
  );
}

/** PM2 of a colour, and with it the colour's instances. */
function pm2Of(colour: Colour): Victim {
  return {
    name: `PM2 of ${colour}`,
    upSurvives: false,
    strike: async (world) => {
      const othersTakeUsers = (): Promise<boolean> => takesUsers(world, colour === "blue" ? "green" : "blue");
      const before = await othersTakeUsers();
      await kill(world, new RegExp(`pm2-runtime start \\S*${colour}`));
      if (before && (await othersTakeUsers())) return "inFlight";
      await serving(world);
      return "colour";
    },
  };
}

async function takesUsers(world: TestWorld, colour: Colour): Promise<boolean> {
  return (await world.status()).colours[colour].admitted;
}

/** Everything that a release needs, and that can die. */
export const VICTIMS = {
  engine: {
    name: "the engine",
    upSurvives: false,
    strike: async (_world, up) => {
      killed(up.pid);
      await up.ended;
      return "nothing";
    },
  },
  conductor: {
    name: "the conductor",
    upSurvives: true,
    strike: async (world) => {
      await kill(world, /node \S*\/conductor\.js /);
      return "nothing";
    },
  },
  master: {
    name: "Nginx's master",
    upSurvives: false,
    strike: async (world) => {
      await kill(world, /^nginx: master/);
      await serving(world);
      return "frontDoor";
    },
  },
  workers: {
    name: "Nginx's workers",
    upSurvives: false,
    strike: async (world) => {
      await kill(world, /^nginx: worker/);
      await serving(world);
      return "frontDoor";
    },
  },
  blue: pm2Of("blue"),
  green: pm2Of("green"),
  build: {
    name: "npm of the build",
    upSurvives: false,
    strike: async (world) => {
      await kill(world, /^npm (ci|run build)/);
      return "nothing";
    },
  },
  reboot: {
    name: "the host, by a reboot",
    upSurvives: false,
    strike: async (world) => {
      await world.host.reboot();
      await serving(world);
      return "host";
    },
  },
  powerCut: {
    name: "the host, by a power cut",
    upSurvives: false,
    strike: async (world) => {
      await world.host.powerCut();
      await serving(world);
      return "host";
    },
  },
} as const satisfies Record<string, Victim>;
