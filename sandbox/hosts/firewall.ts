import { run } from "../command";
import type { World } from "../world";

/** The hosts' networks. */
export const HOSTS_NETWORK = "10.77.0.0/16";

/** A place in the machine's firewall. */
interface Chain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
}

/**
 * Lets the hosts' packets through firewalls that forward nothing by default (Docker's and ufw's are of that kind): an
 * `accept` in a table of our own would not help, since every table's verdict counts. The rules are marked with the
 * world's name.
 */
export async function admitHosts(world: World): Promise<void> {
  await dismissHosts(world);
  for (const chain of await refusingChains()) {
    for (const direction of ["saddr", "daddr"]) {
      const rule = `ip ${direction} ${HOSTS_NETWORK} counter accept comment "${world.name}"`;
      await run(["nft", `insert rule ${chain.family} ${chain.table} ${chain.name} ${rule}`]);
    }
  }
}

/** Takes the rules of {@link admitHosts} out again, wherever they are. */
export async function dismissHosts(world: World): Promise<void> {
  for (const { rule } of await list("ruleset")) {
    if (rule?.comment !== world.name) continue;
    const { family, table, chain, handle } = rule;
    await run(["nft", `delete rule ${family} ${table} ${chain} handle ${handle}`]);
  }
}

async function refusingChains(): Promise<Chain[]> {
  const entries = await list("chains");
  return entries.flatMap(({ chain }) =>
    chain?.hook === "forward" && chain.policy === "drop" && ["ip", "inet"].includes(chain.family)
      ? [chain]
      : [],
  );
}

interface Entry {
  readonly chain?: Chain & { readonly hook?: string; readonly policy?: string };
  readonly rule?: {
    readonly family: string;
    readonly table: string;
    readonly chain: string;
    readonly handle: number;
    readonly comment?: string;
  };
}

async function list(what: "ruleset" | "chains"): Promise<readonly Entry[]> {
  const { stdout } = await run(["nft", "--json", "--handle", "list", what]);
  return (JSON.parse(stdout) as { nftables: Entry[] }).nftables;
}
