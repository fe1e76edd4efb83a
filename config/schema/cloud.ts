import { z } from "zod";
import { privateNetwork, sshNetworks } from "../networks";
import { userName } from "../rules/host";
import { integer, ruled } from "../rules/rule";

/** What the stack makes in AWS, as the groups `host` and `backups` have it. */

/** Where evidence and the audit log go in the bucket. The host may put there, and read nothing. */
export const AUDIT_PREFIX = "audit/";

/** A managed policy of IAM's (IAM User Guide, "IAM identifiers"), in the place of none. */
export const permissionsBoundary = () =>
  ruled(
    z.string().regex(/^(arn:aws(-[a-z]{1,8}){0,3}:iam::\d{12}:policy\/[\w+=,.@/-]{1,512})?$/),
    "the ARN of a policy of IAM's, as `bin/bootstrap-state` says it",
    "arn:aws:iam::123456789012:policy/vehicleservice-boundary",
  );

const instanceType = () =>
  ruled(
    z.string().regex(/^[a-z][a-z0-9-]{0,15}\.[a-z0-9-]{1,16}$/),
    "a type of EC2's, of the architecture of host.ec2.imageId",
    "t3.medium",
  );

/** cloud-init makes the user, and keeps root out. */
const login = () =>
  ruled(
    userName().refine((name) => name !== "root"),
    "a login name other than root: a-z, 0-9, _ and -, a letter or _ first",
    "admin",
  );

/** A machine of EC2's, which the stack makes and never replaces by itself. */
export const ec2Machine = z.strictObject({
  /** Networks that SSH is let in from. */
  sshFrom: sshNetworks(),
  /** Image that the machine is made from: Debian, or another one with cloud-init. Another one later changes nothing. */
  imageId: ruled(
    z.string().regex(/^ami-([0-9a-f]{8}|[0-9a-f]{17})$/),
    "the id of one image in the stack's region, ami- and 8 or 17 hexadecimal digits; no name and no alias, which " +
      "would lead to another image some day",
    "ami-0123456789abcdef0",
  ),
  /** Size of the machine. Another one stops the machine and starts it again. */
  instanceType: instanceType().default("t3.medium"),
  /** Zone that it is in; the stack's region is the same without its last letter. */
  availabilityZone: ruled(
    z.string().regex(/^[a-z]{2}(-[a-z]{1,12}){1,3}-\d[a-z]$/),
    "an availability zone: a region, and a letter",
    "eu-central-1a",
  ),
  /** Size of its disk, in gigabytes. It may grow, and not shrink. */
  volumeGigabytes: integer(8, 16_384, "gigabytes", 40).default(40),
  /** Private IPv4 network that it stands in. */
  networkCidr: privateNetwork("10.20.0.0/24").default("10.20.0.0/24"),
  /** Hosted zone of Route 53 that gets an A and an AAAA record of each of `site.domains`; without it you make them. */
  zoneId: ruled(
    z.string().regex(/^Z[A-Z0-9]{1,31}$/),
    "the id of a hosted zone of Route 53, Z and up to 31 of A-Z and 0-9",
    "Z0123456789ABCDEFGHIJ",
  ).optional(),
  /** User that is made on it, who may use sudo without a password. Nobody else may log in. */
  user: login().default("admin"),
});

const objectLock = ruled(
  z.strictObject({
    /** `governance` lets an administrator with a right of its own end it early; `compliance` nobody, not even the account's owner. */
    mode: ruled(
      z.enum(["governance", "compliance"]),
      "governance, or compliance, which nobody can take back, not even you",
      "governance",
    ),
    /** How long no version can be deleted, in days. */
    days: integer(1, 36_500, "days", 30),
  }),
  "mode (governance or compliance) and days, for which nobody can delete a backup",
  "{ mode: governance, days: 30 }",
);

/** A bucket that the stack makes and never deletes. */
export const backupBucket = z.strictObject({
  /** Age at which a backup goes to the storage for what is rarely read, in days; S3 takes it there after 30 at the earliest. */
  transitionDays: integer(30, 3650, "days", 30).default(30),
  /** Age at which a backup is deleted, in days. What is below audit/ is kept for ever. */
  expiryDays: integer(31, 36_500, "days", 365).default(365),
  /** How long a version that was written over or deleted is kept, in days. */
  noncurrentDays: integer(1, 3650, "days", 30).default(30),
  /** Age at which an upload that never ended is thrown away, in days. */
  abortUploadDays: integer(1, 365, "days", 7).default(7),
  /** Keeps every object from being deleted for a while; needed in production. */
  objectLock: objectLock.optional(),
});
