import type { Client, ClientChannel } from "ssh2";
import { type PropertyMap, type PropertyValue } from "../../values/property";
import type { ProviderContext } from "../provider";
import { captured, OutputCapture } from "./capture";
import { connectionOptions } from "./connection";
import type { ConnectionPool } from "./connection-pool";
import { previousOutput, textInput, textMapInput } from "./outputs";
import { onLimit, requireGoing } from "./limits";

/** Runs a command on a host. Returns what it printed; fails where it does not exit with 0. */
export async function runRemote(
  context: ProviderContext,
  connections: ConnectionPool,
  command: PropertyValue,
  inputs: PropertyMap,
  earlier: PropertyMap,
): Promise<PropertyMap> {
  const { text, capture, end } = captured(context, command, inputs, earlier);
  const environment = textMapInput(inputs, "environment");
  const reason = await connections.with(context, connectionOptions(inputs, process.env), async (client) => {
    await requireAccepted(context, client, environment);
    // What the server does not accept of the previous output is dropped, as the command provider does.
    const variables = { ...environment, ...previousOutput(inputs, earlier) };
    return execute(client, text, variables, (channel) =>
      watch(context, channel, capture, textInput(inputs, "stdin") ?? ""),
    );
  });
  return end(reason);
}

/**
 * Fails where the server drops one of the variables: it takes only those that its `AcceptEnv` names, and says nothing
 * about the others.
 */
async function requireAccepted(
  context: ProviderContext,
  client: Client,
  environment: Record<string, string>,
): Promise<void> {
  for (const name of Object.keys(environment)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      throw new Error(`"${name}" is not the name of an environment variable`);
    const discard = new OutputCapture(context, "none", new Set());
    const reason = await execute(client, `printenv ${name}`, environment, (channel) =>
      watch(context, channel, discard, ""),
    );
    // What was stopped says nothing about the server.
    requireGoing(context);
    if (reason !== undefined) {
      throw new Error(
        `could not set environment variable "${name}": the SSH server does not accept it (AcceptEnv). Pass the value by stdin instead`,
      );
    }
  }
}

/**
 * Starts a command. `watching` is called as soon as it runs, for its output and its end may be in the very same packet
 * as the news that it was started.
 */
function execute(
  client: Client,
  command: string,
  environment: Record<string, string>,
  watching: (channel: ClientChannel) => Promise<string | undefined>,
): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const broken = (): void => {
      reject(new Error("the connection broke before the command started"));
    };
    client.once("close", broken);
    client.exec(command, { env: environment }, (error, channel) => {
      client.removeListener("close", broken);
      if (error) reject(error);
      else resolve(watching(channel));
    });
  });
}

/** Feeds and watches a running command; resolves with the reason why it failed, or undefined. */
function watch(
  context: ProviderContext,
  channel: ClientChannel,
  capture: OutputCapture,
  stdin: string,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    // A server that ends the connection in the middle of a command gives neither a status nor a signal.
    let reason: string | undefined =
      "wait: remote command exited without exit status or exit signal: the connection was lost. What the command had " +
      "begun may go on there; once the host is up, run `up` again";
    let stopped: string | undefined;
    const stop = (why: string): void => {
      stopped = why;
      channel.signal("KILL");
      channel.close();
    };
    const unlimited = onLimit(context, stop);
    channel.on("data", (chunk: Buffer) => {
      capture.take("stdout", chunk);
    });
    channel.stderr.on("data", (chunk: Buffer) => {
      capture.take("stderr", chunk);
    });
    channel.on("exit", (code: number | null, signal?: string) => {
      reason = describeExit(code, signal);
    });
    channel.on("error", () => undefined);
    channel.once("close", () => {
      unlimited();
      resolve(stopped ?? reason);
    });
    channel.end(stdin);
  });
}

function describeExit(code: number | null, signal: string | undefined): string | undefined {
  if (code === 0) return undefined;
  return code === null
    ? `Process exited with signal ${signal ?? "unknown"}`
    : `Process exited with status ${String(code)}`;
}
