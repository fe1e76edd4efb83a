import * as ec2 from "@aws-sdk/client-ec2";

import { recordedHost, type SandboxHost } from "../../hosts/host";
import type { SeedFiles } from "../../hosts/seed";
import { bootInstance } from "../instances/boot";
import { userDataFaults } from "../instances/cloud-config";
import { giveIpv6 } from "../instances/ipv6";
import { startMetadata, stopMetadata } from "../instances/metadata";
import { answered, unless, type Cloud } from "../plugin/cloud";
import { dropFacts, factsOf, keepFacts } from "../plugin/facts";
import { flag, list, map, number, object, text, type Values } from "../plugin/properties";
import type { Change, ResourceType } from "../plugin/resource-type";
import { tagOutputs } from "../plugin/tags";
import { freeAddresses } from "./ec2-address";
import { IMAGE } from "./ec2-image";
import { ABSENT, arnOf, retagEc2, tagsFor } from "./ec2-network";

/** Inputs that the emulator does not keep. */
const KEPT = [
  "instanceType",
  "metadataOptions",
  "rootBlockDevice",
  "disableApiTermination",
  "disableApiStop",
  "monitoring",
  "ebsOptimized",
  "creditSpecification",
  "ipv6AddressCount",
  "associatePublicIpAddress",
] as const;

const onOff = ["enabled", "disabled"];

/** A machine of EC2, which is a host of the sandbox: the emulator has its record, the host obeys its user data. */
export const instance: ResourceType = {
  token: "aws:ec2/instance:Instance",
  reference: "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html",
  properties: {
    ami: text({ required: true, replaces: true, pattern: /^ami-[0-9a-f]{8,17}$/ }),
    instanceType: text({ required: true, pattern: /^[a-z0-9-]+\.[a-z0-9-]+$/ }),
    subnetId: text({ replaces: true }),
    availabilityZone: text({ replaces: true }),
    vpcSecurityGroupIds: list(text({ pattern: /^sg-/ }), { unordered: true }),
    iamInstanceProfile: text(),
    associatePublicIpAddress: flag({ replaces: true }),
    ipv6AddressCount: number({ from: 0, to: 1 }),
    userData: text(),
    userDataReplaceOnChange: flag(),
    disableApiTermination: flag(),
    disableApiStop: flag(),
    monitoring: flag(),
    ebsOptimized: flag(),
    creditSpecification: object({ cpuCredits: text({ oneOf: ["standard", "unlimited"] }) }),
    metadataOptions: object({
      httpEndpoint: text({ oneOf: onOff }),
      httpTokens: text({ oneOf: ["required", "optional"] }),
      httpPutResponseHopLimit: number({ from: 1, to: 64 }),
      httpProtocolIpv6: text({ oneOf: onOff }),
      instanceMetadataTags: text({ oneOf: onOff }),
    }),
    rootBlockDevice: object({
      volumeType: text({ oneOf: ["gp2", "gp3", "io1", "io2", "standard"] }),
      volumeSize: number({ from: 1, to: 65536 }),
      encrypted: flag({ replaces: true }),
      kmsKeyId: text(),
      iops: number(),
      throughput: number({ from: 125, to: 2000 }),
      deleteOnTermination: flag(),
      tags: map(),
    }),
    tags: map(),
  },
  computed: [
    "arn",
    "instanceState",
    "instanceLifecycle",
    "ipv6Addresses",
    "outpostArn",
    "passwordData",
    "primaryNetworkInterfaceId",
    "privateDns",
    "privateIp",
    "publicDns",
    "publicIp",
  ],
  volatile: ["publicIp", "publicDns"],
  inspect: ({ ami, userData }) => [
    ...(ami === undefined || ami === IMAGE.imageId
      ? []
      : [{ property: "ami", reason: `InvalidAMIID.NotFound: the sandbox has one image, ${IMAGE.imageId}` }]),
    ...(typeof userData === "string" ? userDataFaults(userData) : []),
  ],
  replacesWhen: ({ userDataReplaceOnChange }) => (userDataReplaceOnChange === true ? ["userData"] : []),

  async create(cloud, inputs) {
    const client = cloud.client("ec2");
    const { Instances } = await client.send(new ec2.RunInstancesCommand(runRequest(cloud, inputs)));
    const id = answered(Instances?.[0]?.InstanceId, "InstanceId");
    try {
      keepFacts(cloud.world, id, kept(inputs));
      await boot(cloud, id, inputs);
    } catch (error) {
      // What did not come up is nobody's, and nobody would find it again.
      await terminate(cloud, id);
      throw error;
    }
    return id;
  },
  async read(cloud, id, state) {
    const client = cloud.client("ec2");
    const found = await unless(ABSENT, () =>
      client.send(new ec2.DescribeInstancesCommand({ InstanceIds: [id] })),
    );
    const live = found?.Reservations?.[0]?.Instances?.[0];
    const host = recordedHost(id, cloud.world);
    if (live === undefined || live.State?.Name === "terminated" || host === null) return null;
    return { ...(await outputs(cloud, id, live, host)), ...echoed(state), ...tagOutputs(cloud, live.Tags) };
  },
  update: change,
  async delete(cloud, id) {
    if (factsOf(cloud.world, id)["disableApiTermination"] === true)
      throw new Error(
        `OperationNotPermitted: the instance '${id}' may not be terminated. Set its disableApiTermination to false first`,
      );
    await terminate(cloud, id);
  },
};

