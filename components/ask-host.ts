import { createHash } from "node:crypto";
import { createInterface } from "node:readline";
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
  /** How often the command provider tries again to connect; default 10. Nobody else does. */
  readonly dialErrorLimit?: number;
}

/** What a command on the host answered. */
export interface HostAnswer {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a command is run. */
export interface AskOptions {
  /** Longest wait until the connection is made and the user let in, in milliseconds; default 10,000. */
  readonly connectMs?: number;
  /**
   * Longest wait from then until the command has ended, in milliseconds; default 60,000, for a host that is slow to tell must not
   * close the way back. Null waits as long as the host is there.
   */
  readonly answerMs?: number | null;
  /** What the command reads; default: nothing. */
  readonly stdin?: string;
  /** Gets each line of standard error as it comes. */
  readonly onProgress?: (line: string) => void;
}

/** How often a silent host is asked whether it is there, in milliseconds, and how often in a row it may fail to answer. */
const KEEPALIVE = { keepaliveInterval: 10_000, keepaliveCountMax: 3 };

/**
 * Runs a command on a host, on a connection of its own.
 * @throws Error naming the host, what failed, and the way out, where there is no answer.
 */
export function askHost(
  connection: HostConnection,
  command: string,
  { connectMs = 10_000, answerMs = 60_000, ...input }: AskOptions = {},
): Promise<HostAnswer> {
  return new Promise((resolve, reject) => {
    const client = new Client();
    let refusal: string | undefined;
    const fail = (reason: string): void => {
      clearTimeout(timer);
      client.destroy();
      reject(new Error(refusal ?? reason));
    };
    const unreachable = (reason: string): void => fail(describeUnreachable(connection, reason));
    let timer = setTimeout(() => unreachable(`no answer within ${connectMs / 1000} s`), connectMs);
    client.on("error", (error) =>
      error.level === "client-authentication"
        ? fail(describeKey(connection, error))
        : unreachable(error.message),
    );
    client.on("close", () => unreachable("it closed the connection"));
    client.on("ready", () => {
      clearTimeout(timer);
      if (answerMs !== null) {
        timer = setTimeout(() => fail(`\`${command}\` did not end within ${answerMs / 1000} s`), answerMs);
      }
      execute(client, command, input).then(
        (answer) => {
          clearTimeout(timer);
          client.end();
          resolve(answer);
        },
        (error: unknown) => fail(`\`${command}\` broke off: ${(error as Error).message}`),
      );
    });
    try {
      client.connect(connectConfig(connection, (reason) => (refusal = reason)));
    } catch (error) {
      // The key itself is at fault; the message tells how, and not what it holds.
      fail(describeKey(connection, error as Error));
    }
  });
}

function describeUnreachable({ host, port, user }: HostConnection, reason: string): string {
  return (
    `cannot connect to ${user}@${host}:${port}: ${reason}. See that ${host} is up and that SSH is let through to it, ` +
    "or correct host.address or host.port"
  );
}

function describeKey({ host, port, user }: HostConnection, { message }: Error): string {
  return (
    `cannot connect to ${user}@${host}:${port}: ${message}. Put the public half of host.privateKeyFile into the file ` +
    `authorized_keys of ${user} on the host, or correct host.user or host.privateKeyFile`
  );
}

function fingerprint(key: Buffer): string {
  return `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
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
    ...KEEPALIVE,
    algorithms: { serverHostKey: [type as ServerHostKeyAlgorithm] },
    hostVerifier: (key: Buffer): boolean => {
      const matches = key.equals(pinned);
      if (!matches) {
        refuse(
          `the host key of ${host}:${port} is not the pinned one: expected ${fingerprint(pinned)}, seen ${fingerprint(key)}. ` +
            "Either the host was set up anew (correct host.hostKey), or something is in between",
        );
      }
      return matches;
    },
  };
}

function execute(
  client: Client,
  command: string,
  { stdin = "", onProgress }: Pick<AskOptions, "stdin" | "onProgress">,
): Promise<HostAnswer> {
  return new Promise((resolve, reject) => {
    client.exec(command, (error, channel) => {
      if (error !== undefined) {
        reject(error);
        return;
      }
      const output = { stdout: "", stderr: "" };
      channel.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
      channel.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
      if (onProgress !== undefined) createInterface({ input: channel.stderr }).on("line", onProgress);
      let exitCode: number | null = null;
      channel.on("exit", (code: number | null) => (exitCode = code));
      channel.on("close", () => {
        if (exitCode === null) {
          reject(new Error("the command was killed"));
        } else {
          resolve({ ...output, exitCode });
        }
      });
      channel.end(stdin);
    });
  });
}
