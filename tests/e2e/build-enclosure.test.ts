import { startLoad } from "../../sandbox/load/run";
import { hostileInstall, LOOT_FILE, type Loot } from "./support/hostile-install";
import { slowBuild } from "./support/slow-build";
import { SLOW_MS, TestWorld } from "./support/world";

/*
 * An install script is of the same user as what serves. It gets at no secret of it, at none of its processes, files and
 * sockets, and leaves nothing that a later fetch runs; and a build takes no processor from what serves.
 */

jest.setTimeout(4 * SLOW_MS);

/** In the environment that blue serves with, and nowhere else. */
const CANARY = "canary-e5b1c0ffee-for-the-application-alone";

const [STATE, RUNTIME, SCOPE] = [
  "/var/lib/vehicleservice",
  "/run/vehicleservice",
  "vehicleservice-build.scope",
];

/** Longest wait for a build to begin, in seconds. */
const WAIT_SECONDS = 900;

/** Milliseconds that a build takes at least: long enough to be looked at. */
const BUILD_MS = 10_000;

let world: TestWorld;

beforeAll(async () => {
  world = await TestWorld.create("build-enclosure");
  await world.setGroupValue("variables.SIGNING_KEY", CANARY);
  await world.up({ blueVersion: "v0.9.9" });
}, SLOW_MS);

afterAll(() => world.remove());

async function shell(script: string): Promise<string> {
  return (await world.host.exec(["bash", "-c", script])).stdout.trim();
}

const lines = async (script: string): Promise<string[]> => (await shell(script)).split("\n");

/** Ids of all that serves on blue, PM2 included. */
async function servers(): Promise<number[]> {
  const group = await shell("systemctl show --value --property=ControlGroup vehicleservice@blue.service");
  return (await lines(`cat /sys/fs/cgroup${group}/cgroup.procs`)).map(Number);
}

/** What the running build may take: weight of its scope, and nice values of what the release runs in it. */
async function priorityOfBuild(): Promise<{ weights: string[]; niceness: string[] }> {
  // Waits on the host, for each look from here costs a process or two. The kernel's own number is there where the machine
  // has its processors in the hierarchy that hosts have; what encloses the programs only waits.
  const found = await lines(`
    show() { systemctl show --value --property="$1" ${SCOPE}; }
    programs() { xargs -r ps --no-headers -o ni,args -p <"$directory/cgroup.procs" | awk '$2 == "node" || $2 == "npm"'; }
    for ((i = 0; i < ${WAIT_SECONDS}; i++)); do
      directory=/sys/fs/cgroup$(show ControlGroup)
      if [[ $directory == *.scope ]] && programs | grep -q 'node build.js$'; then
        echo "weight $(show CPUWeight)"
        if [[ -e $directory/cpu.weight ]]; then echo "weight $(cat "$directory/cpu.weight")"; fi
        programs | awk '{print "nice", $1}'
        exit
      fi
      sleep 1
    done 2>/dev/null
    echo "no build runs"`);
  const of = (what: string): string[] => [
    ...new Set(found.flatMap((line) => (line.startsWith(what) ? [line] : []))),
  ];
  return { weights: of("weight "), niceness: of("nice ") };
}

test("a hostile install gets at nothing of what serves, and a build stands behind it", async () => {
  const live = await shell("ls -d /var/www/vehicleservice-v0.9.9-*");
  const environments = await lines(`ls ${STATE}/environments/*.json`);
  expect(await shell(`grep -l ${CANARY} ${environments.join(" ")}`)).not.toBe("");
  const upload = "/tmp/upload-of-a-user";
  await shell(`install -o www-data -m 600 /dev/null ${upload}; echo ${CANARY} >${upload}`);
  await shell(`install -d -o www-data -m 700 /var/www/.ssh; echo ${CANARY} >/var/www/.ssh/id_ed25519`);
  const before = await servers();
  expect(before.length).toBeGreaterThan(2);
  const digest = (): Promise<string> =>
    shell(`cd ${live} && find . -printf '%P %i %T@ %C@\\n' | sort | sha256sum`);
  const untouched = await digest();
  const prey = {
    files: [...environments, upload, "/var/www/.ssh/id_ed25519", `${STATE}/site.json`],
    directories: [
      ...["environments", "pm2", "releases", "build/source.git"].map((name) => `${STATE}/${name}`),
      RUNTIME,
      "/var/log",
      "/var/www/vehicleservice-dependencies",
    ],
    writes: [
      `${live}/server.js`,
      `${live}/hostile`,
      "/var/www/vehicleservice/MAINTENANCE_MODE",
      `${STATE}/build/source.git/config`,
      `${STATE}/pm2/blue/ecosystem.json`,
    ],
    processes: before,
    sockets: [
      ...(await lines(`find ${STATE}/pm2 ${RUNTIME} -type s`)),
      `${STATE}/pm2/blue/rpc.sock`,
      `${RUNTIME}/conductor.sock`,
    ],
    mounts: [STATE, RUNTIME, "/", "/var/www", "/tmp", "/proc"],
  };
  await world.source.addTag("v2.0.0", (directory) => {
    hostileInstall(prey)(directory);
    slowBuild(BUILD_MS)(directory);
  });
  const load = await startLoad({
    ...world.loadTarget(),
    protocol: "http1",
    rate: 20,
    connections: 5,
    timeoutMs: 60_000,
  });

  const [{ stdout, stderr }, priority] = await Promise.all([
    world.up({ greenVersion: "v2.0.0" }),
    priorityOfBuild(),
  ]);
  await load.afterRequests(50);
  const { total } = await load.stop();

  const text = await shell(`cat /var/www/vehicleservice-v2.0.0-*/${LOOT_FILE}`);
  const { loot, refused } = JSON.parse(text) as { readonly loot: Loot; readonly refused: Loot };
  const { user, ...others } = loot;
  expect(Object.fromEntries(Object.entries(others).filter(([, got]) => got !== null))).toEqual({
    "own directory": "written",
    "own home": "written",
    "temporary file": "written",
  });
  expect(Object.keys(loot).length).toBeGreaterThan(50);
  // It was tried: a file that it cannot make in its home would be refused by another word.
  expect(refused["link a file that stays in its home"]).toBe("EXDEV");
  expect(user).toMatch(/^www-data\nCapPrm:\t0+\nCapEff:\t0+\nCapAmb:\t0+\nNoNewPrivs:\t1\n$/);
  expect(text).not.toContain(CANARY);
  expect(stdout + stderr).not.toContain(CANARY);

  expect(await servers()).toEqual(before);
  expect(await digest()).toBe(untouched);
  expect(await shell("find /tmp /var/tmp /dev/shm -name left-by-install")).toBe("");
  expect(total.failed).toBe(0);
  expect(total.incidents).toEqual([]);

  expect(priority).toEqual({ weights: ["weight 2"], niceness: ["nice 19"] });
});

test("what it left in its home is run by no later fetch", async () => {
  expect(await shell(`cat ${STATE}/build/home/.gitconfig`)).toMatch(/hooksPath/);
  await world.up({ greenVersion: "v1.0.0" });
  expect(await shell("ls /var/tmp")).not.toContain("hook-ran");
});
