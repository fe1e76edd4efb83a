import {
  AddRoleToInstanceProfileCommand,
  AttachRolePolicyCommand,
  CreateInstanceProfileCommand,
  CreateRoleCommand,
  DeleteInstanceProfileCommand,
  DeleteRoleCommand,
  DeleteRolePermissionsBoundaryCommand,
  DeleteRolePolicyCommand,
  DetachRolePolicyCommand,
  GetInstanceProfileCommand,
  GetRoleCommand,
  GetRolePolicyCommand,
  ListAttachedRolePoliciesCommand,
  PutRolePermissionsBoundaryCommand,
  PutRolePolicyCommand,
  RemoveRoleFromInstanceProfileCommand,
  TagInstanceProfileCommand,
  TagRoleCommand,
  UntagInstanceProfileCommand,
  UntagRoleCommand,
  UpdateAssumeRolePolicyCommand,
  UpdateRoleCommand,
} from "@aws-sdk/client-iam";

import { unless } from "../plugin/cloud";
import { flag, json, map, number, text } from "../plugin/properties";
import type { ResourceType } from "../plugin/resource-type";
import { retag, tagList, tagOutputs } from "../plugin/tags";

const REFERENCE = "https://docs.aws.amazon.com/IAM/latest/APIReference/";
const ABSENT = ["NoSuchEntity", "NoSuchEntityException"];
const NAME = /^[\w+=,.@-]{1,128}$/;

const role: ResourceType = {
  token: "aws:iam/role:Role",
  reference: `${REFERENCE}API_CreateRole.html`,
  global: true,
  properties: {
    name: text({ replaces: true, pattern: /^[\w+=,.@-]{1,64}$/ }),
    assumeRolePolicy: json({ required: true }),
    description: text(),
    path: text({ replaces: true, pattern: /^\/(.*\/)?$/ }),
    maxSessionDuration: number({ from: 3600, to: 43200 }),
    permissionsBoundary: text({ pattern: /^arn:/ }),
    forceDetachPolicies: flag(),
    tags: map(),
  },
  computed: ["arn", "createDate", "uniqueId"],
  naming: { property: "name", longest: 64 },

  async create(cloud, inputs) {
    const iam = cloud.client("iam");
    await iam.send(
      new CreateRoleCommand({
        RoleName: inputs["name"] as string,
        AssumeRolePolicyDocument: inputs["assumeRolePolicy"] as string,
        Description: inputs["description"] as string | undefined,
        Path: inputs["path"] as string | undefined,
        MaxSessionDuration: inputs["maxSessionDuration"] as number | undefined,
        PermissionsBoundary: inputs["permissionsBoundary"] as string | undefined,
        Tags: tagList(cloud, inputs),
      }),
    );
    return inputs["name"] as string;
  },
  async read(cloud, id, state) {
    const iam = cloud.client("iam");
    const found = await unless(ABSENT, () => iam.send(new GetRoleCommand({ RoleName: id })));
    if (found?.Role === undefined) return null;
    const { Role } = found;
    return {
      name: id,
      arn: Role.Arn,
      uniqueId: Role.RoleId,
      createDate: Role.CreateDate?.toISOString(),
      assumeRolePolicy: decodeURIComponent(Role.AssumeRolePolicyDocument ?? ""),
      description: Role.Description || undefined,
      path: Role.Path ?? "/",
      maxSessionDuration: Role.MaxSessionDuration ?? 3600,
      permissionsBoundary: Role.PermissionsBoundary?.PermissionsBoundaryArn,
      forceDetachPolicies: state["forceDetachPolicies"] ?? false,
      ...tagOutputs(cloud, Role.Tags),
    };
  },
  async update(cloud, id, change) {
    const iam = cloud.client("iam");
    const { news, changed } = change;
    if (changed.has("assumeRolePolicy")) {
      const PolicyDocument = news["assumeRolePolicy"] as string;
      await iam.send(new UpdateAssumeRolePolicyCommand({ RoleName: id, PolicyDocument }));
    }
    if (changed.has("description") || changed.has("maxSessionDuration"))
      await iam.send(
        new UpdateRoleCommand({
          RoleName: id,
          Description: (news["description"] ?? "") as string,
          MaxSessionDuration: (news["maxSessionDuration"] ?? 3600) as number,
        }),
      );
    if (changed.has("permissionsBoundary")) {
      const boundary = news["permissionsBoundary"] as string | undefined;
      await (boundary === undefined
        ? iam.send(new DeleteRolePermissionsBoundaryCommand({ RoleName: id }))
        : iam.send(new PutRolePermissionsBoundaryCommand({ RoleName: id, PermissionsBoundary: boundary })));
    }
    await retag(
      cloud,
      change,
      (Tags) => iam.send(new TagRoleCommand({ RoleName: id, Tags })),
      (TagKeys) => iam.send(new UntagRoleCommand({ RoleName: id, TagKeys })),
    );
  },
  async delete(cloud, id) {
    const iam = cloud.client("iam");
    await unless(ABSENT, () => iam.send(new DeleteRoleCommand({ RoleName: id })));
  },
};

