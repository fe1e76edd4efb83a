import {
  CreateAliasCommand,
  CreateKeyCommand,
  DeleteAliasCommand,
  DescribeKeyCommand,
  DisableKeyRotationCommand,
  EnableKeyRotationCommand,
  GetKeyPolicyCommand,
  GetKeyRotationStatusCommand,
  ListAliasesCommand,
  ListResourceTagsCommand,
  PutKeyPolicyCommand,
  ScheduleKeyDeletionCommand,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateAliasCommand,
  UpdateKeyDescriptionCommand,
} from "@aws-sdk/client-kms";

import { answered, unless, type Cloud } from "../plugin/cloud";
import { flag, json, map, number, text, type Values } from "../plugin/properties";
import type { ResourceType } from "../plugin/resource-type";
import { allTags, retag, tagOutputs } from "../plugin/tags";

const REFERENCE = "https://docs.aws.amazon.com/kms/latest/APIReference/";
const ABSENT = ["NotFoundException"];

const key: ResourceType = {
  token: "aws:kms/key:Key",
  reference: `${REFERENCE}API_CreateKey.html`,
  properties: {
    description: text(),
    deletionWindowInDays: number({ from: 7, to: 30 }),
    enableKeyRotation: flag(),
    policy: json(),
    tags: map(),
  },
  computed: ["arn", "keyId"],
  async create(cloud, inputs) {
    const kms = cloud.client("kms");
    const { KeyMetadata } = await kms.send(
      new CreateKeyCommand({
        Description: inputs["description"] as string | undefined,
        Policy: inputs["policy"] as string | undefined,
        Tags: kmsTags(allTags(cloud, inputs)),
      }),
    );
    const id = answered(KeyMetadata?.KeyId, "KeyId");
    if (inputs["enableKeyRotation"] === true) await setRotation(cloud, id, true);
    return id;
  },
  async read(cloud, id, state) {
    const kms = cloud.client("kms");
    const found = await unless(ABSENT, () => kms.send(new DescribeKeyCommand({ KeyId: id })));
    const metadata = found?.KeyMetadata;
    if (metadata === undefined || metadata.KeyState === "PendingDeletion") return null;
    const rotation = await kms.send(new GetKeyRotationStatusCommand({ KeyId: id }));
    const { Policy } = await kms.send(new GetKeyPolicyCommand({ KeyId: id, PolicyName: "default" }));
    const { Tags } = await kms.send(new ListResourceTagsCommand({ KeyId: id }));
    return {
      keyId: id,
      arn: metadata.Arn,
      description: metadata.Description || undefined,
      enableKeyRotation: rotation.KeyRotationEnabled ?? false,
      policy: Policy,
      deletionWindowInDays: state["deletionWindowInDays"],
      ...tagOutputs(
        cloud,
        Tags?.map(({ TagKey, TagValue }) => ({ Key: TagKey, Value: TagValue })),
      ),
    };
  },
  async update(cloud, id, change) {
    const kms = cloud.client("kms");
    const { news, changed } = change;
    if (changed.has("description")) {
      const Description = (news["description"] ?? "") as string;
      await kms.send(new UpdateKeyDescriptionCommand({ KeyId: id, Description }));
    }
    if (changed.has("policy") && news["policy"] !== undefined)
      await kms.send(
        new PutKeyPolicyCommand({ KeyId: id, PolicyName: "default", Policy: news["policy"] as string }),
      );
    if (changed.has("enableKeyRotation")) await setRotation(cloud, id, news["enableKeyRotation"] === true);
    await retag(
      cloud,
      change,
      (tags) =>
        kms.send(
          new TagResourceCommand({
            KeyId: id,
            Tags: tags.map(({ Key, Value }) => ({ TagKey: Key, TagValue: Value })),
          }),
        ),
      (TagKeys) => kms.send(new UntagResourceCommand({ KeyId: id, TagKeys })),
    );
  },
  async delete(cloud, id, state) {
    const kms = cloud.client("kms");
    const PendingWindowInDays = (state["deletionWindowInDays"] ?? 30) as number;
    await unless([...ABSENT, "KMSInvalidStateException"], () =>
      kms.send(new ScheduleKeyDeletionCommand({ KeyId: id, PendingWindowInDays })),
    );
  },
};

async function setRotation(cloud: Cloud, KeyId: string, enabled: boolean): Promise<void> {
  const kms = cloud.client("kms");
  if (enabled) await kms.send(new EnableKeyRotationCommand({ KeyId }));
  else await kms.send(new DisableKeyRotationCommand({ KeyId }));
}

function kmsTags(tags: Record<string, string>): { TagKey: string; TagValue: string }[] {
  return Object.entries(tags).map(([TagKey, TagValue]) => ({ TagKey, TagValue }));
}

const alias: ResourceType = {
  token: "aws:kms/alias:Alias",
  reference: `${REFERENCE}API_CreateAlias.html`,
  properties: {
    name: text({ replaces: true, pattern: /^alias\/[\w/-]+$/ }),
    targetKeyId: text({ required: true }),
  },
  computed: ["arn", "targetKeyArn"],
  async create(cloud, inputs) {
    const kms = cloud.client("kms");
    const { name, targetKeyId } = inputs as Record<"name" | "targetKeyId", string>;
    await kms.send(new CreateAliasCommand({ AliasName: name, TargetKeyId: targetKeyId }));
    return name;
  },
  async read(cloud, id, state) {
    const kms = cloud.client("kms");
    const { Aliases = [] } = await kms.send(new ListAliasesCommand({}));
    const found = Aliases.find((one) => one.AliasName === id);
    if (found === undefined) return null;
    return aliasOutputs(id, found.AliasArn, found.TargetKeyId, state);
  },
  async update(cloud, id, { news }) {
    const kms = cloud.client("kms");
    await kms.send(new UpdateAliasCommand({ AliasName: id, TargetKeyId: news["targetKeyId"] as string }));
  },
  async delete(cloud, id) {
    const kms = cloud.client("kms");
    await unless(ABSENT, () => kms.send(new DeleteAliasCommand({ AliasName: id })));
  },
};

/** A key may be named by its id or its ARN; which one the program took is its own. */
function aliasOutputs(
  name: string,
  arn: string | undefined,
  keyId: string | undefined,
  state: Values,
): Values {
  const wanted = state["targetKeyId"];
  const target = typeof wanted === "string" && keyId !== undefined && wanted.endsWith(keyId) ? wanted : keyId;
  const keyArn = arn?.replace(/alias\/.*/, `key/${String(keyId)}`);
  return { name, arn, targetKeyId: target, targetKeyArn: keyArn };
}

/** Keys and their names. */
export const kmsTypes: readonly ResourceType[] = [key, alias];
