import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readSync, statSync, writeSync } from "node:fs";
import type { AddressInfo } from "node:net";
import {
  Server,
  utils,
  type Attributes,
  type Connection,
  type ServerChannel,
  type Session,
  type SFTPWrapper,
} from "ssh2";

const { STATUS_CODE, OPEN_MODE } = utils.sftp;

/** A key pair in the forms that SSH wants. */
export interface SshKey {
  readonly private: string;
  readonly public: string;
}

/** Makes a key pair. */
export function makeKey(): SshKey {
  for (;;) {
    const { private: secret, public: open } = utils.generateKeyPairSync("ed25519");
    // A few in a thousand of those that ssh2 makes it cannot read again.
    if (![secret, open].some((text) => utils.parseKey(text) instanceof Error))
      return { private: secret, public: open };
  }
}

/** An SSH server on loopback that runs commands with this machine's shell, for one user with one key. */
export class SshServer {
  /** Connections that were made, ever. */
  connections = 0;
  /** Sessions that are open, and the most that ever were at once. */
  sessions = 0;
  mostSessions = 0;
  /** Commands in the order in which they came. */
  readonly commands: string[] = [];
  private readonly open = new Set<Connection>();

  private constructor(
    private readonly server: Server,
    readonly port: number,
    readonly hostKey: SshKey,
  ) {}

  /** Starts a server; `accepted` are the environment variables that it takes, as sshd's AcceptEnv. */
  static async start(options: {
    userKey: SshKey;
    password?: string;
    hostKey?: SshKey;
    accepted?: string[];
    port?: number;
  }): Promise<SshServer> {
    const hostKey = options.hostKey ?? makeKey();
    const allowed = utils.parseKey(options.userKey.public);
    if (allowed instanceof Error) throw allowed;
    const server = new Server({ hostKeys: [hostKey.private] });
    await once(server.listen(options.port ?? 0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const started = new SshServer(server, port, hostKey);
    server.on("connection", (connection) => {
      started.connections++;
      started.open.add(connection);
      connection.on("error", () => undefined);
      connection.on("close", () => started.open.delete(connection));
      connection.on("authentication", (request) => {
        const byKey = request.method === "publickey" && request.key.data.equals(allowed.getPublicSSH());
        const byPassword = request.method === "password" && request.password === options.password;
        if (byKey || byPassword) request.accept();
        else request.reject(["publickey", "password"]);
      });
      connection.on("session", (accept) => {
        started.serve(accept(), options.accepted ?? []);
      });
    });
    return started;
  }

  /** Cuts every connection, as a host that goes down. */
  cut(): void {
    for (const connection of this.open) connection.end();
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise<void>((settle) =>
      this.server.close(() => {
        settle();
      }),
    );
  }

  private serve(session: Session, accepted: readonly string[]): void {
    this.sessions++;
    this.mostSessions = Math.max(this.mostSessions, this.sessions);
    const environment: Record<string, string> = {};
    let open = true;
    const close = (): void => {
      if (open) this.sessions--;
      open = false;
    };
    session.on("close", close);
    session.on("env", (accept, reject, { key, val }) => {
      const taken = accepted.includes(key);
      if (taken) environment[key] = val;
      // The client may not want an answer.
      (taken ? (accept as (() => void) | undefined) : (reject as (() => void) | undefined))?.();
    });
    session.on("exec", (accept, _reject, { command }) => {
      this.commands.push(command);
      // Before the client hears of its end and may open another one: ssh2 tells that a session is closed some time after it is.
      runShell(accept(), command, environment, close);
    });
    session.on("sftp", (accept) => {
      serveFiles(accept());
    });
  }
}

function runShell(
  channel: ServerChannel,
  command: string,
  environment: Record<string, string>,
  ended: () => void,
): void {
  const child = spawn("/bin/sh", ["-c", command], {
    env: { PATH: process.env["PATH"], ...environment },
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin.on("error", () => undefined);
  channel.pipe(child.stdin);
  child.stdout.pipe(channel, { end: false });
  child.stderr.pipe(channel.stderr, { end: false });
  channel.on("close", () => child.kill("SIGKILL"));
  channel.on("error", () => undefined);
  child.on("close", (code) => {
    ended();
    if (channel.destroyed) return;
    channel.exit(code ?? 255);
    channel.end();
  });
}

/** As much of an SFTP server as a copy needs. */
function serveFiles(sftp: SFTPWrapper): void {
  const attempt = (id: number, act: () => void): void => {
    try {
      act();
    } catch (error) {
      const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
      sftp.status(id, missing ? STATUS_CODE.NO_SUCH_FILE : STATUS_CODE.FAILURE, String(error));
    }
  };
  const attributes = (path: string): Attributes => {
    const { mode, uid, gid, size, atimeMs, mtimeMs } = statSync(path);
    return { mode, uid, gid, size, atime: atimeMs / 1000, mtime: mtimeMs / 1000 };
  };
  sftp.on("STAT", (id, path) => {
    attempt(id, () => {
      sftp.attrs(id, attributes(path));
    });
  });
  sftp.on("MKDIR", (id, path) => {
    attempt(id, () => {
      mkdirSync(path);
      sftp.status(id, STATUS_CODE.OK);
    });
  });
  sftp.on("OPEN", (id, path, flags) => {
    attempt(id, () => {
      const handle = openSync(path, flags & OPEN_MODE.WRITE ? "w" : "r");
      const name = Buffer.alloc(4);
      name.writeUInt32BE(handle);
      sftp.handle(id, name);
    });
  });
  sftp.on("WRITE", (id, name, offset, data) => {
    attempt(id, () => {
      writeSync(name.readUInt32BE(), data, 0, data.length, offset);
      sftp.status(id, STATUS_CODE.OK);
    });
  });
  sftp.on("READ", (id, name, offset, length) => {
    attempt(id, () => {
      const data = Buffer.alloc(length);
      const read = readSync(name.readUInt32BE(), data, 0, length, offset);
      if (read === 0) sftp.status(id, STATUS_CODE.EOF);
      else sftp.data(id, data.subarray(0, read));
    });
  });
  sftp.on("FSETSTAT", (id) => {
    sftp.status(id, STATUS_CODE.OK);
  });
  sftp.on("CLOSE", (id, name) => {
    attempt(id, () => {
      closeSync(name.readUInt32BE());
      sftp.status(id, STATUS_CODE.OK);
    });
  });
}
