import { EngineError } from "../../errors";
import { diffOf, NO_DIFF, type DiffKind, type DiffResult } from "../../values/diff";
import {
  containsUnknown,
  isMap,
  secret,
  UNKNOWN,
  unwrapMap,
  unwrapSecrets,
  type PropertyMap,
} from "../../values/property";
import type {
  CheckFailure,
  CheckResult,
  CreateResult,
  OldResource,
  Provider,
  ProviderContext,
} from "../provider";
import { inputFault, KINDS, type Kind } from "./kinds";

/**
 * The resources of `@pulumi/random` that need nothing but a random number generator. Inputs stay as they are given,
 * defaults appear in the outputs only, and whatever changes makes the resource anew.
 */
export class RandomProvider implements Provider {
  check({ type }: ProviderContext, _old: PropertyMap | undefined, inputs: PropertyMap): Promise<CheckResult> {
    return attempt(() => ({ inputs, failures: faultsOf(kindOf(type), inputs) }));
  }

  diff({ type }: ProviderContext, old: OldResource, inputs: PropertyMap): Promise<DiffResult> {
    return attempt(() => {
      const kind = kindOf(type);
      const diff = diffOf(comparable(kind, old.inputs), comparable(kind, inputs));
      if (!diff.changed) return NO_DIFF;
      const detailed = Object.entries(diff.detailed ?? {}).map(([path, change]) => [
        path,
        `${change}-replace`,
      ]);
      return {
        ...diff,
        replaceKeys: diff.changedKeys,
        detailed: Object.fromEntries(detailed) as Record<string, DiffKind>,
      };
    });
  }

  create({ type, dryRun }: ProviderContext, inputs: PropertyMap): Promise<CreateResult> {
    return attempt(() => {
      const kind = kindOf(type);
      const given = complete(kind, inputs);
      const made = dryRun ? unknown(kind) : kind.generate(unwrapMap(given));
      const computed = Object.entries(made.outputs).map(([key, value]) => [
        key,
        kind.computed[key] === "secret" ? secret(value) : value,
      ]);
      const outputs = { ...given, ...kind.fixed, ...(Object.fromEntries(computed) as PropertyMap) };
      return { id: made.id, outputs };
    });
  }

  update({ type }: ProviderContext, old: OldResource, inputs: PropertyMap): Promise<PropertyMap> {
    return attempt(() => ({ ...old.outputs, ...complete(kindOf(type), inputs) }));
  }

  delete(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** What is thrown becomes a rejection. */
// eslint-disable-next-line @typescript-eslint/require-await
async function attempt<T>(work: () => T): Promise<T> {
  return work();
}

function kindOf(type: string): Kind {
  const [, name = ""] = /^random:index\/[^:]*:(.*)$/.exec(type) ?? [];
  const kind = Object.hasOwn(KINDS, name) ? KINDS[name] : undefined;
  if (kind) return kind;
  throw new EngineError(
    `the embedded engine does not have the resource type ${type} (of @pulumi/random it has: ${Object.keys(KINDS).join(", ")}). Use the Pulumi CLI`,
  );
}

function faultsOf(kind: Kind, inputs: PropertyMap): CheckFailure[] {
  const failures: CheckFailure[] = kind.required
    .filter((key) => inputs[key] === undefined)
    .map((property) => ({ property, reason: "missing" }));
  const known: PropertyMap = {};
  for (const [property, marked] of Object.entries(inputs)) {
    const value = unwrapSecrets(marked);
    const type = Object.hasOwn(kind.inputs, property) ? kind.inputs[property] : undefined;
    const fault = type === undefined ? "unknown input" : inputFault(type, value);
    if (type !== undefined && containsUnknown(value)) continue;
    if (fault === undefined) known[property] = value;
    else failures.push({ property, reason: fault });
  }
  return [...failures, ...(kind.check?.(known) ?? [])];
}

function complete(kind: Kind, inputs: PropertyMap): PropertyMap {
  return { ...kind.defaults?.(inputs), ...inputs };
}

/** The inputs with their defaults, without those that are as good as missing. */
function comparable(kind: Kind, inputs: PropertyMap): PropertyMap {
  const entries = Object.entries(complete(kind, inputs)).filter(([, marked]) => {
    const value = unwrapSecrets(marked);
    return value !== "" && !(isMap(value) && Object.keys(value).length === 0);
  });
  return Object.fromEntries(entries);
}

function unknown(kind: Kind): CreateResult {
  return { id: "", outputs: Object.fromEntries(Object.keys(kind.computed).map((key) => [key, UNKNOWN])) };
}
