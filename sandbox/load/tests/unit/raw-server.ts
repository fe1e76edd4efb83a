import { createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";

/** Answers requests of HTTP/1.1 with whatever bytes a test wants, and closes when it wants. */
export interface RawServer {
  readonly port: number;
  /** Connections that were accepted so far, the closed ones included. */
  readonly sockets: readonly Socket[];
  /** Bodies of the requests that arrived, in order. */
  readonly requests: readonly string[];
  /** Stops accepting and ends all connections. */
  close(): Promise<void>;
}

/** Does something with the `number`-th request of the whole server, counted from 1. */
export type Behaviour = (socket: Socket, number: number, request: string) => void;

/** An answer of HTTP/1.1 that the load client takes as right. */
export function answer(colour = "blue", version = "v1", head = ""): string {
  const body = JSON.stringify({ colour, version });
  return `HTTP/1.1 200 OK\r\n${head}content-length: ${body.length}\r\n\r\n${body}`;
}

/** Cuts one request after another from what arrives; requests carry a content-length or no body. */
function splitRequests(socket: Socket, take: (request: string) => void): void {
  let text = "";
  socket.setEncoding("latin1");
  socket.on("data", (data: string) => {
    text += data;
    for (;;) {
      const headEnd = text.indexOf("\r\n\r\n");
      if (headEnd < 0) return;
      const length = Number(/content-length: (\d+)/i.exec(text.slice(0, headEnd))?.[1] ?? 0);
      if (text.length < headEnd + 4 + length) return;
      const request = text.slice(0, headEnd + 4 + length);
      text = text.slice(headEnd + 4 + length);
      take(request);
    }
  });
}

/** Listens on a free port of the loopback. */
export async function rawServer(behave: Behaviour): Promise<RawServer> {
  const sockets: Socket[] = [];
  const requests: string[] = [];
  const server: Server = createServer({ noDelay: true }, (socket) => {
    sockets.push(socket);
    socket.on("error", () => socket.destroy());
    splitRequests(socket, (request) => behave(socket, requests.push(request), request));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
  return { port: (server.address() as AddressInfo).port, sockets, requests, close };
}
