import { createHash } from "node:crypto";
import { EngineError } from "../errors";
import {
  containsSecret,
  isMap,
  isSecret,
  mapValue,
  secret,
  Signature,
  SIGNATURE_KEY,
  someValue,
  unwrapSecrets,
  type PropertyMap,
  type PropertyValue,
} from "../values/property";
import type { Crypter } from "./crypter";
import type { PendingOperation, ResourceState } from "./resource";

/** The version that the engine writes into the state's manifest: that of the SDK whose protocol it speaks. */
export const ENGINE_VERSION = "v3.270.0";

/** Format versions that can be read; features of version 4 beyond these keys are refused. */
const READABLE_VERSIONS: readonly unknown[] = [3, 4];

/** The state of a stack, decrypted. */
export interface StackState {
  readonly resources: readonly ResourceState[];
  readonly pendingOperations: readonly PendingOperation[];
  /** The salt that the state's secrets were made with; undefined where the stack has no secrets provider yet. */
  readonly salt: string | undefined;
}

/** A checkpoint file as JSON, as far as the engine looks into it. */
export interface CheckpointFile {
  version: number;
  features?: string[];
  checkpoint: { stack: string; latest?: Deployment | null };
}

interface Deployment {
  manifest: { time: string; magic: string; version: string };
  secrets_providers?: { type: string; state?: { salt?: string } };
  resources?: PropertyMap[];
  pending_operations?: { resource: PropertyMap; type: string }[];
  metadata?: object;
}

/** Keys of a resource that hold property values, in which secrets are encrypted. */
const VALUE_KEYS = ["inputs", "outputs"] as const;

/** Keys of a resource in the order in which Pulumi writes them; all others are carried along after them. */
const RESOURCE_KEYS = [
  "urn custom delete id type inputs outputs parent protect external dependencies initErrors provider",
  "propertyDependencies pendingReplacement additionalSecretOutputs customTimeouts retainOnDelete deletedWith",
  "created modified sourcePosition ignoreChanges replaceOnChanges",
].flatMap((line) => line.split(" "));

/** Where the program registered a resource, which is out of date as soon as the program registers it again. */
const STACK_TRACE = "stackTrace";

/** The salt of a checkpoint's secrets. Fails where its secrets provider is not the passphrase one. */
export function saltOf(file: CheckpointFile): string | undefined {
  const provider = file.checkpoint.latest?.secrets_providers;
  if (provider === undefined) return undefined;
  if (provider.type !== "passphrase") {
    throw new EngineError(
      `the stack's secrets provider is "${provider.type}": the embedded engine has only "passphrase". Use the Pulumi CLI`,
    );
  }
  return provider.state?.salt;
}

/** Whether any value in the checkpoint is encrypted, so that a key is needed to read it. */
export function hasEncryptedValues(file: CheckpointFile): boolean {
  const latest = file.checkpoint.latest;
  const resources = [
    ...(latest?.resources ?? []),
    ...(latest?.pending_operations ?? []).map((each) => each.resource),
  ];
  return resources.some((resource) => someValue(resource, isSecret));
}

/** Parses the text of a checkpoint file. Fails where it is not one or is of a version that the engine cannot read. */
export function parseCheckpoint(text: string, path: string): CheckpointFile {
  let file: CheckpointFile;
  try {
    file = JSON.parse(text) as CheckpointFile;
  } catch (error) {
    throw new EngineError(
      `the state file ${path} is not JSON (${String(error)}): restore it from ${path}.bak`,
    );
  }
  if (!READABLE_VERSIONS.includes(file.version) || typeof file.checkpoint !== "object") {
    throw new EngineError(
      `the state file ${path} has version ${String(file.version)}: the embedded engine reads 3 and 4`,
    );
  }
  if (file.features !== undefined && file.features.length > 0) {
    throw new EngineError(
      `the state file ${path} uses ${file.features.join(", ")}, which the embedded engine lacks. Use the Pulumi CLI`,
    );
  }
  return file;
}

/** Decrypts a checkpoint. `crypter` may be missing where `hasEncryptedValues` is false. */
export function readCheckpoint(file: CheckpointFile, crypter: Crypter | undefined): StackState {
  const latest = file.checkpoint.latest ?? undefined;
  return {
    resources: (latest?.resources ?? []).map((resource) => readResource(resource, crypter)),
    pendingOperations: (latest?.pending_operations ?? []).map(({ resource, type }) => ({
      resource: readResource(resource, crypter),
      type: type as PendingOperation["type"],
    })),
    salt: saltOf(file),
  };
}

