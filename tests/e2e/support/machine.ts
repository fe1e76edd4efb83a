import * as fs from "node:fs";
import { execFileSync } from "node:child_process";

import type { World } from "../../../sandbox/world";

/**
 * Everything that a world of the sandbox can leave on a machine, by where it was found. All parts are empty, and
 * forwarding is what it was, where the world has been taken down.
 */
export function tracesOf(world: World): Record<string, readonly string[]> {
  const mine = (lines: readonly string[]): string[] =>
    lines.filter((line) => line.includes(world.name) || line.includes(world.nftTable));
  const list = (directory: string): string[] => (fs.existsSync(directory) ? fs.readdirSync(directory) : []);
  return {
    mounts: mine(fs.readFileSync("/proc/self/mounts", "utf8").split("\n")),
    namespaces: mine(list("/run/netns")),
    nftTables: mine(execFileSync("nft", ["list", "tables"], { encoding: "utf8" }).split("\n")),
    state: fs.existsSync(world.stateDirectory) ? [world.stateDirectory] : [],
    cgroups: cgroups(world),
    processes: mine(commandLines()),
  };
}

/** What {@link tracesOf} says of a world that was taken down. */
export const NO_TRACES = { mounts: [], namespaces: [], nftTables: [], state: [], cgroups: [], processes: [] };

const FORWARDING = "/proc/sys/net/ipv4/ip_forward";

/** Whether the machine forwards IPv4 packets: "0" or "1". */
export function forwarding(): string {
  return fs.readFileSync(FORWARDING, "utf8").trim();
}

/** Has the machine forward IPv4 packets or not, for a test that runs alone: "0" or "1". */
export function setForwarding(value: string): void {
  fs.writeFileSync(FORWARDING, value);
}

function cgroups(world: World): string[] {
  const mounts = fs.readFileSync("/proc/self/mounts", "utf8").split("\n");
  const roots = mounts
    .map((line) => line.split(" ")[1] ?? "")
    .filter((point) => point.startsWith("/sys/fs/cgroup"));
  return roots.map((root) => `${root}/${world.cgroup}`).filter((directory) => fs.existsSync(directory));
}

function commandLines(): string[] {
  return fs.readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return [];
    try {
      return [fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")];
    } catch {
      return []; // Ended meanwhile.
    }
  });
}
