import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectsCommand,
  GetBucketTaggingCommand,
  GetObjectLockConfigurationCommand,
  HeadBucketCommand,
  ListObjectVersionsCommand,
  PutBucketTaggingCommand,
  type S3Client,
} from "@aws-sdk/client-s3";

import { unless, type Cloud } from "../plugin/cloud";
import { flag, map, text } from "../plugin/properties";
import type { ResourceType } from "../plugin/resource-type";
import { tagList, tagOutputs } from "../plugin/tags";

/** A bucket. What else it has (versions, encryption, policy...) are resources of their own, as the provider advises. */
export const bucket: ResourceType = {
  token: "aws:s3/bucket:Bucket",
  reference: "https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html",
  properties: {
    bucket: text({ replaces: true, pattern: /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/ }),
    forceDestroy: flag(),
    objectLockEnabled: flag({ replaces: true }),
    tags: map(),
  },
  computed: ["arn", "bucketDomainName", "bucketRegion", "bucketRegionalDomainName", "hostedZoneId"],
  naming: { property: "bucket", longest: 63 },

  async create(cloud, inputs) {
    const s3 = cloud.client("s3");
    const { bucket: name, objectLockEnabled = false } = inputs as {
      bucket: string;
      objectLockEnabled?: boolean;
    };
    // The oldest region is the one that may not be named.
    const elsewhere =
      cloud.region === "us-east-1"
        ? {}
        : { CreateBucketConfiguration: { LocationConstraint: cloud.region as "eu-west-1" } };
    await s3.send(
      new CreateBucketCommand({ Bucket: name, ObjectLockEnabledForBucket: objectLockEnabled, ...elsewhere }),
    );
    await tag(cloud, s3, name, inputs);
    return name;
  },

  async read(cloud, id, state) {
    const s3 = cloud.client("s3");
    const head = await unless(["NotFound", "NoSuchBucket", "404"], () =>
      s3.send(new HeadBucketCommand({ Bucket: id })),
    );
    if (head === null) return null;
    const tags = await unless(["NoSuchTagSet"], () => s3.send(new GetBucketTaggingCommand({ Bucket: id })));
    const lock = await unless(["ObjectLockConfigurationNotFoundError"], () =>
      s3.send(new GetObjectLockConfigurationCommand({ Bucket: id })),
    );
    return {
      bucket: id,
      arn: `arn:aws:s3:::${id}`,
      bucketDomainName: `${id}.s3.amazonaws.com`,
      bucketRegion: cloud.region,
      bucketRegionalDomainName: `${id}.s3.${cloud.region}.amazonaws.com`,
      hostedZoneId: "Z3AQBSTGFYJSTF",
      objectLockEnabled: lock?.ObjectLockConfiguration?.ObjectLockEnabled === "Enabled",
      forceDestroy: state["forceDestroy"] ?? false,
      ...tagOutputs(cloud, tags?.TagSet),
    };
  },

  async update(cloud, id, { news, changed }) {
    if (changed.has("tags")) await tag(cloud, cloud.client("s3"), id, news);
  },

  async delete(cloud, id, state) {
    const s3 = cloud.client("s3");
    if (state["forceDestroy"] === true) await empty(s3, id);
    await unless(["NoSuchBucket", "404"], () => s3.send(new DeleteBucketCommand({ Bucket: id })));
  },
};

async function tag(
  cloud: Cloud,
  s3: S3Client,
  name: string,
  inputs: Parameters<typeof tagList>[1],
): Promise<void> {
  const TagSet = tagList(cloud, inputs);
  await s3.send(new PutBucketTaggingCommand({ Bucket: name, Tagging: { TagSet } }));
}

/** Takes every version of every object away; what a lock holds is refused by S3. */
async function empty(s3: S3Client, name: string): Promise<void> {
  for (;;) {
    const { Versions = [], DeleteMarkers = [] } = await s3.send(
      new ListObjectVersionsCommand({ Bucket: name }),
    );
    const Objects = [...Versions, ...DeleteMarkers].map(({ Key, VersionId }) => ({ Key, VersionId }));
    if (Objects.length === 0) return;
    const { Errors = [] } = await s3.send(new DeleteObjectsCommand({ Bucket: name, Delete: { Objects } }));
    const [fault] = Errors;
    if (fault !== undefined) throw new Error(`DeleteObjects: ${String(fault.Key)}: ${String(fault.Message)}`);
  }
}
