import { spawn } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { identify, isAlive, signalProcess, waitFor } from "../../processes";
import {
  findService,
  serviceLog,
  serviceNames,
  startService,
  stopService,
  stopServicesLeft,
} from "../../services";
import { worldNamed, type World } from "../../world";

/** Seconds that nothing takes; a limit against hanging. */
const LONG = 60;

let world: World;

beforeEach(() => {
  world = { ...worldNamed("unit"), stateDirectory: fs.mkdtempSync(path.join(os.tmpdir(), "services-")) };
});

afterEach(async () => {
  for (const name of serviceNames(world)) await stopService(world, name);
  fs.rmSync(world.stateDirectory, { recursive: true });
});

const shell = (script: string): string[] => ["sh", "-c", script];

it("is found by a later run, and ended with all of its processes", async () => {
  const { process: parent } = startService(world, "daemon", shell("sleep 1000 & echo $! ; wait"));
  const child = await waitFor(
    "the child",
    LONG,
    () => Number(fs.readFileSync(serviceLog(world, "daemon"), "utf8")) || undefined,
  );
  const childIdentity = identify(child)!;
  expect(findService(world, "daemon")?.process).toEqual(parent);
  await stopService(world, "daemon");
  expect(isAlive(parent)).toBe(false);
  await waitFor("the child to end", LONG, () => (isAlive(childIdentity) ? undefined : true));
  expect(serviceNames(world)).toEqual([]);
});

it("is killed when it does not end by itself", async () => {
  const { process: stubborn } = startService(
    world,
    "stubborn",
    shell("trap '' TERM; echo ready; while :; do sleep 1; done"),
  );
  await waitFor("it to be ready", LONG, () =>
    fs.readFileSync(serviceLog(world, "stubborn"), "utf8") === "" ? undefined : true,
  );
  await stopService(world, "stubborn", 1);
  expect(isAlive(stubborn)).toBe(false);
});

it("leaves a stranger alone that has the process id by now", async () => {
  const stranger = spawn("sleep", ["1000"]);
  try {
    const { process: real, ...service } = startService(world, "gone", shell("sleep 2"));
    await waitFor("it to end", LONG, () => (isAlive(real) ? undefined : true));
    // Two processes may start within one tick of the clock that tells them apart.
    const { pid, startTicks } = identify(stranger.pid!)!;
    const reused = { ...real, pid, startTicks: startTicks - 1 };
    fs.writeFileSync(
      path.join(world.stateDirectory, "services", "gone.json"),
      JSON.stringify({ ...service, process: reused }),
    );
    expect(findService(world, "gone")).toBeNull();
    await stopService(world, "gone");
    expect(identify(stranger.pid!)).not.toBeNull();
  } finally {
    stranger.kill("SIGKILL");
  }
});

it("is ended by its kind when it was left, and goes on when it starts meanwhile", async () => {
  const names = ["s3-one", "postgres-one", "stripe-one"];
  const [s3, postgres, stripe] = names.map((name) => startService(world, name, shell("sleep 1000")).process);
  const ended = stopServicesLeft(world, "s3-", "postgres-");
  const { process: meanwhile } = startService(world, "s3-two", shell("sleep 1000"));
  await ended;
  expect([s3!, postgres!, stripe!, meanwhile].map(isAlive)).toEqual([false, false, true, true]);
  expect(serviceNames(world)).toEqual(["s3-two", "stripe-one"]);
});

it("refuses to start what runs already", () => {
  startService(world, "daemon", shell("sleep 1000"));
  expect(() => startService(world, "daemon", shell("sleep 1000"))).toThrow("runs already");
});

it("says so when the program is not there", () => {
  expect(() => startService(world, "none", ["/no/such/program"])).toThrow("cannot run /no/such/program");
});

describe("a process's identity", () => {
  it("does not survive a boot of the machine", () => {
    const own = identify(process.pid)!;
    expect(isAlive(own)).toBe(true);
    expect(isAlive({ ...own, bootId: "00000000-0000-0000-0000-000000000000" })).toBe(false);
  });

  it("ends with the process, though its parent has not waited for it yet", async () => {
    const child = spawn("sh", ["-c", "sleep 1000 & kill -9 $!; echo $! ; exec sleep 1000"]);
    const [zombie] = (await once(child.stdout, "data")) as [Buffer];
    await waitFor("the zombie", LONG, () => (identify(Number(zombie)) === null ? true : undefined));
    child.kill("SIGKILL");
  });

  it("is needed for a signal", async () => {
    const child = spawn("sleep", ["1000"]);
    const identity = identify(child.pid!)!;
    signalProcess({ ...identity, startTicks: identity.startTicks + 1 }, "SIGKILL");
    expect(isAlive(identity)).toBe(true);
    const ended = once(child, "exit");
    signalProcess(identity, "SIGKILL");
    await ended;
    expect(isAlive(identity)).toBe(false);
  });
});

it("tells what it waited for in vain", async () => {
  await expect(waitFor("a miracle", 0.05, () => undefined)).rejects.toThrow(
    "waited 0.05 s in vain for a miracle",
  );
});
