import { isIPv4, isIPv6, SocketAddress } from "node:net";
import { z } from "zod";
import { ruled } from "./rules/rule";

/** Networks as a cloud's firewall takes them: with nothing behind the network's own bits, and spelt in one way. */

/** A network in CIDR notation, taken apart. */
interface Network {
  readonly family: 4 | 6;
  /** Bits that all of its addresses have in common. */
  readonly length: number;
}

/** Shortest prefixes of {@link sshNetworks}: what is wider is not somebody's network, but a part of the internet. */
const WIDEST = { 4: 8, 6: 16 } as const;

/** Reads a network whose text is the only one for it; undefined for any other text. */
function readNetwork(text: string): Network | undefined {
  const [, address = "", digits = ""] = /^([0-9a-f:.]+)\/(0|[1-9]\d{0,2})$/.exec(text) ?? [];
  const length = Number(digits);
  if (isIPv4(address)) {
    return length <= 32 && hasNothingBehind(bitsOfIpv4(address), length) ? { family: 4, length } : undefined;
  }
  // With dots it is an IPv4 address in another dress.
  if (!isIPv6(address) || address.includes(".") || length > 128) return undefined;
  const isUsualText = new SocketAddress({ address, family: "ipv6" }).address === address;
  return isUsualText && hasNothingBehind(bitsOfIpv6(address), length) ? { family: 6, length } : undefined;
}

function hasNothingBehind(bits: string, length: number): boolean {
  return !bits.slice(length).includes("1");
}

function bitsOfIpv4(address: string): string {
  return address
    .split(".")
    .map((part) => Number(part).toString(2).padStart(8, "0"))
    .join("");
}

function bitsOfIpv6(address: string): string {
  const [head = [], tail = []] = address
    .split("::")
    .map((half) => half.split(":").filter((group) => group !== ""));
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => "0");
  return [...head, ...zeros, ...tail]
    .map((group) => parseInt(group, 16).toString(2).padStart(16, "0"))
    .join("");
}

/** Networks that SSH is let in from: named ones, and never the whole internet or a large part of it. */
export const sshNetworks = () => {
  const isNamed = (text: string): boolean => {
    const network = readNetwork(text);
    return network !== undefined && network.length >= WIDEST[network.family];
  };
  const rule =
    "a list of 1 to 50 networks in CIDR notation, each once, without host bits (203.0.113.7/32, 2001:db8::/48), none of " +
    `them wider than /${String(WIDEST[4])}, or /${String(WIDEST[6])} for IPv6: SSH is not open to the internet`;
  const different = (all: readonly string[]): boolean => new Set(all).size === all.length;
  const schema = z.array(ruled(z.string().max(64).refine(isNamed), rule, "203.0.113.7/32"));
  return ruled(schema.min(1).max(50).refine(different), rule, "[203.0.113.7/32]");
};

/** A network, IPv4 or IPv6, in the one spelling that others answer with. */
export const plainNetwork = () =>
  ruled(
    z
      .string()
      .max(64)
      .refine((text) => readNetwork(text) !== undefined),
    "a network in CIDR notation without host bits, such as 203.0.113.0/24 or 2001:db8::/32",
    "203.0.113.0/24",
  );

const PRIVATE = /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/;

/** The private IPv4 network of a machine that the stack makes. */
export const privateNetwork = (example: string) =>
  ruled(
    z.string().refine((text) => {
      const network = readNetwork(text);
      return network?.family === 4 && network.length >= 16 && network.length <= 28 && PRIVATE.test(text);
    }),
    "a private IPv4 network from /16 to /28 in CIDR notation, without host bits",
    example,
  );
