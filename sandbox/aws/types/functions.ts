import * as ec2 from "@aws-sdk/client-ec2";

import { flag, list, map, object, text, type Values } from "../plugin/properties";
import type { LookupFunction } from "../plugin/resource-type";
import { IMAGE } from "./ec2-image";

const EC2_REFERENCE = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/";

const filters = list(object({ name: text({ required: true }), values: list(text(), { required: true }) }));
const region = text();

const getCallerIdentity: LookupFunction = {
  token: "aws:index/getCallerIdentity:getCallerIdentity",
  reference: "https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html",
  properties: { id: text() },
  async call(cloud) {
    const { accountId, arn, userId } = await cloud.identity();
    return { accountId, arn, userId, id: accountId };
  },
};

const getRegion: LookupFunction = {
  token: "aws:index/getRegion:getRegion",
  reference: "https://docs.aws.amazon.com/general/latest/gr/rande.html",
  properties: { region, name: text(), endpoint: text(), id: text() },
  call: (cloud, args) => {
    const name = (args["region"] ?? args["name"] ?? cloud.region) as string;
    const endpoint = `ec2.${name}.amazonaws.com`;
    return Promise.resolve({ id: name, name, region: name, endpoint, description: name });
  },
};

const getPartition: LookupFunction = {
  token: "aws:index/getPartition:getPartition",
  reference: "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html",
  properties: { id: text() },
  call: () =>
    Promise.resolve({
      id: "aws",
      partition: "aws",
      dnsSuffix: "amazonaws.com",
      reverseDnsPrefix: "com.amazonaws",
    }),
};

const getAvailabilityZones: LookupFunction = {
  token: "aws:index/getAvailabilityZones:getAvailabilityZones",
  reference: `${EC2_REFERENCE}API_DescribeAvailabilityZones.html`,
  properties: { region, state: text(), filters },
  async call(cloud, args) {
    const client = cloud.client("ec2");
    const { AvailabilityZones = [] } = await client.send(
      new ec2.DescribeAvailabilityZonesCommand(apiFilters(args)),
    );
    const names = AvailabilityZones.map((zone) => zone.ZoneName ?? "");
    const zoneIds = AvailabilityZones.map((zone) => zone.ZoneId ?? "");
    return { id: cloud.region, region: cloud.region, names, zoneIds, groupNames: [cloud.region] };
  },
};

/** There is one image: the sandbox's Debian. */
const getAmi: LookupFunction = {
  token: "aws:ec2/getAmi:getAmi",
  reference: `${EC2_REFERENCE}API_DescribeImages.html`,
  properties: {
    region,
    owners: list(text()),
    mostRecent: flag(),
    nameRegex: text(),
    filters,
    includeDeprecated: flag(),
  },
  call: (cloud) =>
    Promise.resolve({ ...IMAGE, id: IMAGE.imageId, region: cloud.region, tags: {}, state: "available" }),
};

const getVpc: LookupFunction = {
  token: "aws:ec2/getVpc:getVpc",
  reference: `${EC2_REFERENCE}API_DescribeVpcs.html`,
  properties: { region, id: text(), default: flag(), filters, tags: map() },
  async call(cloud, args) {
    const client = cloud.client("ec2");
    const { id } = args;
    const wanted =
      args["default"] === undefined
        ? []
        : [{ Name: "is-default", Values: [String(args["default"] === true)] }];
    const { Vpcs = [] } = await client.send(
      new ec2.DescribeVpcsCommand({
        ...(id === undefined ? {} : { VpcIds: [id as string] }),
        Filters: [...apiFilters(args).Filters, ...wanted],
      }),
    );
    const vpc = onlyOne("VPC", Vpcs);
    return {
      id: vpc.VpcId,
      cidrBlock: vpc.CidrBlock,
      default: vpc.IsDefault ?? false,
      ownerId: vpc.OwnerId,
      state: vpc.State,
      region: cloud.region,
      tags: {},
    };
  },
};

const getSubnets: LookupFunction = {
  token: "aws:ec2/getSubnets:getSubnets",
  reference: `${EC2_REFERENCE}API_DescribeSubnets.html`,
  properties: { region, filters, tags: map() },
  async call(cloud, args) {
    const client = cloud.client("ec2");
    const { Subnets = [] } = await client.send(new ec2.DescribeSubnetsCommand(apiFilters(args)));
    return {
      id: cloud.region,
      ids: Subnets.map((subnet) => subnet.SubnetId ?? ""),
      region: cloud.region,
      tags: {},
    };
  },
};

function apiFilters(args: Values): { Filters: ec2.Filter[] } {
  const given = (args["filters"] ?? []) as { name: string; values: string[] }[];
  const tags = Object.entries((args["tags"] ?? {}) as Record<string, string>);
  return {
    Filters: [
      ...given.map(({ name, values }) => ({ Name: name, Values: values })),
      ...tags.map(([key, value]) => ({ Name: `tag:${key}`, Values: [value] })),
    ],
  };
}

function onlyOne<T>(what: string, found: readonly T[]): T {
  const [first] = found;
  if (first === undefined || found.length > 1)
    throw new Error(`${String(found.length)} ${what}s match; the lookup has to match one`);
  return first;
}

/** What may be looked up. */
export const lookupFunctions: readonly LookupFunction[] = [
  getCallerIdentity,
  getRegion,
  getPartition,
  getAvailabilityZones,
  getAmi,
  getVpc,
  getSubnets,
];
