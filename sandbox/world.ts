import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

/**
 * Everything on this machine that belongs to one sandbox: its directories and the names of what it makes in the kernel.
 * Two worlds do not touch each other; the tests of `down` have one of their own.
 */
export interface World {
  /** Lower-case name; every kernel object's name begins with it. */
  readonly name: string;
  /** State of the world, machine-wide, so that another clone can clean it up. */
  readonly stateDirectory: string;
  /** Parent of the hosts' cgroups, relative to the root of each hierarchy. */
  readonly cgroup: string;
  /** nft table (family ip) with the outbound NAT. */
  readonly nftTable: string;
  /** Beginning of the network namespaces' names. */
  readonly namespacePrefix: string;
}

/** Where the worlds' state directories are. */
const STATE_DIRECTORIES = "/var/lib";

/** The world that bin/sandbox uses where the environment names no other. */
export const DEFAULT_WORLD = "vehicleservice-sandbox";

/** Returns the world called `name`; `VEHICLESERVICE_SANDBOX_WORLD`, or else the default world, where none is given. */
export function worldNamed(name = process.env["VEHICLESERVICE_SANDBOX_WORLD"] ?? DEFAULT_WORLD): World {
  if (!/^[a-z][a-z0-9-]{0,40}$/.test(name)) {
    throw new Error(
      `sandbox world ${JSON.stringify(name)}: must be lower-case letters, digits and "-", a letter first`,
    );
  }
  return {
    name,
    stateDirectory: path.join(STATE_DIRECTORIES, name),
    cgroup: name,
    nftTable: name.replaceAll("-", "_"),
    namespacePrefix: `${name}-`,
  };
}

/** Returns the worlds of this machine that have a file of that name in their state directory. */
export function worldsWith(file: string): World[] {
  return fs
    .readdirSync(STATE_DIRECTORIES)
    .filter((name) => fs.existsSync(path.join(STATE_DIRECTORIES, name, file)))
    .map((name) => worldNamed(name));
}

/** Where the images are kept: shared by all worlds and kept by `down`. */
export function cacheDirectory(): string {
  const base = process.env["XDG_CACHE_HOME"];
  return path.join(
    base === undefined || base === "" ? path.join(os.homedir(), ".cache") : base,
    DEFAULT_WORLD,
  );
}

/**
 * What all worlds of the machine take turns at (addresses, interface names, forwarding): an existing directory that
 * nobody else locks, so that no lock file is left behind.
 */
export const MACHINE_LOCK = STATE_DIRECTORIES;
