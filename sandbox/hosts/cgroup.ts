import * as fs from "node:fs";
import * as path from "node:path";

import { waitFor } from "../processes";
import type { World } from "../world";

/** A host's place in every cgroup hierarchy of the machine. Its processes are found and ended by it, never by name. */
export interface HostCgroup {
  /** In the v2 hierarchy. `supervisor` and `guest` below it hold the processes. */
  readonly unified: string;
  /** In each v1 hierarchy, on machines that still have some. */
  readonly legacy: readonly string[];
}

/** Returns where the cgroup of a host is, or will be. Throws on a machine without cgroup v2. */
export function cgroupOf(world: World, host: string): HostCgroup {
  const { unified, legacy } = hierarchies();
  if (unified === undefined) {
    throw new Error(
      "no cgroup v2 hierarchy is mounted: hosts need one (mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified)",
    );
  }
  return {
    unified: path.join(unified, world.cgroup, host),
    legacy: legacy.map((hierarchy) => path.join(hierarchy, world.cgroup, host)),
  };
}

/** Makes the cgroup, empty, with the controllers that the machine can delegate. */
export function createCgroup(cgroup: HostCgroup): void {
  for (const directory of [path.dirname(cgroup.unified), cgroup.unified]) {
    delegateControllers(path.dirname(directory));
    fs.mkdirSync(directory, { recursive: true });
  }
  delegateControllers(cgroup.unified);
  fs.mkdirSync(path.join(cgroup.unified, "supervisor"), { recursive: true });
  for (const directory of cgroup.legacy) {
    for (const level of [path.dirname(directory), directory]) {
      fs.mkdirSync(level, { recursive: true });
      inheritCpuset(level);
    }
  }
}

/** Ends every process of the cgroup by SIGKILL and returns when they are gone. */
export async function killCgroup(cgroup: HostCgroup): Promise<void> {
  if (!fs.existsSync(cgroup.unified)) return;
  const kill = path.join(cgroup.unified, "cgroup.kill");
  await waitFor(`the processes of ${cgroup.unified} to end`, 30, () => {
    if (fs.existsSync(kill)) fs.writeFileSync(kill, "1");
    else killEach(cgroup); // Linux before 5.14.
    return isPopulated(cgroup) ? undefined : true;
  });
}

/** Removes the (empty) cgroup. The world's stays: another host may be about to be put into it. */
export function removeCgroup({ unified, legacy }: HostCgroup): void {
  for (const directory of [unified, ...legacy]) removeTree(directory);
}

/** Removes the cgroup of a world that has no host, neither in it nor about to boot. */
export function removeWorldCgroup(world: World): void {
  for (const directory of cgroupsOf(world)) removeTree(directory);
}

/** Ids of all processes in the cgroup, as this machine numbers them. */
export function pidsIn(cgroup: HostCgroup): number[] {
  return processesBelow(cgroup.unified);
}

/** Names of the hosts that have a cgroup in this world, alive or left over. */
export function hostsWithCgroup(world: World): string[] {
  return [...new Set(cgroupsOf(world).flatMap(subgroups))];
}

/** Where the world has a cgroup. */
function cgroupsOf(world: World): string[] {
  const { unified, legacy } = hierarchies();
  return [...(unified === undefined ? [] : [unified]), ...legacy]
    .map((root) => path.join(root, world.cgroup))
    .filter((directory) => fs.existsSync(directory));
}

function hierarchies(): { unified: string | undefined; legacy: string[] } {
  const mounts = fs
    .readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "));
  const at = (type: string): string[] =>
    mounts.flatMap(([, directory, kind]) =>
      kind === type && directory?.startsWith("/sys/fs/cgroup") ? [directory] : [],
    );
  return { unified: at("cgroup2")[0], legacy: at("cgroup") };
}

function isPopulated(cgroup: HostCgroup): boolean {
  return /^populated 1$/m.test(fs.readFileSync(path.join(cgroup.unified, "cgroup.events"), "utf8"));
}

function killEach(cgroup: HostCgroup): void {
  for (const pid of pidsIn(cgroup)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

/** Passes on what the machine has; a hierarchy without a controller (or one that a v1 hierarchy holds) limits nothing. */
function delegateControllers(directory: string): void {
  const available = fs.readFileSync(path.join(directory, "cgroup.controllers"), "utf8").trim().split(" ");
  for (const controller of available.filter((name) => ["cpu", "memory", "pids", "io"].includes(name))) {
    try {
      fs.writeFileSync(path.join(directory, "cgroup.subtree_control"), `+${controller}`);
    } catch (error) {
      // Not ours to give away; the guest then counts and limits without it.
      if (!["EBUSY", "ENOENT", "EINVAL", "EOPNOTSUPP"].includes((error as NodeJS.ErrnoException).code ?? ""))
        throw error;
    }
  }
}

/** A new v1 cpuset allows no processor at all until it is told which. */
function inheritCpuset(directory: string): void {
  for (const file of ["cpuset.cpus", "cpuset.mems"]) {
    const own = path.join(directory, file);
    if (!fs.existsSync(own) || fs.readFileSync(own, "utf8").trim() !== "") continue;
    fs.writeFileSync(own, fs.readFileSync(path.join(path.dirname(directory), file), "utf8"));
  }
}

function subgroups(directory: string): string[] {
  return fs
    .readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
}

function processesBelow(directory: string): number[] {
  try {
    const own = fs
      .readFileSync(path.join(directory, "cgroup.procs"), "utf8")
      .split("\n")
      .filter(Boolean)
      .map(Number);
    return [...own, ...subgroups(directory).flatMap((name) => processesBelow(path.join(directory, name)))];
  } catch (error) {
    if (["ENOENT", "ENODEV"].includes((error as NodeJS.ErrnoException).code ?? "")) return []; // Removed meanwhile.
    throw error;
  }
}

function removeTree(directory: string): void {
  if (!fs.existsSync(directory)) return;
  for (const name of subgroups(directory)) removeTree(path.join(directory, name));
  fs.rmdirSync(directory);
}
