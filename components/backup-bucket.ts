import * as iam from "@pulumi/aws/iam";
import * as s3 from "@pulumi/aws/s3";
import * as pulumi from "@pulumi/pulumi";
import { bucketPolicy, writerPolicy } from "./backup-bucket-policies";
import { doneAfter } from "./done-after";

/** The bucket of backups, and how long what is in it is kept. Ages are in days. */
export interface BackupBucketSpec {
  /** Unlike any other bucket's in the world. */
  readonly name: string;
  /** What the key of each backup begins with, ending in `/`. */
  readonly prefix: string;
  /** What the key of each piece of evidence begins with, ending in `/`. */
  readonly auditPrefix: string;
  /** Age at which a backup goes to cheaper storage; 30 or more. */
  readonly transitionDays: number;
  /** Age at which a backup is deleted; evidence never is. */
  readonly expiryDays: number;
  /** How long a version is kept that was written over or deleted. */
  readonly noncurrentDays: number;
  /** Age at which an upload that never ended is thrown away. */
  readonly abortUploadDays: number;
  /** For how long nobody can delete an object, and whether an administrator can after all; null for no such time. */
  readonly objectLock: { readonly mode: "governance" | "compliance"; readonly days: number } | null;
}

/** Arguments of {@link BackupBucket}. */
export interface BackupBucketArgs {
  /** Null where the bucket is there already, or nothing is backed up: nothing is made. */
  readonly bucket: BackupBucketSpec | null;
  /** Name of the host's IAM role; null where it has none, and comes with keys from the config. */
  readonly role: pulumi.Input<string> | null;
}

/**
 * Where backups and evidence are kept: versioned, encrypted, private, over TLS alone, and for a while out of anybody's reach.
 * `destroy` refuses to take it away, and nothing empties it.
 */
export class BackupBucket extends pulumi.ComponentResource {
  /** Constant; resolves once the bucket is as it shall be, and the host may use it. The first backup waits for it. */
  readonly ready: pulumi.Output<string>;

  constructor(
    name: string,
    { bucket: spec, role }: BackupBucketArgs,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("vehicleservice:backups:BackupBucket", name, {}, opts);
    const parts = spec === null ? [] : this.make(name, spec, role);
    this.ready = doneAfter("ready", parts);
    this.registerOutputs({ ready: this.ready });
  }

  private make(
    name: string,
    spec: BackupBucketSpec,
    role: pulumi.Input<string> | null,
  ): readonly pulumi.Resource[] {
    const bucket = new s3.Bucket(
      `${name}-bucket`,
      // A lock can be had by a bucket that was made with it alone; for how long it holds is set apart.
      { bucket: spec.name, objectLockEnabled: true, tags: { Name: spec.name } },
      { parent: this, protect: true },
    );
    const parts = [
      ...this.setUp(name, spec, bucket),
      ...(role === null ? [] : [this.letIn(`${name}-writer`, spec, bucket, role)]),
    ];
    return [bucket, ...parts];
  }

  /** What the bucket is like. As protected as it is itself: without these it would be another one. */
  private setUp(name: string, spec: BackupBucketSpec, { id: bucket, arn }: s3.Bucket): pulumi.Resource[] {
    const opts = { parent: this, protect: true };
    const versions = new s3.BucketVersioning(
      `${name}-versions`,
      { bucket, versioningConfiguration: { status: "Enabled" } },
      opts,
    );
    const closed = new s3.BucketPublicAccessBlock(
      `${name}-private`,
      {
        bucket,
        ...{ blockPublicAcls: true, blockPublicPolicy: true },
        ...{ ignorePublicAcls: true, restrictPublicBuckets: true },
      },
      opts,
    );
    // S3 refuses two changes of a bucket's access at once.
    const alone = { ...opts, dependsOn: [closed] };
    // S3 takes ages of old versions, and a time that they are locked for, of a bucket that has versions.
    const versioned = { ...opts, dependsOn: [versions] };
    const rule = { objectOwnership: "BucketOwnerEnforced" };
    return [
      ...[versions, closed],
      new s3.BucketOwnershipControls(`${name}-owner`, { bucket, rule }, alone),
      new s3.BucketServerSideEncryptionConfiguration(
        `${name}-encryption`,
        { bucket, rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: ENCRYPTION } }] },
        opts,
      ),
      new s3.BucketPolicy(`${name}-policy`, { bucket, policy: arn.apply(bucketPolicy) }, alone),
      new s3.BucketLifecycleConfiguration(`${name}-ages`, { bucket, rules: agesOf(spec) }, versioned),
      ...lockOf(spec).map(
        (lock) => new s3.BucketObjectLockConfiguration(`${name}-lock`, { bucket, ...lock }, versioned),
      ),
    ];
  }

  private letIn(
    name: string,
    { prefix, auditPrefix }: BackupBucketSpec,
    { arn }: s3.Bucket,
    role: pulumi.Input<string>,
  ): pulumi.Resource {
    const policy = arn.apply((known) => writerPolicy(known, prefix, auditPrefix));
    return new iam.RolePolicy(name, { role, policy }, { parent: this });
  }
}

/**
 * S3's own keys, and not one of KMS' that would be the stack's: the host checks an upload by its entity tag, which is a checksum
 * with these alone, and a key that is lost, or that somebody disables, would take every backup with it.
 */
const ENCRYPTION = "AES256";

function agesOf({
  prefix,
  transitionDays,
  expiryDays,
  noncurrentDays,
  abortUploadDays,
}: BackupBucketSpec): s3.BucketLifecycleConfigurationArgs["rules"] {
  return [
    {
      id: "backups",
      status: "Enabled",
      filter: { prefix },
      transitions: [{ days: transitionDays, storageClass: "STANDARD_IA" }],
      expiration: { days: expiryDays },
      noncurrentVersionExpiration: { noncurrentDays },
    },
    {
      id: "unfinished-uploads",
      status: "Enabled",
      filter: { prefix: "" },
      abortIncompleteMultipartUpload: { daysAfterInitiation: abortUploadDays },
    },
  ];
}

/** None or one: without a time nothing is locked. */
function lockOf({
  objectLock,
}: BackupBucketSpec): Pick<s3.BucketObjectLockConfigurationArgs, "objectLockEnabled" | "rule">[] {
  if (objectLock === null) return [];
  const { mode, days } = objectLock;
  const rule = { defaultRetention: { mode: mode.toUpperCase(), days } };
  return [{ objectLockEnabled: "Enabled", rule }];
}
