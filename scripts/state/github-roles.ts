import {
  CreateOpenIDConnectProviderCommand,
  CreateRoleCommand,
  GetRoleCommand,
  GetRolePolicyCommand,
  type IAMClient,
  ListOpenIDConnectProvidersCommand,
  PutRolePolicyCommand,
  UpdateAssumeRolePolicyCommand,
  UpdateRoleCommand,
} from "@aws-sdk/client-iam";
import {
  changeResourcesPolicy,
  GITHUB_AUDIENCE,
  GITHUB_ISSUER,
  type Names,
  type Policy,
  readResourcesPolicy,
  readStatePolicy,
  sshPolicy,
  trustPolicy,
  writeStatePolicy,
} from "./policies";
import { isPolicy } from "./same";
import { unless, type Changed } from "./surroundings";

/** The longest session of a role, in seconds: as long as a job of GitHub's may take. */
const LONGEST_SESSION_SECONDS = 6 * 60 * 60;

/** Whose jobs may take the roles. */
export interface Pipelines {
  /** The repository as GitHub's tokens name it: `org/repository`, or `org@id/repository@id` for those made since July 2026. */
  readonly repository: string;
  /** Stacks, each with environments of the repository: `<stack>`, `<stack>-preview`, `<stack>-rollback`. */
  readonly stacks: readonly string[];
}

/** ARNs of the roles. */
export interface Roles {
  readonly preview: string;
  readonly deploy: string;
}

interface Role {
  readonly name: string;
  readonly description: string;
  readonly trust: Policy;
  readonly policies: Readonly<Record<string, Policy>>;
}

/** Makes GitHub known to the account, and the two roles of the pipelines, as far as they are not as they should be. */
export async function ensureRoles(
  iam: IAMClient,
  names: Names,
  { repository, stacks }: Pipelines,
  changed: Changed,
): Promise<Roles> {
  await ensureProvider(iam, changed);
  const environments = (...suffixes: string[]) =>
    stacks.flatMap((stack) => suffixes.map((suffix) => stack + suffix));
  const preview = await ensureRole(iam, changed, {
    name: `${names.name}-preview`,
    description: `Pipelines of ${names.name}: previews and comparisons`,
    trust: trustPolicy(names, repository, environments("-preview")),
    policies: {
      resources: readResourcesPolicy(),
      ssh: sshPolicy(names, stacks),
      state: readStatePolicy(names),
    },
  });
  const deploy = await ensureRole(iam, changed, {
    name: `${names.name}-deploy`,
    description: `Pipelines of ${names.name}: deployments and rollbacks`,
    trust: trustPolicy(names, repository, environments("", "-rollback")),
    policies: {
      read: readResourcesPolicy(),
      resources: changeResourcesPolicy(names, stacks),
      ssh: sshPolicy(names, stacks),
      state: writeStatePolicy(names),
    },
  });
  return { preview, deploy };
}

async function ensureProvider(iam: IAMClient, changed: Changed): Promise<void> {
  const { OpenIDConnectProviderList = [] } = await iam.send(new ListOpenIDConnectProvidersCommand({}));
  if (OpenIDConnectProviderList.some(({ Arn }) => Arn?.endsWith(`:oidc-provider/${GITHUB_ISSUER}`) === true))
    return;
  await iam.send(
    new CreateOpenIDConnectProviderCommand({
      Url: `https://${GITHUB_ISSUER}`,
      ClientIDList: [GITHUB_AUDIENCE],
    }),
  );
  changed(`identity provider ${GITHUB_ISSUER}: made`);
}

async function ensureRole(iam: IAMClient, changed: Changed, role: Role): Promise<string> {
  const found = await unless(["NoSuchEntityException", "NoSuchEntity"], () =>
    iam.send(new GetRoleCommand({ RoleName: role.name })),
  );
  const made = found?.Role === undefined ? await makeRole(iam, changed, role) : undefined;
  if (found?.Role !== undefined) {
    const { AssumeRolePolicyDocument, MaxSessionDuration } = found.Role;
    if (!isPolicy(AssumeRolePolicyDocument, role.trust)) {
      await iam.send(
        new UpdateAssumeRolePolicyCommand({
          RoleName: role.name,
          PolicyDocument: JSON.stringify(role.trust),
        }),
      );
      changed(`role ${role.name}: who may take it`);
    }
    if (MaxSessionDuration !== LONGEST_SESSION_SECONDS) {
      await iam.send(
        new UpdateRoleCommand({ RoleName: role.name, MaxSessionDuration: LONGEST_SESSION_SECONDS }),
      );
      changed(`role ${role.name}: how long it may be kept`);
    }
  }
  for (const [policy, document] of Object.entries(role.policies)) {
    await ensureRolePolicy(iam, changed, role.name, policy, document);
  }
  return made ?? found?.Role?.Arn ?? "";
}

async function makeRole(
  iam: IAMClient,
  changed: Changed,
  { name, description, trust }: Role,
): Promise<string> {
  const { Role: made } = await iam.send(
    new CreateRoleCommand({
      RoleName: name,
      Description: description,
      AssumeRolePolicyDocument: JSON.stringify(trust),
      MaxSessionDuration: LONGEST_SESSION_SECONDS,
    }),
  );
  changed(`role ${name}: made`);
  return made?.Arn ?? "";
}

async function ensureRolePolicy(
  iam: IAMClient,
  changed: Changed,
  role: string,
  policy: string,
  document: Policy,
): Promise<void> {
  const which = { RoleName: role, PolicyName: policy };
  const found = await unless(["NoSuchEntityException", "NoSuchEntity"], () =>
    iam.send(new GetRolePolicyCommand(which)),
  );
  if (isPolicy(found?.PolicyDocument, document)) return;
  await iam.send(new PutRolePolicyCommand({ ...which, PolicyDocument: JSON.stringify(document) }));
  changed(`role ${role}: policy ${policy}`);
}
