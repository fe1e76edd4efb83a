import {
  type BucketLocationConstraint,
  CreateBucketCommand,
  GetBucketEncryptionCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketOwnershipControlsCommand,
  GetBucketPolicyCommand,
  GetBucketVersioningCommand,
  GetPublicAccessBlockCommand,
  HeadBucketCommand,
  type LifecycleRule,
  PutBucketEncryptionCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketOwnershipControlsCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutPublicAccessBlockCommand,
  type S3Client,
  type ServerSideEncryptionRule,
} from "@aws-sdk/client-s3";
import { bucketPolicy, type Names } from "./policies";
import { holds, isPolicy } from "./same";
import { StateError, unless, type Changed } from "./surroundings";

/** How long an old version of a state is kept, in days; the newest ones longer. */
const OLD_VERSION_DAYS = 90;

/** Old versions of each state that are kept for ever. */
const VERSIONS_KEPT = 20;

const LIFECYCLE: LifecycleRule[] = [
  {
    ID: "old-versions",
    Status: "Enabled",
    Filter: { Prefix: "" },
    NoncurrentVersionExpiration: {
      NoncurrentDays: OLD_VERSION_DAYS,
      NewerNoncurrentVersions: VERSIONS_KEPT,
    },
  },
  {
    ID: "unfinished-uploads",
    Status: "Enabled",
    Filter: { Prefix: "" },
    AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
  },
];

const PRIVATE = {
  BlockPublicAcls: true,
  IgnorePublicAcls: true,
  BlockPublicPolicy: true,
  RestrictPublicBuckets: true,
};

/** One setting of the bucket: how it is now, what is wanted, and how to get there. */
interface Setting {
  readonly what: string;
  readonly isThere: () => Promise<boolean>;
  readonly put: () => Promise<unknown>;
}

/** Makes the bucket, and puts each of its settings right that is not. Touches no object. */
export async function ensureBucket(s3: S3Client, names: Names, changed: Changed): Promise<void> {
  await ensureItself(s3, names, changed);
  for (const { what, isThere, put } of settings(s3, names)) {
    if (await isThere()) continue;
    await put();
    changed(`bucket ${names.bucket}: ${what}`);
  }
}

async function ensureItself(
  s3: S3Client,
  { bucket, account, region }: Names,
  changed: Changed,
): Promise<void> {
  const owned = { Bucket: bucket, ExpectedBucketOwner: account };
  try {
    const found = await unless(["NotFound", "NoSuchBucket"], () => s3.send(new HeadBucketCommand(owned)));
    if (found !== null) return;
  } catch (error) {
    const { $metadata } = error as { $metadata?: { httpStatusCode?: number } };
    if ($metadata?.httpStatusCode !== 403 && $metadata?.httpStatusCode !== 301) throw error;
    throw new StateError(
      `bucket ${bucket} is somebody else's, in another region than ${region}, or these credentials may not see it; name another with --bucket`,
    );
  }
  // The one region that must not be named.
  const place =
    region === "us-east-1"
      ? {}
      : { CreateBucketConfiguration: { LocationConstraint: region as BucketLocationConstraint } };
  await s3.send(
    new CreateBucketCommand({ Bucket: bucket, ObjectOwnership: "BucketOwnerEnforced", ...place }),
  );
  changed(`bucket ${bucket}: made`);
}

function settings(s3: S3Client, names: Names): Setting[] {
  return [...accessSettings(s3, names), ...keepingSettings(s3, names)];
}

/** Who gets at what is in it. */
function accessSettings(s3: S3Client, names: Names): Setting[] {
  const Bucket = names.bucket;
  const ownership = [{ ObjectOwnership: "BucketOwnerEnforced" as const }];
  const policy = bucketPolicy(names);
  return [
    {
      what: "private",
      isThere: () =>
        compared(["NoSuchPublicAccessBlockConfiguration"], PRIVATE, async () => {
          const { PublicAccessBlockConfiguration } = await s3.send(
            new GetPublicAccessBlockCommand({ Bucket }),
          );
          return PublicAccessBlockConfiguration;
        }),
      put: () =>
        s3.send(new PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration: PRIVATE })),
    },
    {
      what: "everything in it is its owner's",
      isThere: () =>
        compared(["OwnershipControlsNotFoundError"], ownership, async () => {
          const { OwnershipControls } = await s3.send(new GetBucketOwnershipControlsCommand({ Bucket }));
          return OwnershipControls?.Rules;
        }),
      put: () =>
        s3.send(new PutBucketOwnershipControlsCommand({ Bucket, OwnershipControls: { Rules: ownership } })),
    },
    {
      what: "TLS and its own key only",
      isThere: async () => {
        const ask = () => s3.send(new GetBucketPolicyCommand({ Bucket }));
        return isPolicy((await unless(["NoSuchBucketPolicy"], ask))?.Policy, policy);
      },
      put: () => s3.send(new PutBucketPolicyCommand({ Bucket, Policy: JSON.stringify(policy) })),
    },
  ];
}

/** How it keeps what is in it. */
function keepingSettings(s3: S3Client, { bucket: Bucket, keyArn }: Names): Setting[] {
  const encryption: ServerSideEncryptionRule[] = [
    {
      ApplyServerSideEncryptionByDefault: { SSEAlgorithm: "aws:kms", KMSMasterKeyID: keyArn },
      BucketKeyEnabled: true,
    },
  ];
  const ServerSideEncryptionConfiguration = { Rules: encryption };
  const VersioningConfiguration = { Status: "Enabled" as const };
  return [
    {
      what: "versions are kept",
      isThere: () =>
        compared(
          [],
          "Enabled",
          async () => (await s3.send(new GetBucketVersioningCommand({ Bucket }))).Status,
        ),
      put: () => s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration })),
    },
    {
      what: "encrypted with its key",
      isThere: () =>
        compared(["ServerSideEncryptionConfigurationNotFoundError"], encryption, async () => {
          const found = await s3.send(new GetBucketEncryptionCommand({ Bucket }));
          return found.ServerSideEncryptionConfiguration?.Rules;
        }),
      put: () => s3.send(new PutBucketEncryptionCommand({ Bucket, ServerSideEncryptionConfiguration })),
    },
    {
      what: `old versions go after ${String(OLD_VERSION_DAYS)} days, but for the newest ${String(VERSIONS_KEPT)}`,
      isThere: () =>
        compared(["NoSuchLifecycleConfiguration"], LIFECYCLE, async () => {
          return (await s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket }))).Rules;
        }),
      put: () =>
        s3.send(
          new PutBucketLifecycleConfigurationCommand({
            Bucket,
            LifecycleConfiguration: { Rules: LIFECYCLE },
          }),
        ),
    },
  ];
}

/** Is a setting there as it is wanted? `absent`: AWS' errors that say that there is none. */
async function compared(
  absent: readonly string[],
  wanted: unknown,
  ask: () => Promise<unknown>,
): Promise<boolean> {
  return holds(await unless(absent, ask), wanted);
}
