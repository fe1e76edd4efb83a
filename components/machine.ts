import * as pulumi from "@pulumi/pulumi";
import { Ec2Machine, type Ec2MachineSpec } from "./ec2-machine";
import type { ReachableMachine } from "./host";

/** A machine that is there. */
export interface ExistingMachineSpec {
  readonly mode: "existing";
  /** IPv4 address, IPv6 address or DNS name that SSH reaches it at. */
  readonly address: string;
  /** TCP port of SSH. */
  readonly port: number;
  /** User that SSH logs in as: root, or one who may use sudo without a password. */
  readonly user: string;
  /** The machine's public key: `<type> <base64>`. */
  readonly hostKey: string;
  /** `SHA256:...` of it. */
  readonly hostKeyFingerprint: string;
}

/** Where a machine comes from. */
export type MachineSpec = ExistingMachineSpec | Ec2MachineSpec;

/** A machine, and what of it is AWS'. */
interface MachineSource extends ReachableMachine {
  readonly role: pulumi.Output<string> | null;
  readonly securityGroupId: pulumi.Input<string>;
}

/** The machine that the host is: one that is there, of which nothing is made, or one of EC2's. */
export class Machine extends pulumi.ComponentResource implements ReachableMachine {
  /** IPv4 address, IPv6 address or DNS name; of a machine that is made, once it may be reached. */
  readonly address: pulumi.Output<string>;
  readonly port: number;
  readonly user: string;
  readonly hostKey: pulumi.Output<string>;
  readonly hostKeyFingerprint: pulumi.Output<string>;
  readonly instanceId: pulumi.Output<string>;
  readonly dialErrorLimit: number | null;
  /** Name of the IAM role that its programs have; null where it has none of this stack's. By itself it may do nothing. */
  readonly role: pulumi.Output<string> | null;
  /** Security group that it stands behind; empty where it is none of this stack's. */
  readonly securityGroupId: pulumi.Output<string>;

  constructor(name: string, spec: MachineSpec, opts?: pulumi.ComponentResourceOptions) {
    super("vehicleservice:host:Machine", name, {}, opts);
    const source: MachineSource =
      spec.mode === "ec2" ? new Ec2Machine(name, spec, { parent: this }) : asItIs(spec);
    this.port = source.port;
    this.user = source.user;
    this.address = pulumi.output(source.address);
    this.hostKey = pulumi.output(source.hostKey);
    this.hostKeyFingerprint = pulumi.output(source.hostKeyFingerprint);
    this.instanceId = pulumi.output(source.instanceId);
    this.dialErrorLimit = source.dialErrorLimit;
    this.role = source.role;
    this.securityGroupId = pulumi.output(source.securityGroupId);
    this.registerOutputs({ address: this.address, hostKey: this.hostKey });
  }
}

/** A machine that is there answers at once, or is wrongly named; its key alone says which one it is. */
function asItIs({ address, port, user, hostKey, hostKeyFingerprint }: ExistingMachineSpec): MachineSource {
  const reached = { address, port, user, hostKey, hostKeyFingerprint };
  return { ...reached, instanceId: "", dialErrorLimit: null, role: null, securityGroupId: "" };
}
