import { Client, type ConnectConfig, type ServerHostKeyAlgorithm } from "ssh2";

/** How to reach a host over SSH: as much of the command provider's `connection` as this program sets. */
export interface HostConnection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** The host's public key, pinned: `<type> <base64>`. */
  readonly hostKey: string;
  /** Unencrypted private key of the user. It is part of no error. */
  readonly privateKey: string;
}

/** What a command on the host answered. */
export interface HostAnswer {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Longest waits, in milliseconds. */
export interface Patience {
  /** Until the connection is made and the user let in. */
  readonly connectMs: number;
  /** From then until the command has ended. */
  readonly answerMs: number;
}

const PATIENCE: Patience = { connectMs: 5000, answerMs: 20_000 };

/**
 * Runs a command on a host, on a connection of its own.
 * @throws Error naming the host, what failed, and the way out, where there is no answer.
 */
export function askHost(
  connection: HostConnection,
  command: string,
  { connectMs, answerMs }: Patience = PATIENCE,
): Promise<HostAnswer> {
  const { host, port, user } = connection;
  const where = `${user}@${host}:${port}`;
  return new Promise((resolve, reject) => {
    const client = new Client();
    let refusal = "";
    const fail = (what: string): void => {
      clearTimeout(timer);
      client.destroy();
      reject(new Error(refusal === "" ? `${where} ${what}` : `${where} ${refusal}`));
    };
    const late = (): void => fail(`did not answer within ${answerMs / 1000} s`);
    let timer = setTimeout(() => fail(`could not be reached within ${connectMs / 1000} s`), connectMs);
    client.on("error", ({ message }) => fail(`could not be reached: ${message}`));
    client.on("close", () => fail("closed the connection"));
    client.on("ready", () => {
      clearTimeout(timer);
      timer = setTimeout(late, answerMs);
      execute(client, command).then(
        (answer) => {
          clearTimeout(timer);
          client.end();
          resolve(answer);
        },
        (error: unknown) => fail(`broke off: ${(error as Error).message}`),
      );
    });
    try {
      client.connect(connectConfig(connection, (reason) => (refusal = reason)));
    } catch (error) {
      // The key itself is at fault; the message tells how, and not what it holds.
      fail(`cannot be reached with this key: ${(error as Error).message}`);
    }
  });
}

function connectConfig(
  { host, port, user, hostKey, privateKey }: HostConnection,
  refuse: (reason: string) => void,
): ConnectConfig {
  const [type = "", base64 = ""] = hostKey.split(" ");
  const pinned = Buffer.from(base64, "base64");
  return {
    host,
    port,
    username: user,
    privateKey,
    // The caller's own timer is the limit.
    readyTimeout: 0,
    algorithms: { serverHostKey: [type as ServerHostKeyAlgorithm] },
    hostVerifier: (key: Buffer): boolean => {
      const matches = key.equals(pinned);
      if (!matches) {
        refuse("has another host key than the pinned one: it was set up anew, or something is in between");
      }
      return matches;
    },
  };
}

function execute(client: Client, command: string): Promise<HostAnswer> {
  return new Promise((resolve, reject) => {
    client.exec(command, (error, channel) => {
      if (error !== undefined) {
        reject(error);
        return;
      }
      const output = { stdout: "", stderr: "" };
      channel.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
      channel.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
      let exitCode: number | null = null;
      channel.on("exit", (code: number | null) => (exitCode = code));
      channel.on("close", () => {
        if (exitCode === null) {
          reject(new Error("the command was killed"));
        } else {
          resolve({ ...output, exitCode });
        }
      });
      channel.end();
    });
  });
}
