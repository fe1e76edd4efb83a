import { diffOf, type DiffResult } from "../../values/diff";
import { isMap, type PropertyMap, type PropertyValue } from "../../values/property";
import type {
  CheckResult,
  CreateResult,
  InvokeResult,
  OldResource,
  Provider,
  ProviderContext,
  ReadResult,
} from "../provider";

/** Where a bridged provider notes which of the inputs beside it are its own defaults. */
const DEFAULTS = "__defaults";

/**
 * Stands in for a provider that must not be asked, in a plan that changes nothing: what it would answer is unknown, and
 * its outputs are the inputs and unknowns (which the SDK fills in for all that is not there).
 */
export class StandInProvider implements Provider {
  /** Functions that were called, by token. */
  readonly functions = new Set<string>();

  check(_context: ProviderContext, old: PropertyMap | undefined, inputs: PropertyMap): Promise<CheckResult> {
    return Promise.resolve({ inputs: old ? withFilledIn(inputs, old) : inputs, failures: [] });
  }

  diff(_context: ProviderContext, old: OldResource, inputs: PropertyMap): Promise<DiffResult> {
    return Promise.resolve(diffOf(old.inputs, inputs));
  }

  create(_context: ProviderContext, inputs: PropertyMap): Promise<CreateResult> {
    return Promise.resolve({ id: "", outputs: inputs });
  }

  update(_context: ProviderContext, _old: OldResource, inputs: PropertyMap): Promise<PropertyMap> {
    return Promise.resolve(inputs);
  }

  delete(): Promise<void> {
    return Promise.resolve();
  }

  read(_context: ProviderContext, { id, inputs }: OldResource): Promise<ReadResult> {
    return Promise.resolve({ id, outputs: inputs, unknown: true });
  }

  invoke(token: string): Promise<InvokeResult> {
    this.functions.add(token);
    return Promise.resolve({ outputs: {}, failures: [], unknown: true });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/**
 * The inputs with what the provider's check had filled in before. A bridged provider says what that was; of any other,
 * everything counts that the program does not set, so that an input that was taken away does not show.
 */
function withFilledIn(inputs: PropertyMap, old: PropertyMap): PropertyMap {
  const defaults = old[DEFAULTS];
  const isFilledIn = (key: string): boolean =>
    Array.isArray(defaults) ? key === DEFAULTS || defaults.includes(key) : true;
  const filledIn = Object.entries(old).filter(([key]) => inputs[key] === undefined && isFilledIn(key));
  const kept = Object.entries(inputs).map(([key, value]): [string, PropertyValue] => [
    key,
    withDefaults(value, old[key]),
  ]);
  return Object.fromEntries([...kept, ...filledIn]);
}

/** The same inside a value, where only a note of the provider's own counts. */
function withDefaults(value: PropertyValue, old: PropertyValue | undefined): PropertyValue {
  if (Array.isArray(value) && Array.isArray(old))
    return value.map((element, index) => withDefaults(element, old[index]));
  if (!isMap(value) || !isMap(old)) return value;
  if (Array.isArray(old[DEFAULTS])) return withFilledIn(value, old);
  return Object.fromEntries(
    Object.entries(value).map(([key, element]) => [key, withDefaults(element, old[key])]),
  );
}
