import { createHash } from "node:crypto";

import type { World } from "../../world";
import { FUNCTIONS, RESOURCE_TYPES } from "../types/table";
import { faultsIn, type Fault } from "./check";
import { Cloud } from "./cloud";
import { configFaults, settingsOf } from "./configuration";
import { CloudError } from "./errors";
import { isUnknown, same, UNKNOWN, type Value, type Values } from "./properties";
import type { ResourceType } from "./resource-type";

/** Letters of what makes a name unlike any other. */
const SUFFIX_LENGTH = 7;

/** What a change of inputs means. */
export interface Difference {
  /** Changed properties. */
  readonly changed: readonly string[];
  /** Those of them that make another resource. */
  readonly replaces: readonly string[];
  /** The new resource cannot be while the old one is: it has the same name. */
  readonly deleteBeforeReplace: boolean;
}

/** A resource as it was found. */
export interface Found {
  readonly id: string;
  readonly inputs: Values;
  readonly outputs: Values;
}

/** The stand-in for AWS' provider: Pulumi's provider protocol over the tables in `types/`, without the wire. */
export class AwsProvider {
  private cloud: Cloud | null = null;

  constructor(
    private readonly world: World,
    /** Takes a line for the user; by default nobody does. */
    private readonly onProgress: (urn: string, line: string) => void = () => undefined,
  ) {}

  /** What is wrong with the provider's configuration. */
  checkConfig(values: Values): Fault[] {
    return configFaults(values);
  }

  /** Takes the provider's configuration. */
  configure(values: Values): void {
    const [fault] = configFaults(values);
    if (fault !== undefined) throw new Error(`aws:${fault.property}: ${fault.reason}`);
    this.cloud?.close();
    this.cloud = new Cloud(settingsOf(values), this.world);
  }

  /** Ends the connections. */
  close(): void {
    this.cloud?.close();
    this.cloud = null;
  }

  /** Completes inputs (a name where none is given) and tells what is wrong with them. */
  check(
    token: string,
    name: string,
    olds: Values,
    news: Values,
    seed: Buffer,
  ): { inputs: Values; faults: Fault[] } {
    const type = typeOf(token);
    const inputs = named(type, name, olds, present(news), seed);
    const faults = faultsIn(token, propertiesOf(type), inputs);
    for (const [one, other] of type.exclusive ?? []) {
      if (inputs[one] === undefined || inputs[other] === undefined) continue;
      faults.push({ property: one, reason: `cannot be given together with ${other}` });
    }
    faults.push(...(type.inspect?.(known(inputs)) ?? []));
    const { region } = inputs;
    if (
      typeof region === "string" &&
      region !== UNKNOWN &&
      this.cloud !== null &&
      region !== this.cloud.region
    )
      faults.push({
        property: "region",
        reason: `the sandbox's AWS is in ${this.cloud.region}, not in ${region}`,
      });
    return { inputs, faults };
  }

  /** Compares new inputs with what was there last. */
  diff(token: string, name: string, oldInputs: Values, olds: Values, news: Values): Difference {
    const type = typeOf(token);
    const properties = propertiesOf(type);
    const entries = Object.entries(properties).filter(([name, property]) => {
      const wanted = news[name] ?? undefined;
      if (wanted === undefined) return (oldInputs[name] ?? undefined) !== undefined;
      return isUnknown(wanted) || !same(property, wanted, olds[name] ?? oldInputs[name]);
    });
    const changed = entries.map(([name]) => name);
    const sometimes = type.replacesWhen?.(news) ?? [];
    const replaces = changed.filter(
      (name) => properties[name]?.replaces === true || type.update === undefined || sometimes.includes(name),
    );
    const naming = type.naming?.property;
    // A name that was made here is made anew for the replacement.
    const keepsName =
      naming !== undefined && !changed.includes(naming) && !isMadeName(type, name, news[naming]);
    return { changed, replaces, deleteBeforeReplace: replaces.length > 0 && keepsName };
  }

  /** Makes a resource; in a preview it tells what it would be, with what only AWS knows left unknown. */
  async create(token: string, urn: string, inputs: Values, preview: boolean): Promise<Found> {
    const type = typeOf(token);
    if (preview)
      return { id: "", inputs, outputs: { ...unknowns(type.computed), ...this.withTags(type, inputs) } };
    const cloud = this.configured();
    return told(`${token} ${nameIn(urn)}: could not be made`, async () => {
      const id = await type.create(
        reporting(cloud, (line) => this.onProgress(urn, line)),
        inputs,
      );
      const outputs = await type.read(cloud, id, inputs);
      if (outputs === null) throw new Error(`${id} was made, and then not found`);
      return { id, inputs, outputs: this.outputs(type, inputs, outputs) };
    });
  }

  /** Reads a resource; null where it is gone. Inputs that differ from what is there become what is there. */
  async read(token: string, id: string, inputs: Values | null, state: Values): Promise<Found | null> {
    const type = typeOf(token);
    return told(`${token} ${id}: could not be read`, async () => {
      const found = await type.read(this.configured(), id, { ...inputs, ...state });
      if (found === null) return null;
      const outputs = this.outputs(type, inputs ?? {}, found);
      return { id, inputs: liveInputs(type, inputs, outputs), outputs };
    });
  }

