import * as s3 from "@aws-sdk/client-s3";

import { unless, type Cloud } from "../plugin/cloud";
import {
  flag,
  json,
  list,
  map,
  number,
  object,
  text,
  type Properties,
  type Values,
} from "../plugin/properties";
import type { ResourceType } from "../plugin/resource-type";

/** A part of a bucket that S3 reads, puts and deletes as a whole, under the bucket's name. */
interface Setting {
  readonly token: string;
  /** Last part of the API reference's address. */
  readonly call: string;
  readonly properties: Properties;
  put(client: s3.S3Client, name: string, inputs: Values): Promise<unknown>;
  /** Null where the bucket has none. */
  get(client: s3.S3Client, name: string): Promise<Values | null>;
  remove?(client: s3.S3Client, name: string): Promise<unknown>;
}

/** What S3 answers where a bucket, or a part of it, is not there. */
const ABSENT = [
  "NoSuchBucket",
  "NoSuchBucketPolicy",
  "NoSuchLifecycleConfiguration",
  "NoSuchPublicAccessBlockConfiguration",
  "ObjectLockConfigurationNotFoundError",
  "OwnershipControlsNotFoundError",
  "ServerSideEncryptionConfigurationNotFoundError",
];

function settingType(setting: Setting): ResourceType {
  const put = async (cloud: Cloud, inputs: Values): Promise<void> => {
    await setting.put(cloud.client("s3"), inputs["bucket"] as string, inputs);
  };
  return {
    token: setting.token,
    reference: `https://docs.aws.amazon.com/AmazonS3/latest/API/API_${setting.call}.html`,
    properties: { bucket: text({ required: true, replaces: true }), ...setting.properties },
    computed: [],
    async create(cloud, inputs) {
      await put(cloud, inputs);
      return inputs["bucket"] as string;
    },
    async read(cloud, id) {
      const client = cloud.client("s3");
      const found = await unless(ABSENT, () => setting.get(client, id));
      return found === null ? null : { bucket: id, ...found };
    },
    update: (cloud, _id, { news }) => put(cloud, news),
    async delete(cloud, id) {
      const client = cloud.client("s3");
      await unless(ABSENT, async () => setting.remove?.(client, id));
    },
  };
}

const versioning: Setting = {
  token: "aws:s3/bucketVersioning:BucketVersioning",
  call: "PutBucketVersioning",
  properties: {
    versioningConfiguration: object(
      { status: text({ required: true, oneOf: ["Enabled", "Suspended", "Disabled"] }) },
      { required: true },
    ),
  },
  async put(client, Bucket, inputs) {
    const { status } = inputs["versioningConfiguration"] as { status: "Enabled" | "Suspended" | "Disabled" };
    // What was never enabled is not suspended: S3 has no word for it.
    if (status === "Disabled") return;
    await client.send(
      new s3.PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: status } }),
    );
  },
  async get(client, Bucket) {
    const { Status } = await client.send(new s3.GetBucketVersioningCommand({ Bucket }));
    return { versioningConfiguration: { status: Status ?? "Disabled" } };
  },
  remove: (client, Bucket) =>
    client.send(
      new s3.PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Suspended" } }),
    ),
};

type EncryptionRules = readonly {
  readonly applyServerSideEncryptionByDefault?: {
    sseAlgorithm: "AES256" | "aws:kms";
    kmsMasterKeyId?: string;
  };
  readonly bucketKeyEnabled?: boolean;
}[];

const encryption: Setting = {
  token: "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
  call: "PutBucketEncryption",
  properties: {
    rules: list(
      object({
        applyServerSideEncryptionByDefault: object({
          sseAlgorithm: text({ required: true, oneOf: ["AES256", "aws:kms", "aws:kms:dsse"] }),
          kmsMasterKeyId: text(),
        }),
        bucketKeyEnabled: flag(),
      }),
      { required: true },
    ),
  },
  async put(client, Bucket, inputs) {
    const Rules = (inputs["rules"] as EncryptionRules).map((rule) => ({
      ApplyServerSideEncryptionByDefault: {
        SSEAlgorithm: rule.applyServerSideEncryptionByDefault?.sseAlgorithm ?? ("AES256" as const),
        KMSMasterKeyID: rule.applyServerSideEncryptionByDefault?.kmsMasterKeyId,
      },
      BucketKeyEnabled: rule.bucketKeyEnabled,
    }));
    await client.send(
      new s3.PutBucketEncryptionCommand({ Bucket, ServerSideEncryptionConfiguration: { Rules } }),
    );
  },
  async get(client, Bucket) {
    const { ServerSideEncryptionConfiguration: found } = await client.send(
      new s3.GetBucketEncryptionCommand({ Bucket }),
    );
    const rules = (found?.Rules ?? []).map((rule) => ({
      applyServerSideEncryptionByDefault: {
        sseAlgorithm: rule.ApplyServerSideEncryptionByDefault?.SSEAlgorithm,
        kmsMasterKeyId: rule.ApplyServerSideEncryptionByDefault?.KMSMasterKeyID,
      },
      bucketKeyEnabled: rule.BucketKeyEnabled,
    }));
    return { rules };
  },
  remove: (client, Bucket) => client.send(new s3.DeleteBucketEncryptionCommand({ Bucket })),
};

