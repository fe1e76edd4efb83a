import type { LookupFunction, ResourceType } from "../plugin/resource-type";
import { slackChannel } from "./chatbot";
import { cloudwatchTypes } from "./cloudwatch";
import { addressTypes } from "./ec2-address";
import { firewallTypes } from "./ec2-firewall";
import { instance } from "./ec2-instance";
import { networkTypes } from "./ec2-network";
import { routeTypes } from "./ec2-routes";
import { lookupFunctions } from "./functions";
import { iamTypes } from "./iam";
import { kmsTypes } from "./kms";
import { logsTypes } from "./logs";
import { record } from "./route53";
import { bucket } from "./s3-bucket";
import { bucketSettings } from "./s3-bucket-settings";
import { snsTypes } from "./sns";

/** Every resource type that the stand-in has, by its token. */
export const RESOURCE_TYPES: ReadonlyMap<string, ResourceType> = new Map(
  [
    slackChannel,
    ...cloudwatchTypes,
    ...addressTypes,
    ...firewallTypes,
    instance,
    ...networkTypes,
    ...routeTypes,
    ...iamTypes,
    ...kmsTypes,
    ...logsTypes,
    record,
    bucket,
    ...bucketSettings,
    ...snsTypes,
  ].map((type) => [type.token, type]),
);

/** Every lookup function that it has, by its token. */
export const FUNCTIONS: ReadonlyMap<string, LookupFunction> = new Map(
  lookupFunctions.map((lookup) => [lookup.token, lookup]),
);