const rolePolicy: ResourceType = {
  token: "aws:iam/rolePolicy:RolePolicy",
  reference: `${REFERENCE}API_PutRolePolicy.html`,
  global: true,
  properties: {
    name: text({ replaces: true, pattern: NAME }),
    role: text({ required: true, replaces: true }),
    policy: json({ required: true }),
  },
  computed: [],
  naming: { property: "name", longest: 128 },
  async create(cloud, inputs) {
    const iam = cloud.client("iam");
    const { role: RoleName, name: PolicyName, policy } = inputs as Record<"role" | "name" | "policy", string>;
    await iam.send(new PutRolePolicyCommand({ RoleName, PolicyName, PolicyDocument: policy }));
    return `${RoleName}:${PolicyName}`;
  },
  async read(cloud, id) {
    const iam = cloud.client("iam");
    const [RoleName = "", PolicyName = ""] = id.split(":");
    const found = await unless(ABSENT, () => iam.send(new GetRolePolicyCommand({ RoleName, PolicyName })));
    if (found === null) return null;
    return { role: RoleName, name: PolicyName, policy: decodeURIComponent(found.PolicyDocument ?? "") };
  },
  async update(cloud, id, { news }) {
    const iam = cloud.client("iam");
    const [RoleName = "", PolicyName = ""] = id.split(":");
    const PolicyDocument = news["policy"] as string;
    await iam.send(new PutRolePolicyCommand({ RoleName, PolicyName, PolicyDocument }));
  },
  async delete(cloud, id) {
    const iam = cloud.client("iam");
    const [RoleName = "", PolicyName = ""] = id.split(":");
    await unless(ABSENT, () => iam.send(new DeleteRolePolicyCommand({ RoleName, PolicyName })));
  },
};

const rolePolicyAttachment: ResourceType = {
  token: "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
  reference: `${REFERENCE}API_AttachRolePolicy.html`,
  global: true,
  properties: {
    role: text({ required: true, replaces: true }),
    policyArn: text({ required: true, replaces: true, pattern: /^arn:/ }),
  },
  computed: [],
  async create(cloud, inputs) {
    const iam = cloud.client("iam");
    const { role: RoleName, policyArn } = inputs as Record<"role" | "policyArn", string>;
    await iam.send(new AttachRolePolicyCommand({ RoleName, PolicyArn: policyArn }));
    return `${RoleName}/${policyArn}`;
  },
  async read(cloud, id) {
    const iam = cloud.client("iam");
    const [RoleName, policyArn] = attachmentOf(id);
    const found = await unless(ABSENT, () => iam.send(new ListAttachedRolePoliciesCommand({ RoleName })));
    const attached = (found?.AttachedPolicies ?? []).some((policy) => policy.PolicyArn === policyArn);
    return attached ? { role: RoleName, policyArn } : null;
  },
  async delete(cloud, id) {
    const iam = cloud.client("iam");
    const [RoleName, PolicyArn] = attachmentOf(id);
    await unless(ABSENT, () => iam.send(new DetachRolePolicyCommand({ RoleName, PolicyArn })));
  },
};

function attachmentOf(id: string): [role: string, policyArn: string] {
  const end = id.indexOf("/");
  return [id.slice(0, end), id.slice(end + 1)];
}

const instanceProfile: ResourceType = {
  token: "aws:iam/instanceProfile:InstanceProfile",
  reference: `${REFERENCE}API_CreateInstanceProfile.html`,
  global: true,
  properties: {
    name: text({ replaces: true, pattern: NAME }),
    role: text(),
    path: text({ replaces: true }),
    tags: map(),
  },
  computed: ["arn", "createDate", "uniqueId"],
  naming: { property: "name", longest: 128 },

  async create(cloud, inputs) {
    const iam = cloud.client("iam");
    const { name, role: RoleName, path } = inputs as { name: string; role?: string; path?: string };
    await iam.send(
      new CreateInstanceProfileCommand({
        InstanceProfileName: name,
        Path: path,
        Tags: tagList(cloud, inputs),
      }),
    );
    if (RoleName !== undefined)
      await iam.send(new AddRoleToInstanceProfileCommand({ InstanceProfileName: name, RoleName }));
    return name;
  },
  async read(cloud, id) {
    const iam = cloud.client("iam");
    const found = await unless(ABSENT, () =>
      iam.send(new GetInstanceProfileCommand({ InstanceProfileName: id })),
    );
    const profile = found?.InstanceProfile;
    if (profile === undefined) return null;
    return {
      name: id,
      arn: profile.Arn,
      uniqueId: profile.InstanceProfileId,
      createDate: profile.CreateDate?.toISOString(),
      role: profile.Roles?.[0]?.RoleName,
      path: profile.Path ?? "/",
      ...tagOutputs(cloud, profile.Tags),
    };
  },
  async update(cloud, id, change) {
    const iam = cloud.client("iam");
    const { news, olds, changed } = change;
    if (changed.has("role")) {
      const [before, after] = [olds["role"], news["role"]];
      if (typeof before === "string")
        await unless(ABSENT, () =>
          iam.send(new RemoveRoleFromInstanceProfileCommand({ InstanceProfileName: id, RoleName: before })),
        );
      if (typeof after === "string")
        await iam.send(new AddRoleToInstanceProfileCommand({ InstanceProfileName: id, RoleName: after }));
    }
    await retag(
      cloud,
      change,
      (Tags) => iam.send(new TagInstanceProfileCommand({ InstanceProfileName: id, Tags })),
      (TagKeys) => iam.send(new UntagInstanceProfileCommand({ InstanceProfileName: id, TagKeys })),
    );
  },
  async delete(cloud, id) {
    const iam = cloud.client("iam");
    const found = await unless(ABSENT, () =>
      iam.send(new GetInstanceProfileCommand({ InstanceProfileName: id })),
    );
    for (const { RoleName } of found?.InstanceProfile?.Roles ?? [])
      await iam.send(new RemoveRoleFromInstanceProfileCommand({ InstanceProfileName: id, RoleName }));
    await unless(ABSENT, () => iam.send(new DeleteInstanceProfileCommand({ InstanceProfileName: id })));
  },
};

/** A machine's role, what it may do, and the profile by which an instance has it. */
export const iamTypes: readonly ResourceType[] = [role, rolePolicy, rolePolicyAttachment, instanceProfile];
