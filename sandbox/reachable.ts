import { randomInt } from "node:crypto";
import { once } from "node:events";
import * as net from "node:net";

/** Longest wait for a connection, and for the greeting of a server that took it, in milliseconds. */
const ANSWER_MS = 2000;

/** Tells whether an SSH server greets at this address right now. */
export function sshGreets(address: string, port = 22): Promise<boolean> {
  return probe(address, port, (socket, finish) => {
    socket.once("data", (greeting) => finish(greeting.toString().startsWith("SSH-2.0-")));
  });
}

/** Tells whether something takes connections at this address right now. */
export function listens(address: string, port: number): Promise<boolean> {
  return probe(address, port, (socket, finish) => {
    socket.once("connect", () => finish(true));
  });
}

function probe(
  host: string,
  port: number,
  watch: (socket: net.Socket, finish: (result: boolean) => void) => void,
): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port });
    const finish = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(ANSWER_MS, () => finish(false));
    socket.once("error", () => finish(false));
    socket.once("close", () => finish(false));
    watch(socket, finish);
  });
}

/** Ports that were given away by this process, as `address port`: who got one may not listen yet. */
const given = new Set<string>();

/**
 * Where ports are drawn: below those that Linux gives to whoever connects to anything (32768 on), of which it may give one
 * away before a service that starts slowly listens on it.
 */
const [FIRST_PORT, END_PORT] = [20_000, 32_768];

/** Ports that nobody listens on at `address`, and that nobody else was given, all different. */
export async function freePorts(address: string, count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = randomInt(FIRST_PORT, END_PORT);
    const name = `${address} ${String(port)}`;
    if (given.has(name)) continue;
    given.add(name);
    if (await isFree(address, port)) ports.push(port);
  }
  return ports;
}

/** Throws where it cannot be told, as for an address that is not this machine's. */
async function isFree(address: string, port: number): Promise<boolean> {
  const server = net.createServer().listen(port, address);
  try {
    await once(server, "listening");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") return false;
    throw error;
  }
  server.close();
  await once(server, "close");
  return true;
}