const publicAccess: Setting = {
  token: "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
  call: "PutPublicAccessBlock",
  properties: {
    blockPublicAcls: flag(),
    blockPublicPolicy: flag(),
    ignorePublicAcls: flag(),
    restrictPublicBuckets: flag(),
  },
  put: (client, Bucket, inputs) =>
    client.send(
      new s3.PutPublicAccessBlockCommand({
        Bucket,
        PublicAccessBlockConfiguration: {
          BlockPublicAcls: inputs["blockPublicAcls"] === true,
          BlockPublicPolicy: inputs["blockPublicPolicy"] === true,
          IgnorePublicAcls: inputs["ignorePublicAcls"] === true,
          RestrictPublicBuckets: inputs["restrictPublicBuckets"] === true,
        },
      }),
    ),
  async get(client, Bucket) {
    const { PublicAccessBlockConfiguration: found } = await client.send(
      new s3.GetPublicAccessBlockCommand({ Bucket }),
    );
    return {
      blockPublicAcls: found?.BlockPublicAcls ?? false,
      blockPublicPolicy: found?.BlockPublicPolicy ?? false,
      ignorePublicAcls: found?.IgnorePublicAcls ?? false,
      restrictPublicBuckets: found?.RestrictPublicBuckets ?? false,
    };
  },
  remove: (client, Bucket) => client.send(new s3.DeletePublicAccessBlockCommand({ Bucket })),
};

type Ownership = "BucketOwnerEnforced" | "BucketOwnerPreferred" | "ObjectWriter";

const ownership: Setting = {
  token: "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
  call: "PutBucketOwnershipControls",
  properties: {
    rule: object(
      {
        objectOwnership: text({
          required: true,
          oneOf: ["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"],
        }),
      },
      { required: true },
    ),
  },
  put(client, Bucket, inputs) {
    const { objectOwnership } = inputs["rule"] as { objectOwnership: Ownership };
    const OwnershipControls = { Rules: [{ ObjectOwnership: objectOwnership }] };
    return client.send(new s3.PutBucketOwnershipControlsCommand({ Bucket, OwnershipControls }));
  },
  async get(client, Bucket) {
    const { OwnershipControls } = await client.send(new s3.GetBucketOwnershipControlsCommand({ Bucket }));
    const [rule] = OwnershipControls?.Rules ?? [];
    return rule?.ObjectOwnership === undefined ? null : { rule: { objectOwnership: rule.ObjectOwnership } };
  },
  remove: (client, Bucket) => client.send(new s3.DeleteBucketOwnershipControlsCommand({ Bucket })),
};

const policy: Setting = {
  token: "aws:s3/bucketPolicy:BucketPolicy",
  call: "PutBucketPolicy",
  properties: { policy: json({ required: true }) },
  put: (client, Bucket, inputs) =>
    client.send(new s3.PutBucketPolicyCommand({ Bucket, Policy: inputs["policy"] as string })),
  async get(client, Bucket) {
    const { Policy } = await client.send(new s3.GetBucketPolicyCommand({ Bucket }));
    return Policy === undefined ? null : { policy: Policy };
  },
  remove: (client, Bucket) => client.send(new s3.DeleteBucketPolicyCommand({ Bucket })),
};

const objectLock: Setting = {
  token: "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
  call: "PutObjectLockConfiguration",
  properties: {
    objectLockEnabled: text({ oneOf: ["Enabled"], replaces: true }),
    rule: object({
      defaultRetention: object(
        {
          mode: text({ oneOf: ["GOVERNANCE", "COMPLIANCE"] }),
          days: number({ from: 1 }),
          years: number({ from: 1 }),
        },
        { required: true },
      ),
    }),
  },
  put(client, Bucket, inputs) {
    const { rule } = inputs as {
      rule?: { defaultRetention: { mode?: "GOVERNANCE"; days?: number; years?: number } };
    };
    const retention = rule?.defaultRetention;
    const Rule = {
      DefaultRetention: { Mode: retention?.mode, Days: retention?.days, Years: retention?.years },
    };
    const ObjectLockConfiguration = {
      ObjectLockEnabled: "Enabled" as const,
      ...(retention === undefined ? {} : { Rule }),
    };
    return client.send(new s3.PutObjectLockConfigurationCommand({ Bucket, ObjectLockConfiguration }));
  },
  async get(client, Bucket) {
    const { ObjectLockConfiguration: found } = await client.send(
      new s3.GetObjectLockConfigurationCommand({ Bucket }),
    );
    if (found === undefined) return null;
    const retention = found.Rule?.DefaultRetention;
    const rule = {
      defaultRetention: { mode: retention?.Mode, days: retention?.Days, years: retention?.Years },
    };
    return {
      objectLockEnabled: "Enabled",
      ...(retention === undefined ? {} : { rule }),
    };
  },
  // A lock cannot be taken off a bucket: only its default goes.
  remove: (client, Bucket) =>
    client.send(
      new s3.PutObjectLockConfigurationCommand({
        Bucket,
        ObjectLockConfiguration: { ObjectLockEnabled: "Enabled" },
      }),
    ),
};

