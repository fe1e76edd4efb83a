import * as fs from "node:fs";
import * as path from "node:path";

import { run } from "../command";
import { writeInOneStep } from "../one-step";
import { bootId } from "../processes";
import { hasLiveServices } from "../services";
import { worldsWith, type World } from "../world";
import { admitHosts, dismissHosts, HOSTS_NETWORK } from "./firewall";
import { hasLiveHosts } from "./registry";

/** Where a host is on the machine's private networks: each host has one of its own with the machine's end as gateway. */
export interface HostNetwork {
  /** N in 10.77.N.0/24: 1 to 254. */
  readonly index: number;
  /** The host's IPv4 address. */
  readonly address: string;
  /** The machine's IPv4 address on the host's network. */
  readonly gateway: string;
  /** Name of the network namespace. */
  readonly namespace: string;
  /** Name of the machine's end of the link. */
  readonly link: string;
}

/** Whether the machine forwards IPv4 packets: {@link ON}, or "0". */
const FORWARDING = "/proc/sys/net/ipv4/ip_forward";
const ON = "1";

/** Name of the host's end of its link. */
const GUEST_LINK = "host0";

/** Room for a tunnel around the machine's own link: a full-sized packet of a guest is never too large on the way out. */
const LINK_MTU = 1400;

/** Returns the network of the host `name` at `index`. */
export function networkOf(world: World, name: string, index: number): HostNetwork {
  return {
    index,
    address: `10.77.${index}.2`,
    gateway: `10.77.${index}.1`,
    namespace: namespaceOf(world, name),
    link: linkName(index),
  };
}

/** Name of a host's network namespace. */
export function namespaceOf(world: World, name: string): string {
  return `${world.namespacePrefix}${name}`;
}

/** Returns the lowest index from `first` that no host of any world uses. Throws when all are in use. */
export function freeIndex(first: number): number {
  for (let index = first; index <= 254; index += 1) if (!indexInUse(index)) return index;
  throw new Error("all networks 10.77.N.0/24 are in use: remove hosts with bin/sandbox down");
}

/** Tells whether a host of any world has this index. */
export function indexInUse(index: number): boolean {
  return hasLink(linkName(index));
}

/** Makes the namespace, the link and the addresses; what was left of them is replaced. */
export async function createNetwork(network: HostNetwork): Promise<void> {
  const { namespace, link, address, gateway } = network;
  await removeNetwork(namespace);
  const mtu = String(LINK_MTU);
  await run(["ip", "netns", "add", namespace]);
  await run([
    ...["ip", "link", "add", link, "mtu", mtu, "type", "veth"],
    ...["peer", "name", GUEST_LINK, "mtu", mtu, "netns", namespace],
  ]);
  await ipBatch([], [`address add ${gateway}/24 dev ${link}`, `link set ${link} up`]);
  await ipBatch(
    ["-n", namespace],
    [
      "link set lo up",
      `address add ${address}/24 dev ${GUEST_LINK}`,
      `link set ${GUEST_LINK} up`,
      `route add default via ${gateway}`,
    ],
  );
}

/**
 * Removes the namespace and the link, as far as they are there. The link goes by its end in the namespace: one of the same index may
 * be another host's by now, when this one's went with the machine.
 */
export async function removeNetwork(namespace: string): Promise<void> {
  if (!fs.existsSync(path.join("/run/netns", namespace))) return;
  const inside = ["ip", "-n", namespace, "link"];
  const { exitCode } = await run([...inside, "show", "dev", GUEST_LINK], { check: false });
  if (exitCode === 0) await run([...inside, "delete", GUEST_LINK]);
  await run(["ip", "netns", "delete", namespace]);
}

/** Removes the directory of named namespaces, and the mount that iproute2 made of it, when nothing is in it any more. */
export async function removeNamespaceDirectory(): Promise<void> {
  const directory = "/run/netns";
  if (!fs.existsSync(directory) || fs.readdirSync(directory).length > 0) return;
  const mounted = fs.readFileSync("/proc/self/mounts", "utf8").includes(` ${directory} `);
  if (mounted) await run(["umount", directory]);
  fs.rmdirSync(directory);
}

/** Names of the network namespaces that carry this world's prefix. */
export function namespacesOf(world: World): string[] {
  if (!fs.existsSync("/run/netns")) return [];
  return fs.readdirSync("/run/netns").filter((name) => name.startsWith(world.namespacePrefix));
}

/** Lets the hosts reach what the machine reaches, and remembers what the machine's forwarding was. Idempotent. */
export async function openOutbound(world: World): Promise<void> {
  if (readForwarding(forwardingFile(world)) === null)
    writeForwarding(forwardingFile(world), fs.readFileSync(FORWARDING, "utf8").trim());
  fs.writeFileSync(FORWARDING, ON);
  // Added, deleted and added again in one transaction: there is never a moment without it.
  await nft(`table ip ${world.nftTable}
delete table ip ${world.nftTable}
table ip ${world.nftTable} {
  chain outbound {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${HOSTS_NETWORK} ip daddr != ${HOSTS_NETWORK} masquerade
  }
}
`);
  await admitHosts(world);
}

/** Takes back what {@link openOutbound} did, as far as it was done. */
export async function closeOutbound(world: World): Promise<void> {
  await dismissHosts(world);
  await nft(`table ip ${world.nftTable}\ndelete table ip ${world.nftTable}\n`);
  const remembered = readForwarding(forwardingFile(world));
  for (const suffix of ["", ".new"]) fs.rmSync(`${forwardingFile(world)}${suffix}`, { force: true });
  if (remembered !== null) giveBackForwarding(remembered);
}

/** Puts the machine's forwarding back; while others need it, that is left to the last world of them. */
function giveBackForwarding(remembered: string): void {
  // What a killed run left needs nothing.
  const others = worldsWith(FORWARDING_FILE).filter(
    (world) =>
      readForwarding(forwardingFile(world)) !== null && (hasLiveHosts(world) || hasLiveServices(world)),
  );
  if (others.length === 0) fs.writeFileSync(FORWARDING, remembered);
  // Who found it switched off was there before whoever found it switched on.
  else if (remembered !== ON) for (const other of others) writeForwarding(forwardingFile(other), remembered);
}

function linkName(index: number): string {
  return `vsandbox${index}`;
}

/** Asked of this process's network namespace; /sys may have been mounted in another one. */
function hasLink(name: string): boolean {
  return new RegExp(`^\\s*${name}:`, "m").test(fs.readFileSync("/proc/net/dev", "utf8"));
}

async function nft(rules: string): Promise<void> {
  // As an argument: some versions take a file or a pipe only for `-f`, and Node's standard input is a socket.
  await run(["nft", rules]);
}

async function ipBatch(options: readonly string[], lines: readonly string[]): Promise<void> {
  await run(["ip", ...options, "-batch", "-"], { stdin: `${lines.join("\n")}\n` });
}

const FORWARDING_FILE = "ip_forward.json";

function forwardingFile(world: World): string {
  return path.join(world.stateDirectory, FORWARDING_FILE);
}

/** What forwarding was before a world, or null when that is not known or was true of an earlier boot of the machine. */
function readForwarding(file: string): string | null {
  if (!fs.existsSync(file)) return null;
  const remembered = JSON.parse(fs.readFileSync(file, "utf8")) as { bootId: string; forwarding: string };
  return remembered.bootId === bootId() ? remembered.forwarding : null;
}

function writeForwarding(file: string, forwarding: string): void {
  writeInOneStep(file, JSON.stringify({ bootId: bootId(), forwarding }));
}
