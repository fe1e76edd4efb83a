import * as pulumi from "@pulumi/pulumi";

/**
 * A value that is known now, once resources are done: what has it as an input waits for them, and yet is not changed by
 * them. By their URNs, which a preview knows of a new resource, too, while an id it would not.
 */
export function doneAfter<T>(
  value: pulumi.Input<T>,
  resources: readonly pulumi.Resource[],
): pulumi.Output<pulumi.Unwrap<T>> {
  const urns = pulumi.all(resources.map(({ urn }) => urn));
  return pulumi.all([pulumi.output(value), urns]).apply(([known]) => known) as pulumi.Output<
    pulumi.Unwrap<T>
  >;
}
