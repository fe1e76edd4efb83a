import * as fs from "node:fs";
import * as path from "node:path";

import { run } from "../command";
import { isAlive, signalProcess, waitFor } from "../processes";
import type { World } from "../world";
import { cgroupOf, hostsWithCgroup, killCgroup, removeCgroup, removeWorldCgroup } from "./cgroup";
import { closeOutbound, namespaceOf, namespacesOf, removeNetwork } from "./network";
import { hostDirectory, readRecord, recordedHosts } from "./registry";

/**
 * Removes everything of one host that is there: processes, mounts, network, cgroup, directory. Finds them by the names
 * that a host's things have, so it works for a host that was only half made, or whose processes are long gone. The
 * caller holds the machine's lock.
 */
export async function clearHost(world: World, name: string): Promise<void> {
  const directory = hostDirectory(world, name);
  const cgroup = cgroupOf(world, name);
  await killHost(world, name);
  await unmountBelow(directory);
  await removeNetwork(namespaceOf(world, name));
  removeCgroup(cgroup);
  fs.rmSync(directory, { recursive: true, force: true });
}

/** Ends every process of a host at once, with the supervisor first: it enters the cgroup only a moment after its start. */
export async function killHost(world: World, name: string): Promise<void> {
  const supervisor = readRecord(world, name)?.supervisor ?? null;
  if (supervisor !== null) {
    signalProcess(supervisor, "SIGKILL");
    await waitFor(`the supervisor of ${name} to end`, 30, () => (isAlive(supervisor) ? undefined : true));
  }
  await killCgroup(cgroupOf(world, name));
}

/** Takes the outbound NAT back, and the world's cgroup, when the world's last host is gone. The caller holds the machine's lock. */
export async function closeWorldIfEmpty(world: World): Promise<void> {
  if (allHosts(world).length > 0) return;
  await closeOutbound(world);
  removeWorldCgroup(world);
  for (const directory of [path.join(world.stateDirectory, "hosts"), world.stateDirectory])
    removeIfEmpty(directory);
}

function removeIfEmpty(directory: string): void {
  if (fs.existsSync(directory) && fs.readdirSync(directory).length === 0) fs.rmdirSync(directory);
}

/** Names of all hosts that left anything: a directory, a namespace or a cgroup. */
export function allHosts(world: World): string[] {
  const namespaces = namespacesOf(world).map((namespace) => namespace.slice(world.namespacePrefix.length));
  return [...new Set([...recordedHosts(world), ...namespaces, ...hostsWithCgroup(world)])];
}

/** Unmounts what is mounted at or below `directory`, innermost first. */
async function unmountBelow(directory: string): Promise<void> {
  const points = fs
    .readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => (line.split(" ")[1] ?? "").replaceAll("\\040", " "))
    .filter((point) => point === directory || point.startsWith(`${directory}/`));
  for (const point of points.reverse()) await run(["umount", point]);
}
