import {
  CreateAliasCommand,
  CreateKeyCommand,
  DescribeKeyCommand,
  EnableKeyRotationCommand,
  GetKeyRotationStatusCommand,
  type KeyMetadata,
  type KMSClient,
  paginateListKeys,
} from "@aws-sdk/client-kms";
import { StateError, unless, type Changed } from "./surroundings";

/** The key that encrypts the state, and the secrets in it. */
export interface StateKey {
  readonly arn: string;
  /** `alias/...` */
  readonly alias: string;
}

/** Makes the key, its alias and its yearly rotation, as far as they are not there. */
export async function ensureKey(kms: KMSClient, name: string, changed: Changed): Promise<StateKey> {
  const alias = `alias/${name}-pulumi`;
  const found = await unless(["NotFoundException"], () => kms.send(new DescribeKeyCommand({ KeyId: alias })));
  const key = found?.KeyMetadata ?? (await aliasedKey(kms, name, alias, changed));
  const { Arn: arn = "", KeyState: state } = key;
  if (state !== "Enabled") {
    throw new StateError(
      `the key behind ${alias} (${arn}) is ${state ?? "in no state"}: state that it encrypted cannot be read; enable it, or cancel its deletion`,
    );
  }
  const rotation = await kms.send(new GetKeyRotationStatusCommand({ KeyId: arn }));
  if (rotation.KeyRotationEnabled !== true) {
    await kms.send(new EnableKeyRotationCommand({ KeyId: arn }));
    changed(`key ${alias}: rotated every year`);
  }
  return { arn, alias };
}

async function aliasedKey(
  kms: KMSClient,
  name: string,
  alias: string,
  changed: Changed,
): Promise<KeyMetadata> {
  const description = `Pulumi state of ${name}`;
  // A run that died between the two calls has left a key without a name.
  const left = await findKey(kms, description);
  const key = left ?? (await kms.send(new CreateKeyCommand({ Description: description }))).KeyMetadata;
  if (key === undefined) throw new StateError(`KMS made a key for ${alias} and did not say which`);
  await kms.send(new CreateAliasCommand({ AliasName: alias, TargetKeyId: key.KeyId }));
  changed(`key ${alias}: ${left === undefined ? "made" : "named"}`);
  return key;
}

async function findKey(kms: KMSClient, description: string): Promise<KeyMetadata | undefined> {
  for await (const { Keys = [] } of paginateListKeys({ client: kms }, {})) {
    for (const { KeyId } of Keys) {
      const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId }));
      if (KeyMetadata?.Description === description && KeyMetadata.KeyState === "Enabled") return KeyMetadata;
    }
  }
  return undefined;
}
