import { spawn } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { run, type CommandOptions, type CommandResult } from "../command";
import { ensureImage, type Suite } from "../image/image";
import { MACHINE_LOCK, worldNamed, type World } from "../world";
import { withLock } from "../lock";
import { identify, isAlive, waitFor, type ProcessIdentity } from "../processes";
import { repositoryRoot } from "../repository";
import { cgroupOf, createCgroup, pidsIn } from "./cgroup";
import { createNetwork, freeIndex, indexInUse, networkOf, openOutbound, type HostNetwork } from "./network";
import {
  hostDirectory,
  readRecord,
  recordedHosts,
  requireHostName,
  writeRecord,
  type HostRecord,
} from "./registry";
import { clearHost, closeWorldIfEmpty, killHost } from "./removal";
import { CLIENT_KEY, writeSeed, type GivenKeys, type SeedFiles } from "./seed";
import { sshGreets } from "../reachable";

/** Longest wait for a host to boot until its SSH server greets; it takes about a second. */
const BOOT_SECONDS = 180;

/** Indexes below are left to callers that ask for one by number. */
const FIRST_FREE_INDEX = 10;

/** What to boot. */
export interface BootOptions {
  /** Host name: 1 to 31 of a-z, 0-9 and "-", a letter first. */
  readonly name: string;
  /** N in 10.77.N.0/24, 1 to 254; by default the lowest free one from 10. */
  readonly index?: number;
  /** Its Debian suite; `forky`, with the host's packages on it, by default. `trixie` is bare. */
  readonly suite?: Suite;
  /** Files that are there before the first boot, by absolute path. */
  readonly files?: SeedFiles;
  /** Its keys; by default it gets keys of its own, and `privateKeyFile` lets in. */
  readonly keys?: GivenKeys;
  /** World that the host belongs to; the default one by default. */
  readonly world?: World;
  /** Called with a line for each slow step (building the image). */
  readonly onProgress?: (line: string) => void;
}

/** Boots a new Debian host and returns when its SSH server greets. Several may boot at once. */
export async function bootHost(options: BootOptions): Promise<SandboxHost> {
  const world = options.world ?? worldNamed();
  requireHostName(options.name);
  const image = await ensureImage(options);
  fs.mkdirSync(world.stateDirectory, { recursive: true });
  const record = await withLock(MACHINE_LOCK, () => allocate(world, options));
  try {
    const directory = hostDirectory(world, options.name);
    const hostKey = await writeSeed(directory, options.name, options.files ?? {}, options.keys);
    const host = new SandboxHost(world, { ...record, layers: image.layers, hostKey });
    fs.writeFileSync(path.join(directory, "known_hosts"), `${host.address} ${hostKey}\n`);
    await host.powerOn();
    return host;
  } catch (error) {
    await withLock(MACHINE_LOCK, () => removeLocked(world, options.name));
    throw error;
  }
}

/** Returns the host of that name if it is up, and null otherwise. */
export function findHost(name: string, world: World = worldNamed()): SandboxHost | null {
  const record = readRecord(world, name);
  if (record?.supervisor == null || !isAlive(record.supervisor)) return null;
  return new SandboxHost(world, record);
}

/** Returns the host of that name, up or off, and null where there is none. */
export function recordedHost(name: string, world: World): SandboxHost | null {
  const record = readRecord(world, name);
  return record?.supervisor == null ? null : new SandboxHost(world, record);
}

/**
 * Takes one of the hosts' networks for something that is no host, such as a service that hosts are to reach before any is
 * there: at the network's `gateway` this machine is. Its name is taken as a host's is, and `down` removes it as one.
 */
export async function reserveNetwork(world: World, name: string, index?: number): Promise<HostNetwork> {
  fs.mkdirSync(world.stateDirectory, { recursive: true });
  requireHostName(name);
  const record = await withLock(MACHINE_LOCK, () =>
    allocate(world, index === undefined ? { name } : { name, index }),
  );
  writeRecord(world, { ...record, networkOnly: true });
  return networkOf(world, name, record.index);
}

/** Returns a network that {@link reserveNetwork} took, or null. */
export function reservedNetwork(world: World, name: string): HostNetwork | null {
  const record = readRecord(world, name);
  return record === null ? null : networkOf(world, name, record.index);
}

/** Gives back what {@link reserveNetwork} took; nothing is no fault. */
export async function releaseNetwork(world: World, name: string): Promise<void> {
  await withLock(MACHINE_LOCK, () => removeLocked(world, name));
}

