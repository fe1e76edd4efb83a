import { createHash } from "node:crypto";
import * as ec2 from "@aws-sdk/client-ec2";

import { answered, unless, type Cloud } from "../plugin/cloud";
import { dropFacts, factsOf, keepFacts } from "../plugin/facts";
import { flag, map, text, type Values } from "../plugin/properties";
import type { Change, ResourceType } from "../plugin/resource-type";
import { retag, tagList, tagOutputs } from "../plugin/tags";

const REFERENCE = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/";

/** What EC2 answers where a resource is not there. */
export const ABSENT = [
  "InvalidAllocationID.NotFound",
  "InvalidAssociationID.NotFound",
  "InvalidGroup.NotFound",
  "InvalidInstanceID.NotFound",
  "InvalidInternetGatewayID.NotFound",
  "InvalidRoute.NotFound",
  "InvalidRouteTableID.NotFound",
  "InvalidSecurityGroupRuleId.NotFound",
  "InvalidSubnetID.NotFound",
  "InvalidVpcID.NotFound",
];

/** Tags to be put on a new resource. */
export function tagsFor(
  cloud: Cloud,
  ResourceType: ec2.ResourceType,
  inputs: Values,
): { TagSpecifications?: ec2.TagSpecification[] } {
  const Tags = tagList(cloud, inputs);
  return Tags.length === 0 ? {} : { TagSpecifications: [{ ResourceType, Tags }] };
}

/** Brings the tags of any resource of EC2 to the new ones. */
export async function retagEc2(cloud: Cloud, id: string, change: Change): Promise<void> {
  const client = cloud.client("ec2");
  await retag(
    cloud,
    change,
    (Tags) => client.send(new ec2.CreateTagsCommand({ Resources: [id], Tags })),
    (keys) => client.send(new ec2.DeleteTagsCommand({ Resources: [id], Tags: keys.map((Key) => ({ Key })) })),
  );
}

/** ARN of a resource of EC2. */
export async function arnOf(cloud: Cloud, kind: string, id: string): Promise<string> {
  const { accountId } = await cloud.identity();
  return `arn:aws:ec2:${cloud.region}:${accountId}:${kind}/${id}`;
}

const vpc: ResourceType = {
  token: "aws:ec2/vpc:Vpc",
  reference: `${REFERENCE}API_CreateVpc.html`,
  properties: {
    cidrBlock: text({ required: true, replaces: true, pattern: /^\d+(\.\d+){3}\/\d+$/ }),
    assignGeneratedIpv6CidrBlock: flag(),
    enableDnsSupport: flag(),
    enableDnsHostnames: flag(),
    tags: map(),
  },
  computed: [
    "arn",
    "ipv6CidrBlock",
    "ipv6AssociationId",
    "mainRouteTableId",
    "ownerId",
    "defaultSecurityGroupId",
    "defaultNetworkAclId",
    "defaultRouteTableId",
  ],
  volatile: ["ipv6CidrBlock", "ipv6AssociationId"],

  async create(cloud, inputs) {
    const client = cloud.client("ec2");
    const CidrBlock = inputs["cidrBlock"] as string;
    const { Vpc } = await client.send(
      new ec2.CreateVpcCommand({ CidrBlock, ...tagsFor(cloud, "vpc", inputs) }),
    );
    const id = answered(Vpc?.VpcId, "VpcId");
    await setVpc(cloud, id, inputs);
    return id;
  },
  async read(cloud, id) {
    const client = cloud.client("ec2");
    const found = await unless(ABSENT, () => client.send(new ec2.DescribeVpcsCommand({ VpcIds: [id] })));
    const live = found?.Vpcs?.[0];
    if (live === undefined) return null;
    const attribute = async (Attribute: ec2.VpcAttributeName): Promise<ec2.DescribeVpcAttributeResult> =>
      client.send(new ec2.DescribeVpcAttributeCommand({ VpcId: id, Attribute }));
    const { RouteTables } = await client.send(
      new ec2.DescribeRouteTablesCommand({ Filters: [{ Name: "vpc-id", Values: [id] }] }),
    );
    const main = RouteTables?.find((one) =>
      one.Associations?.some((association) => association.Main === true),
    );
    return {
      arn: await arnOf(cloud, "vpc", id),
      cidrBlock: live.CidrBlock,
      ownerId: live.OwnerId,
      mainRouteTableId: main?.RouteTableId,
      enableDnsSupport: (await attribute("enableDnsSupport")).EnableDnsSupport?.Value,
      enableDnsHostnames: (await attribute("enableDnsHostnames")).EnableDnsHostnames?.Value,
      ...ipv6Of(cloud, id),
      ...tagOutputs(cloud, live.Tags),
    };
  },
  async update(cloud, id, change) {
    await setVpc(cloud, id, change.news);
    await retagEc2(cloud, id, change);
  },
  async delete(cloud, id) {
    const client = cloud.client("ec2");
    await unless(ABSENT, () => client.send(new ec2.DeleteVpcCommand({ VpcId: id })));
    dropFacts(cloud.world, id);
  },
};

