import * as ec2 from "@aws-sdk/client-ec2";

import { answered, unless, type Cloud } from "../plugin/cloud";
import { map, number, text, type Values } from "../plugin/properties";
import type { ResourceType } from "../plugin/resource-type";
import { tagOutputs } from "../plugin/tags";
import { ABSENT, arnOf, retagEc2, tagsFor } from "./ec2-network";

const REFERENCE = "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/";

/** A group without rules of its own: each is a resource. Nothing in the sandbox enforces them. */
const securityGroup: ResourceType = {
  token: "aws:ec2/securityGroup:SecurityGroup",
  reference: `${REFERENCE}API_CreateSecurityGroup.html`,
  properties: {
    name: text({ replaces: true, pattern: /^(?!sg-)[\w .:/()#,@[\]+=&;{}!$*-]{1,255}$/ }),
    description: text({ replaces: true, pattern: /^[\w .:/()#,@[\]+=&;{}!$*-]{0,255}$/ }),
    vpcId: text({ replaces: true }),
    tags: map(),
  },
  computed: ["arn", "ownerId", "egress", "ingress"],
  naming: { property: "name", longest: 255 },

  async create(cloud, inputs) {
    const client = cloud.client("ec2");
    const { GroupId } = await client.send(
      new ec2.CreateSecurityGroupCommand({
        GroupName: inputs["name"] as string,
        Description: (inputs["description"] ?? "Managed by Pulumi") as string,
        VpcId: inputs["vpcId"] as string | undefined,
        ...tagsFor(cloud, "security-group", inputs),
      }),
    );
    // EC2 lets a new group's machines go anywhere; the real provider takes that back, so that the rules say all.
    const born = await rulesOf(cloud, [{ Name: "group-id", Values: [answered(GroupId, "GroupId")] }]);
    const SecurityGroupRuleIds = born
      .filter((rule) => rule.IsEgress === true)
      .map((rule) => answered(rule.SecurityGroupRuleId, "SecurityGroupRuleId"));
    if (SecurityGroupRuleIds.length > 0)
      await client.send(new ec2.RevokeSecurityGroupEgressCommand({ GroupId, SecurityGroupRuleIds }));
    return answered(GroupId, "GroupId");
  },
  async read(cloud, id) {
    const client = cloud.client("ec2");
    const found = await unless(ABSENT, () =>
      client.send(new ec2.DescribeSecurityGroupsCommand({ GroupIds: [id] })),
    );
    const live = found?.SecurityGroups?.[0];
    if (live === undefined) return null;
    return {
      arn: await arnOf(cloud, "security-group", id),
      name: live.GroupName,
      description: live.Description,
      vpcId: live.VpcId,
      ownerId: live.OwnerId,
      ...tagOutputs(cloud, live.Tags),
    };
  },
  update: retagEc2,
  async delete(cloud, id) {
    const client = cloud.client("ec2");
    await unless(ABSENT, () => client.send(new ec2.DeleteSecurityGroupCommand({ GroupId: id })));
  },
};

async function rulesOf(cloud: Cloud, Filters: ec2.Filter[]): Promise<ec2.SecurityGroupRule[]> {
  const client = cloud.client("ec2");
  const { SecurityGroupRules } = await client.send(new ec2.DescribeSecurityGroupRulesCommand({ Filters }));
  return SecurityGroupRules ?? [];
}

function ruleType(name: "SecurityGroupIngressRule" | "SecurityGroupEgressRule"): ResourceType {
  const isEgress = name === "SecurityGroupEgressRule";
  return {
    token: `aws:vpc/${name.charAt(0).toLowerCase()}${name.slice(1)}:${name}`,
    reference: `${REFERENCE}API_AuthorizeSecurityGroup${isEgress ? "Egress" : "Ingress"}.html`,
    properties: {
      securityGroupId: text({ required: true, replaces: true }),
      ipProtocol: text({ required: true, pattern: /^(-1|tcp|udp|icmp|icmpv6|\d+)$/ }),
      fromPort: number({ from: -1, to: 65535 }),
      toPort: number({ from: -1, to: 65535 }),
      cidrIpv4: text({ pattern: /^\d+(\.\d+){3}\/\d+$/ }),
      cidrIpv6: text({ pattern: /^[0-9a-f:]+\/\d+$/i }),
      description: text(),
      tags: map(),
    },
    computed: ["arn", "securityGroupRuleId"],
    exclusive: [["cidrIpv4", "cidrIpv6"]],
    async create(cloud, inputs) {
      const client = cloud.client("ec2");
      const GroupId = inputs["securityGroupId"] as string;
      const request = {
        GroupId,
        IpPermissions: [permissionOf(inputs)],
        ...tagsFor(cloud, "security-group-rule", inputs),
      };
      const { SecurityGroupRules } = await (isEgress
        ? client.send(new ec2.AuthorizeSecurityGroupEgressCommand(request))
        : client.send(new ec2.AuthorizeSecurityGroupIngressCommand(request)));
      return answered(SecurityGroupRules?.[0]?.SecurityGroupRuleId, "SecurityGroupRuleId");
    },
    async read(cloud, id, state) {
      const Values = [state["securityGroupId"] as string];
      const live = (await rulesOf(cloud, [{ Name: "group-id", Values }])).find(
        (rule) => rule.SecurityGroupRuleId === id && rule.IsEgress === isEgress,
      );
      if (live === undefined) return null;
      return {
        arn: await arnOf(cloud, "security-group-rule", id),
        securityGroupRuleId: id,
        securityGroupId: live.GroupId,
        ipProtocol: live.IpProtocol,
        // Without a port the API says -1.
        fromPort: live.FromPort === -1 ? state["fromPort"] : live.FromPort,
        toPort: live.ToPort === -1 ? state["toPort"] : live.ToPort,
        cidrIpv4: live.CidrIpv4,
        cidrIpv6: live.CidrIpv6,
        description: live.Description,
        ...tagOutputs(cloud, live.Tags),
      };
    },
    async update(cloud, id, change) {
      const client = cloud.client("ec2");
      const GroupId = change.news["securityGroupId"] as string;
      const SecurityGroupRule = ruleOf(change.news);
      if ([...change.changed].some((one) => one !== "tags"))
        await client.send(
          new ec2.ModifySecurityGroupRulesCommand({
            GroupId,
            SecurityGroupRules: [{ SecurityGroupRuleId: id, SecurityGroupRule }],
          }),
        );
      await retagEc2(cloud, id, change);
    },
    async delete(cloud, id, state) {
      const client = cloud.client("ec2");
      const request = { GroupId: state["securityGroupId"] as string, SecurityGroupRuleIds: [id] };
      await unless(ABSENT, () =>
        isEgress
          ? client.send(new ec2.RevokeSecurityGroupEgressCommand(request))
          : client.send(new ec2.RevokeSecurityGroupIngressCommand(request)),
      );
    },
  };
}

function ruleOf(inputs: Values): ec2.SecurityGroupRuleRequest {
  return {
    IpProtocol: inputs["ipProtocol"] as string,
    FromPort: inputs["fromPort"] as number | undefined,
    ToPort: inputs["toPort"] as number | undefined,
    CidrIpv4: inputs["cidrIpv4"] as string | undefined,
    CidrIpv6: inputs["cidrIpv6"] as string | undefined,
    Description: inputs["description"] as string | undefined,
  };
}

function permissionOf(inputs: Values): ec2.IpPermission {
  const { CidrIpv4: CidrIp, CidrIpv6, Description, ...ports } = ruleOf(inputs);
  return {
    ...ports,
    ...(CidrIp === undefined ? {} : { IpRanges: [{ CidrIp, Description }] }),
    ...(CidrIpv6 === undefined ? {} : { Ipv6Ranges: [{ CidrIpv6, Description }] }),
  };
}

/** Who may knock, as the API has it. */
export const firewallTypes: readonly ResourceType[] = [
  securityGroup,
  ruleType("SecurityGroupIngressRule"),
  ruleType("SecurityGroupEgressRule"),
];
