import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { CommandResult } from "../../sandbox/command";
import { editConfig, editLevers } from "./support/config-file";
import { slowBuild } from "./support/slow-build";
import { startUp } from "./support/running-up";
import { observed, SiteModel, type Wanted } from "./support/site-model";
import { Users } from "./support/users";
import { SLOW_MS, TestWorld } from "./support/world";

/*
 * A host that cannot be reached, or is not the one that was meant: the error names the resource and the way out and no
 * secret, users notice nothing, and the next `up` brings what was asked for.
 */

jest.setTimeout(SLOW_MS);

const FIRST: Wanted = { stable: "blue", weight: 0, versions: { blue: "v0.9.9", green: "v1.0.0" } };

let world: TestWorld;
let model: SiteModel;
let users: Users | undefined;
/** Keys of the test's own, each with its public half beside it. */
let keys: string;
/** The host's values in the stack's config, as they are right. */
let right: Readonly<Record<string, unknown>>;

beforeAll(async () => {
  world = await TestWorld.create("refusals");
  keys = fs.mkdtempSync(path.join(os.tmpdir(), "refusals-keys-"));
  for (const name of ["user", "host"]) {
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path.join(keys, name)]);
  }
  const { address, hostKey, privateKeyFile } = world.host;
  right = {
    "host.address": address,
    "host.port": 22,
    "host.hostKey": hostKey,
    "host.privateKeyFile": privateKeyFile,
  };
  editConfig(world.project, { "application.health": { path: "/api/health", intervalMs: 100 } });
  editLevers(world.project, FIRST);
  await world.up();
  model = new SiteModel(FIRST);
  users = await Users.start(world.loadTarget());
}, SLOW_MS);

// A test that failed leaves its wrong values to nobody.
afterEach(() => editConfig(world.project, right));

afterAll(async () => {
  await users?.stop();
  fs.rmSync(keys, { recursive: true, force: true });
  await world.remove();
});

const publicHalf = (name: string): string => fs.readFileSync(path.join(keys, `${name}.pub`), "utf8").trim();

/** Lines of a private key that nobody else has: a piece of one in an output is a piece of the secret. */
function secretLines(file: string): string[] {
  return fs.readFileSync(file, "utf8").split("\n").slice(1, -2);
}

function expectNoSecret(output: string): void {
  const files = [world.host.privateKeyFile, path.join(keys, "user"), path.join(keys, "host")];
  expect(files.flatMap(secretLines).filter((line) => output.includes(line))).toEqual([]);
}

/** A share that was not there yet, so that the `up` has something to do. */
function nextShare(): Wanted {
  return { ...model.wanted, weight: model.wanted.weight === 5 ? 50 : 5 };
}

test.each<[string, () => Record<string, unknown>, RegExp]>([
  [
    "a host with another key than the pinned one",
    () => ({ "host.hostKey": publicHalf("host") }),
    /host key of \S+ is not the pinned one: expected SHA256:\S+, seen SHA256:\S+.*(update connection|correct host)\.hostKey/s,
  ],
  [
    "a host that refuses the user's key",
    () => ({ "host.privateKeyFile": path.join(keys, "user") }),
    /cannot connect to root@\S+:22: .*authorized_keys of root/s,
  ],
  [
    "a host on which no SSH server listens",
    () => ({ "host.port": 2222 }),
    /cannot connect to root@\S+:2222 .*ECONNREFUSED.*correct (connection\.host|host\.address)/s,
  ],
])("%s", async (_what, wrong, told) => {
  const before = await world.status();
  const to = nextShare();
  editLevers(world.project, to);
  editConfig(world.project, wrong());
  const { exitCode, stdout, stderr }: CommandResult = await world.project.up([], { check: false });
  const output = stdout + stderr;
  expect({ exitCode, output }).toEqual({ exitCode: 1, output: expect.stringMatching(told) });
  // By name and type, as Pulumi tells resources.
  expect(output).toMatch(/web-drift|web-software|web-bootstrap|front-door-act/);
  expectNoSecret(output);
  expect(await world.status()).toEqual(before);
  editConfig(world.project, right);
  await world.up();
  model.accept(to);
  expect(observed(await world.status())).toEqual(model.expected());
});

test("a host that goes down in the middle of a release", async () => {
  for (const { total } of await users!.stop()) {
    expect({ failed: total.failed, incidents: total.incidents }).toEqual({ failed: 0, incidents: [] });
  }
  // Its build takes so long that the host goes down before its end, however late the word of its beginning comes.
  await world.source.addTag("v1.2.0", slowBuild(10_000));
  const to: Wanted = { ...model.wanted, versions: { ...model.wanted.versions, green: "v1.2.0" } };
  editLevers(world.project, to);
  const up = startUp(world.project);
  expect(await up.printed(/v1\.2\.0: install/)).toBe(true);
  await world.host.powerOff();
  const { exitCode, output } = await up.ended;
  expect(exitCode).toBe(1);
  expect(output).toMatch(/green-act/);
  expect(output).toMatch(/the connection was lost.*run `up` again/s);
  expectNoSecret(output);
  // While it is down.
  const again = await world.project.up([], { check: false });
  expect(again.exitCode).toBe(1);
  expect(again.stdout + again.stderr).toMatch(/cannot connect to root@/);
  await world.host.powerOn();
  await world.up();
  model.accept(to);
  expect(observed(await world.status())).toEqual(model.expected());
});
