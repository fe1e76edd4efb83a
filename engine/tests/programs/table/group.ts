import * as pulumi from "@pulumi/pulumi";

/** A component without anything of its own. */
export class Group extends pulumi.ComponentResource {
  constructor(name: string, _args: unknown, options: pulumi.ComponentResourceOptions) {
    super("table:index:Group", name, {}, options);
    this.registerOutputs({});
  }
}
