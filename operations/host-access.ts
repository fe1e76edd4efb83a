import type { HostConnection } from "../components/ask-host";
import { checkAgreement } from "../config/cross-rules";
import { ConfigError, type Fault } from "../config/faults";
import { hostMode } from "../config/host-mode";
import { findKeys, type Machine } from "../config/keys";
import type { HostKey } from "../config/ssh-keys";
import { checkValues, type RawConfig, readGroups, soundAt } from "../config/validation";
import { OpsError, OpsExit } from "./faults";
import type { Stack, StackOutput } from "./stack";

/** Where a stack's host is. */
export interface HostAccess {
  /** The application's name on the host. */
  readonly app: string;
  /** Holds the private key. */
  readonly connection: HostConnection;
}

/** Keys that reaching the host takes. */
const KEYS = ["name", "host", "hostPrivateKey"];

/** Where a machine is reached, and what it is known by. */
type Reached = Omit<HostConnection, "privateKey">;

/**
 * Finds in a stack's config how to reach its host, by the rules of `config.ts`; of a host that the stack made its outputs say
 * where it is. What is wrong elsewhere in the config keeps nobody from looking at the host.
 * @param outputs Asked only for a host that the stack made.
 * @throws {ConfigError} naming every fault of these keys at once
 * @throws {OpsError} where the stack has made no host yet
 */
export async function hostAccess(
  unread: RawConfig,
  machine: Machine,
  outputs: Stack["outputs"],
): Promise<HostAccess> {
  const raw = readGroups(unread);
  const { hostKey, privateKey, faults } = findKeys(raw, machine);
  const all = [...checkValues(raw).faults, ...checkAgreement(raw), ...faults].filter((fault) =>
    isOfHost(raw, fault),
  );
  if (all.length > 0) throw new ConfigError(firstOfEachKey(all), raw.stack);
  if (privateKey === undefined) throw new Error("a key is missing without a fault");
  const reached = hostMode(raw) === "ec2" ? madeMachine(raw, await outputs()) : namedMachine(raw, hostKey);
  return { app: soundAt(raw, ["name"]) as string, connection: { ...reached, privateKey } };
}

function namedMachine(raw: RawConfig, hostKey: HostKey | undefined): Reached {
  if (hostKey === undefined) throw new Error("a key is missing without a fault");
  return {
    host: soundAt(raw, ["host", "address"]) as string,
    port: soundAt(raw, ["host", "port"]) as number,
    user: soundAt(raw, ["host", "user"]) as string,
    hostKey: hostKey.line,
  };
}

/** As `index.ts` exports it. */
function madeMachine(raw: RawConfig, { address, hostKey }: Readonly<Record<string, StackOutput>>): Reached {
  const [host, key] = [address?.value, hostKey?.value];
  if (typeof host !== "string" || typeof key !== "string") {
    const message = `the stack ${raw.stack} has made no host yet (it has no outputs address and hostKey); \`pulumi up\` makes it`;
    throw new OpsError(message, OpsExit.unreachable);
  }
  return { host, port: 22, user: soundAt(raw, ["host", "ec2", "user"]) as string, hostKey: key };
}

function isOfHost({ namespace }: RawConfig, { key }: Fault): boolean {
  return KEYS.some((own) => key === `${namespace}:${own}` || key.startsWith(`${namespace}:${own}.`));
}

/** Of several faults of one key the first, which is the most basic one. */
function firstOfEachKey(faults: readonly Fault[]): Fault[] {
  return faults.filter((fault, index) => faults.findIndex(({ key }) => key === fault.key) === index);
}
