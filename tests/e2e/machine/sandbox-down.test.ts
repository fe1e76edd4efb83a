import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { takeDown } from "../../../sandbox/down";
import { bootHost, findHost } from "../../../sandbox/hosts/host";
import { readRecord, writeRecord } from "../../../sandbox/hosts/registry";
import { identify, isAlive, waitFor } from "../../../sandbox/processes";
import { repositoryRoot } from "../../../sandbox/repository";
import { findService } from "../../../sandbox/services";
import { Site } from "../../../sandbox/site";
import { worldNamed } from "../../../sandbox/world";
import { ChildProgram } from "../support/child";
import { forwarding, NO_TRACES, setForwarding, tracesOf } from "../support/machine";
import { SLOW_MS } from "../support/world";

jest.setTimeout(4 * SLOW_MS);

const world = worldNamed("vssb-down");
const name = "web";
let forwardingBefore: string;
let temporary: string;

beforeAll(() => {
  forwardingBefore = forwarding();
  temporary = fs.mkdtempSync(path.join(os.tmpdir(), "sandbox-down-"));
});

afterEach(async () => {
  await takeDown(world);
  expect(tracesOf(world)).toEqual(NO_TRACES);
  expect(forwarding()).toBe(forwardingBefore);
});

afterAll(() => fs.rmSync(temporary, { recursive: true }));

const bootScript = `
  import { bootHost } from "./sandbox/hosts/host";
  import { worldNamed } from "./sandbox/world";
  void bootHost({ name: "${name}", world: worldNamed("${world.name}") }).then(async (host) => {
    console.log("up");
    setInterval(() => undefined, 1000);
  });
`;

it("leaves nothing of a site: host, git daemon, project, the note of the selected stack", async () => {
  const projectDirectory = path.join(temporary, "project");
  const site = await Site.open({ name, world, projectDirectory });
  const home = path.join(os.homedir(), ".pulumi", "workspaces");
  expect(fs.readdirSync(projectDirectory)).toEqual(
    expect.arrayContaining(["Pulumi.yaml", "Pulumi.sandbox.yaml"]),
  );
  expect(findService(world, `git-${site.host.gateway}`)).not.toBeNull();
  expect(tracesOf(world)).not.toMatchObject({ nftTables: [] });
  // By its name, for other tests' projects come and go beside it.
  const digest = createHash("sha1").update(path.join(projectDirectory, "Pulumi.yaml")).digest("hex");
  const notes = (): string[] =>
    fs.existsSync(home) ? fs.readdirSync(home).filter((note) => note.includes(digest)) : [];
  expect(notes()).toHaveLength(1);
  await takeDown(world);
  expect(fs.existsSync(projectDirectory)).toBe(false);
  expect(notes()).toEqual([]);
});

it("may be repeated, and may be called where nothing is", async () => {
  await takeDown(world);
  await takeDown(world);
});

it("finds a host that outlived the run that booted it, which was killed", async () => {
  const program = new ChildProgram(bootScript);
  try {
    const child = await program.startAndWait();
    child.kill("SIGKILL");
    await once(child, "exit");
    const host = findHost(name, world);
    expect((await host!.exec(["hostname"])).stdout.trim()).toBe(name);
  } finally {
    program.remove();
  }
});

it("and so does the next boot, at whatever moment the last one was killed", async () => {
  const program = new ChildProgram(bootScript);
  try {
    for (const delayMs of [150, 250, 350, 450, 600, 800, 1100]) {
      const child = program.start();
      const exit = once(child, "exit");
      setTimeout(() => child.kill("SIGKILL"), delayMs);
      await exit;
      await findHost(name, world)?.powerOff();
      const host = await bootHost({ name, world });
      expect((await host.exec(["hostname"])).stdout.trim()).toBe(name);
      // Half of the time the next child meets what a killed run left, half of the time a clean machine.
      if (delayMs % 100 === 0) await host.remove();
      else await host.powerOff();
    }
  } finally {
    program.remove();
  }
});

it("ends a host whose supervisor has not entered its cgroup yet", async () => {
  const host = await bootHost({ name, world });
  await host.powerOff();
  const outside = spawn("sleep", ["1000"], { stdio: "ignore" });
  try {
    const supervisor = identify(outside.pid!)!;
    writeRecord(world, { ...readRecord(world, name)!, supervisor });
    await findHost(name, world)!.powerOff();
    expect(isAlive(supervisor)).toBe(false);
  } finally {
    outside.kill("SIGKILL");
  }
  await host.powerOn();
  expect((await host.exec(["hostname"])).stdout.trim()).toBe(name);
});

