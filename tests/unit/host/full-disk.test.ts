import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Failed, NotRecorded } from "../../../host/conductor/faults";
import { HealthWatch } from "../../../host/conductor/processes/health-watch";
import type { Act } from "../../../host/conductor/protocol";
import { routeOf } from "../../../host/conductor/site";
import { writeDurably } from "../../../host/conductor/system/durable-file";
import { Reserve, type WriteDurably } from "../../../host/conductor/system/reserve";
import { FakeHost } from "./support/fake-host";
import { removeDirectories, serving, siteOf, temporaryDirectory } from "./support/fixtures";

/* The way back is always open, on a disk that takes nothing, too. */

afterAll(removeDirectories);

const silent = (): void => undefined;
const canary = siteOf({ blue: serving("v1"), green: serving("v2") }, { stable: "blue", weight: 25 });
const abort: Act = { act: "abort", reason: "payments fail" };

const FULL = "ENOSPC: no space left on device, write";
const full = (): Promise<never> => Promise.reject(Object.assign(new Error(FULL), { code: "ENOSPC" }));

describe("the reserve", () => {
  const SIZE = { files: 2, bytes: 5000 };
  const SPARES = ["reserve-0", "reserve-1"];

  async function make() {
    const directory = temporaryDirectory();
    let isFull = false;
    // As the kernel does: what has its room is overwritten, and nothing else.
    const write: WriteDurably = (path, ...text) =>
      isFull && statSync(`${path}.new`, { throwIfNoEntry: false })?.size !== SIZE.bytes
        ? full()
        : writeDurably(path, ...text);
    const reserve = new Reserve(directory, SIZE, write);
    expect(await reserve.fill()).toBeNull();
    const file = join(directory, "file");
    return {
      reserve,
      file,
      names: () => readdirSync(directory).sort(),
      setFull: (now: boolean) => void (isFull = now),
      path: (name: string) => join(directory, name),
    };
  }

  it("takes room on the disk, for root alone, and is made once", async () => {
    const { reserve, names, path } = await make();
    expect(names()).toEqual(SPARES);
    const before = statSync(path("reserve-0"));
    expect(before).toMatchObject({ size: SIZE.bytes, mode: 0o100600 });
    expect(before.blocks).toBeGreaterThan(0);
    writeFileSync(path("reserve-1"), "cut");
    await reserve.fill();
    expect(statSync(path("reserve-0")).ino).toBe(before.ino);
    expect(statSync(path("reserve-1")).size).toBe(SIZE.bytes);
  });

  it("becomes the file that the disk has no room for, as long as asked for, and is made again", async () => {
    const { reserve, file, names, setFull, path } = await make();
    const { ino } = statSync(path("reserve-0"));
    setFull(true);
    await reserve.write(file, "text", 0o644);
    expect(readFileSync(file, "utf8")).toBe("text");
    expect(statSync(file)).toMatchObject({ ino, mode: 0o100644 });
    expect(names()).toEqual(["file", ...SPARES]);
  });

  it("is untouched where there is room, and where something else is wrong", async () => {
    const { reserve, file, path } = await make();
    const { ino } = statSync(path("reserve-0"));
    await reserve.write(file, "text");
    await expect(reserve.write(path("none/file"), "text")).rejects.toThrow("ENOENT");
    expect(statSync(path("reserve-0")).ino).toBe(ino);
  });

  it("that somebody removed lets the write fail with its own fault, and the next one make it again", async () => {
    const { reserve, file, names, setFull, path } = await make();
    SPARES.forEach((name) => rmSync(path(name)));
    setFull(true);
    await expect(reserve.write(file, "text")).rejects.toThrow("ENOSPC");
    setFull(false);
    await reserve.write(file, "text");
    expect(names()).toEqual(["file", ...SPARES]);
  });

  it("that cannot be made is told, and leaves nothing half-made", async () => {
    const { reserve, names, path } = await make();
    SPARES.forEach((name) => rmSync(path(name)));
    mkdirSync(path("reserve-1"));
    expect(await reserve.fill()).toMatch("EISDIR");
    expect(names()).toEqual(SPARES);
  });
});

