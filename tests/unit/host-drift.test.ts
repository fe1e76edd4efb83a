import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type AddressInfo, type Server } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { buildSync } from "esbuild";
import { makeKey, SshServer } from "../../engine/tests/ssh-server";
import { askHost, type HostConnection } from "../../components/ask-host";
import {
  type DriftArgs,
  type DriftInputs,
  type Found,
  PARTS,
  provider,
  type Part,
} from "../../components/drift-provider";
import { HostDrift } from "../../components/host-drift";
import type { DesiredState } from "../../host/conductor/protocol";
import { isSecret, registrationsOf } from "./support/registrations";

const root = join(__dirname, "..", "..");
const userKey = makeKey();
const CONNECTION: HostConnection = {
  host: "10.77.1.2",
  port: 22,
  user: "root",
  hostKey: "ssh-ed25519 AAAA",
  privateKey: "key",
};
const servers: SshServer[] = [];
const listeners: Server[] = [];
let messages: jest.SpyInstance<void, unknown[]>;

beforeEach(() => {
  messages = jest.spyOn(console, "error").mockImplementation(() => undefined);
});
afterEach(async () => {
  messages.mockRestore();
  await Promise.all(servers.splice(0).map((server) => server.stop()));
  for (const listener of listeners.splice(0)) listener.close();
});

async function startHost(): Promise<{ server: SshServer; connection: HostConnection }> {
  const server = await SshServer.start({ userKey });
  servers.push(server);
  const hostKey = server.hostKey.public.split(" ").slice(0, 2).join(" ");
  const { port } = server;
  return {
    server,
    connection: { host: "127.0.0.1", port, user: "deploy", hostKey, privateKey: userKey.private },
  };
}

const NOTHING = Object.fromEntries(PARTS.map((part) => [part, ""])) as Found;
const NEVER = Object.fromEntries(PARTS.map((part) => [part, 0])) as Record<Part, number>;

const answering = (answer: Record<string, string | null>): string => `echo '${JSON.stringify(answer)}'`;

/** What the state holds of a host that was never changed by hand. */
function keptOf(args: DriftArgs, mends: Partial<Record<Part, number>> = {}): DriftInputs {
  return { ...args, ...NOTHING, mends: { ...NEVER, ...mends } };
}

async function check(olds: Partial<DriftInputs>, news: DriftArgs) {
  const result = await provider.check!(olds, news);
  return { inputs: result.inputs as DriftInputs, failures: result.failures ?? [] };
}

describe("the question", () => {
  it("is answered by a host where nothing was changed: no change", async () => {
    const { server, connection } = await startHost();
    const command = answering({ frontDoor: null, blue: null, green: null });
    const args = { hostId: "one", connection, command };
    const olds = keptOf(args, { blue: 2 });
    const { inputs, failures } = await check(olds, args);
    expect(failures).toEqual([]);
    expect(inputs).toEqual(olds);
    expect(server.commands).toEqual([command]);
    expect(await provider.diff!("drift", olds, inputs)).toEqual({ changes: false });
    expect(messages).not.toHaveBeenCalled();
  });

  it("is answered with what was found: a change of that part, counted, and told", async () => {
    const { connection } = await startHost();
    const command = answering({ frontDoor: null, blue: null, green: "green was stopped" });
    const args = { hostId: "one", connection, command };
    const olds = keptOf(args, { green: 2, blue: 1 });
    const { inputs } = await check(olds, args);
    expect(inputs).toEqual({
      ...olds,
      green: "green was stopped",
      mends: { ...NEVER, green: 3, blue: 1 },
    });
    expect(await provider.diff!("drift", olds, inputs)).toEqual({ changes: true });
    const { outs } = await provider.update!("drift", olds, inputs);
    expect(outs).toEqual({ hostId: "one", command, mends: inputs.mends });
    expect(messages.mock.calls.flat().join()).toContain("green was stopped");
  });

  it.each<[string, (olds: DriftInputs) => Partial<DriftInputs>]>([
    ["before the host is there", () => ({})],
    ["of another host than before", (olds) => ({ ...olds, hostId: "another" })],
  ])("is not asked %s", async (_, oldsOf) => {
    const { server, connection } = await startHost();
    const args = { hostId: "one", connection, command: answering({ blue: "x" }) };
    const olds = oldsOf(keptOf(args, { blue: 1 }));
    const { inputs } = await check(olds, args);
    expect(inputs).toEqual(keptOf(args, { blue: olds.mends?.blue ?? 0 }));
    expect(server.connections).toBe(0);
    expect(await provider.diff!("drift", olds, inputs)).toEqual({ changes: true });
  });

  it("is not asked over a connection that a preview does not know yet", async () => {
    const { server, connection } = await startHost();
    const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
    const args = { hostId: "one", connection: { ...connection, host: unknown }, command: "true" };
    expect((await check(keptOf(args), args)).inputs).toEqual(keptOf(args));
    expect(server.connections).toBe(0);
  });

  it("takes a changed provider, or another key of the user, for no change", async () => {
    const { connection } = await startHost();
    const args = { hostId: "one", connection, command: answering({}) };
    const olds = { ...keptOf(args), connection: { ...connection, privateKey: "old" }, __provider: "old" };
    const { inputs } = await check(olds, args);
    expect(await provider.diff!("drift", olds, inputs)).toEqual({ changes: false });
  });
});

