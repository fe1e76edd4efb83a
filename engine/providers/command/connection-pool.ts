import { createRequire } from "node:module";
import { setTimeout as delay } from "node:timers/promises";
import type { Client, ConnectConfig, ServerHostKeyAlgorithm } from "ssh2";
import { EngineError, messageOf } from "../../errors";
import type { ProviderContext } from "../provider";
import {
  connectionKey,
  fingerprint,
  hostKeyAlgorithms,
  parseHostKey,
  type ConnectionOptions,
} from "./connection";
import { requireGoing } from "./limits";

/** Channels that one connection carries at a time; OpenSSH's MaxSessions is 10 by default. */
const CHANNELS_PER_CONNECTION = 8;
const KEEPALIVE_MILLISECONDS = 10_000;
const KEEPALIVE_LIMIT = 3;
const FIRST_RETRY_MILLISECONDS = 100;
const RETRY_FACTOR = 1.5;
const LONGEST_RETRY_MILLISECONDS = 5000;

/** A fault that another dial cannot mend. */
class PermanentDialError extends EngineError {}

/** One connection, or the attempt at one, and who waits for a channel of it. */
interface Entry {
  readonly client: Promise<Client>;
  channels: number;
  readonly waiting: (() => void)[];
}

/**
 * SSH connections of one run: one for each host, port, user and key, shared by all commands that go there. A connection
 * that broke is dialled anew by the next command.
 */
export class ConnectionPool {
  private readonly entries = new Map<string, Entry>();

  /**
   * Runs `use` with a connection, within the limit of channels; not where the run was cancelled before there was one. The
   * first user dials and sees the dial's failures.
   */
  async with<T>(
    context: ProviderContext,
    options: ConnectionOptions,
    use: (client: Client) => Promise<T>,
  ): Promise<T> {
    requireGoing(context);
    const entry = this.entryFor(context, options);
    await acquireChannel(entry);
    try {
      const client = await entry.client;
      // It may have waited long for its turn.
      requireGoing(context);
      return await use(client);
    } finally {
      releaseChannel(entry);
    }
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    const entries = [...this.entries.values()];
    this.entries.clear();
    for (const result of await Promise.allSettled(entries.map((entry) => entry.client))) {
      if (result.status === "fulfilled") result.value.end();
    }
  }

  private entryFor(context: ProviderContext, options: ConnectionOptions): Entry {
    const key = connectionKey(options);
    const known = this.entries.get(key);
    if (known) return known;
    const entry: Entry = { client: dialWithRetries(context, options), channels: 0, waiting: [] };
    this.entries.set(key, entry);
    const forget = (): void => {
      if (this.entries.get(key) === entry) this.entries.delete(key);
    };
    entry.client.then((client) => client.once("close", forget), forget);
    return entry;
  }
}

async function acquireChannel(entry: Entry): Promise<void> {
  if (entry.channels >= CHANNELS_PER_CONNECTION)
    await new Promise<void>((resolve) => entry.waiting.push(resolve));
  else entry.channels++;
}

function releaseChannel(entry: Entry): void {
  // A waiter takes the place over, so that the count stays as it is.
  const next = entry.waiting.shift();
  if (next) next();
  else entry.channels--;
}

async function dialWithRetries(context: ProviderContext, options: ConnectionOptions): Promise<Client> {
  const limit = options.dialErrorLimit;
  const shownLimit = limit < 0 ? "inf" : String(limit);
  let pause = FIRST_RETRY_MILLISECONDS;
  for (let attempt = 1; ; attempt++) {
    try {
      return await dial(context, options);
    } catch (error) {
      if (error instanceof PermanentDialError || context.signal.aborted) throw error;
      if (limit >= 0 && attempt > limit) {
        throw new Error(
          `cannot connect to ${options.user}@${options.host}:${String(options.port)} after ${String(attempt - 1)} failed attempts: ${messageOf(error)}. See that ${options.host} is up and that SSH is let through to it, or correct connection.host or connection.port; then run \`up\` again`,
          { cause: error },
        );
      }
      context.log("info", `Dial ${String(attempt)}/${shownLimit} failed: retrying`);
    }
    await delay(pause, undefined, { signal: context.signal });
    pause = Math.min(pause * RETRY_FACTOR, LONGEST_RETRY_MILLISECONDS);
  }
}

