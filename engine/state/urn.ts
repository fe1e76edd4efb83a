/** The type of the root resource that every stack has. */
export const STACK_TYPE = "pulumi:pulumi:Stack";

/** The prefix of the types of provider resources. */
export const PROVIDER_TYPE_PREFIX = "pulumi:providers:";

/** The parts of a resource name that the engine needs. */
export interface UrnParts {
  readonly stack: string;
  readonly project: string;
  /** Types of the parents and the type itself, joined by `$`. */
  readonly qualifiedType: string;
  readonly type: string;
  readonly name: string;
}

/** Splits a URN. Throws where the text is not one. */
export function parseUrn(urn: string): UrnParts {
  // A name may itself hold "::", so only the first three separators count.
  const match = /^urn:pulumi:(.*?)::(.*?)::(.*?)::(.*)$/s.exec(urn);
  if (!match) throw new Error(`"${urn}" is not a URN (urn:pulumi:STACK::PROJECT::TYPE::NAME)`);
  const [, stack = "", project = "", qualifiedType = "", name = ""] = match;
  return {
    stack,
    project,
    qualifiedType,
    type: qualifiedType.slice(qualifiedType.lastIndexOf("$") + 1),
    name,
  };
}

/** Builds a URN; the stack's own type does not become part of its children's. */
export function makeUrn(stack: string, project: string, parent: string, type: string, name: string): string {
  const parentType = parent === "" ? "" : parseUrn(parent).qualifiedType;
  const qualified = parentType === "" || parentType === STACK_TYPE ? type : `${parentType}$${type}`;
  return `urn:pulumi:${stack}::${project}::${qualified}::${name}`;
}

/** Whether the type is that of a provider resource. */
export function isProviderType(type: string): boolean {
  return type.startsWith(PROVIDER_TYPE_PREFIX);
}

/** The package of a provider type: `aws` of `pulumi:providers:aws`. */
export function packageOfProvider(type: string): string {
  return type.slice(PROVIDER_TYPE_PREFIX.length);
}

/** The package of a resource type: `command` of `command:remote:Command`. */
export function packageOf(type: string): string {
  return type.slice(0, type.indexOf(":"));
}

/** Splits a provider reference `URN::ID`. Throws where the text is not one. */
export function parseProviderReference(reference: string): { readonly urn: string; readonly id: string } {
  const separator = reference.lastIndexOf("::");
  if (separator <= 0) throw new Error(`"${reference}" is not a provider reference (URN::ID)`);
  return { urn: reference.slice(0, separator), id: reference.slice(separator + 2) };
}