async function setVpc(cloud: Cloud, VpcId: string, inputs: Values): Promise<void> {
  const client = cloud.client("ec2");
  const { enableDnsSupport: support = true, enableDnsHostnames: names = false } = inputs;
  await client.send(
    new ec2.ModifyVpcAttributeCommand({ VpcId, EnableDnsSupport: { Value: support as boolean } }),
  );
  await client.send(
    new ec2.ModifyVpcAttributeCommand({ VpcId, EnableDnsHostnames: { Value: names as boolean } }),
  );
  keepFacts(cloud.world, VpcId, { ipv6: inputs["assignGeneratedIpv6CidrBlock"] === true });
}

/** The emulator gives no IPv6 block: one of the addresses that nobody routes (RFC 4193) stands in for Amazon's. */
function ipv6Of(cloud: Cloud, vpcId: string): Values {
  if (factsOf(cloud.world, vpcId)["ipv6"] !== true) return { assignGeneratedIpv6CidrBlock: false };
  const digits = createHash("sha256").update(vpcId).digest("hex");
  const prefix = `fd${digits.slice(0, 2)}:${digits.slice(2, 6)}:${digits.slice(6, 10)}`;
  return {
    assignGeneratedIpv6CidrBlock: true,
    ipv6CidrBlock: `${prefix}:${digits.slice(10, 12)}00::/56`,
    ipv6AssociationId: vpcId.replace(/^vpc-/, "vpc-cidr-assoc-"),
  };
}

const subnet: ResourceType = {
  token: "aws:ec2/subnet:Subnet",
  reference: `${REFERENCE}API_CreateSubnet.html`,
  properties: {
    vpcId: text({ required: true, replaces: true }),
    cidrBlock: text({ required: true, replaces: true, pattern: /^\d+(\.\d+){3}\/\d+$/ }),
    ipv6CidrBlock: text({ pattern: /^[0-9a-f:]+\/64$/ }),
    assignIpv6AddressOnCreation: flag(),
    mapPublicIpOnLaunch: flag(),
    availabilityZone: text({ replaces: true }),
    tags: map(),
  },
  computed: ["arn", "availabilityZoneId", "ownerId", "ipv6CidrBlockAssociationId"],

  async create(cloud, inputs) {
    requireWithin(cloud, inputs);
    const client = cloud.client("ec2");
    const { vpcId, cidrBlock, availabilityZone } = inputs as Record<"vpcId" | "cidrBlock", string> & {
      availabilityZone?: string;
    };
    const { Subnet } = await client.send(
      new ec2.CreateSubnetCommand({
        VpcId: vpcId,
        CidrBlock: cidrBlock,
        AvailabilityZone: availabilityZone,
        ...tagsFor(cloud, "subnet", inputs),
      }),
    );
    const id = answered(Subnet?.SubnetId, "SubnetId");
    await setSubnet(cloud, id, inputs);
    return id;
  },
  async read(cloud, id) {
    const client = cloud.client("ec2");
    const found = await unless(ABSENT, () =>
      client.send(new ec2.DescribeSubnetsCommand({ SubnetIds: [id] })),
    );
    const live = found?.Subnets?.[0];
    if (live === undefined) return null;
    const { ipv6CidrBlock, assign } = factsOf(cloud.world, id);
    return {
      arn: await arnOf(cloud, "subnet", id),
      vpcId: live.VpcId,
      cidrBlock: live.CidrBlock,
      availabilityZone: live.AvailabilityZone,
      availabilityZoneId: live.AvailabilityZoneId,
      mapPublicIpOnLaunch: live.MapPublicIpOnLaunch,
      ownerId: live.OwnerId,
      ipv6CidrBlock,
      ipv6CidrBlockAssociationId:
        ipv6CidrBlock === undefined ? undefined : id.replace(/^subnet-/, "subnet-cidr-assoc-"),
      assignIpv6AddressOnCreation: assign === true,
      ...tagOutputs(cloud, live.Tags),
    };
  },
  async update(cloud, id, change) {
    requireWithin(cloud, change.news);
    await setSubnet(cloud, id, change.news);
    await retagEc2(cloud, id, change);
  },
  async delete(cloud, id) {
    const client = cloud.client("ec2");
    await unless(ABSENT, () => client.send(new ec2.DeleteSubnetCommand({ SubnetId: id })));
    dropFacts(cloud.world, id);
  },
};

