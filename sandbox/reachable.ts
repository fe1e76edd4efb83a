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

/** Ports that nobody listens on at `address`, and that nobody else was given, all different, as the kernel gives them. */
export async function freePorts(address: string, count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = net.createServer();
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(0, address, resolve);
      });
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as net.AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  const own = ports.filter((port) => !given.has(`${address} ${String(port)}`));
  for (const port of own) given.add(`${address} ${String(port)}`);
  return own.length === count ? own : [...own, ...(await freePorts(address, count - own.length))];
}
