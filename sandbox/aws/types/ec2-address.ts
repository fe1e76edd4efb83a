import * as ec2 from "@aws-sdk/client-ec2";

import { run } from "../../command";
import { recordedHost, releaseNetwork, reservedNetwork, reserveNetwork } from "../../hosts/host";
import { answered, unless, type Cloud } from "../plugin/cloud";
import { dropFacts, factsOf, keepFacts } from "../plugin/facts";
import { flag, map, text } from "../plugin/properties";
import type { ResourceType } from "../plugin/resource-type";
import { tagOutputs } from "../plugin/tags";
import { ABSENT, arnOf, retagEc2, tagsFor } from "./ec2-network";

const REFERENCE = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/";

async function addressOf(cloud: Cloud, id: string): Promise<ec2.Address | null> {
  const client = cloud.client("ec2");
  const found = await unless(ABSENT, () =>
    client.send(new ec2.DescribeAddressesCommand({ AllocationIds: [id] })),
  );
  return found?.Addresses?.[0] ?? null;
}

/** An address of the machine's networks, kept for whichever host it is given to. */
const eip: ResourceType = {
  token: "aws:ec2/eip:Eip",
  reference: `${REFERENCE}API_AllocateAddress.html`,
  properties: { domain: text({ replaces: true, oneOf: ["vpc"] }), tags: map() },
  computed: [
    "allocationId",
    "arn",
    "associationId",
    "publicIp",
    "publicDns",
    "privateIp",
    "privateDns",
    "ptrRecord",
    "instance",
    "networkInterface",
    "networkBorderGroup",
    "publicIpv4Pool",
    "carrierIp",
    "customerOwnedIp",
  ],
  async create(cloud, inputs) {
    const client = cloud.client("ec2");
    const { AllocationId } = await client.send(
      new ec2.AllocateAddressCommand({ Domain: "vpc", ...tagsFor(cloud, "elastic-ip", inputs) }),
    );
    await reserveNetwork(cloud.world, answered(AllocationId, "AllocationId"));
    return answered(AllocationId, "AllocationId");
  },
  async read(cloud, id) {
    const live = await addressOf(cloud, id);
    const network = reservedNetwork(cloud.world, id);
    // Without its network it leads nowhere: the sandbox was taken down under the emulator.
    if (live === null || network === null) return null;
    const instance = live.InstanceId;
    return {
      allocationId: id,
      arn: await arnOf(cloud, "elastic-ip", id),
      domain: live.Domain,
      publicIp: network.address,
      publicDns: network.address,
      associationId: live.AssociationId,
      instance,
      privateIp: instance === undefined ? undefined : recordedHost(instance, cloud.world)?.address,
      ...tagOutputs(cloud, live.Tags),
    };
  },
  update: retagEc2,
  async delete(cloud, id) {
    const client = cloud.client("ec2");
    await unless(ABSENT, () => client.send(new ec2.ReleaseAddressCommand({ AllocationId: id })));
    await releaseNetwork(cloud.world, id);
  },
};

const eipAssociation: ResourceType = {
  token: "aws:ec2/eipAssociation:EipAssociation",
  reference: `${REFERENCE}API_AssociateAddress.html`,
  properties: {
    allocationId: text({ required: true, replaces: true }),
    instanceId: text({ required: true, replaces: true }),
    allowReassociation: flag({ replaces: true }),
  },
  computed: ["publicIp", "privateIpAddress", "networkInterfaceId"],
  async create(cloud, inputs) {
    const client = cloud.client("ec2");
    const { allocationId, instanceId } = inputs as Record<"allocationId" | "instanceId", string>;
    const present = await addressOf(cloud, allocationId);
    // As EC2 has it for addresses of a VPC: another association takes the address over unless it may not.
    if (present?.InstanceId !== undefined) await leave(cloud, allocationId, present.InstanceId);
    await arrive(cloud, allocationId, instanceId);
    const { AssociationId } = await client.send(
      new ec2.AssociateAddressCommand({ AllocationId: allocationId, InstanceId: instanceId }),
    );
    keepFacts(cloud.world, answered(AssociationId, "AssociationId"), { allocationId, instanceId });
    return answered(AssociationId, "AssociationId");
  },
  async read(cloud, id) {
    const { allocationId, instanceId } = factsOf(cloud.world, id) as Record<string, string | undefined>;
    const live = allocationId === undefined ? null : await addressOf(cloud, allocationId);
    if (live?.AssociationId !== id || instanceId === undefined) return null;
    return {
      allocationId,
      instanceId,
      publicIp: reservedNetwork(cloud.world, answered(allocationId, "allocationId"))?.address,
      privateIpAddress: recordedHost(instanceId, cloud.world)?.address,
    };
  },
  async delete(cloud, id) {
    const client = cloud.client("ec2");
    const { allocationId, instanceId } = factsOf(cloud.world, id) as Record<string, string | undefined>;
    const live = allocationId === undefined ? null : await addressOf(cloud, allocationId);
    // Taken over meanwhile by another instance, it is that one's.
    if (live?.AssociationId === id) {
      await leave(cloud, answered(allocationId, "allocationId"), answered(instanceId, "instanceId"));
      await unless(ABSENT, () => client.send(new ec2.DisassociateAddressCommand({ AssociationId: id })));
    }
    dropFacts(cloud.world, id);
  },
};

/** Brings an address to a host: the host has it, and the machine knows the way. */
async function arrive(cloud: Cloud, allocationId: string, instanceId: string): Promise<void> {
  const address = reservedNetwork(cloud.world, allocationId)?.address;
  const network = recordedHost(instanceId, cloud.world)?.network;
  if (address === undefined) throw new Error(`InvalidAllocationID.NotFound: ${allocationId} has no address`);
  if (network === undefined) throw new Error(`InvalidInstanceID.NotFound: ${instanceId} has no host`);
  const { namespace, link } = network;
  await run(["ip", "-n", namespace, "address", "replace", `${address}/32`, "dev", "host0"]);
  await run(["ip", "route", "replace", `${address}/32`, "dev", link]);
  keepFacts(cloud.world, instanceId, { elasticAddress: address });
}

/** Takes an address off a host. One that is gone took its routes along. */
async function leave(cloud: Cloud, allocationId: string, instanceId: string): Promise<void> {
  const address = reservedNetwork(cloud.world, allocationId)?.address;
  const network = recordedHost(instanceId, cloud.world)?.network;
  if (address === undefined || network === undefined) return;
  await run(["ip", "route", "delete", `${address}/32`, "dev", network.link], { check: false });
  await run(["ip", "-n", network.namespace, "address", "delete", `${address}/32`, "dev", "host0"], {
    check: false,
  });
  keepFacts(cloud.world, instanceId, { elasticAddress: null });
}

/** Takes the addresses of an instance that ended from it, as EC2 does by itself; they stay their owner's. */
export async function freeAddresses(cloud: Cloud, instanceId: string): Promise<void> {
  const client = cloud.client("ec2");
  const { Addresses = [] } = await client.send(new ec2.DescribeAddressesCommand({}));
  for (const { InstanceId, AssociationId } of Addresses)
    if (InstanceId === instanceId)
      await unless(ABSENT, () => client.send(new ec2.DisassociateAddressCommand({ AssociationId })));
}

/** Addresses that outlive instances. */
export const addressTypes: readonly ResourceType[] = [eip, eipAssociation];
