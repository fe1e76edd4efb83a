import { once } from "node:events";
import type { Server } from "node:http";
import { rmSync } from "node:fs";

/** Servers that listen on unix sockets for the length of a test. */
export class UnixServers {
  private readonly open: Server[] = [];

  /** Resolves once `server` listens at `path`, on which nobody else listens any more. */
  async listen(server: Server, path: string): Promise<Server> {
    rmSync(path, { force: true });
    server.listen(path);
    await once(server, "listening");
    this.open.push(server);
    return server;
  }

  /** For `afterEach`: ends them all, with every connection. */
  async close(): Promise<void> {
    await Promise.all(
      this.open.splice(0).map(async (server) => {
        const closed = server.listening ? once(server, "close") : Promise.resolve();
        server.close();
        server.closeAllConnections();
        await closed;
      }),
    );
  }
}
