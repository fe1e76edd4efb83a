import { boundaryName } from "../../components/role-names";
import {
  boundaryArn,
  boundaryPolicy,
  changeResourcesPolicy,
  type Names,
  type Policy,
  readResourcesPolicy,
} from "../../scripts/state/policies";
import { STACK } from "../project";
import { AWS_REGION } from "./emulator";

/** The emulator's only account. */
const ACCOUNT = "000000000000";

/** What all that belongs to the application is called, as `name` in the stack's config has it by default. */
const NAME = "vehicleservice";

/** The state's bucket and key, which the policies keep the program away from, are named and not there: the state is a file here. */
const NAMES: Names = {
  ...{ partition: "aws", account: ACCOUNT, region: AWS_REGION, name: NAME },
  bucket: `${NAME}-pulumi-state-${ACCOUNT}`,
  keyArn: `arn:aws:kms:${AWS_REGION}:${ACCOUNT}:key/state`,
};

/**
 * What the stack's deployer may do in the sandbox, policy by name: what the pipelines' role may in production, word for word, but for
 * the state. So an `up` of the whole stack tries those policies.
 */
export function deployerPolicies(): Readonly<Record<string, Policy>> {
  return { read: readResourcesPolicy(), resources: changeResourcesPolicy(NAMES, [STACK]) };
}

/** Production's permissions boundary, which an administrator has made before the deployer comes. */
export const BOUNDARY = {
  name: boundaryName(NAME),
  arn: boundaryArn(NAMES),
  document: boundaryPolicy(NAMES),
} as const;
