/** A bucket, what AWS says about who asks, and a provider of its own for a second one; in a project of a test's own. */
import * as pulumi from "@pulumi/pulumi";
import * as aws from "@pulumi/aws";

const config = new pulumi.Config();
const identity = aws.getCallerIdentityOutput();
const region = aws.getRegionOutput();

const backups = new aws.s3.Bucket("backups", {
  tags: { purpose: config.require("purpose"), account: identity.accountId },
});
new aws.s3.BucketVersioning("backups-versioning", {
  bucket: backups.id,
  versioningConfiguration: { status: "Enabled" },
});
const settings = new pulumi.Config("aws");
const elsewhere = new aws.Provider("elsewhere", {
  region: settings.require<aws.Region>("region"),
  accessKey: settings.requireSecret("accessKey"),
  secretKey: settings.requireSecret("secretKey"),
  endpoints: settings.requireObject("endpoints"),
  customCaBundle: settings.require("customCaBundle"),
  s3UsePathStyle: true,
  skipCredentialsValidation: true,
  skipMetadataApiCheck: true,
  skipRequestingAccountId: true,
});
const copies = new aws.s3.Bucket(
  "copies",
  {},
  { provider: elsewhere, protect: config.getBoolean("protect") ?? false },
);
const found = aws.s3.Bucket.get("found", backups.id);

export const copy = copies.bucket;
export const bucket = backups.bucket;
export const arn = found.arn;
export const where = region.region;
export const who = identity.arn;
