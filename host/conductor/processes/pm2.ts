import { join } from "node:path";
import { z } from "zod";
import { Failed } from "../faults";
import { CommandFailed } from "../system/command";
import type { Enclosure } from "../releases/enclosure";
import { Lane } from "../system/lane";
import type { Paths } from "../paths";
import type { Colour } from "../protocol";
import { listens } from "../system/listens";

/** An instance, as a colour's PM2 knows it. */
export interface Instance {
  /** PM2's number of it. */
  readonly id: number;
  /** Its number among the instances of the colour, from 0. */
  readonly number: number;
  /** PM2's word for what it does, e.g. `online`, `stopped`, `errored`. */
  readonly status: string;
}

/** The PM2 of a colour. */
export interface Pm2 {
  /** Null where no PM2 listens: it is starting, or systemd starts it anew. */
  instances(colour: Colour): Promise<readonly Instance[] | null>;
  /** Starts instances that do not run. */
  start(colour: Colour, instances: readonly Instance[]): Promise<void>;
  /** Starts as many more instances of application `name` as are missing to `instances`. */
  scale(colour: Colour, name: string, instances: number): Promise<void>;
}

const PM2_TIMEOUT_SECONDS = 60;

const listSchema = z.array(
  z.object({
    pm_id: z.number(),
    pm2_env: z.object({ status: z.string(), NODE_APP_INSTANCE: z.number().default(0) }),
  }),
);

/**
 * PM2 by its command line, which starts a daemon of its own where it finds none: it runs enclosed, so that such a daemon
 * ends with it.
 */
export function pm2OfColours(paths: Paths, enclosure: Enclosure): Pm2 {
  const lane = new Lane();
  const pm2 = async (colour: Colour, ...args: string[]): Promise<string> => {
    const home = join(paths.pm2, colour);
    const env = { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: home, PM2_HOME: home };
    const argv = ["node", paths.pm2Program, ...args];
    try {
      // An enclosure holds one program at a time, and both colours may be asked at once.
      return await lane.run(() =>
        enclosure.run({ argv, env, cwd: "/", timeoutSeconds: PM2_TIMEOUT_SECONDS }),
      );
    } catch (error) {
      if (error instanceof CommandFailed) {
        throw new Failed(
          `PM2 of ${colour}: ${args.join(" ")} ${error.ending}\nWay out: see \`systemctl status ${paths.unit}@${colour}\` and \`${paths.unit}-pm2 ${colour} list\``,
        );
      }
      throw error;
    }
  };
  return {
    async instances(colour) {
      // Not only for speed: its own daemon would take the place of one that has not got as far as listening.
      if (!(await listens(join(paths.pm2, colour, "rpc.sock")))) {
        return null;
      }
      return parseInstances(await pm2(colour, "jlist"), `${paths.unit}-pm2 ${colour} jlist`);
    },
    async start(colour, instances) {
      // PM2's word for it, although nothing that runs is touched.
      await pm2(colour, "restart", ...instances.map(({ id }) => String(id)));
    },
    async scale(colour, name, instances) {
      await pm2(colour, "scale", name, String(instances));
    },
  };
}

/**
 * Reads what `pm2 jlist` prints: one line of JSON, behind words for people.
 * @param command shows it to an operator
 * @throws Failed where there is none.
 */
export function parseInstances(output: string, command: string): Instance[] {
  const line = output
    .split("\n")
    .reverse()
    .find((text) => text.startsWith("["));
  try {
    return listSchema.parse(JSON.parse(line ?? "")).map(({ pm_id, pm2_env }) => ({
      id: pm_id,
      number: pm2_env.NODE_APP_INSTANCE,
      status: pm2_env.status,
    }));
  } catch {
    throw new Failed(`PM2 does not list its instances; see \`${command}\``);
  }
}
