import { waitFor } from "../../sandbox/processes";
import { SLOW_MS, TestWorld } from "./support/world";

/*
 * A disk without a byte left, under the truth and under the route that Nginx starts with: the way back is open all the
 * same, and is recorded.
 */

jest.setTimeout(SLOW_MS);

/** The disk, in megabytes: small enough to be filled. */
const DISK_MEGABYTES = 64;
const STATE = "/var/lib/vehicleservice";
const NGINX_FILES = "/etc/nginx/vehicleservice";

/** New users that are asked for: not one of them in a billion times sees half of a site only. */
const USERS = 30;

const WAIT_SECONDS = 60;

let world: TestWorld;

beforeAll(async () => {
  world = await TestWorld.create("full-disk");
  const onHost = (...argv: string[]): Promise<unknown> => world.host.exec(argv);
  await onHost("mkdir", "-p", STATE, NGINX_FILES);
  // One disk for both, as a host has it.
  await onHost("mount", "-t", "tmpfs", "-o", `size=${DISK_MEGABYTES}m,mode=755`, "tmpfs", STATE);
  await onHost("mkdir", `${STATE}/nginx`);
  await onHost("mount", "--bind", `${STATE}/nginx`, NGINX_FILES);
  await world.up({ blueVersion: "v0.9.9" });
  await world.up({ greenVersion: "v1.0.0", canaryWeight: 50 });
}, 3 * SLOW_MS);

afterAll(() => world.remove());

/** Writes for ever, and again what was not taken: whoever removes something finds its room gone. */
const STORM = `open F, ">", "${STATE}/filler" or die; syswrite F, "x" x 4096 while 1`;

afterEach(endStorm);

/** Fills the disk, and keeps it full. */
async function fillDisk(): Promise<void> {
  await world.host.exec(["systemd-run", "--quiet", "--unit=filler", "perl", "-e", STORM]);
  await waitFor("a full disk", WAIT_SECONDS, async () => {
    const { stdout } = await world.host.exec(["df", "--output=avail", STATE]);
    return stdout.trim().endsWith(" 0") ? true : undefined;
  });
}

async function endStorm(): Promise<void> {
  await world.host.exec(["systemctl", "stop", "filler"], { check: false });
  await world.host.exec(["rm", "--force", `${STATE}/filler`]);
}

function conductor(...words: string[]): ReturnType<typeof world.host.exec> {
  return world.host.exec(["vehicleservice-conductor", ...words], { check: false });
}

/** Colours that so many new users get an answer from. */
async function coloursSeen(): Promise<string[]> {
  const resolve = `${world.domain}:443:127.0.0.1`;
  const url = `https://${world.domain}/api/whoami?[1-${String(USERS)}]`;
  const argv = ["curl", "--silent", "--show-error", "--insecure", "--resolve", resolve, url];
  const { stdout } = await world.host.exec(argv);
  const colours = stdout.match(/"colour":"\w+"/g) ?? [];
  expect(colours).toHaveLength(USERS);
  return [...new Set(colours.map((text) => text.split('"')[3] ?? ""))].sort();
}

/** Both start anew, by what they find on the disk. */
async function startAnew(): Promise<void> {
  await world.host.exec(["systemctl", "kill", "--signal=KILL", "vehicleservice-conductor.service"]);
  await world.host.exec(["systemctl", "restart", "nginx.service"]);
}

test("an abort takes the users off the candidate, and outlives the conductor and Nginx", async () => {
  expect(await coloursSeen()).toEqual(["blue", "green"]);
  await fillDisk();
  expect(await conductor("abort", "payments fail")).toMatchObject({ exitCode: 0 });
  expect(await coloursSeen()).toEqual(["blue"]);
  await startAnew();
  expect(await world.status()).toMatchObject({ aborted: { colour: "green", reason: "payments fail" } });
  expect(await coloursSeen()).toEqual(["blue"]);
  expect(await conductor("ack")).toMatchObject({ exitCode: 0 });
});

test("a rollback by `up` takes them off, too, and is recorded", async () => {
  await world.up({ canaryWeight: 49 });
  expect(await coloursSeen()).toEqual(["blue", "green"]);
  await fillDisk();
  await world.up({ canaryWeight: 0 });
  expect(await coloursSeen()).toEqual(["blue"]);
  await startAnew();
  expect(await world.status()).toMatchObject({ traffic: { stable: "blue", weight: 0 }, underWay: null });
  expect(await coloursSeen()).toEqual(["blue"]);
});

test("a disk that takes nothing at all: an abort is in force, says so, and is recorded once there is room", async () => {
  await world.up({ canaryWeight: 50 });
  await world.host.exec(["find", STATE, "-name", "reserve-*", "-delete"]);
  await fillDisk();
  const { exitCode, stderr } = await conductor("abort", "payments fail");
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/in force, not recorded: .*no space left.*\nThis holds until .* abort again/);
  expect(await coloursSeen()).toEqual(["blue"]);
  expect((await world.status()).unrecorded).toMatch(/no space left/);
  await endStorm();
  await waitFor("the abort to be recorded", WAIT_SECONDS, async () =>
    (await world.status()).unrecorded === undefined ? true : undefined,
  );
  expect(await conductor("abort", "again")).toMatchObject({ exitCode: 0 });
  await startAnew();
  expect(await world.status()).toMatchObject({ aborted: { colour: "green", reason: "payments fail" } });
  expect(await coloursSeen()).toEqual(["blue"]);
});
