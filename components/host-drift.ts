import * as pulumi from "@pulumi/pulumi";
import type { DriftArgs, Part } from "./drift-provider";

/** Arguments of {@link HostDrift}, in Pulumi's terms. */
export type HostDriftArgs = { readonly [Key in keyof DriftArgs]: pulumi.Input<DriftArgs[Key]> };

/**
 * What the state keeps as the provider, and Pulumi's process for such providers runs. `pulumi.dynamic.Resource` would
 * put the provider's own compiled text here: that takes the TypeScript compiler at every run, and shows as a change
 * whenever the compiler or the provider does. The process runs in the program's folder.
 */
const PROVIDER =
  'exports.handler = () => require(require("node:path").resolve("dist/drift-provider.js")).provider;';

/**
 * Asks the host, in every preview and before every `up`, what somebody changed on it by hand: commands have no Read, so
 * that nobody else would notice. What has {@link HostDrift.mends} as an input is done again when something was found.
 *
 * Nobody is asked when it is made, nor where the host is another one than before.
 */
export class HostDrift extends pulumi.CustomResource {
  /** How often each part was found changed: another number each time. Known in every preview. */
  readonly mends!: pulumi.Output<Readonly<Record<Part, number>>>;

  constructor(name: string, args: HostDriftArgs, opts?: pulumi.CustomResourceOptions) {
    const inputs = { ...args, connection: pulumi.secret(args.connection) };
    const type = "pulumi-nodejs:dynamic/vehicleservice:HostDrift";
    super(type, name, { ...inputs, mends: undefined, __provider: PROVIDER }, opts);
  }
}
