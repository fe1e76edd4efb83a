import type { validate } from "../../../config";
import type { HostArgs, ReachableMachine } from "../../../components/host";

type Loaded = Pick<ReturnType<typeof validate>, "host" | "machine">;

/** The machine of a configuration that names one that is there. */
export function existingMachine({ machine }: Pick<Loaded, "machine">) {
  if (machine.mode !== "existing") throw new Error("the stack makes this machine");
  const { address, port, user, hostKey, hostKeyFingerprint } = machine;
  const reached = { address, port, user, hostKey, hostKeyFingerprint };
  return { ...reached, instanceId: "", dialErrorLimit: null } satisfies ReachableMachine;
}

/** What a `Host` is made from, of a configuration that names a machine that is there. */
export function existingHost(loaded: Loaded): HostArgs & { readonly privateKey: string } {
  return { ...loaded.host, machine: existingMachine(loaded) };
}