function readResource(serialized: PropertyMap, crypter: Crypter | undefined): ResourceState {
  const known: Record<string, unknown> = {};
  const carried: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(serialized)) {
    if (RESOURCE_KEYS.includes(key)) known[key] = value;
    else if (key !== STACK_TRACE) carried[key] = value;
  }
  for (const key of VALUE_KEYS) {
    const value = serialized[key];
    if (isMap(value)) known[key] = decryptValue(value, crypter);
  }
  // The format's own schema makes these keys sure; anything else is carried untouched.
  const resource = known as unknown as ResourceState;
  return Object.keys(carried).length === 0 ? resource : { ...resource, carried };
}

function decryptValue(value: PropertyValue, crypter: Crypter | undefined): PropertyValue {
  return mapValue(value, (element) => {
    if (!isSecret(element)) return undefined;
    const { ciphertext, plaintext } = element;
    if (typeof plaintext === "string") return secret(JSON.parse(plaintext) as PropertyValue);
    if (typeof ciphertext !== "string") throw new EngineError("a secret in the state has no ciphertext");
    if (!crypter) throw new EngineError("the state holds secrets, but its stack has no passphrase");
    return secret(unsealInner(JSON.parse(crypter.decrypt(ciphertext)) as PropertyValue));
  });
}

/** Inside an encrypted value Pulumi leaves inner secrets marked but unencrypted: their "ciphertext" is JSON. */
function unsealInner(value: PropertyValue): PropertyValue {
  return mapValue(value, (element) => {
    if (!isSecret(element) || typeof element["ciphertext"] !== "string") return undefined;
    return unsealInner(JSON.parse(element["ciphertext"]) as PropertyValue);
  });
}

/** Whether any resource or pending operation holds a secret, so that a key is needed to write them. */
export function hasSecrets({
  resources,
  pendingOperations,
}: Pick<StackState, "resources" | "pendingOperations">): boolean {
  const all = [...resources, ...pendingOperations.map(({ resource }) => resource)];
  return all.some(({ inputs, outputs }) => containsSecret(inputs) || containsSecret(outputs));
}

/** Inputs and outputs as they were encrypted before. They never change: a resource gets others in their place. */
export type EncryptedMaps = WeakMap<PropertyMap, PropertyValue>;

/**
 * Writes a state in Pulumi's format; keys that have nothing to say are left out, as Pulumi does. `crypter` may be
 * missing where `hasSecrets` is false. With `encrypted`, what was encrypted with it before is taken from there; it
 * belongs to one crypter.
 */
export function writeCheckpoint(
  stack: string,
  state: StackState,
  crypter: Crypter | undefined,
  now: Date,
  encrypted: EncryptedMaps = new WeakMap(),
): CheckpointFile {
  const salt = crypter?.salt ?? state.salt;
  const latest: Deployment = {
    manifest: { time: now.toISOString(), magic: magicOf(ENGINE_VERSION), version: ENGINE_VERSION },
    ...(salt === undefined ? {} : { secrets_providers: { type: "passphrase", state: { salt } } }),
    ...(state.resources.length > 0
      ? { resources: state.resources.map((each) => writeResource(each, crypter, encrypted)) }
      : {}),
    ...(state.pendingOperations.length > 0
      ? {
          pending_operations: state.pendingOperations.map(({ resource, type }) => ({
            resource: writeResource(resource, crypter, encrypted),
            type,
          })),
        }
      : {}),
    metadata: {},
  };
  return { version: 3, checkpoint: { stack, latest } };
}

function magicOf(version: string): string {
  return createHash("sha256").update(version).digest("hex");
}

function writeResource(
  resource: ResourceState,
  crypter: Crypter | undefined,
  encrypted: EncryptedMaps,
): PropertyMap {
  const result: Record<string, unknown> = {};
  for (const key of RESOURCE_KEYS) {
    const value = resource[key as keyof ResourceState];
    if (key === "custom" || !isEmpty(value)) result[key] = value;
  }
  for (const key of VALUE_KEYS) {
    const value = result[key] as PropertyMap | undefined;
    if (value === undefined) continue;
    const written = encrypted.get(value) ?? encryptValue(value, crypter);
    encrypted.set(value, written);
    result[key] = written;
  }
  return { ...result, ...resource.carried } as PropertyMap;
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === false || value === "") return true;
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

function encryptValue(value: PropertyValue, crypter: Crypter | undefined): PropertyValue {
  return mapValue(value, (element) => {
    if (!isSecret(element)) return undefined;
    if (!crypter) throw new EngineError("a secret cannot be saved: the stack has no passphrase");
    const plaintext = JSON.stringify(unwrapSecrets(element["value"] ?? null));
    return { [SIGNATURE_KEY]: Signature.secret, ciphertext: crypter.encrypt(plaintext) };
  });
}
