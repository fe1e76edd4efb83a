import * as fs from "node:fs";
import * as path from "node:path";

import { writeInOneStep } from "../one-step";
import { isAlive, type ProcessIdentity } from "../processes";
import type { World } from "../world";

/** What is kept of a host in the world's state directory, so that any later run can find, use and remove it. */
export interface HostRecord {
  readonly name: string;
  /** N in 10.77.N.0/24. */
  readonly index: number;
  /** The image's layers that it was booted from, uppermost first. */
  readonly layers: readonly string[];
  /** Its SSH host key: `ssh-ed25519 AAAA...`. */
  readonly hostKey: string;
  /** The process that reserved its name and network, and may be about to boot it. */
  readonly maker: ProcessIdentity | null;
  /** The supervising process, or null before the first boot. */
  readonly supervisor: ProcessIdentity | null;
  /** Only its network is used, by something that is no host. */
  readonly networkOnly?: true;
}

/** Throws unless `name` can be a host's name: it becomes a directory, a host name and a namespace. */
export function requireHostName(name: string): void {
  if (!/^[a-z][a-z0-9-]{0,30}$/.test(name)) {
    throw new Error(`host name ${JSON.stringify(name)}: must be 1 to 31 of a-z, 0-9 and "-", a letter first`);
  }
}

/** Directory of everything that belongs to the host. */
export function hostDirectory(world: World, name: string): string {
  requireHostName(name);
  return path.join(world.stateDirectory, "hosts", name);
}

/** Reads a host's record; null when there is none (or a killed run left an unfinished directory). */
export function readRecord(world: World, name: string): HostRecord | null {
  const file = path.join(hostDirectory(world, name), "record.json");
  return fs.existsSync(file) ? (JSON.parse(fs.readFileSync(file, "utf8")) as HostRecord) : null;
}

/** Writes a host's record in one step. */
export function writeRecord(world: World, record: HostRecord): void {
  const file = path.join(hostDirectory(world, record.name), "record.json");
  fs.mkdirSync(path.dirname(file), { recursive: true });
  writeInOneStep(file, `${JSON.stringify(record, null, 2)}\n`);
}

/** Names of all hosts with a directory, sound or left over. */
export function recordedHosts(world: World): string[] {
  const directory = path.join(world.stateDirectory, "hosts");
  return fs.existsSync(directory) ? fs.readdirSync(directory).sort() : [];
}

/** Tells whether a host of the world runs, or is with a process that may boot it; what a killed run left is neither. */
export function hasLiveHosts(world: World): boolean {
  const records = recordedHosts(world).map((name) => readRecord(world, name));
  return records.some((record) =>
    [record?.maker, record?.supervisor].some((identity) => identity != null && isAlive(identity)),
  );
}