function refusedKey({ host, port, user }: ConnectionOptions, error: Error): PermanentDialError {
  return new PermanentDialError(
    `cannot connect to ${user}@${host}:${String(port)}: ${messageOf(error)}. Put the public half of connection.privateKey into the file authorized_keys of ${user} on the host, or correct connection.user or connection.privateKey; then run \`up\` again`,
  );
}

function dial(context: ProviderContext, options: ConnectionOptions): Promise<Client> {
  // Loaded only where somebody is called: most previews call nobody, and it is large.
  const ssh2 = createRequire(__filename)("ssh2") as typeof import("ssh2");
  const client = new ssh2.Client();
  return new Promise((resolve, reject) => {
    let seen: PermanentDialError | undefined;
    const fail = (error: Error): void => {
      client.destroy();
      reject(seen ?? error);
    };
    const abort = (): void => {
      fail(new Error("cancelled"));
    };
    context.signal.addEventListener("abort", abort, { once: true });
    client.once("ready", () => {
      context.signal.removeEventListener("abort", abort);
      client.setNoDelay(true);
      resolve(client);
    });
    // Never taken away: a connection that fails may say so twice, and an error that nobody listens to ends the process.
    // Once it is ready a fault ends it and with it its channels, whose users report it.
    client.on("error", (error: Error & { level?: string }) => {
      // Not tried again, as the command provider would: a server that is asked with a wrong key again and again shuts
      // the address out (OpenSSH's PerSourcePenalties), for right keys, too.
      fail(error.level === "client-authentication" ? refusedKey(options, error) : error);
    });
    client.once("close", () => {
      fail(new Error("the connection was closed before it was ready"));
    });
    answerKeyboard(client, options);
    try {
      client.connect(
        connectConfig(options, (error) => {
          seen = error;
        }),
      );
    } catch (error) {
      // The configuration itself is at fault: a key that cannot be parsed, for example.
      reject(new PermanentDialError(`cannot connect to ${options.host}: ${messageOf(error)}`));
    }
  });
}

function answerKeyboard(client: Client, { password }: ConnectionOptions): void {
  client.on("keyboard-interactive", (_name, _instructions, _language, prompts, finish) => {
    finish(prompts.map(() => password ?? ""));
  });
}

function connectConfig(
  options: ConnectionOptions,
  refuse: (error: PermanentDialError) => void,
): ConnectConfig {
  const { host, port, user, password, privateKey, privateKeyPassword, agentSocketPath, hostKey } = options;
  const expected = hostKey === undefined ? undefined : parseHostKey(hostKey);
  return {
    host,
    port,
    username: user,
    readyTimeout: options.perDialTimeout * 1000,
    keepaliveInterval: KEEPALIVE_MILLISECONDS,
    keepaliveCountMax: KEEPALIVE_LIMIT,
    ...(privateKey === undefined ? {} : { privateKey }),
    ...(privateKeyPassword === undefined ? {} : { passphrase: privateKeyPassword }),
    ...(password === undefined ? {} : { password, tryKeyboard: true }),
    ...(agentSocketPath === undefined ? {} : { agent: agentSocketPath }),
    ...(expected === undefined
      ? {}
      : {
          algorithms: { serverHostKey: hostKeyAlgorithms(expected.type) as ServerHostKeyAlgorithm[] },
          hostVerifier: (key: Buffer): boolean => {
            if (key.equals(expected.key)) return true;
            refuse(
              new PermanentDialError(
                `the host key of ${host}:${String(port)} is not the pinned one: expected ${fingerprint(expected.key)}, seen ${fingerprint(key)}. Either the host was set up anew (update connection.hostKey), or something is in between`,
              ),
            );
            return false;
          },
        }),
  };
}
