import { request } from "node:https";
import type { Colour } from "../../../host/conductor/protocol";
import type { CommandResult } from "../../../sandbox/command";
import type { TestWorld } from "./world";

/** Longest wait for one answer, in milliseconds. */
const ANSWER_MS = 2000;

/** Is a new user, on a connection of its own, answered by the application at this moment? */
export function answersRightly(world: TestWorld): Promise<boolean> {
  const { address, host, tls } = world.loadTarget();
  return new Promise((resolve) => {
    const outgoing = request(
      {
        host: address,
        servername: host ?? "",
        ca: tls.ca,
        agent: false,
        path: "/api/whoami",
        headers: { host },
        signal: AbortSignal.timeout(ANSWER_MS),
      },
      (incoming) => {
        incoming.resume();
        incoming.once("close", () => resolve(incoming.complete && incoming.statusCode === 200));
      },
    );
    outgoing.once("error", () => resolve(false));
    outgoing.end();
  });
}

/** Instances of each colour in the tests' config. */
export const INSTANCES = 2;

/** Do all instances of a colour answer on their own sockets? */
export async function instancesAnswer(world: TestWorld, colour: Colour): Promise<boolean> {
  const sockets = Array.from(
    { length: INSTANCES },
    (_, instance) => `/run/vehicleservice/health/${colour}/${instance}.sock`,
  );
  const ask = (socket: string): Promise<CommandResult> =>
    world.host.exec(["curl", "--silent", "--fail", "--unix-socket", socket, "http://instance/api/health"], {
      check: false,
    });
  return (await Promise.all(sockets.map(ask))).every(({ exitCode }) => exitCode === 0);
}