function runRequest(cloud: Cloud, inputs: Values): ec2.RunInstancesRequest {
  const { subnetId, iamInstanceProfile, availabilityZone } = inputs as Record<string, string | undefined>;
  return {
    ImageId: inputs["ami"] as string,
    InstanceType: inputs["instanceType"] as "t3.small",
    MinCount: 1,
    MaxCount: 1,
    ...(subnetId === undefined ? {} : { SubnetId: subnetId }),
    ...(availabilityZone === undefined ? {} : { Placement: { AvailabilityZone: availabilityZone } }),
    ...(iamInstanceProfile === undefined ? {} : { IamInstanceProfile: { Name: iamInstanceProfile } }),
    SecurityGroupIds: inputs["vpcSecurityGroupIds"] as string[] | undefined,
    ...tagsFor(cloud, "instance", inputs),
  };
}

async function boot(cloud: Cloud, id: string, inputs: Values): Promise<void> {
  const host = await bootInstance({
    id,
    userData: (inputs["userData"] ?? "") as string,
    imageFiles: imageFiles(cloud),
    world: cloud.world,
    onProgress: (line) => cloud.progress(line),
  });
  const { subnetId, ipv6AddressCount = 0 } = inputs as { subnetId?: string; ipv6AddressCount?: number };
  const subnet = subnetId === undefined ? {} : factsOf(cloud.world, subnetId);
  if (ipv6AddressCount > 0 || subnet["assign"] === true) {
    const block = subnet["ipv6CidrBlock"] as string | undefined;
    if (block === undefined)
      throw new Error(`InvalidParameterValue: ${String(subnetId)} has no IPv6 CIDR block`);
    keepFacts(cloud.world, id, { ipv6Address: await giveIpv6(host, block) });
  }
  await startMetadata(cloud, host, metadataOf(inputs));
}

/** Where the stack's own settings are silent, Amazon's hold. */
function metadataOf(inputs: Values): {
  enabled: boolean;
  tokens: "required" | "optional";
  profile: string | null;
} {
  const options = (inputs["metadataOptions"] ?? {}) as Record<string, string | undefined>;
  return {
    enabled: options["httpEndpoint"] !== "disabled",
    tokens: options["httpTokens"] === "required" ? "required" : "optional",
    profile: (inputs["iamInstanceProfile"] ?? null) as string | null,
  };
}

/** What {@link SandboxCloud} put into the image. */
function imageFiles(cloud: Cloud): SeedFiles {
  const files = (factsOf(cloud.world, IMAGE.imageId)["files"] ?? {}) as Record<
    string,
    { base64: string; mode: number }
  >;
  return Object.fromEntries(
    Object.entries(files).map(([name, { base64, mode }]) => [
      name,
      { content: Buffer.from(base64, "base64"), mode },
    ]),
  );
}

