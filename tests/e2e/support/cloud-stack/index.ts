import * as pulumi from "@pulumi/pulumi";
import { BackupBucket, type BackupBucketSpec } from "../../../../components/backup-bucket";
import { Host } from "../../../../components/host";
import { Machine, type MachineSpec } from "../../../../components/machine";

/* What the stack has in AWS, and the host that it becomes: the program's own lines without what runs on it. */

const config = new pulumi.Config();
const machine = new Machine("machine", config.requireObject<MachineSpec>("machine"));
const bucketSpec = config.requireObject<BackupBucketSpec>("bucket");
const bucket = new BackupBucket("backups", { bucket: bucketSpec, role: machine.role });
const host = new Host("web", {
  app: "site",
  privateKey: config.requireSecret("hostPrivateKey"),
  machine,
  software: config.require("software"),
});

export const { address, hostKey, instanceId, securityGroupId } = machine;
export const { hostId } = host;
export const role = machine.role ?? "";
export const backupsReady = bucket.ready;
