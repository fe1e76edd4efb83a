import { run } from "../../command";
import type { SandboxHost } from "../../hosts/host";

/**
 * Gives a host an address of a subnet's IPv6 block, and the machine the way there. The host reaches this machine by it and
 * no one else: nobody routes the addresses that the sandbox has.
 * @param block `fdxx:...::/64`
 * @returns the address
 */
export async function giveIpv6(host: SandboxHost, block: string): Promise<string> {
  const { index, namespace, link } = host.network;
  const prefix = block.replace(/::\/64$/, "");
  const address = `${prefix}::${index.toString(16)}`;
  const machine = `${prefix}::ffff:${index.toString(16)}`;
  // Nobody else is on the link who could have the same: no need to wait until that is found out.
  await run(["ip", "-6", "-n", namespace, "address", "replace", `${address}/128`, "dev", "host0", "nodad"]);
  await run(["ip", "-6", "address", "replace", `${machine}/128`, "dev", link, "nodad"]);
  await run(["ip", "-6", "route", "replace", `${address}/128`, "dev", link]);
  await run(["ip", "-6", "-n", namespace, "route", "replace", `${machine}/128`, "dev", "host0"]);
  return address;
}
