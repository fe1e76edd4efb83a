import { configCommand, type Fault, shown } from "./faults";
import { hostMode } from "./host-mode";
import { givenText } from "./keys";
import { faultAt, isSet, type RawConfig } from "./validation";

/** All that the stack makes in AWS is in one region, the provider's. */

const REGION = /^[a-z]{2}(-[a-z]{1,12}){1,3}-\d$/;

/** Checks that the provider has a region, where it makes something, and that nothing is said to be elsewhere. */
export function regionFaults(raw: RawConfig): Fault[] {
  const makesHost = hostMode(raw) === "ec2";
  const zone = makesHost ? givenText(raw, ["host", "ec2", "availabilityZone"]) : undefined;
  const makesBucket = isSet(raw, ["backups", "create"]);
  if (!makesHost && !makesBucket) return [];
  const { awsRegion = "" } = raw;
  if (!REGION.test(awsRegion)) return [providerFault(awsRegion, zone)];
  const bucketRegion = makesBucket ? givenText(raw, ["backups", "region"]) : undefined;
  return [
    ...(zone === undefined || zone.slice(0, -1) === awsRegion
      ? []
      : [
          faultAt(
            raw,
            ["host", "ec2", "availabilityZone"],
            `a zone of ${awsRegion}, which aws:region names`,
            `${configCommand("set", ["host", "ec2", "availabilityZone"])} ${awsRegion}a, or ${setRegion(zone.slice(0, -1))}`,
          ),
        ]),
    ...(bucketRegion === undefined || bucketRegion === awsRegion
      ? []
      : [
          faultAt(
            raw,
            ["backups", "region"],
            `${awsRegion}, which aws:region names, for backups.create makes the bucket there`,
            `${configCommand("set", ["backups", "region"])} ${awsRegion}`,
          ),
        ]),
  ];
}

function providerFault(value: string, zone: string | undefined): Fault {
  return {
    key: "aws:region",
    value: shown(value, false),
    rule: "the region that the stack's host and bucket are made in, such as eu-central-1",
    remedy: setRegion(zone?.slice(0, -1) ?? "eu-central-1"),
  };
}

function setRegion(region: string): string {
  return `pulumi config set aws:region ${region}`;
}
