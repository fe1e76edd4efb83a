import { existsSync } from "node:fs";
import { readFile, statfs } from "node:fs/promises";
import { METRICS } from "../protocol";
import { increase } from "./counters";
import { figure, type Figure } from "./figure";

/** Pairs that only go up while a host runs. */
export interface SystemCounts {
  /** Which boot of the host counts these. */
  readonly boot: string;
  /** Ticks of all processors: those at work, and all. */
  readonly cpu: { readonly busy: number; readonly total: number };
  /** Bytes of the disks, without partitions and what is made of other disks. */
  readonly disk: { readonly read: number; readonly written: number };
  /** Bytes of the network, without the loopback. */
  readonly network: { readonly received: number; readonly sent: number };
}

/** What a kernel counts a disk by, whatever its sectors are. */
const SECTOR_BYTES = 512;

/** The processors' ticks in `/proc/stat`. What a guest ran is in `user` already. */
export function parseCpu(stat: string): SystemCounts["cpu"] {
  const ticks = (/^cpu +(.*)$/m.exec(stat)?.[1] ?? "").split(" ").map(Number).slice(0, 8);
  const total = ticks.reduce((sum, count) => sum + count, 0);
  const [, , , idle = 0, waiting = 0] = ticks;
  return { busy: total - idle - waiting, total };
}

/** Share of the memory that is in use, in percent, by `/proc/meminfo`: what programs could not have. */
export function parseMemory(meminfo: string): number {
  const kilobytes = (name: string): number =>
    Number(new RegExp(`^${name}: +(\\d+) kB$`, "m").exec(meminfo)?.[1]);
  const total = kilobytes("MemTotal");
  return ((total - kilobytes("MemAvailable")) / total) * 100;
}

/** Bytes of the disks in `/proc/diskstats`; `isDisk` tells by its name whether a device is one. */
export function parseDisks(diskstats: string, isDisk: (name: string) => boolean): SystemCounts["disk"] {
  const disks = diskstats
    .split("\n")
    .map((line) => line.trim().split(/ +/))
    .filter(([, , name]) => name !== undefined && isDisk(name));
  const sum = (field: number): number =>
    disks.reduce((bytes, fields) => bytes + Number(fields[field] ?? 0) * SECTOR_BYTES, 0);
  return { read: sum(5), written: sum(9) };
}

/** Bytes of the interfaces in `/proc/net/dev`, the loopback left out. */
export function parseNetwork(dev: string): SystemCounts["network"] {
  const rows = [...dev.matchAll(/^ *([^:\s]+): *(.*)$/gm)]
    .filter(([, name]) => name !== "lo")
    .map(([, , fields = ""]) => fields.trim().split(/ +/).map(Number));
  const sum = (field: number): number => rows.reduce((bytes, fields) => bytes + (fields[field] ?? 0), 0);
  return { received: sum(0), sent: sum(8) };
}

/** Reads what this host counts. */
export async function readSystem(): Promise<SystemCounts> {
  const [boot, stat, diskstats, dev] = await Promise.all(
    ["/proc/sys/kernel/random/boot_id", "/proc/stat", "/proc/diskstats", "/proc/net/dev"].map((path) =>
      readFile(path, "utf8"),
    ),
  );
  return {
    boot: (boot ?? "").trim(),
    cpu: parseCpu(stat ?? ""),
    // Partitions are no block devices of their own here, and what is made of other disks has no hardware.
    disk: parseDisks(diskstats ?? "", (name) => existsSync(`/sys/block/${name}/device`)),
    network: parseNetwork(dev ?? ""),
  };
}

/** Share of a file system that is in use, in percent, as `df` has it: what root alone may fill counts as full. */
export function fullness({
  blocks,
  bfree,
  bavail,
}: {
  blocks: number;
  bfree: number;
  bavail: number;
}): number {
  const used = blocks - bfree;
  return used + bavail === 0 ? 0 : (used / (used + bavail)) * 100;
}

/** What is in use now: memory, and the fullest of the file systems that hold these directories. */
export async function usageFigures(directories: readonly string[]): Promise<Figure[]> {
  const meminfo = await readFile("/proc/meminfo", "utf8");
  const there = directories.filter((directory) => existsSync(directory));
  const systems = await Promise.all(there.map((directory) => statfs(directory)));
  return [
    figure(METRICS.memory, parseMemory(meminfo)),
    figure(METRICS.disk, Math.max(...systems.map(fullness))),
  ];
}

/** What is published of what this host counted between two looks; nothing where it was booted between them. */
export function systemFigures(now: SystemCounts, before: SystemCounts): Figure[] {
  if (now.boot !== before.boot) return [];
  const total = increase(now.cpu.total, before.cpu.total);
  const busy = increase(now.cpu.busy, before.cpu.busy);
  return [
    ...(total === 0 ? [] : [figure(METRICS.cpu, Math.min(100, (busy / total) * 100))]),
    figure(METRICS.diskRead, increase(now.disk.read, before.disk.read)),
    figure(METRICS.diskWrite, increase(now.disk.written, before.disk.written)),
    figure(METRICS.networkIn, increase(now.network.received, before.network.received)),
    figure(METRICS.networkOut, increase(now.network.sent, before.network.sent)),
  ];
}
