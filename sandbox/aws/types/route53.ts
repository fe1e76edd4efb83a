import {
  ChangeResourceRecordSetsCommand,
  ListResourceRecordSetsCommand,
  type ChangeAction,
  type ResourceRecordSet,
} from "@aws-sdk/client-route-53";

import { isError, unless, type Cloud } from "../plugin/cloud";
import { flag, list, number, text, type Values } from "../plugin/properties";
import type { ResourceType } from "../plugin/resource-type";

const ABSENT = ["NoSuchHostedZone"];

/** A record set without a routing policy. */
export const record: ResourceType = {
  token: "aws:route53/record:Record",
  reference: "https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html",
  global: true,
  properties: {
    zoneId: text({ required: true, replaces: true }),
    name: text({ required: true, replaces: true }),
    type: text({
      required: true,
      replaces: true,
      oneOf: ["A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SPF", "SRV", "TXT"],
    }),
    ttl: number({ required: true, from: 0 }),
    records: list(text(), { required: true, unordered: true }),
    allowOverwrite: flag(),
  },
  computed: ["fqdn"],
  async create(cloud, inputs) {
    const { zoneId, name, type, allowOverwrite } = inputs as Record<"zoneId" | "name" | "type", string> & {
      allowOverwrite?: boolean;
    };
    await change(cloud, allowOverwrite === true ? "UPSERT" : "CREATE", inputs);
    return `${zoneId}_${name}_${type}`;
  },
  async read(cloud, id, state) {
    const [zoneId = "", name = "", type = ""] = id.split("_");
    const found = await find(cloud, zoneId, name, type);
    if (found === null) return null;
    return {
      zoneId,
      name: state["name"] ?? name,
      type,
      ttl: found.TTL,
      records: (found.ResourceRecords ?? []).map((one) => one.Value ?? ""),
      allowOverwrite: state["allowOverwrite"],
      fqdn: (found.Name ?? "").replace(/\.$/, ""),
    };
  },
  update: (cloud, _id, { news }) => change(cloud, "UPSERT", news),
  async delete(cloud, id) {
    const [zoneId = "", name = "", type = ""] = id.split("_");
    const found = await find(cloud, zoneId, name, type);
    if (found === null) return;
    // A record set is deleted by its present values.
    const inputs = { zoneId, name, type, ttl: found.TTL, records: values(found) };
    try {
      await change(cloud, "DELETE", inputs);
    } catch (error) {
      if (!isError(error, "InvalidChangeBatch", ...ABSENT)) throw error;
    }
  },
};

function values(found: ResourceRecordSet): string[] {
  return (found.ResourceRecords ?? []).map((one) => one.Value ?? "");
}

async function change(cloud: Cloud, Action: ChangeAction, inputs: Values): Promise<void> {
  const route53 = cloud.client("route53");
  const { zoneId, name, type, ttl, records } = inputs as {
    zoneId: string;
    name: string;
    type: "A";
    ttl: number;
    records: readonly string[];
  };
  const ResourceRecords = records.map((Value) => ({ Value }));
  const ResourceRecordSet = { Name: name, Type: type, TTL: ttl, ResourceRecords };
  await route53.send(
    new ChangeResourceRecordSetsCommand({
      HostedZoneId: zoneId,
      ChangeBatch: { Changes: [{ Action, ResourceRecordSet }] },
    }),
  );
}

async function find(
  cloud: Cloud,
  zoneId: string,
  name: string,
  type: string,
): Promise<ResourceRecordSet | null> {
  const route53 = cloud.client("route53");
  const answer = await unless(ABSENT, () =>
    route53.send(
      new ListResourceRecordSetsCommand({
        HostedZoneId: zoneId,
        StartRecordName: name,
        StartRecordType: type as "A",
        MaxItems: 1,
      }),
    ),
  );
  const bare = (one: string | undefined): string => (one ?? "").replace(/\.$/, "").toLowerCase();
  const [found] = answer?.ResourceRecordSets ?? [];
  return found !== undefined && bare(found.Name) === bare(name) && found.Type === type ? found : null;
}
