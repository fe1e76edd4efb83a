import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client } from "ssh2";
import { ConnectionPool } from "../providers/command/connection-pool";
import { copyToRemote } from "../providers/command/copy";
import { onLimit } from "../providers/command/limits";
import { CommandProvider } from "../providers/command/provider";
import { runRemote } from "../providers/command/remote";
import type { ProviderContext } from "../providers/provider";
import type { PropertyMap } from "../values/property";
import { until } from "./harness";
import { makeKey, SshServer } from "./ssh-server";

jest.setTimeout(120_000);

const userKey = makeKey();
let directory: string;
let server: SshServer;
let pool: ConnectionPool;
let run: AbortController;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "engine-test-"));
  server = await SshServer.start({ userKey, accepted: ["TAKEN"] });
  pool = new ConnectionPool();
  run = new AbortController();
});
afterEach(async () => {
  await pool.close();
  await server.stop();
  rmSync(directory, { recursive: true });
});

const context = (type = "command:remote:Command", signal = run.signal): ProviderContext => ({
  urn: "",
  type,
  name: "c",
  directory,
  dryRun: false,
  ignoreChanges: [],
  signal,
  log: () => undefined,
});
const connected = (more: PropertyMap): PropertyMap => ({
  connection: {
    host: "127.0.0.1",
    port: server.port,
    user: "deploy",
    privateKey: userKey.private,
    dialErrorLimit: 0,
  },
  ...more,
});
const remote = (command: string, more: PropertyMap = {}): Promise<PropertyMap> =>
  runRemote(context(), pool, command, connected(more), {});
const copied = (name: string, signal?: AbortSignal): [ProviderContext, PropertyMap] => [
  context("command:remote:CopyToRemote", signal),
  connected({ source: { text: "written" }, remotePath: join(directory, name) }),
];

it.each(["command:local:Command", "command:remote:Command", "command:remote:CopyToRemote"])(
  "%s does not begin in a run that was cancelled",
  async (type) => {
    run.abort();
    const provider = new CommandProvider();
    const create = `touch ${join(directory, "begun")}`;
    const inputs = connected({ create, source: { text: "x" }, remotePath: join(directory, "begun") });
    await expect(provider.create(context(type), inputs)).rejects.toThrow("cancelled before it began");
    await provider.close();
    expect([readdirSync(directory), server.connections]).toEqual([[], 0]);
  },
);

it("a command that waits for its turn on the connection does not begin when the run is cancelled", async () => {
  // As many as one connection carries, and one more.
  const ends = Array.from({ length: 9 }, (_, index) => remote(`exec sleep 10${String(index)}`));
  const settled = Promise.allSettled(ends);
  await until("eight commands run", () => server.commands.length === 8);
  run.abort();
  const reasons = (await settled).map((end) => String(end.status === "rejected" && end.reason));
  expect(reasons.filter((reason) => reason.includes("cancelled before it began"))).toHaveLength(1);
  expect(server.commands).toHaveLength(8);
});

it("a command whose environment is being tried does not begin, and its server is not blamed", async () => {
  const end = remote("touch begun", { environment: { TAKEN: "yes" } });
  const outcome = expect(end).rejects.toThrow("cancelled before it began");
  // The server hears of it before the client hears that it was started.
  const push = jest.spyOn(server.commands, "push").mockImplementation((command) => {
    run.abort();
    push.mockRestore();
    return server.commands.push(command);
  });
  await outcome;
  expect(server.commands).toEqual(["printenv TAKEN"]);
});

it("a copy whose channel is being opened writes nothing when the run is cancelled", async () => {
  const connect = pool.with.bind(pool);
  jest
    .spyOn(pool, "with")
    .mockImplementationOnce((own, options, use) =>
      connect(own, options, (client) => use(cancelledOnceOpen(client))),
    );
  const [own, inputs] = copied("first");
  await expect(copyToRemote(own, pool, inputs)).rejects.toThrow("cancelled");
  // By the same connection, so that the first one would be there when this one is.
  const [other, next] = copied("second", new AbortController().signal);
  await copyToRemote(other, pool, next);
  await copyToRemote(other, pool, next);
  expect(existsSync(join(directory, "second"))).toBe(true);
  expect(existsSync(join(directory, "first"))).toBe(false);
});

/** The connection; the run is cancelled when its SFTP channel is open, before whoever asked for it hears so. */
function cancelledOnceOpen(client: Client): Client {
  const open = client.sftp.bind(client);
  jest.spyOn(client, "sftp").mockImplementationOnce((callback) =>
    open((error, sftp) => {
      run.abort();
      callback(error, sftp);
    }),
  );
  return client;
}

it("what begins although the run is cancelled is stopped at once", () => {
  run.abort();
  const stop = jest.fn();
  onLimit({ signal: run.signal }, stop)();
  expect(stop.mock.calls).toEqual([["cancelled"]]);
});
