import type { ResourceState } from "../state/resource";
import { makeUrn, parseProviderReference, parseUrn } from "../state/urn";
import type { Goal } from "./goal";

/** Finds resources that the state knows under an earlier URN, and gives them the new one. */
export class Aliases {
  /** The earlier URNs of renamed resources, by their new one. */
  private readonly former = new Map<string, string>();

  /**
   * `live` are the state's resources by URN, those aside that wait for their deletion; `resources` are all of them.
   * `isTaken` says whether the program has registered a URN.
   */
  constructor(
    private readonly live: Map<string, ResourceState>,
    private readonly resources: readonly ResourceState[],
    private readonly isTaken: (urn: string) => boolean,
  ) {}

  /**
   * The resource that a goal means by one of its aliases, or by an alias of its parent, under the URN that it has from now
   * on; undefined where the state has none.
   */
  find(urn: string, goal: Goal): ResourceState | undefined {
    const found = this.candidates(urn, goal).find((each) => this.live.has(each) && !this.isTaken(each));
    const resource = found === undefined ? undefined : this.live.get(found);
    if (resource) this.rename(resource, urn, goal.type);
    return resource;
  }

  private candidates(urn: string, { parent, aliases }: Goal): string[] {
    const former = this.former.get(parent);
    if (former === undefined) return [...aliases];
    const names = { now: parseUrn(parent).name, before: parseUrn(former).name };
    const inherited = [urn, ...aliases].map((each) => {
      const { stack, project, type, name } = parseUrn(each);
      // Many a component begins the names of its children with its own.
      const own = name.startsWith(names.now) ? `${names.before}${name.slice(names.now.length)}` : name;
      return makeUrn(stack, project, former, type, own);
    });
    return [...aliases, ...inherited];
  }

  /** Changes the URN, and every reference to it: what refers to it may be registered later, or never again. */
  private rename(resource: ResourceState, urn: string, type: string): void {
    const before = resource.urn;
    const renamed = (each: string): string => (each === before ? urn : each);
    for (const each of this.resources) {
      each.parent = renamed(each.parent ?? "");
      each.deletedWith = renamed(each.deletedWith ?? "");
      each.dependencies = (each.dependencies ?? []).map(renamed);
      each.propertyDependencies = Object.fromEntries(
        Object.entries(each.propertyDependencies ?? {}).map(([key, urns]) => [key, urns.map(renamed)]),
      );
      if (each.provider) {
        const reference = parseProviderReference(each.provider);
        each.provider = `${renamed(reference.urn)}::${reference.id}`;
      }
    }
    resource.urn = urn;
    resource.type = type;
    this.live.delete(before);
    this.live.set(urn, resource);
    this.former.set(urn, before);
  }
}