/** Parts of a lifecycle rule, under S3's names with a small first letter. */
const storageClass = text({
  required: true,
  oneOf: ["STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"],
});

const filterParts: Properties = {
  prefix: text(),
  objectSizeGreaterThan: number(),
  objectSizeLessThan: number(),
};

const lifecycle: Setting = {
  token: "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
  call: "PutBucketLifecycleConfiguration",
  properties: {
    rules: list(
      object({
        id: text({ required: true }),
        status: text({ required: true, oneOf: ["Enabled", "Disabled"] }),
        filter: object({
          ...filterParts,
          tag: object({ key: text({ required: true }), value: text({ required: true }) }),
          and: object({ ...filterParts, tags: map() }),
        }),
        abortIncompleteMultipartUpload: object({ daysAfterInitiation: number({ from: 1 }) }),
        expiration: object({ date: text(), days: number({ from: 1 }), expiredObjectDeleteMarker: flag() }),
        transitions: list(object({ date: text(), days: number({ from: 0 }), storageClass })),
        noncurrentVersionExpiration: object({
          noncurrentDays: number({ required: true, from: 1 }),
          newerNoncurrentVersions: number({ from: 1 }),
        }),
        noncurrentVersionTransitions: list(
          object({
            noncurrentDays: number({ required: true, from: 0 }),
            newerNoncurrentVersions: number({ from: 1 }),
            storageClass,
          }),
        ),
      }),
      { required: true },
    ),
    transitionDefaultMinimumObjectSize: text({
      oneOf: ["all_storage_classes_128K", "varies_by_storage_class"],
    }),
  },
  async put(client, Bucket, inputs) {
    const Rules = (inputs["rules"] as readonly Values[]).map(ruleToS3) as unknown as s3.LifecycleRule[];
    await client.send(
      new s3.PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules } }),
    );
  },
  async get(client, Bucket) {
    const { Rules } = await client.send(new s3.GetBucketLifecycleConfigurationCommand({ Bucket }));
    return { rules: (Rules ?? []).map((rule) => recased(rule, lowered)) as Values[] };
  },
  remove: (client, Bucket) => client.send(new s3.DeleteBucketLifecycleCommand({ Bucket })),
};

function ruleToS3(rule: Values): unknown {
  // Without a filter a rule is for every object; S3 wants one.
  return { Filter: { Prefix: "" }, ...(recased(rule, raised) as object) };
}

/** S3's names of what is not merely spelt with another first letter. */
const S3_NAMES: Readonly<Record<string, string>> = { id: "ID" };

const raised = (name: string): string => S3_NAMES[name] ?? name.charAt(0).toUpperCase() + name.slice(1);
const lowered = (name: string): string =>
  Object.keys(S3_NAMES).find((one) => S3_NAMES[one] === name) ?? name.charAt(0).toLowerCase() + name.slice(1);

/** The same with other names; tags are by name on the one side and a list on the other. */
function recased(value: unknown, rename: (name: string) => string): unknown {
  if (Array.isArray(value)) return value.map((one) => recased(one, rename));
  if (value instanceof Date) return value.toISOString().replace(".000Z", "Z");
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([name, one]): [string, unknown] => {
    const other = rename(name);
    if (name === "tags")
      return [other, Object.entries(one as object).map(([Key, Value]) => ({ Key, Value: Value as string }))];
    if (name === "Tags")
      return [
        other,
        Object.fromEntries((one as { Key: string; Value: string }[]).map((tag) => [tag.Key, tag.Value])),
      ];
    return [other, name === "date" ? new Date(one as string) : recased(one, rename)];
  });
  return Object.fromEntries(entries);
}

/** Every part of a bucket that is a resource of its own. */
export const bucketSettings: readonly ResourceType[] = [
  versioning,
  encryption,
  publicAccess,
  ownership,
  policy,
  objectLock,
  lifecycle,
].map(settingType);