  /** Changes a resource in place. */
  async update(token: string, urn: string, id: string, change: UpdateRequest): Promise<Values> {
    const type = typeOf(token);
    const { news, olds, oldInputs, preview } = change;
    if (preview) return { ...olds, ...unknowns(type.volatile ?? []), ...this.withTags(type, news) };
    const cloud = this.configured();
    return told(`${token} ${id}: could not be changed`, async () => {
      if (type.update === undefined) throw new Error("it can only be replaced");
      const changed = new Set(this.diff(token, nameIn(urn), oldInputs, olds, news).changed);
      await type.update(cloud, id, { news, olds: { ...oldInputs, ...olds }, changed });
      const found = await type.read(cloud, id, { ...olds, ...news });
      if (found === null) throw new Error("it is gone");
      return this.outputs(type, news, found);
    });
  }

  /** Takes a resource away. */
  async delete(token: string, id: string, state: Values): Promise<void> {
    await told(`${token} ${id}: could not be deleted`, () =>
      typeOf(token).delete(this.configured(), id, state),
    );
  }

  /** Calls a lookup function. */
  async invoke(token: string, args: Values): Promise<{ result: Values; faults: Fault[] }> {
    const lookup = FUNCTIONS.get(token);
    if (lookup === undefined) throw new Error(unknownToken("function", token, [...FUNCTIONS.keys()]));
    const faults = faultsIn(token, lookup.properties, present(args));
    if (faults.length > 0) return { result: {}, faults };
    const result = await told(token, () => lookup.call(this.configured(), present(args)));
    return { result, faults: [] };
  }

  private configured(): Cloud {
    if (this.cloud === null) throw new Error("the AWS provider has not been configured");
    return this.cloud;
  }

  /** All outputs: what was asked for, and over it what AWS tells. */
  private outputs(type: ResourceType, inputs: Values, found: Values): Values {
    return { ...this.withTags(type, inputs), ...present(found) };
  }

  private withTags(type: ResourceType, inputs: Values): Values {
    const region = type.global === true ? {} : { region: this.cloud?.region ?? UNKNOWN };
    if (type.properties["tags"] === undefined) return { ...region, ...inputs };
    const own = (inputs["tags"] ?? {}) as Values;
    const tagsAll = isUnknown(inputs["tags"]) ? UNKNOWN : { ...this.cloud?.settings.defaultTags, ...own };
    return { ...region, ...inputs, tagsAll };
  }
}

/** What an update is told. */
export interface UpdateRequest {
  readonly oldInputs: Values;
  readonly olds: Values;
  readonly news: Values;
  readonly preview: boolean;
}

/** The type's own properties, and the one that every type of a region has. */
export function propertiesOf(type: ResourceType): ResourceType["properties"] {
  if (type.global === true) return type.properties;
  return { ...type.properties, region: { kind: "text", replaces: true } };
}

function typeOf(token: string): ResourceType {
  const type = RESOURCE_TYPES.get(token);
  if (type === undefined) throw new Error(unknownToken("resource type", token, [...RESOURCE_TYPES.keys()]));
  return type;
}

function unknownToken(kind: string, token: string, known: readonly string[]): string {
  return `the sandbox's AWS has no ${kind} ${token}: add it to sandbox/aws/types; it has ${[...known].sort().join(", ")}`;
}

function named(type: ResourceType, name: string, olds: Values, news: Values, seed: Buffer): Values {
  const { naming } = type;
  if (naming === undefined || news[naming.property] !== undefined) return news;
  const before = olds[naming.property];
  const suffix = createHash("sha256").update(seed).update(name).digest("hex").slice(0, SUFFIX_LENGTH);
  return { ...news, [naming.property]: before ?? `${stemOf(naming.longest, name)}${suffix}` };
}

function stemOf(longest: number, name: string): string {
  return `${name.slice(0, longest - SUFFIX_LENGTH - 1)}-`;
}

function isMadeName({ naming }: ResourceType, name: string, value: Value | undefined): boolean {
  if (naming === undefined || typeof value !== "string") return false;
  const stem = stemOf(naming.longest, name);
  return value.startsWith(stem) && value.length === stem.length + SUFFIX_LENGTH;
}

/** Without what is null: to leave a property out and to give null are one. */
function present(values: Values): Values {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== undefined && value !== null),
  );
}

function known(values: Values): Values {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => !isUnknown(value)));
}

function unknowns(names: readonly string[]): Values {
  return Object.fromEntries(names.map((name) => [name, UNKNOWN]));
}

function liveInputs(type: ResourceType, inputs: Values | null, outputs: Values): Values {
  // An import has no inputs yet: all that there is becomes them.
  const names = inputs === null ? Object.keys(type.properties) : Object.keys(inputs);
  const entries = names.flatMap((name): [string, Values[string]][] => {
    const [before, live] = [inputs?.[name], outputs[name]];
    if (live === undefined) return [];
    const property = propertiesOf(type)[name];
    return [[name, property === undefined || same(property, before, live) ? (before ?? live) : live]];
  });
  return Object.fromEntries(entries);
}

function nameIn(urn: string): string {
  return urn.slice(urn.lastIndexOf("::") + 2);
}

async function told<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw new CloudError(what, error);
  }
}

function reporting(cloud: Cloud, onProgress: (line: string) => void): Cloud {
  return Object.create(cloud, { progress: { value: onProgress } }) as Cloud;
}