describe("what the host is about to be asked for", () => {
  const release = { version: "v1.0.0", repository: "https://git.example.com/app.git" };
  const desired = {
    releases: { blue: release, green: null },
    traffic: { stable: "blue", weight: 0 },
  } as unknown as DesiredState;
  const heard = join(mkdtempSync(join(tmpdir(), "heard-")), "act.json");
  afterAll(() => rmSync(dirname(heard), { recursive: true }));
  const command = `cat > ${heard}; ${answering({ refusal: null })}`;
  const act = (): unknown => JSON.parse(readFileSync(heard, "utf8"));

  it("is told, and not kept", async () => {
    const { connection } = await startHost();
    const args = { hostId: "one", connection, command };
    const { inputs, failures } = await check(keptOf(args), { ...args, desired });
    expect(failures).toEqual([]);
    expect(act()).toEqual({ act: "drift", desired });
    expect(inputs).toEqual(keptOf(args));
  });

  it("is not told where a preview does not know all of it", async () => {
    const { connection } = await startHost();
    const args = { hostId: "one", connection, command };
    const traffic = { stable: "blue", weight: "04da6b54-80e4-46f7-96ec-b56ff0331ba9" };
    await check(keptOf(args), { ...args, desired: { ...desired, traffic } as unknown as DesiredState });
    expect(act()).toEqual({ act: "drift" });
  });

  it("is refused before anything is begun, with the host's reason", async () => {
    const { connection } = await startHost();
    const refusal = "blue serves everyone; put the new version on green";
    const args = { hostId: "one", connection, command: answering({ refusal }) };
    const { failures } = await check(keptOf(args), { ...args, desired });
    expect(failures).toEqual([
      {
        property: "",
        reason: `the host refuses what this config asks for, and nothing was changed: ${refusal}`,
      },
    ]);
  });
});

describe("the host software", () => {
  it.each([
    ["is gone", "no-such-conductor drift", "the conductor is gone"],
    ["does not answer", "exit 5", "the conductor does not answer"],
  ])("that %s is what was changed", async (_, command, told) => {
    const { connection } = await startHost();
    const args = { hostId: "one", connection, command };
    const { inputs } = await check(keptOf(args), args);
    expect(inputs).toMatchObject({ ...NOTHING, software: told, mends: { ...NEVER, software: 1 } });
  });

  it("of before there was such a question is asked nothing, and replaced", async () => {
    const { connection } = await startHost();
    const args = { hostId: "one", connection, command: "echo usage >&2; exit 4" };
    expect((await check(keptOf(args), args)).inputs).toEqual(keptOf(args));
  });
});

