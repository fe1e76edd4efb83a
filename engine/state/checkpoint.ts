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
].flatMap((line) => line.split(" ")) as readonly (keyof ResourceState)[];

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
    if ((RESOURCE_KEYS as readonly string[]).includes(key)) known[key] = value;
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

/**
 * What was written of a state before, by one crypter: a deployment writes it twice a step, and little of it changes from one
 * time to the next. No value of a resource ever changes in itself: the resource gets another one in its place.
 */
export class WrittenState {
  private readonly resources = new WeakMap<ResourceState, { of: readonly unknown[]; written: PropertyMap }>();
  private readonly encrypted = new WeakMap<PropertyMap, PropertyValue>();
  private readonly texts = new WeakMap<PropertyMap, Buffer>();

  /** The resource as it was written, where it is still as it was then; else as `write` writes it. */
  resource(resource: ResourceState, write: () => PropertyMap): PropertyMap {
    const of = [...RESOURCE_KEYS, "carried" as const].map((key) => resource[key]);
    const known = this.resources.get(resource);
    if (known !== undefined && of.every((value, index) => value === known.of[index])) return known.written;
    const written = write();
    this.resources.set(resource, { of, written });
    return written;
  }

  /** Inputs or outputs as they were encrypted, or else as `encrypt` encrypts them. */
  values(values: PropertyMap, encrypt: () => PropertyValue): PropertyValue {
    const known = this.encrypted.get(values) ?? encrypt();
    this.encrypted.set(values, known);
    return known;
  }

  /** JSON of what {@link WrittenState.resource} returned, in UTF-8. */
  bytes(written: PropertyMap): Buffer {
    const known = this.texts.get(written) ?? Buffer.from(JSON.stringify(written));
    this.texts.set(written, known);
    return known;
  }
}

/**
 * JSON of a checkpoint, in UTF-8, in pieces. With the same `written` as in {@link writeCheckpoint} only what changed since is put
 * into words, and nothing is copied.
 */
export function checkpointPieces(file: CheckpointFile, written = new WrittenState()): Buffer[] {
  const { latest } = file.checkpoint;
  if (!latest?.resources) return [Buffer.from(JSON.stringify(file))];
  const before = upTo(file, "checkpoint") + upTo(file.checkpoint, "latest") + upTo(latest, "resources");
  const resources = latest.resources.flatMap((each, index) =>
    index === 0 ? [written.bytes(each)] : [COMMA, written.bytes(each)],
  );
  return [Buffer.from(`${before}[`), ...resources, Buffer.from("]}}}")];
}

const COMMA = Buffer.from(",");

/** JSON of an object, up to the value of one of its keys, which is its last one there. */
function upTo<K extends string>(object: { readonly [key in K]?: unknown }, key: K): string {
  const others = Object.entries(object).filter(([name]) => name !== key);
  const text = JSON.stringify(Object.fromEntries(others)).slice(0, -1);
  return `${text}${text === "{" ? "" : ","}${JSON.stringify(key)}:`;
}

/**
 * Writes a state in Pulumi's format; keys that have nothing to say are left out, as Pulumi does. `crypter` may be
 * missing where `hasSecrets` is false. With `written`, what was written with it before is taken from there.
 */
export function writeCheckpoint(
  stack: string,
  state: StackState,
  crypter: Crypter | undefined,
  now: Date,
  written = new WrittenState(),
): CheckpointFile {
  const salt = crypter?.salt ?? state.salt;
  const latest: Deployment = {
    manifest: { time: now.toISOString(), magic: magicOf(ENGINE_VERSION), version: ENGINE_VERSION },
    ...(salt === undefined ? {} : { secrets_providers: { type: "passphrase", state: { salt } } }),
    ...(state.resources.length > 0
      ? { resources: state.resources.map((each) => writeResource(each, crypter, written)) }
      : {}),
    ...(state.pendingOperations.length > 0
      ? {
          pending_operations: state.pendingOperations.map(({ resource, type }) => ({
            resource: writeResource(resource, crypter, written),
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
  written: WrittenState,
): PropertyMap {
  return written.resource(resource, () => {
    const result: Record<string, unknown> = {};
    for (const key of RESOURCE_KEYS) {
      const value = resource[key];
      if (key === "custom" || !isEmpty(value)) result[key] = value;
    }
    for (const key of VALUE_KEYS) {
      const value = result[key] as PropertyMap | undefined;
      if (value !== undefined) result[key] = written.values(value, () => encryptValue(value, crypter));
    }
    return { ...result, ...resource.carried } as PropertyMap;
  });
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
