import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { EngineBundle, until, Workspace, type Row } from "./harness";
import { freePorts } from "../../sandbox/reachable";
import { makeKey, SshServer } from "./ssh-server";

jest.setTimeout(600_000);

const userKey = makeKey();
let engine: EngineBundle;
let workspace: Workspace;
let server: SshServer;
beforeAll(async () => {
  engine = await EngineBundle.build();
});
afterAll(() => {
  engine.remove();
});
beforeEach(async () => {
  workspace = new Workspace(engine, "table");
  await workspace.succeed("stack init dev");
  server = await SshServer.start({
    userKey,
    password: "by password",
    accepted: ["TAKEN", "PULUMI_COMMAND_STDOUT"],
  });
});
afterEach(async () => {
  await server.stop();
  workspace.remove();
});

const up = "up --yes --skip-preview";
const connection = (more: object = {}): object => ({
  host: "127.0.0.1",
  port: server.port,
  user: "deploy",
  privateKey: userKey.private,
  hostKey: server.hostKey.public,
  dialErrorLimit: 0,
  ...more,
});
const remote = (name: string, args: object, options: object = {}): Row => ({
  name,
  type: "remote",
  args: { connection: connection(), ...args },
  options,
});

it("runs commands over one connection, a few at a time", async () => {
  // Each waits until three have begun, however long it takes to begin one.
  const begun = workspace.path("begun");
  mkdirSync(begun);
  const meet = `until [ "$(ls ${begun} | wc -l)" -gt 2 ]; do sleep 0.02; done`;
  const rows = Array.from({ length: 20 }, (_, index) =>
    remote(`c${String(index)}`, {
      create: `cat; touch ${begun}/${String(index)}; ${meet}; echo ${String(index)} >&2`,
      stdin: `in ${String(index)}\n\n`,
    }),
  );
  workspace.table(rows, { out: { $output: "c7.stdout" }, err: { $output: "c7.stderr" } });
  await workspace.succeed(`${up} --parallel 20`);
  expect(server.connections).toBe(1);
  expect(server.mostSessions).toBeGreaterThan(2);
  expect(server.mostSessions).toBeLessThanOrEqual(8);
  expect(await workspace.succeed("stack output --json")).toBe('{\n  "err": "7",\n  "out": "in 7\\n"\n}\n');
  expect(server.commands).toHaveLength(20);
  await workspace.succeed(`${up} --expect-no-changes`);
  expect(server.commands).toHaveLength(20);
  for (const content of workspace.files(".pulumi").values())
    expect(content).not.toContain(userKey.private.split("\n")[1]);
});

it("takes a whole long input, and gives back a whole long output", async () => {
  const stdin = "0123456789abcde\n".repeat(60_000);
  workspace.table(
    [
      remote("long", {
        create: 'c=$(mktemp); cat | tee "$c" | wc -c; cat "$c"; rm "$c"',
        stdin,
        logging: "none",
      }),
    ],
    { long: { $output: "long.stdout" } },
  );
  const end = await workspace.succeed(up);
  expect(end.length).toBeLessThan(2000);
  expect(await workspace.succeed("stack output long")).toBe(`${String(stdin.length)}\n${stdin}`);
});

it("updates with the previous output, and runs the deletion", async () => {
  const args = { create: "echo one", update: 'echo "$PULUMI_COMMAND_STDOUT+"', delete: "echo gone" };
  workspace.table([remote("c", args)]);
  await workspace.succeed(up);
  workspace.table([remote("c", { ...args, stdin: "changed" })], { c: { $output: "c.stdout" } });
  await workspace.succeed(up);
  expect(await workspace.succeed("stack output c")).toBe("one+\n");
  await workspace.succeed("destroy --yes --skip-preview");
  expect(server.commands).toEqual(["echo one", 'echo "$PULUMI_COMMAND_STDOUT+"', "echo gone"]);
});

it("reports how a command failed, without its secrets", async () => {
  await workspace.succeed("config set --secret password canary-of-remote-1");
  workspace.table([remote("c", { create: "cat; echo trouble >&2; exit 4", stdin: { $secret: "password" } })]);
  const end = await workspace.pulumi(up);
  expect(end.code).toBe(1);
  expect(end.stdout).toContain(
    'c: error: Process exited with status 4: running "cat; echo trouble >&2; exit 4":',
  );
  expect(end.stdout).toContain("trouble");
  expect(end.stdout + end.stderr).not.toContain("canary-of-remote-1");
});

it("pins the host's key", async () => {
  const other = makeKey();
  workspace.table([
    {
      ...remote("c", { create: "true" }),
      args: { connection: connection({ hostKey: other.public, dialErrorLimit: 10 }), create: "true" },
    },
  ]);
  const end = await workspace.pulumi(up);
  expect(end.stdout).toMatch(
    /the host key of 127\.0\.0\.1:\d+ is not the pinned one: expected SHA256:\S+, seen SHA256:\S+/,
  );
  expect(end.stdout).not.toContain("retrying");
  expect(server.commands).toEqual([]);
});

