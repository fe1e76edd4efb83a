import { answered } from "../plugin/cloud";
import { Agent } from "node:https";

import { GetInstanceProfileCommand, IAMClient, type Role } from "@aws-sdk/client-iam";
// What the SDK's own credential providers take roles by; a client of STS's own would be one more package.
import { AssumeRoleCommand, STSClient } from "@aws-sdk/nested-clients/sts";

import type { CredentialSource, RoleCredentials } from "./metadata-server";
import type { MetadataSettings } from "./metadata-settings";

/** How long credentials hold, in seconds, and how long before their end there are new ones. */
const VALID_SECONDS = 3600;
const RENEW_SECONDS = 600;

/** Credentials of the role of the instance's profile, as EC2 takes them: only where the role lets EC2 in. */
export function roleCredentials(settings: MetadataSettings): CredentialSource {
  const { profile } = settings;
  const clients = clientsOf(settings);
  let held: RoleCredentials | null = null;
  return async () => {
    if (profile === null) return null;
    if (held !== null && held.expiration.getTime() - Date.now() > RENEW_SECONDS * 1000) return held;
    const { InstanceProfile } = await clients.iam.send(
      new GetInstanceProfileCommand({ InstanceProfileName: profile }),
    );
    const role = InstanceProfile?.Roles?.[0];
    if (role === undefined) return null;
    if (!letsEc2In(role))
      throw new Error(`AssumeRoleUnauthorizedAccess: EC2 cannot assume the role ${String(role.RoleName)}`);
    const { Credentials } = await clients.sts.send(
      new AssumeRoleCommand({
        RoleArn: role.Arn,
        RoleSessionName: settings.instanceId,
        DurationSeconds: VALID_SECONDS,
      }),
    );
    held = {
      role: answered(role.RoleName, "RoleName"),
      profileArn: answered(InstanceProfile?.Arn, "Arn"),
      accessKeyId: answered(Credentials?.AccessKeyId, "AccessKeyId"),
      secretAccessKey: answered(Credentials?.SecretAccessKey, "SecretAccessKey"),
      sessionToken: answered(Credentials?.SessionToken, "SessionToken"),
      expiration: answered(Credentials?.Expiration, "Expiration"),
    };
    return held;
  };
}

function clientsOf({ region, endpoint, owner, authority }: MetadataSettings): {
  iam: IAMClient;
  sts: STSClient;
} {
  const httpsAgent = new Agent(authority === null ? {} : { ca: authority });
  const options = { region, endpoint, credentials: owner, requestHandler: { httpsAgent } };
  return { iam: new IAMClient(options), sts: new STSClient(options) };
}

interface Statement {
  readonly Effect?: string;
  readonly Principal?: { readonly Service?: string | readonly string[] };
  readonly Action?: string | readonly string[];
}

/** Exported for its test. */
export function letsEc2In({ AssumeRolePolicyDocument }: Pick<Role, "AssumeRolePolicyDocument">): boolean {
  const { Statement = [] } = JSON.parse(decodeURIComponent(AssumeRolePolicyDocument ?? "{}")) as {
    Statement?: Statement | readonly Statement[];
  };
  return [Statement].flat().some(({ Effect, Principal, Action }: Statement) => {
    const services = [Principal?.Service ?? []].flat();
    const actions = [Action ?? []].flat();
    return Effect === "Allow" && services.includes("ec2.amazonaws.com") && actions.includes("sts:AssumeRole");
  });
}