async function outputs(cloud: Cloud, id: string, live: ec2.Instance, host: SandboxHost): Promise<Values> {
  const facts = factsOf(cloud.world, id);
  const { ipv6Address, elasticAddress, ...own } = facts as Record<string, string | undefined>;
  const public_ = elasticAddress ?? (facts["associatePublicIpAddress"] === true ? host.address : "");
  return {
    ...(own as Values),
    arn: await arnOf(cloud, "instance", id),
    ami: live.ImageId,
    instanceState: host.isOn() ? "running" : "stopped",
    subnetId: live.SubnetId,
    availabilityZone: live.Placement?.AvailabilityZone,
    vpcSecurityGroupIds: live.SecurityGroups?.map((group) => group.GroupId ?? ""),
    iamInstanceProfile: live.IamInstanceProfile?.Arn?.replace(/.*\//, ""),
    privateIp: host.address,
    privateDns: `ip-${host.address.replaceAll(".", "-")}.ec2.internal`,
    publicIp: public_,
    publicDns: public_,
    ipv6Addresses: ipv6Address === undefined ? [] : [ipv6Address],
    primaryNetworkInterfaceId: id.replace(/^i-/, "eni-"),
  };
}

/** What EC2 does not tell, or only to who asks for it by name. */
function echoed(state: Values): Values {
  const { userData, userDataReplaceOnChange } = state;
  return { userData, userDataReplaceOnChange };
}

/** As EC2 has it: another type or other user data needs a stopped instance, and the provider stops and starts it. */
async function change(cloud: Cloud, id: string, wanted: Change): Promise<void> {
  const host = recordedHost(id, cloud.world);
  if (host === null) throw new Error(`InvalidInstanceID.NotFound: ${id} has no host`);
  const { news, changed } = wanted;
  for (const fixed of ["rootBlockDevice", "ipv6AddressCount", "vpcSecurityGroupIds"])
    if (changed.has(fixed))
      throw new Error(`the sandbox's AWS cannot change ${fixed} of an instance that is there`);
  const restarts = ["instanceType", "userData"].some((name) => changed.has(name));
  if (restarts && host.isOn()) await stop(cloud, id, host);
  keepFacts(cloud.world, id, kept(news));
  if (changed.has("iamInstanceProfile")) await setProfile(cloud, id, news["iamInstanceProfile"]);
  if (!host.isOn()) await start(cloud, id, host);
  await startMetadata(cloud, host, metadataOf(news));
  await retagEc2(cloud, id, wanted);
}

async function stop(cloud: Cloud, id: string, host: SandboxHost): Promise<void> {
  const client = cloud.client("ec2");
  await client.send(new ec2.StopInstancesCommand({ InstanceIds: [id] }));
  await host.shutDown();
}

async function start(cloud: Cloud, id: string, host: SandboxHost): Promise<void> {
  const client = cloud.client("ec2");
  await client.send(new ec2.StartInstancesCommand({ InstanceIds: [id] }));
  await host.powerOn();
}

async function setProfile(cloud: Cloud, id: string, name: Values[string]): Promise<void> {
  const client = cloud.client("ec2");
  const { IamInstanceProfileAssociations: present = [] } = await client.send(
    new ec2.DescribeIamInstanceProfileAssociationsCommand({
      Filters: [{ Name: "instance-id", Values: [id] }],
    }),
  );
  for (const { AssociationId, State } of present)
    if (State === "associated")
      await client.send(new ec2.DisassociateIamInstanceProfileCommand({ AssociationId }));
  if (typeof name === "string")
    await client.send(
      new ec2.AssociateIamInstanceProfileCommand({ InstanceId: id, IamInstanceProfile: { Name: name } }),
    );
}

/** Ends an instance with its host, whether or not it is protected. */
export async function terminate(cloud: Cloud, id: string): Promise<void> {
  const client = cloud.client("ec2");
  await stopMetadata(cloud.world, id);
  await recordedHost(id, cloud.world)?.remove();
  await unless(ABSENT, () => client.send(new ec2.TerminateInstancesCommand({ InstanceIds: [id] })));
  await freeAddresses(cloud, id);
  dropFacts(cloud.world, id);
}

function kept(inputs: Values): Values {
  // Null where the program says nothing any more: what was kept before has to go.
  return Object.fromEntries(KEPT.map((name) => [name, inputs[name] ?? null]));
}
