import type { HostConnection } from "../components/ask-host";
import { checkAgreement } from "../config/cross-rules";
import { ConfigError, type Fault } from "../config/faults";
import { findKeys, type Machine } from "../config/keys";
import { checkValues, type RawConfig, readGroups, soundAt } from "../config/validation";

/** Where a stack's host is. */
export interface HostAccess {
  /** The application's name on the host. */
  readonly app: string;
  /** Holds the private key. */
  readonly connection: HostConnection;
}

/** Keys that reaching the host takes. */
const KEYS = ["name", "host", "hostPrivateKey"];

/**
 * Finds in a stack's config how to reach its host, by the rules of `config.ts`. What is wrong elsewhere in the config
 * keeps nobody from looking at the host.
 * @throws {ConfigError} naming every fault of these keys at once
 */
export function hostAccess(unread: RawConfig, machine: Machine): HostAccess {
  const raw = readGroups(unread);
  const { hostKey, privateKey, faults } = findKeys(raw, machine);
  const all = [...checkValues(raw).faults, ...checkAgreement(raw), ...faults].filter((fault) =>
    isOfHost(raw, fault),
  );
  if (all.length > 0) throw new ConfigError(firstOfEachKey(all), raw.stack);
  if (hostKey === undefined || privateKey === undefined) throw new Error("a key is missing without a fault");
  return {
    app: soundAt(raw, ["name"]) as string,
    connection: {
      host: soundAt(raw, ["host", "address"]) as string,
      port: soundAt(raw, ["host", "port"]) as number,
      user: soundAt(raw, ["host", "user"]) as string,
      hostKey: hostKey.line,
      privateKey,
    },
  };
}

function isOfHost({ namespace }: RawConfig, { key }: Fault): boolean {
  return KEYS.some((own) => key === `${namespace}:${own}` || key.startsWith(`${namespace}:${own}.`));
}

/** Of several faults of one key the first, which is the most basic one. */
function firstOfEachKey(faults: readonly Fault[]): Fault[] {
  return faults.filter((fault, index) => faults.findIndex(({ key }) => key === fault.key) === index);
}