/** Names of the hosts of a world, up or left over. */
export function hostNames(world: World = worldNamed()): string[] {
  return recordedHosts(world).filter((name) => readRecord(world, name)?.networkOnly !== true);
}

/** Reserves name and network under the machine's lock, over whatever an earlier run left of them. */
async function allocate(world: World, { name, index }: BootOptions): Promise<HostRecord> {
  if (findHost(name, world) !== null) throw new Error(`host ${name} is up already: remove it first`);
  await clearHost(world, name);
  if (index !== undefined && indexInUse(index)) {
    throw new Error(
      `network 10.77.${index}.0/24 for host ${name} is in use by another host: take another index`,
    );
  }
  const network = networkOf(world, name, index ?? freeIndex(FIRST_FREE_INDEX));
  const maker = identify(process.pid);
  const record = { name, index: network.index, layers: [], hostKey: "", maker, supervisor: null };
  writeRecord(world, record);
  await openOutbound(world);
  await createNetwork(network);
  return record;
}

async function removeLocked(world: World, name: string): Promise<void> {
  await clearHost(world, name);
  await closeWorldIfEmpty(world);
}

/** A booted Debian host. */
export class SandboxHost {
  readonly name: string;
  /** Its IPv4 address, reachable from this machine. */
  readonly address: string;
  /** This machine's IPv4 address on the host's network. */
  readonly gateway: string;
  /** Its public SSH host key: `ssh-ed25519 AAAA...`. */
  readonly hostKey: string;
  /** Private key on this machine that root on the host accepts. */
  readonly privateKeyFile: string;
  /** Where it is on the machine's networks. */
  readonly network: HostNetwork;
  private readonly directory: string;

  constructor(
    private readonly world: World,
    private record: HostRecord,
  ) {
    this.network = networkOf(world, record.name, record.index);
    this.directory = hostDirectory(world, record.name);
    this.name = record.name;
    this.address = this.network.address;
    this.gateway = this.network.gateway;
    this.hostKey = record.hostKey;
    this.privateKeyFile = path.join(this.directory, CLIENT_KEY);
  }

  /**
   * Runs an argument list as root in the host's namespaces (nsenter: no SSH, some milliseconds), with a login's PATH.
   * Throws a CommandError on an exit code other than 0, unless `check` is false.
   */
  async exec(
    argv: readonly string[],
    options: Pick<CommandOptions, "stdin" | "check" | "onProgress"> = {},
  ): Promise<CommandResult> {
    return run([...this.enter(), ...argv], options);
  }

  /** Argument list that, put before another, runs that in the host as {@link SandboxHost.exec} does. */
  enter(): string[] {
    const target = this.init();
    if (target === undefined) throw new Error(`host ${this.name} is not running`);
    const namespaces = ["mount", "uts", "ipc", "net", "pid", "cgroup"].map((kind) => `--${kind}`);
    const environment = ["HOME=/root", "LANG=C.UTF-8", `PATH=${LOGIN_PATH}`];
    return [
      "nsenter",
      `--target=${target}`,
      ...namespaces,
      "--root",
      "--wd",
      "/usr/bin/env",
      "-i",
      ...environment,
    ];
  }

  /** Options for `ssh` and `scp` that use a private key, by default the host's own, and accept its own host key only. */
  sshOptions(privateKeyFile = this.privateKeyFile): string[] {
    const knownHosts = path.join(this.directory, "known_hosts");
    const options = [`UserKnownHostsFile=${knownHosts}`, "StrictHostKeyChecking=yes", "IdentitiesOnly=yes"];
    return ["-i", privateKeyFile, ...options.flatMap((option) => ["-o", option])];
  }

  /** Ids, as this machine numbers them, of the host's processes whose command line matches. */
  pidsOf(pattern: RegExp): number[] {
    return this.guestPids().filter((pid) => pattern.test(commandLine(pid)));
  }

  /** Reboots by systemd and returns when the SSH server greets again. */
  async reboot(): Promise<void> {
    const before = this.init();
    const identity = before === undefined ? null : identify(before);
    await this.exec(["systemctl", "reboot"], { check: false });
    await waitFor(`host ${this.name} to go down`, BOOT_SECONDS, () =>
      identity === null || !isAlive(identity) ? true : undefined,
    );
    await this.waitUntilUp();
  }

  /** Ends every process of the host at once, with no chance to write or say anything, and boots it again. */
  async powerCut(): Promise<void> {
    await this.powerOff();
    await this.powerOn();
  }

  /** Ends every process of the host at once; the disk and the network stay. */
  async powerOff(): Promise<void> {
    await killHost(this.world, this.name);
  }

