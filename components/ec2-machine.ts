import * as ec2 from "@pulumi/aws/ec2";
import * as iam from "@pulumi/aws/iam";
import * as route53 from "@pulumi/aws/route53";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { doneAfter } from "./done-after";
import type { ReachableMachine } from "./host";
import { hostKeyFrom, type HostKeyPair } from "./host-key";
import { hostRoleName } from "./role-names";
import { Network } from "./network";
import { cloudConfig } from "./user-data";

/** A machine of EC2's that the stack makes. */
export interface Ec2MachineSpec {
  readonly mode: "ec2";
  /**
   * Name that it and its network are shown by in AWS' console, and of its role and profile: who deploys may be let make those of one
   * name alone.
   */
  readonly name: string;
  /** ARN of the policy that bounds what its role can be given; null for none. */
  readonly permissionsBoundary: string | null;
  /** Networks that SSH is let in from, in CIDR notation; at least one. */
  readonly sshFrom: readonly string[];
  /** Image that it is made from, one with cloud-init. */
  readonly imageId: string;
  readonly instanceType: string;
  readonly availabilityZone: string;
  /** Size of its disk, in gigabytes. */
  readonly volumeGigabytes: number;
  /** Private IPv4 network that it stands in, in CIDR notation. */
  readonly networkCidr: string;
  /** User that is made on it, and may use sudo without a password. */
  readonly user: string;
  /** Public key that the user logs in by: `<type> <base64>`. */
  readonly authorizedKey: string;
  /** Names that lead to it, and the hosted zone of Route 53 that says so; null where somebody else makes the records. */
  readonly dns: { readonly zoneId: string; readonly domains: readonly string[] } | null;
}

/** Length of the secret that the machine's key is made from: some 380 bits. */
const SEED_LENGTH = 64;

/** How often a connection is tried again: a machine that boots for the first time gets some 5 minutes to answer. */
const DIALS_WHILE_BOOTING = 60;

/** How long a name's address may be remembered, in seconds. */
const RECORD_SECONDS = 60;

/** Who takes the role: the machine, by its metadata service. */
const TRUST = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service: "ec2.amazonaws.com" } }],
});

/**
 * A machine of EC2's with its network, its address, its key and its role.
 *
 * Neither an `up` nor a `destroy` replaces it or ends it: it is protected, here and in EC2. Where somebody did, the next one
 * has the same key and the same address, and another {@link Ec2Machine.instanceId}, so that it gets everything again.
 */
export class Ec2Machine extends pulumi.ComponentResource implements ReachableMachine {
  /** Its Elastic IP, once packets come through to it and the names lead there. */
  readonly address: pulumi.Output<string>;
  readonly port = 22;
  readonly user: string;
  readonly hostKey: pulumi.Output<string>;
  readonly hostKeyFingerprint: pulumi.Output<string>;
  readonly instanceId: pulumi.Output<string>;
  readonly dialErrorLimit = DIALS_WHILE_BOOTING;
  /** Name of its IAM role, which may do nothing by itself: who needs something of it gives it a policy. */
  readonly role: pulumi.Output<string>;
  readonly securityGroupId: pulumi.Output<string>;
  private readonly spec: Ec2MachineSpec;

  constructor(name: string, spec: Ec2MachineSpec, opts?: pulumi.ComponentResourceOptions) {
    super("vehicleservice:host:Ec2Machine", name, {}, opts);
    this.spec = spec;
    const { name: shownAs, permissionsBoundary, networkCidr: cidr, availabilityZone, sshFrom } = spec;
    const network = new Network(name, { name: shownAs, cidr, availabilityZone, sshFrom }, { parent: this });
    const keys = this.makeKeys(`${name}-host-key`);
    const role = new iam.Role(
      `${name}-role`,
      {
        ...{ name: hostRoleName(shownAs), assumeRolePolicy: TRUST, tags: this.tags },
        ...(permissionsBoundary === null ? {} : { permissionsBoundary }),
      },
      { parent: this },
    );
    const instance = this.makeInstance(name, network, keys, role);
    const { address, association } = this.makeAddress(name, instance, network.ways);
    const records = this.makeRecords(name, address.publicIp, instance);

    this.user = spec.user;
    this.address = doneAfter(address.publicIp, [...network.ways, association, ...records]);
    // Of a secret only the private half is one.
    this.hostKey = pulumi.unsecret(keys.apply(({ publicKey }) => publicKey));
    this.hostKeyFingerprint = pulumi.unsecret(keys.apply(({ fingerprint }) => fingerprint));
    this.instanceId = instance.id;
    this.role = role.name;
    this.securityGroupId = network.securityGroupId;
    this.registerOutputs({ address: this.address, instanceId: this.instanceId });
  }