describe("an abort that the disk does not take", () => {
  it("is in force, and fails with what that means and the way out", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    host.write = full;
    const aborting = conductor.take(abort, silent);
    await expect(aborting).rejects.toThrow(NotRecorded);
    await expect(aborting).rejects.toThrow(
      /^in force, not recorded: .*site\.json cannot be written: ENOSPC.*\nThis holds until .* restarts; .*df -h.* and abort again$/,
    );
    expect(host.route).toMatch(/^blue 0 \d+ 0 0 0$/);
    expect(store.site.aborted).toMatchObject({ colour: "green", reason: "payments fail" });
    expect(await conductor.take({ act: "status" }, silent)).toMatchObject({
      aborted: { colour: "green" },
      unrecorded: expect.stringContaining(FULL) as string,
    });
    expect((await host.start()).store.site.aborted).toBeNull();
  });

  it("is recorded by the same abort once there is room", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    host.write = full;
    await expect(conductor.take(abort, silent)).rejects.toThrow(NotRecorded);
    host.write = writeDurably;
    expect(await conductor.take(abort, silent)).not.toHaveProperty("unrecorded");
    expect((await host.start()).store.site).toEqual(store.site);
    expect(store.site.aborted).toMatchObject({ colour: "green" });
  });

  it("is recorded by the next probe once there is room, and lost to none before", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    const log: string[] = [];
    const prober = { probe: () => Promise.resolve(null) };
    const watch = new HealthWatch(store, host.frontDoor, prober, (line) => log.push(line));
    host.write = full;
    await expect(conductor.take(abort, silent)).rejects.toThrow(NotRecorded);
    for (let probe = 0; probe < 3; probe++) await watch.step("blue");
    expect(host.route).toMatch(/^blue 0 /);
    host.write = writeDurably;
    await watch.step("blue");
    expect((await host.start()).store.site.aborted).toMatchObject({ colour: "green" });
    expect(log).toEqual([
      expect.stringMatching(/^in force, not recorded: .*ENOSPC/),
      "what is in force is recorded",
    ]);
  });

  it("says so of the file that Nginx starts with, which the next probe writes once there is room", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    host.fileFault = FULL;
    await expect(conductor.take(abort, silent)).rejects.toThrow(/^in force, not recorded: ENOSPC/);
    expect((await host.start()).store.site.aborted).toMatchObject({ colour: "green" });
    const prober = { probe: () => Promise.resolve(null) };
    const watch = new HealthWatch(store, host.frontDoor, prober, silent);
    await watch.step("blue");
    expect(host.frontDoor.unrecorded).toBe(FULL);
    host.fileFault = null;
    await watch.step("blue");
    expect(host.frontDoor.unrecorded).toBeNull();
  });
});

it("a conductor that starts on a full disk takes acts", async () => {
  const host = new FakeHost();
  await host.become(canary);
  host.fileFault = FULL;
  const { conductor } = await host.start();
  const log: string[] = [];
  await conductor.recover((line) => log.push(line));
  expect(log).toEqual([FULL]);
});

it("a colour that falls sick loses its users", async () => {
  const host = new FakeHost();
  const { store } = await host.become(canary);
  const [deadlineSeconds, sick] = [0, { probe: () => Promise.resolve("gone") }];
  await store.update((site) => ({
    ...site,
    settings: site.settings && { ...site.settings, health: { ...site.settings.health, deadlineSeconds } },
  }));
  host.write = full;
  const watch = new HealthWatch(store, host.frontDoor, sick, silent);
  for (let probe = 0; probe < 5; probe++) await watch.step("green");
  expect(routeOf(store.site).weight).toBe(0);
  expect(host.route).toMatch(/^blue 0 /);
});

it("any other act fails before it has begun, with the way out and the way back", async () => {
  const host = new FakeHost();
  const { conductor, store } = await host.become(canary);
  host.write = full;
  const asking = conductor.take({ act: "traffic", stable: "blue", weight: 50 }, silent);
  await expect(asking).rejects.toThrow(Failed);
  await expect(asking).rejects.toThrow(/journal\.json cannot be written: ENOSPC.*df -h.*`abort`/);
  expect(store.site).toMatchObject({ traffic: { weight: 25 } });
  expect(host.route).toMatch(/^blue 2500 /);
});
