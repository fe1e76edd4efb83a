import {
  CreatePolicyCommand,
  CreatePolicyVersionCommand,
  DeletePolicyVersionCommand,
  GetPolicyCommand,
  GetPolicyVersionCommand,
  type IAMClient,
  ListPolicyVersionsCommand,
} from "@aws-sdk/client-iam";
import { boundaryName } from "../../components/role-names";
import { boundaryArn, boundaryPolicy, type Names } from "./policies";
import { isPolicy } from "./same";
import { unless, type Changed } from "./surroundings";

/** Versions of a managed policy that IAM keeps ("IAM and AWS STS quotas"). */
const MOST_VERSIONS = 5;

/**
 * Makes the permissions boundary of the roles that the stacks make, unless it is as it should be. Roles that have it keep it: another version
 * holds for them at once.
 * @returns its ARN
 */
export async function ensureBoundary(iam: IAMClient, names: Names, changed: Changed): Promise<string> {
  const PolicyArn = boundaryArn(names);
  const PolicyName = boundaryName(names.name);
  const PolicyDocument = JSON.stringify(boundaryPolicy(names));
  const found = await unless(["NoSuchEntityException", "NoSuchEntity"], () =>
    iam.send(new GetPolicyCommand({ PolicyArn })),
  );
  if (found === null) {
    const Description = `The most that a role of ${names.name}'s stacks can have`;
    await iam.send(new CreatePolicyCommand({ PolicyName, PolicyDocument, Description }));
    changed(`policy ${PolicyName}: made`);
    return PolicyArn;
  }
  const VersionId = found.Policy?.DefaultVersionId;
  const { PolicyVersion } = await iam.send(new GetPolicyVersionCommand({ PolicyArn, VersionId }));
  if (isPolicy(PolicyVersion?.Document, boundaryPolicy(names))) return PolicyArn;
  await makeRoom(iam, PolicyArn);
  await iam.send(new CreatePolicyVersionCommand({ PolicyArn, PolicyDocument, SetAsDefault: true }));
  changed(`policy ${PolicyName}: what it allows`);
  return PolicyArn;
}

/** Takes away the oldest version that is not in force, where there is no room for another one. */
async function makeRoom(iam: IAMClient, PolicyArn: string): Promise<void> {
  const { Versions = [] } = await iam.send(new ListPolicyVersionsCommand({ PolicyArn }));
  if (Versions.length < MOST_VERSIONS) return;
  const ages = Versions.filter(({ IsDefaultVersion }) => IsDefaultVersion !== true).map(
    ({ VersionId = "" }) => [Number(VersionId.slice(1)), VersionId] as const,
  );
  const [, VersionId] = ages.sort(([one], [other]) => one - other)[0] ?? [];
  await iam.send(new DeletePolicyVersionCommand({ PolicyArn, VersionId }));
}
