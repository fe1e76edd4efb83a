import { parseUrn, PROVIDER_TYPE_PREFIX } from "../state/urn";
import type { ResourceState } from "../state/resource";
import { UNKNOWN } from "../values/property";
import type { Goal } from "./goal";

/** Registers the default provider of each package and version that a program uses, once. */
export class ProviderResources {
  private readonly registered = new Map<string, Promise<string>>();

  constructor(private readonly register: (goal: Goal) => Promise<ResourceState>) {}

  /** The reference (`URN::ID`) of a package's default provider. */
  async reference(packageName: string, version: string): Promise<string> {
    const name = version === "" ? "default" : `default_${version.replace(/[^A-Za-z0-9]/g, "_")}`;
    const key = `${packageName} ${name}`;
    const known = this.registered.get(key);
    if (known) return known;
    const reference = this.register(goalFor(packageName, name, version)).then(({ urn, id }) => `${urn}::${id || UNKNOWN}`);
    this.registered.set(key, reference);
    return reference;
  }

  /** Whether a provider's URN is that of a default one. */
  isDefault(urn: string): boolean {
    return /^default(?:_|$)/.test(parseUrn(urn).name);
  }
}

function goalFor(packageName: string, name: string, version: string): Goal {
  return {
    type: `${PROVIDER_TYPE_PREFIX}${packageName}`,
    name,
    parent: "",
    custom: true,
    inputs: version === "" ? {} : { version },
    provider: "",
    version: "",
    dependencies: [],
    propertyDependencies: {},
    protect: undefined,
    retainOnDelete: undefined,
    deleteBeforeReplace: undefined,
    deletedWith: "",
    ignoreChanges: [],
    replaceOnChanges: [],
    additionalSecretOutputs: [],
    customTimeouts: {},
    aliases: [],
    sourcePosition: "",
  };
}