/** As EC2 has it: a subnet's IPv6 block is one of its VPC's. */
function requireWithin(cloud: Cloud, inputs: Values): void {
  const { ipv6CidrBlock: block, vpcId } = inputs as { ipv6CidrBlock?: string; vpcId: string };
  if (block === undefined) return;
  const whole = ipv6Of(cloud, vpcId)["ipv6CidrBlock"] as string | undefined;
  const prefix = whole?.replace(/00::\/56$/, "");
  if (prefix === undefined || !block.startsWith(prefix))
    throw new Error(
      `InvalidSubnet.Range: ${block} is not in ${whole ?? "an IPv6 block, for the VPC has none"}`,
    );
}

async function setSubnet(cloud: Cloud, SubnetId: string, inputs: Values): Promise<void> {
  const client = cloud.client("ec2");
  const Value = inputs["mapPublicIpOnLaunch"] === true;
  await client.send(new ec2.ModifySubnetAttributeCommand({ SubnetId, MapPublicIpOnLaunch: { Value } }));
  const { ipv6CidrBlock, assignIpv6AddressOnCreation } = inputs;
  keepFacts(cloud.world, SubnetId, { ipv6CidrBlock, assign: assignIpv6AddressOnCreation === true });
}

const internetGateway: ResourceType = {
  token: "aws:ec2/internetGateway:InternetGateway",
  reference: `${REFERENCE}API_CreateInternetGateway.html`,
  properties: { vpcId: text(), tags: map() },
  computed: ["arn", "ownerId"],

  async create(cloud, inputs) {
    const client = cloud.client("ec2");
    const { InternetGateway } = await client.send(
      new ec2.CreateInternetGatewayCommand(tagsFor(cloud, "internet-gateway", inputs)),
    );
    const id = answered(InternetGateway?.InternetGatewayId, "InternetGatewayId");
    await attach(cloud, id, inputs["vpcId"] as string | undefined);
    return id;
  },
  async read(cloud, id) {
    const client = cloud.client("ec2");
    const found = await unless(ABSENT, () =>
      client.send(new ec2.DescribeInternetGatewaysCommand({ InternetGatewayIds: [id] })),
    );
    const live = found?.InternetGateways?.[0];
    if (live === undefined) return null;
    return {
      arn: await arnOf(cloud, "internet-gateway", id),
      ownerId: live.OwnerId,
      vpcId: live.Attachments?.[0]?.VpcId,
      ...tagOutputs(cloud, live.Tags),
    };
  },
  async update(cloud, id, change) {
    if (change.changed.has("vpcId")) {
      await detach(cloud, id, change.olds["vpcId"] as string | undefined);
      await attach(cloud, id, change.news["vpcId"] as string | undefined);
    }
    await retagEc2(cloud, id, change);
  },
  async delete(cloud, id, state) {
    await detach(cloud, id, state["vpcId"] as string | undefined);
    const client = cloud.client("ec2");
    await unless(ABSENT, () => client.send(new ec2.DeleteInternetGatewayCommand({ InternetGatewayId: id })));
  },
};

async function attach(cloud: Cloud, InternetGatewayId: string, VpcId: string | undefined): Promise<void> {
  const client = cloud.client("ec2");
  if (VpcId !== undefined)
    await client.send(new ec2.AttachInternetGatewayCommand({ InternetGatewayId, VpcId }));
}

async function detach(cloud: Cloud, InternetGatewayId: string, VpcId: string | undefined): Promise<void> {
  if (VpcId === undefined) return;
  const client = cloud.client("ec2");
  await unless([...ABSENT, "Gateway.NotAttached"], () =>
    client.send(new ec2.DetachInternetGatewayCommand({ InternetGatewayId, VpcId })),
  );
}

/** The ground that an instance stands on. */
export const networkTypes: readonly ResourceType[] = [vpc, subnet, internetGateway];
