import { changeResourcesPolicy, type Policy, readResourcesPolicy } from "../../scripts/state/policies";
import { STACK } from "../project";
import { AWS_REGION } from "./emulator";

/** The emulator's only account. */
const ACCOUNT = "000000000000";

/** What all that belongs to the application is called, as `name` in the stack's config has it by default. */
const NAME = "vehicleservice";

/**
 * What the stack's deployer may do in the sandbox, policy by name: what the pipelines' role may in production, word for word, but for
 * the state, which is a file here. So an `up` of the whole stack tries those policies. The state's bucket and key, which they keep the
 * program away from, are named and not there.
 */
export function deployerPolicies(): Readonly<Record<string, Policy>> {
  const names = {
    ...{ partition: "aws", account: ACCOUNT, region: AWS_REGION, name: NAME },
    bucket: `${NAME}-pulumi-state-${ACCOUNT}`,
    keyArn: `arn:aws:kms:${AWS_REGION}:${ACCOUNT}:key/state`,
  };
  return { read: readResourcesPolicy(), resources: changeResourcesPolicy(names, [STACK]) };
}