it("starts no supervisor that no record names, for its starter was killed before", () => {
  const supervise = path.join(repositoryRoot(), "sandbox", "hosts", "supervise");
  const argv = [name, temporary, temporary, "none", path.join(temporary, "cgroup")];
  const { status, stderr } = spawnSync(supervise, argv, {
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "utf8",
  });
  // It has not even looked for the cgroup, which is not there.
  expect({ status, stderr }).toEqual({ status: 1, stderr: "" });
});

it("a host starts over what an earlier boot of the machine left", async () => {
  const { network, address } = await leaveOvers();
  // Another boot: no process, namespace, link or rule is there any more, and forwarding is the machine's own again.
  execFileSync("ip", ["netns", "delete", network]);
  execFileSync("nft", ["delete", "table", "ip", world.nftTable]);
  const otherwise = forwardingBefore === "1" ? "0" : "1";
  const earlier = { bootId: "00000000-0000-0000-0000-000000000000", forwarding: otherwise };
  fs.writeFileSync(path.join(world.stateDirectory, "ip_forward.json"), JSON.stringify(earlier));
  setForwarding(forwardingBefore);
  await waitFor("the link to go", 60, () => (hasLinkTo(address) ? undefined : true));
  expect(findHost(name, world)).toBeNull();
  expect((await (await bootHost({ name, world })).exec(["hostname"])).stdout.trim()).toBe(name);
});

it("a host starts over left-over mounts, namespaces, links and rules whose processes are gone", async () => {
  const { network } = await leaveOvers();
  const host = path.join(world.stateDirectory, "hosts", name);
  execFileSync("mount", ["-t", "tmpfs", "left-over", path.join(host, "root")]);
  fs.mkdirSync(path.join(host, "root", "inner"));
  execFileSync("mount", ["-t", "tmpfs", "left-over", path.join(host, "root", "inner")]);
  expect(tracesOf(world)).toMatchObject({ namespaces: [network], processes: [] });
  const again = await bootHost({ name, world });
  expect((await again.exec(["hostname"])).stdout.trim()).toBe(name);
  expect(tracesOf(world)["mounts"]!.filter((line) => line.startsWith("left-over"))).toEqual([]);
});

it("finds things whose record is gone", async () => {
  const host = await bootHost({ name, world });
  const init = identify(host.pidsOf(/systemd/)[0]!)!;
  fs.rmSync(path.join(world.stateDirectory, "hosts", name, "record.json"));
  await takeDown(world);
  expect(isAlive(init)).toBe(false);
});

it("a world that a killed run left does not keep the machine's forwarding", async () => {
  const dead = worldNamed("vssb-dead");
  const program = new ChildProgram(bootScript.replace(`"${world.name}"`, `"${dead.name}"`));
  setForwarding("0");
  try {
    const child = await program.startAndWait();
    child.kill("SIGKILL");
    await once(child, "exit");
    await findHost(name, dead)!.powerOff();
    setForwarding("0");
    await (await bootHost({ name, world })).remove();
    expect(forwarding()).toBe("0");
    await takeDown(dead);
    expect(forwarding()).toBe("0");
  } finally {
    program.remove();
    await takeDown(dead);
    setForwarding(forwardingBefore);
  }
});

it("touches nothing of another world, and leaves the machine's forwarding to the last one", async () => {
  const other = worldNamed("vssb-other");
  setForwarding("0");
  try {
    await bootHost({ name, world });
    const host = await bootHost({ name, world: other });
    try {
      await takeDown(world);
      expect((await host.exec(["hostname"])).stdout.trim()).toBe(name);
      expect(forwarding()).toBe("1");
    } finally {
      await host.remove();
    }
    expect(tracesOf(other)).toEqual(NO_TRACES);
    expect(forwarding()).toBe("0");
  } finally {
    setForwarding(forwardingBefore);
  }
});

/** Boots a host and ends all of its processes, so that only what the kernel and the disk keep is left. */
async function leaveOvers(): Promise<{ readonly network: string; readonly address: string }> {
  const host = await bootHost({ name, world });
  await host.powerOff();
  await waitFor("its processes to go", 60, () =>
    tracesOf(world)["processes"]!.length === 0 ? true : undefined,
  );
  return { network: `${world.namespacePrefix}${name}`, address: host.address };
}

function hasLinkTo(address: string): boolean {
  return fs.readFileSync("/proc/net/dev", "utf8").includes(` vsandbox${address.split(".")[2]!}:`);
}
