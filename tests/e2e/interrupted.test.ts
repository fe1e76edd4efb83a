import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { startUp } from "./support/running-up";
import { slowBuild } from "./support/slow-build";
import { Users } from "./support/users";
import { SLOW_MS, TestWorld, type Levers } from "./support/world";

/* An `up` may die at any point: nobody's request is lost, the next one converges, and no secret was left in clear. */

// A test of many `up`s: one that is slow on a busy machine is none the worse.
jest.setTimeout(4 * SLOW_MS);

/** From states that differ in release, share and stable colour to one another. */
const STATES: readonly Levers[] = [
  { stable: "blue", blueVersion: "v0.9.9", greenVersion: "v1.0.0", canaryWeight: 0 },
  { stable: "blue", blueVersion: "v0.9.9", greenVersion: "v1.0.0", canaryWeight: 5 },
  { stable: "blue", blueVersion: "v0.9.9", greenVersion: "v1.1.0", canaryWeight: 5 },
  { stable: "blue", blueVersion: "v0.9.9", greenVersion: "v1.1.0", canaryWeight: 100 },
  { stable: "green", blueVersion: "v1.0.0", greenVersion: "v1.1.0", canaryWeight: 0 },
  { stable: "green", blueVersion: "v1.0.0", greenVersion: "v1.1.0", canaryWeight: 50 },
  { stable: "green", blueVersion: "v0.9.9", greenVersion: "v1.1.0", canaryWeight: 50 },
  { stable: "blue", blueVersion: "v0.9.9", greenVersion: "v1.1.0", canaryWeight: 0 },
];

/** How many `up`s are killed. */
const KILLS = 12;

let world: TestWorld;

beforeAll(async () => {
  world = await TestWorld.create("interrupted");
  await world.up({ blueVersion: "v0.9.9" });
}, SLOW_MS);

afterAll(() => world.remove());

/** Starts an `up` and kills the engine after some milliseconds, if it still runs then. */
async function upKilledAfter(milliseconds: number): Promise<"killed" | "ended"> {
  const [program = "", ...args] = world.project.command();
  const up = spawn(program, [...args, "up", "--yes", "--skip-preview", "--stack", "sandbox"], {
    stdio: "ignore",
  });
  const ended = once(up, "exit").then(() => "ended" as const);
  const outcome = await Promise.race([ended, pause(milliseconds, "killed" as const)]);
  if (outcome === "killed") {
    up.kill("SIGKILL");
    await ended;
  }
  return outcome;
}

test("the engine killed at random points of `up` under load", async () => {
  const users = await Users.start(world.loadTarget());
  let killed = 0;
  for (let round = 0; killed < KILLS; round++) {
    const levers = STATES[round % STATES.length] ?? {};
    world.setConfig(levers);
    const after = 300 + Math.floor(Math.random() * 3000);
    const outcome = await upKilledAfter(after);
    killed += outcome === "killed" ? 1 : 0;
    await users.mark(`round ${round}: ${JSON.stringify(levers)}, ${outcome} after ${after} ms`);
    // The next one converges, whatever the dead one left.
    await world.up();
    const { traffic, colours } = await world.status();
    expect({ stable: traffic.stable, canaryWeight: traffic.weight }).toEqual({
      stable: levers.stable,
      canaryWeight: levers.canaryWeight,
    });
    expect([colours.blue.version, colours.green.version]).toEqual([levers.blueVersion, levers.greenVersion]);
    await world.up({}, ["--expect-no-changes"]);
  }
  for (const { total, segments } of await users.stop()) {
    expect(
      segments.filter(({ failed }) => failed > 0).map(({ label, incidents }) => ({ label, incidents })),
    ).toEqual([]);
    expect(total.failed).toBe(0);
  }
});

test("the way back does not wait for what a killed `up` still builds", async () => {
  const prior = { stable: "blue", blueVersion: "v0.9.9", greenVersion: "v1.1.0", canaryWeight: 0 } as const;
  await world.up(prior);
  // It would build for longer than any test may take.
  await world.source.addTag("v1.2.0", slowBuild(4 * SLOW_MS));
  world.setConfig({ greenVersion: "v1.2.0" });
  const up = startUp(world.project);
  expect(await up.printed(/v1\.2\.0: build/)).toBe(true);
  process.kill(up.pid, "SIGKILL");
  await up.ended;
  expect((await world.status()).underWay).toBe("release green");
  const { stdout } = await world.up(prior);
  expect(stdout).toMatch(/waiting for release green/);
  expect((await world.status()).underWay).toBeNull();
  expect((await world.host.exec(["ls", "/var/www"])).stdout).not.toContain("v1.2.0");
  await world.up({}, ["--expect-no-changes"]);
  // Asked for again, it is built anew.
  await world.source.addTag("v1.2.1", () => undefined);
  await world.up({ greenVersion: "v1.2.1" });
});

test("no secret of the config is in clear in any file of the project, its state included", async () => {
  const secret = await world.project.getConfig("testerSecret");
  expect(secret.length).toBeGreaterThan(15);
  const privateKey = readFileSync(world.host.privateKeyFile, "utf8").split("\n")[2] ?? "";
  expect(privateKey.length).toBeGreaterThan(30);
  const files = readdirSync(world.project.directory, { recursive: true, withFileTypes: true }).filter((f) =>
    f.isFile(),
  );
  expect(files.map((file) => file.name)).toContain("sandbox.json");
  const leaking = files
    .map((file) => join(file.parentPath, file.name))
    .filter((file) => [secret, privateKey].some((text) => readFileSync(file, "utf8").includes(text)));
  expect(leaking).toEqual([]);
  // On the host only root reads it: in the truth and in Nginx's configuration.
  const search = [
    "grep",
    "-rlsF",
    "--",
    secret,
    "/etc",
    "/var/lib",
    "/var/log",
    "/usr/local",
    "/tmp",
    "/run",
  ];
  const found = (await world.host.exec(search, { check: false })).stdout
    .split("\n")
    .filter((line) => line !== "");
  for (const file of found) {
    expect((await world.host.exec(["stat", "--format=%U %a", file])).stdout.trim()).toBe("root 600");
  }
  expect(found.sort()).toEqual([
    "/etc/nginx/conf.d/vehicleservice.conf",
    "/var/lib/vehicleservice/site.json",
    "/var/lib/vehicleservice/site.json.previous",
  ]);
});