describe("no answer", () => {
  /** Why a question failed. */
  async function reasonOf(connection: HostConnection, command = "true"): Promise<string> {
    const args = { hostId: "one", connection, command };
    const { failures } = await check(keptOf(args), args);
    expect(failures).toHaveLength(1);
    // A named property would be printed with its value.
    expect(failures[0]?.property).toBe("");
    expect(failures[0]?.reason).toMatch(
      /^the host could not be asked .* nothing was done: .*; then run it again$/s,
    );
    expect(failures[0]?.reason).not.toContain(userKey.private.split("\n")[2]);
    return failures[0]?.reason ?? "";
  }

  it("of a machine that the stack made, which may be gone for good", async () => {
    const { server, connection } = await startHost();
    await server.stop();
    servers.length = 0;
    const args = { hostId: `SHA256:x ${connection.host} 22 i-0123`, connection, command: "true" };
    const { failures } = await check(keptOf(args), args);
    expect(failures[0]?.reason).toMatch(/i-0123 is gone for good, .*`pulumi up --refresh`$/);
  });

  it("from a port where nobody listens", async () => {
    const { server, connection } = await startHost();
    await server.stop();
    servers.length = 0;
    expect(await reasonOf(connection)).toMatch(
      /cannot connect to deploy@127\.0\.0\.1:\d+: connect ECONNREFUSED .*correct host\.address or host\.port/,
    );
  });

  it("from another host key", async () => {
    const { connection } = await startHost();
    const hostKey = makeKey().public.split(" ").slice(0, 2).join(" ");
    expect(await reasonOf({ ...connection, hostKey })).toMatch(
      /host key of 127\.0\.0\.1:\d+ is not the pinned one: expected SHA256:\S+, seen SHA256:\S+\. .*host\.hostKey/,
    );
  });

  it("for a user's key that is refused", async () => {
    const { connection } = await startHost();
    expect(await reasonOf({ ...connection, privateKey: makeKey().private })).toMatch(
      /cannot connect to deploy@\S+: .*authentication methods failed\. .*authorized_keys of deploy/,
    );
  });

  it("for a key that is none, which is not repeated", async () => {
    const { connection } = await startHost();
    const reason = await reasonOf({ ...connection, privateKey: "NOT-A-KEY" });
    expect(reason).toMatch(/Cannot parse privateKey.* or correct host\.user or host\.privateKeyFile/);
    expect(reason).not.toContain("NOT-A-KEY");
  });

  it("from a conductor that refuses, whose words are told", async () => {
    const { connection } = await startHost();
    expect(
      await reasonOf(connection, "echo 'site.json is damaged, put a sound copy back' >&2; exit 1"),
    ).toContain("site.json is damaged, put a sound copy back");
  });

  it("that is one", async () => {
    const { connection } = await startHost();
    expect(await reasonOf(connection, "echo Welcome")).toContain("not the one that this program knows");
  });

  it("from a host that takes the connection and says nothing: within the limit", async () => {
    const silent = createServer(() => undefined);
    listeners.push(silent);
    await new Promise<void>((go) => silent.listen(0, "127.0.0.1", go));
    const { port } = silent.address() as AddressInfo;
    const connection = { ...(await startHost()).connection, port };
    const question = askHost(connection, "true", { connectMs: 50, answerMs: 50 });
    await expect(question).rejects.toThrow(`:${port}: no answer within 0.05 s`);
  });

  it("from a command that does not end: within the limit", async () => {
    const { connection } = await startHost();
    const question = askHost(connection, "sleep 60", { connectMs: 20_000, answerMs: 50 });
    await expect(question).rejects.toThrow("`sleep 60` did not end within 0.05 s");
  });
});

it("is loaded by Pulumi's process from the program's folder, whose path is not in the state", async () => {
  const { registrations } = await registrationsOf(() => {
    new HostDrift("drift", { hostId: "one", connection: CONNECTION, command: "true" });
  });
  const { inputs, type } = registrations[0]!;
  expect(type).toBe("pulumi-nodejs:dynamic/vehicleservice:HostDrift");
  expect(isSecret(inputs.connection)).toBe(true);
  const folder = mkdtempSync(join(tmpdir(), "program-"));
  try {
    buildSync({
      entryPoints: [join(root, "components", "drift-provider.ts")],
      outfile: join(folder, "dist", "drift-provider.js"),
      bundle: true,
      platform: "node",
      packages: "external",
    });
    const program = `const exports = {}; ${String(inputs.__provider)}
      process.stdout.write(Object.keys(exports.handler()).sort().join());`;
    const env = { ...process.env, NODE_PATH: join(root, "node_modules") };
    const keys = execFileSync(process.execPath, ["-e", program], { cwd: folder, env, encoding: "utf8" });
    expect(keys).toBe("check,create,diff,update");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