  private get tags(): Readonly<Record<string, string>> {
    return { Name: this.spec.name };
  }

  /** Made from a secret of the state's, and not of RandomBytes', whose id, which is no secret, would be the same text. */
  private makeKeys(name: string): pulumi.Output<HostKeyPair> {
    const args = { length: SEED_LENGTH, special: false };
    const seed = new random.RandomPassword(name, args, { parent: this, protect: true });
    return pulumi.secret(seed.result).apply(hostKeyFrom);
  }

  private makeInstance(
    name: string,
    { subnetId, securityGroupId }: Network,
    keys: pulumi.Output<HostKeyPair>,
    role: iam.Role,
  ): ec2.Instance {
    const { imageId, instanceType, availabilityZone, volumeGigabytes, user, authorizedKey } = this.spec;
    const { tags } = this;
    const profile = new iam.InstanceProfile(
      `${name}-profile`,
      { name: hostRoleName(this.spec.name), role: role.name, tags },
      { parent: this },
    );
    const userData = keys.apply(({ privateKey: hostPrivateKey, publicKey: hostPublicKey }) =>
      cloudConfig({ hostPrivateKey, hostPublicKey, user, authorizedKey }),
    );
    return new ec2.Instance(
      `${name}-instance`,
      {
        ami: imageId,
        ...{ instanceType, availabilityZone, subnetId },
        vpcSecurityGroupIds: [securityGroupId],
        ipv6AddressCount: 1,
        iamInstanceProfile: profile.name,
        // A request that somebody makes a program send gets no token, and a token goes no further than to this machine.
        metadataOptions: { httpEndpoint: "enabled", httpTokens: "required", httpPutResponseHopLimit: 1 },
        rootBlockDevice: { volumeType: "gp3", volumeSize: volumeGigabytes, encrypted: true },
        userData: pulumi.secret(userData),
        disableApiTermination: true,
        tags,
      },
      {
        parent: this,
        protect: true,
        // Both count at the first boot only. Another image would replace a machine that serves: its packages are kept up to
        // date where it stands. Other user data would stop it and start it again, and change nothing on it.
        ignoreChanges: ["ami", "userData"],
      },
    );
  }

  /** An address that outlives the machine: names and pipelines hold it. */
  private makeAddress(
    name: string,
    { id: instanceId }: ec2.Instance,
    ways: readonly pulumi.Resource[],
  ): { readonly address: ec2.Eip; readonly association: ec2.EipAssociation } {
    const opts = { parent: this };
    const args = { domain: "vpc", tags: this.tags };
    const address = new ec2.Eip(`${name}-address`, args, { ...opts, protect: true });
    const to = { allocationId: address.id, instanceId };
    // AWS maps no address into a network that has no gateway yet.
    const association = new ec2.EipAssociation(`${name}-address-use`, to, { ...opts, dependsOn: [...ways] });
    return { address, association };
  }

  private makeRecords(
    name: string,
    ipv4: pulumi.Output<string>,
    { ipv6Addresses }: ec2.Instance,
  ): readonly route53.Record[] {
    const { dns } = this.spec;
    if (dns === null) return [];
    const { zoneId, domains } = dns;
    const kinds = [
      { type: "A", records: [ipv4] },
      { type: "AAAA", records: ipv6Addresses.apply((addresses) => addresses.slice(0, 1)) },
    ];
    return domains.flatMap((domain) =>
      kinds.map(({ type, records }) => {
        const args = { zoneId, name: domain, type, ttl: RECORD_SECONDS, records };
        return new route53.Record(`${name}-${type.toLowerCase()}-${domain}`, args, { parent: this });
      }),
    );
  }
}
