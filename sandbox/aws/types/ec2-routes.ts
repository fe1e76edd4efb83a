import * as ec2 from "@aws-sdk/client-ec2";

import { answered, unless, type Cloud } from "../plugin/cloud";
import { dropFacts, factsOf, keepFacts } from "../plugin/facts";
import { map, text, type Values } from "../plugin/properties";
import type { ResourceType } from "../plugin/resource-type";
import { tagOutputs } from "../plugin/tags";
import { ABSENT, arnOf, retagEc2, tagsFor } from "./ec2-network";

const REFERENCE = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/";

async function tableOf(cloud: Cloud, id: string): Promise<ec2.RouteTable | null> {
  const client = cloud.client("ec2");
  const found = await unless(ABSENT, () =>
    client.send(new ec2.DescribeRouteTablesCommand({ RouteTableIds: [id] })),
  );
  return found?.RouteTables?.[0] ?? null;
}

/** A table without routes of its own: each is a resource. */
const routeTable: ResourceType = {
  token: "aws:ec2/routeTable:RouteTable",
  reference: `${REFERENCE}API_CreateRouteTable.html`,
  properties: { vpcId: text({ required: true, replaces: true }), tags: map() },
  computed: ["arn", "ownerId"],
  async create(cloud, inputs) {
    const client = cloud.client("ec2");
    const VpcId = inputs["vpcId"] as string;
    const { RouteTable } = await client.send(
      new ec2.CreateRouteTableCommand({ VpcId, ...tagsFor(cloud, "route-table", inputs) }),
    );
    return answered(RouteTable?.RouteTableId, "RouteTableId");
  },
  async read(cloud, id) {
    const live = await tableOf(cloud, id);
    if (live === null) return null;
    const arn = await arnOf(cloud, "route-table", id);
    return { arn, ownerId: live.OwnerId, vpcId: live.VpcId, ...tagOutputs(cloud, live.Tags) };
  },
  update: retagEc2,
  async delete(cloud, id) {
    const client = cloud.client("ec2");
    await unless(ABSENT, () => client.send(new ec2.DeleteRouteTableCommand({ RouteTableId: id })));
  },
};

const route: ResourceType = {
  token: "aws:ec2/route:Route",
  reference: `${REFERENCE}API_CreateRoute.html`,
  properties: {
    routeTableId: text({ required: true, replaces: true }),
    destinationCidrBlock: text({ replaces: true }),
    destinationIpv6CidrBlock: text({ replaces: true }),
    gatewayId: text(),
  },
  computed: ["origin", "state"],
  exclusive: [["destinationCidrBlock", "destinationIpv6CidrBlock"]],
  async create(cloud, inputs) {
    const client = cloud.client("ec2");
    const id = `r-${inputs["routeTableId"] as string}-${destinationOf(inputs)}`;
    if (isIpv6(inputs)) keepFacts(cloud.world, id, inputs);
    else await client.send(new ec2.CreateRouteCommand(routeRequest(inputs)));
    return id;
  },
  async read(cloud, id, state) {
    const table = await tableOf(cloud, state["routeTableId"] as string);
    if (table === null) return null;
    if (isIpv6(state)) {
      const kept = factsOf(cloud.world, id);
      return Object.keys(kept).length === 0 ? null : { ...kept, origin: "CreateRoute", state: "active" };
    }
    const live = table.Routes?.find((one) => one.DestinationCidrBlock === destinationOf(state));
    if (live === undefined) return null;
    return {
      routeTableId: table.RouteTableId,
      destinationCidrBlock: live.DestinationCidrBlock,
      gatewayId: live.GatewayId,
      origin: live.Origin,
      state: live.State,
    };
  },
  async update(cloud, id, { news }) {
    const client = cloud.client("ec2");
    if (isIpv6(news)) keepFacts(cloud.world, id, news);
    else await client.send(new ec2.ReplaceRouteCommand(routeRequest(news)));
  },
  async delete(cloud, id, state) {
    dropFacts(cloud.world, id);
    if (isIpv6(state)) return;
    const client = cloud.client("ec2");
    const { RouteTableId, DestinationCidrBlock } = routeRequest(state);
    await unless(ABSENT, () =>
      client.send(new ec2.DeleteRouteCommand({ RouteTableId, DestinationCidrBlock })),
    );
  },
};

function destinationOf(inputs: Values): string {
  return (inputs["destinationCidrBlock"] ?? inputs["destinationIpv6CidrBlock"]) as string;
}

/** The emulator forgets where such a route leads: it is kept beside it. */
function isIpv6(inputs: Values): boolean {
  return typeof inputs["destinationIpv6CidrBlock"] === "string";
}

function routeRequest(inputs: Values): ec2.CreateRouteRequest {
  return {
    RouteTableId: inputs["routeTableId"] as string,
    DestinationCidrBlock: inputs["destinationCidrBlock"] as string | undefined,
    GatewayId: inputs["gatewayId"] as string | undefined,
  };
}

const association: ResourceType = {
  token: "aws:ec2/routeTableAssociation:RouteTableAssociation",
  reference: `${REFERENCE}API_AssociateRouteTable.html`,
  properties: {
    routeTableId: text({ required: true, replaces: true }),
    subnetId: text({ required: true, replaces: true }),
  },
  computed: [],
  async create(cloud, inputs) {
    const client = cloud.client("ec2");
    const { routeTableId, subnetId } = inputs as Record<"routeTableId" | "subnetId", string>;
    const { AssociationId } = await client.send(
      new ec2.AssociateRouteTableCommand({ RouteTableId: routeTableId, SubnetId: subnetId }),
    );
    return answered(AssociationId, "AssociationId");
  },
  async read(cloud, id, state) {
    const table = await tableOf(cloud, state["routeTableId"] as string);
    const live = table?.Associations?.find((one) => one.RouteTableAssociationId === id);
    return live === undefined ? null : { routeTableId: table?.RouteTableId, subnetId: live.SubnetId };
  },
  async delete(cloud, id) {
    const client = cloud.client("ec2");
    await unless(ABSENT, () => client.send(new ec2.DisassociateRouteTableCommand({ AssociationId: id })));
  },
};

/** Which way a subnet's packets go. */
export const routeTypes: readonly ResourceType[] = [routeTable, route, association];
