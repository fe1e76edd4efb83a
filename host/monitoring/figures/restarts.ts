import { createRequire } from "node:module";
import { join } from "node:path";
import { COLOURS, type Colour } from "../../conductor/protocol";
import type { Paths } from "../../conductor/paths";
import { listens } from "../../conductor/system/listens";
import { METRICS } from "../protocol";
import { increase } from "./counters";
import { figure, type Figure } from "./figure";

/** Restarts of each colour's instances, as its PM2 counted them since it was started; none for a colour without a PM2. */
export type Restarts = Readonly<Partial<Record<Colour, number>>>;

/** How long a PM2 may take to answer, in milliseconds. */
const TIMEOUT_MS = 5000;

/** What is used of PM2's own way to speak to its daemon. */
interface Rpc {
  call(method: string, argument: object, done: (error: Error | null, answer: unknown) => void): void;
}
interface Connection {
  connect(socket: string): void;
  on(event: "error", listener: (error: Error) => void): void;
  close(): void;
}

/** Asks the PM2 of each colour. Its command line would start a Node for each question, and a daemon where it finds none. */
export async function readRestarts(paths: Pick<Paths, "pm2" | "pm2Software">): Promise<Restarts> {
  const found = await Promise.all(
    COLOURS.map(async (colour) => {
      const socket = join(paths.pm2, colour, "rpc.sock");
      return (await listens(socket)) ? [[colour, await ask(paths.pm2Software, socket)] as const] : [];
    }),
  );
  return Object.fromEntries(found.flat());
}

function ask(software: string, socket: string): Promise<number> {
  const load = createRequire(join(software, "package.json"));
  const axon = load("./modules/pm2-axon") as { socket(kind: string): Connection };
  const { Client } = load("./modules/pm2-axon-rpc") as { Client: new (connection: Connection) => Rpc };
  const connection = axon.socket("req");
  return new Promise<number>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`PM2 does not answer at ${socket}`)), TIMEOUT_MS);
    // Each try to connect again may fail anew, and an error that nobody listens for would end the process.
    connection.on("error", reject);
    connection.connect(socket);
    new Client(connection).call("getMonitorData", {}, (error, list) => {
      clearTimeout(timer);
      const restarts = restartsIn(list);
      if (error !== null || restarts === null) reject(error ?? new Error("PM2 does not list its instances"));
      else resolve(restarts);
    });
  }).finally(() => connection.close());
}

/** The restarts of all instances that PM2 lists; null for what is no such list: it is the releases' user who answers. */
export function restartsIn(list: unknown): number | null {
  if (!Array.isArray(list)) return null;
  const counts = list.map(
    (one) => (one as { pm2_env?: { restart_time?: unknown } } | null)?.pm2_env?.restart_time,
  );
  return counts.every((count) => typeof count === "number" && Number.isFinite(count))
    ? (counts as number[]).reduce((sum, count) => sum + count, 0)
    : null;
}

/** What is published of the restarts between two looks. */
export function restartFigures(now: Restarts, before: Restarts): Figure[] {
  const restarts = COLOURS.reduce((sum, colour) => {
    const count = now[colour];
    // A PM2 that was not there before has counted since then.
    return count === undefined ? sum : sum + increase(count, before[colour] ?? 0);
  }, 0);
  return [figure(METRICS.restarts, restarts)];
}
