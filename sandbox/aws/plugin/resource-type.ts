import type { Fault } from "./check";
import type { Cloud } from "./cloud";
import type { Properties, Values } from "./properties";

/** A resource type of AWS' provider, and what its life is in calls of AWS' APIs. */
export interface ResourceType {
  /** As Pulumi has it: `aws:s3/bucket:Bucket`. */
  readonly token: string;
  /** Page of AWS' API reference that the calls follow. */
  readonly reference: string;
  /** What may be asked for. */
  readonly properties: Properties;
  /** Of no region: it has no property `region`. */
  readonly global?: true;
  /** Outputs beside the properties: unknown in a preview of something new. */
  readonly computed: readonly string[];
  /** Computed ones that an update may change. */
  readonly volatile?: readonly string[];
  /** The property that is named for the resource where the program gives none, and the name's longest length. */
  readonly naming?: { readonly property: string; readonly longest: number };
  /** Properties of which the real provider refuses two at once. */
  readonly exclusive?: readonly (readonly [string, string])[];
  /** What is wrong with inputs beyond their forms; an unknown one is left out. */
  inspect?(inputs: Values): Fault[];
  /** Properties whose change replaces with these inputs only. */
  replacesWhen?(inputs: Values): readonly string[];
  /** Makes it. Returns its id, by which all later calls find it. */
  create(cloud: Cloud, inputs: Values): Promise<string>;
  /**
   * Reads what is there under the id: all outputs that AWS tells, among them the properties as AWS has them. Null where there
   * is nothing.
   * @param state What was known of it, for what AWS does not tell.
   */
  read(cloud: Cloud, id: string, state: Values): Promise<Values | null>;
  /** Brings it to the new inputs; without it every property's change replaces. */
  update?(cloud: Cloud, id: string, change: Change): Promise<void>;
  /** Takes it away; what is not there is taken for gone. */
  delete(cloud: Cloud, id: string, state: Values): Promise<void>;
}

/** A change of a resource's inputs. */
export interface Change {
  readonly news: Values;
  /** What was known of it: inputs and outputs. */
  readonly olds: Values;
  /** Names of the properties that changed. */
  readonly changed: ReadonlySet<string>;
}

/** A lookup of AWS' provider. */
export interface LookupFunction {
  /** As Pulumi has it: `aws:index/getRegion:getRegion`. */
  readonly token: string;
  readonly reference: string;
  readonly properties: Properties;
  call(cloud: Cloud, args: Values): Promise<Values>;
}