it("logs in by password, and refuses what does not fit", async () => {
  const row = (more: object): Row => ({
    name: "c",
    type: "remote",
    args: { connection: connection(more), create: "echo in" },
  });
  const { ...withoutKey } = { privateKey: null, password: "by password" };
  workspace.table([row(withoutKey)], { c: { $output: "c.stdout" } });
  await workspace.succeed(up);
  // Once: a server that counts failed logins shuts out who goes on.
  workspace.table([row({ privateKey: makeKey().private, dialErrorLimit: 10 })]);
  const refused = (await workspace.pulumi(up)).stdout;
  expect(refused).toMatch(
    /cannot connect to deploy@127\.0\.0\.1:\d+: .*authentication.*authorized_keys of deploy/,
  );
  expect(refused).not.toContain("retrying");
  workspace.table([row({ privateKey: "no key" })]);
  expect((await workspace.pulumi(up)).stdout).toContain("cannot connect to 127.0.0.1: ");
  workspace.table([row({ proxy: { host: "bastion" } })]);
  expect((await workspace.pulumi(up)).stdout).toContain("connection.proxy has a problem: not supported");
});

it("waits for a host that is not there yet", async () => {
  const { hostKey } = server;
  await server.stop();
  // One that nobody is given for a connection while nobody listens there.
  const [port = 0] = await freePorts("127.0.0.1", 1);
  workspace.table([remote("c", { create: "echo up", connection: connection({ port, dialErrorLimit: 30 }) })]);
  const child = workspace.start(up.split(" "));
  let printed = "";
  child.stdout?.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  await until("the first dial failed", () => printed.includes("Dial 1/30 failed: retrying"));
  server = await SshServer.start({ userKey, hostKey, port });
  await until("the command ran", () => server.commands.length === 1);
  const code = await new Promise((settle) => child.once("close", settle));
  expect(code).toBe(0);
});

it("fails where the server cuts the connection before it has greeted", async () => {
  // As sshd does with an address that it has shut out for a while.
  const closing = createServer((socket) => socket.once("data", () => socket.resetAndDestroy()));
  await once(closing.listen(0, "127.0.0.1"), "listening");
  const { port } = closing.address() as AddressInfo;
  workspace.table([remote("c", { create: "true", connection: connection({ port, dialErrorLimit: 1 }) })]);
  const { stdout, stderr } = await workspace.pulumi(up);
  closing.close();
  expect(stdout).toMatch(/after 1 failed attempts: .*See that 127\.0\.0\.1 is up/);
  expect(stderr).not.toContain("Unhandled");
});

it("fails a command whose connection breaks, and dials anew for the next run", async () => {
  workspace.table([remote("c", { create: "echo started; sleep 20" })]);
  const run = workspace.pulumi(up);
  await until("the command runs", () => server.commands.length === 1);
  server.cut();
  expect((await run).stdout).toContain("remote command exited without exit status or exit signal");
  expect((await run).stdout).toMatch(/connection was lost.*run `up` again/);
  workspace.table([remote("c", { create: "echo done" })]);
  await workspace.succeed(up);
});

it("says which environment variable a server does not take", async () => {
  const row = (environment: object): Row => remote("c", { create: 'echo "$TAKEN"', environment });
  workspace.table([row({ TAKEN: "yes" })], { c: { $output: "c.stdout" } });
  await workspace.succeed(up);
  expect(await workspace.succeed("stack output c")).toBe("yes\n");
  workspace.table([row({ TAKEN: "yes", DROPPED: "no" })]);
  expect((await workspace.pulumi(up)).stdout).toContain('could not set environment variable "DROPPED"');
});

it("copies files, texts and directories, again only when they changed", async () => {
  const target = workspace.path("target");
  mkdirSync(workspace.path("site/deep"), { recursive: true });
  writeFileSync(workspace.path("file.txt"), "one");
  writeFileSync(workspace.path("site/deep/index.html"), "<html>");
  const copy = (name: string, source: object, remotePath: string): Row => ({
    name,
    type: "copy",
    args: { connection: connection(), source, remotePath },
  });
  const rows = [
    copy("file", { $file: "file.txt" }, `${target}/a/copy.txt`),
    copy("text", { $text: "written" }, `${target}/b/text.txt`),
    copy("named", { $directory: "site" }, `${target}/c`),
    copy("contents", { $directory: "site/" }, `${target}/d`),
  ];
  workspace.table(rows);
  await workspace.succeed(up);
  const copied = (): Record<string, string> => Object.fromEntries([...workspace.files("target")].sort());
  expect(copied()).toEqual({
    "a/copy.txt": "one",
    "b/text.txt": "written",
    "c/site/deep/index.html": "<html>",
    "d/deep/index.html": "<html>",
  });
  expect(await workspace.succeed(`${up} --expect-no-changes`)).toContain("5 unchanged");
  writeFileSync(workspace.path("file.txt"), "two");
  writeFileSync(workspace.path("site/deep/index.html"), "<body>");
  expect(await workspace.succeed(up)).toContain("~ 3 updated, 2 unchanged");
  expect(copied()).toMatchObject({ "a/copy.txt": "two", "d/deep/index.html": "<body>" });
});
