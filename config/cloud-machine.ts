import { hostRoleName, ROLE_NAME_LIMIT } from "../components/role-names";
import type { MachineSpec } from "../components/machine";
import { configCommand, type Fault, type Path } from "./faults";
import { hostMode } from "./host-mode";
import type { Keys } from "./keys";
import type { StackValues } from "./schema/stack";
import { faultAt, isSet, type RawConfig, soundAt } from "./validation";

/** Where the host comes from: what goes with a machine that is there, and what with one that the stack makes. */

/** Keys of a machine that is there, and why one that is made has no use for them. */
const EXISTING_ONLY: readonly (readonly [Path, string])[] = [
  [["host", "address"], "the stack gives the machine an address"],
  [["host", "hostKey"], "the stack makes the machine's key, and knows it from the first connection"],
  [["host", "knownHostsFile"], "the stack makes the machine's key, and knows it from the first connection"],
  [["host", "user"], "host.ec2.user is the one who is made on it"],
];

/** Checks what has to be set, and what must not be, for a host to come about in the way that `host.mode` says. */
export function machineFaults(raw: RawConfig): Fault[] {
  const mode = hostMode(raw);
  if (mode === "existing") return existingFaults(raw);
  if (mode === "ec2") return ec2Faults(raw);
  return [];
}

function existingFaults(raw: RawConfig): Fault[] {
  const path = ["host", "ec2"];
  return [
    ...(isSet(raw, ["host", "address"]) ? [] : [faultAt(raw, ["host", "address"])]),
    ...(isSet(raw, path)
      ? [
          faultAt(
            raw,
            path,
            "not set beside host.mode existing: a machine that is there is not made",
            `${configCommand("set", ["host", "mode"])} ec2, or ${configCommand("rm", path)}`,
          ),
        ]
      : []),
  ];
}

function ec2Faults(raw: RawConfig): Fault[] {
  const unused = EXISTING_ONLY.filter(([path]) => isSet(raw, path)).map(([path, why]) =>
    faultAt(raw, path, `not set beside host.mode ec2: ${why}`, configCommand("rm", path)),
  );
  const port = soundAt(raw, ["host", "port"]);
  return [
    // Each key that is needed, by its own name.
    ...(isSet(raw, ["host", "ec2"]) ? [] : NEEDED.map((key) => faultAt(raw, ["host", "ec2", key]))),
    ...unused,
    ...nameFaults(raw),
    ...(port === undefined || port === 22
      ? []
      : [
          faultAt(
            raw,
            ["host", "port"],
            "22, where a new machine's SSH listens",
            configCommand("rm", ["host", "port"]),
          ),
        ]),
  ];
}

/** What the machine is called in AWS. */
const shownAs = (name: string, stack: string): string => `${name}-${stack}`;

/** The machine's role is called after application and stack. */
function nameFaults(raw: RawConfig): Fault[] {
  const room = ROLE_NAME_LIMIT - hostRoleName(shownAs("", raw.stack)).length;
  const name = soundAt(raw, ["name"]) as string | undefined;
  if (name === undefined || name.length <= room) return [];
  const shorter = room < 1 ? "none is short enough" : `at most ${room} characters long`;
  const rule = `${shorter} beside the stack's name ${raw.stack}: AWS takes names of roles of at most ${ROLE_NAME_LIMIT}`;
  return [faultAt(raw, ["name"], rule)];
}

const NEEDED = ["sshFrom", "imageId", "availabilityZone"];

/** What the component is given. The keys are there where there is no fault. */
export function machineSpec(values: StackValues, { hostKey, publicKey }: Keys, stack: string): MachineSpec {
  const { address, port, user, ec2 } = values.host;
  if (ec2 !== undefined) {
    if (publicKey === undefined) throw new Error("a key is missing without a fault");
    const { zoneId, ...machine } = ec2;
    return {
      mode: "ec2",
      ...machine,
      name: shownAs(values.name, stack),
      permissionsBoundary: values.permissionsBoundary || null,
      authorizedKey: publicKey,
      dns: zoneId === undefined ? null : { zoneId, domains: values.site.domains },
    };
  }
  if (address === undefined || hostKey === undefined) throw new Error("a key is missing without a fault");
  return {
    ...{ mode: "existing", address, port, user },
    ...{ hostKey: hostKey.line, hostKeyFingerprint: hostKey.fingerprint },
  };
}
