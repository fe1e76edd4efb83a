import { request } from "node:https";
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
