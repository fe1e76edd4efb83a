import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A wire to a Postgres that brings every word there, and loses the answer to one. */
export class DeafWire {
  /** Whether it loses the answer to the next text that ends in the word, and the connection, or all that is said on it from then on. */
  deaf = false;
  /** How many answers it lost. */
  lost = 0;
  private readonly directory = mkdtempSync(join(tmpdir(), "wire-"));
  private readonly sockets = new Set<Socket>();
  private readonly server = createServer((near) => this.join(near));

  /**
   * @param socket Path of the server's socket.
   * @param word What a text ends in whose answer is lost.
   * @param afterwards Whether the connection ends then, or goes on in silence.
   */
  constructor(
    private readonly socket: string,
    private readonly word: string,
    private readonly afterwards: "end" | "silence" = "end",
  ) {}

  /** @returns directory of a socket that leads to the server */
  async open(): Promise<string> {
    this.server.listen(join(this.directory, ".s.PGSQL.5432"));
    await once(this.server, "listening");
    return this.directory;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
    await once(this.server, "close");
    rmSync(this.directory, { recursive: true });
  }

  private join(near: Socket): void {
    const far = connect(this.socket);
    for (const socket of [near, far]) {
      this.sockets.add(socket.on("error", () => undefined));
    }
    let answers = true;
    near.on("data", (data) => {
      if (this.deaf && data.toString("latin1").endsWith(`${this.word}\0`)) {
        [this.deaf, answers] = [false, false];
        this.lost += 1;
      }
      far.write(data);
    });
    far.on("data", (data) => {
      // The server has done it when it answers.
      if (answers) near.write(data);
      else if (this.afterwards === "end") near.destroy();
    });
    near.on("close", () => far.destroy());
    far.on("close", () => near.destroy());
  }
}