  /** Shuts the host down as its own `poweroff` does, and returns when it is off; the disk and the network stay. */
  async shutDown(): Promise<void> {
    await this.exec(["systemctl", "poweroff"], { check: false });
    await waitFor(`host ${this.name} to shut down`, BOOT_SECONDS, () => (this.isOn() ? undefined : true));
  }

  /** Tells whether it runs, or boots. */
  isOn(): boolean {
    return this.record.supervisor !== null && isAlive(this.record.supervisor);
  }

  /** Boots a host that is off and returns when its SSH server greets. */
  async powerOn(): Promise<void> {
    const { supervisor, begin } = this.startSupervisor();
    this.record = { ...this.record, supervisor };
    writeRecord(this.world, this.record);
    begin();
    await this.waitUntilUp();
  }

  /** Removes the host with everything that belongs to it; the last one of a world takes the world's NAT with it. */
  async remove(): Promise<void> {
    await withLock(MACHINE_LOCK, () => removeLocked(this.world, this.name));
  }

  /** The end of the guest's console and of its supervisor's messages, for an error's text. */
  consoleTail(): string {
    return ["supervisor.log", "console.log"]
      .map((name) => path.join(this.directory, name))
      .flatMap((file) =>
        fs.existsSync(file) ? fs.readFileSync(file, "utf8").trimEnd().split("\n").slice(-15) : [],
      )
      .join("\n");
  }

  /** Starts a supervisor that does nothing before it is told to begin: should this process die first, it ends by itself. */
  private startSupervisor(): { readonly supervisor: ProcessIdentity; readonly begin: () => void } {
    const cgroup = cgroupOf(this.world, this.name);
    createCgroup(cgroup);
    const log = fs.openSync(path.join(this.directory, "supervisor.log"), "a");
    const script = path.join(repositoryRoot(), "sandbox", "hosts", "supervise");
    const { layers } = this.record;
    const child = spawn(
      script,
      [this.name, this.directory, layers.join(":"), this.network.namespace, cgroup.unified, ...cgroup.legacy],
      // A session of its own: it lives on when the caller ends, is interrupted or loses its terminal.
      { detached: true, stdio: ["pipe", log, log], cwd: "/" },
    );
    fs.closeSync(log);
    child.unref();
    // It may have ended; whoever waits for the boot tells.
    child.stdin?.on("error", () => undefined);
    const supervisor = child.pid === undefined ? null : identify(child.pid);
    if (supervisor === null)
      throw new Error(`host ${this.name}: ${script} did not start\n${this.consoleTail()}`);
    return { supervisor, begin: () => void child.stdin?.end("begin\n") };
  }

  private async waitUntilUp(): Promise<void> {
    try {
      await waitFor(`host ${this.name} to boot`, BOOT_SECONDS, async () => {
        const { supervisor } = this.record;
        if (supervisor === null || !isAlive(supervisor)) throw new Error(`host ${this.name} does not boot`);
        return (await sshGreets(this.address)) ? true : undefined;
      });
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.consoleTail()}`, { cause: error });
    }
  }

  /** The guest's init as this machine numbers it. */
  private init(): number | undefined {
    const pids = pidsIn(cgroupOf(this.world, this.name));
    return pids.find((pid) => /^NSpid:\t\d+\t1$/m.test(readProc(pid, "status")));
  }

  /**
   * Processes in the guest's own process namespace, those that {@link SandboxHost.exec} started among them, and in those that were
   * made in it: a build has one of its own.
   */
  private guestPids(): number[] {
    const init = this.init();
    const namespace = init === undefined ? undefined : processNamespace(init);
    if (namespace === undefined) return [];
    const numbers = fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    return numbers.map(Number).filter((pid) => descendsInto(pid, namespace));
  }
}

const LOGIN_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

function commandLine(pid: number): string {
  return readProc(pid, "cmdline").replaceAll("\0", " ").trimEnd();
}

function readProc(pid: number, file: string): string {
  try {
    return fs.readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return ""; // The process has ended meanwhile.
  }
}

/** Is a process, or one that it descends from, in a process namespace? What is in this machine's own is not looked at further. */
function descendsInto(pid: number, namespace: string): boolean {
  const found = processNamespace(pid);
  if (found === namespace) return true;
  if (found === undefined || found === processNamespace(process.pid)) return false;
  const [, parent = "0"] = /^PPid:\t(\d+)$/m.exec(readProc(pid, "status")) ?? [];
  return parent !== "0" && descendsInto(Number(parent), namespace);
}

function processNamespace(pid: number): string | undefined {
  try {
    return fs.readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined; // The process has ended meanwhile.
  }
}
