import { IAMClient } from "@aws-sdk/client-iam";
import { KMSClient } from "@aws-sdk/client-kms";
import { S3Client } from "@aws-sdk/client-s3";
import { ensureBoundary } from "./boundary";
import { ensureBucket } from "./bucket";
import { ensureRoles, type Pipelines, type Roles } from "./github-roles";
import { ensureKey } from "./key";
import type { Names } from "./policies";
import { StateError, type Changed } from "./surroundings";

/** What is to be there. */
export interface Wanted {
  /** What all names begin with: the application's name. */
  readonly name: string;
  readonly region: string;
  /** Name of the bucket; default: `<name>-pulumi-state-<account>`. */
  readonly bucket: string | undefined;
  /** Whose pipelines get roles; none for a state that people alone work with. */
  readonly pipelines: Pipelines | undefined;
}

/** What there is then. */
export interface Backend {
  /** For `pulumi login`. */
  readonly url: string;
  /** For `pulumi stack init --secrets-provider`. */
  readonly secretsProvider: string;
  /** ARN of the policy above the roles that the stacks make, for `permissionsBoundary` in their configs. */
  readonly boundary: string;
  readonly roles: Roles | undefined;
}

/**
 * Makes what a shared state of Pulumi's takes in AWS, as far as it is not there, and puts right what is otherwise. With the
 * credentials that the AWS SDK finds. Nothing is ever removed.
 * @throws StateError where something is in the way
 */
export async function bootstrap(
  { name, region, bucket, pipelines }: Wanted,
  changed: Changed,
): Promise<Backend> {
  const clients = {
    kms: new KMSClient({ region }),
    s3: new S3Client({ region }),
    iam: new IAMClient({ region }),
  };
  try {
    const key = await ensureKey(clients.kms, name, changed);
    // arn:partition:kms:region:account:key/id
    const [, partition = "", , , account = ""] = key.arn.split(":");
    const names: Names = {
      ...{ partition, account, region, name, keyArn: key.arn },
      bucket: bucket ?? `${name}-pulumi-state-${account}`,
    };
    await ensureBucket(clients.s3, names, changed);
    const boundary = await ensureBoundary(clients.iam, names, changed);
    const roles =
      pipelines === undefined ? undefined : await ensureRoles(clients.iam, names, pipelines, changed);
    return {
      url: `s3://${names.bucket}?region=${region}&awssdk=v2`,
      secretsProvider: `awskms://${key.alias}?region=${region}`,
      ...{ boundary, roles },
    };
  } catch (error) {
    if (error instanceof StateError) throw error;
    const { name: kind, message } = error as Error;
    throw new StateError(`AWS refused it (${kind}): ${message}. Nothing that was done is lost: run it again`);
  } finally {
    for (const client of Object.values(clients)) client.destroy();
  }
}
