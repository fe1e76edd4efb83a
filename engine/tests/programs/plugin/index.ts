/**
 * Registers what `table.json` says of the package `shelf`, whose provider is a plugin (`../../plugin/shelf.ts`): `{rows:
 * [{name, kind, args, options, get, call}], outputs}`. In arguments and outputs `{"$output": "NAME.KEY"}` stands for an
 * output of an earlier row, `{"$secret": "KEY"}` for a config secret; in options `provider`, `parent`, `dependsOn` and
 * `deletedWith` are names.
 */
import { readFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";

interface Row {
  name: string;
  /** Default: a box. */
  kind?: "box" | "provider" | "group" | "get" | "call" | "plain call";
  args?: Record<string, unknown>;
  options?: Record<string, unknown>;
  /** The id of an existing box. */
  get?: string;
  /** The token of a function. */
  call?: string;
}

const table = JSON.parse(readFileSync("table.json", "utf8")) as {
  rows: Row[];
  outputs: Record<string, unknown>;
};
const config = new pulumi.Config();
const VERSION = "1.2.3";

class Box extends pulumi.CustomResource {
  declare readonly volume: pulumi.Output<number>;
  declare readonly label: pulumi.Output<string>;

  constructor(name: string, args: object, options: pulumi.CustomResourceOptions) {
    super(
      "shelf:index:Box",
      name,
      { volume: undefined, label: undefined, name: undefined, owner: undefined, note: undefined, ...args },
      { ...options, version: VERSION },
    );
  }
}

class Shelf extends pulumi.ProviderResource {
  constructor(name: string, args: pulumi.Inputs, options: pulumi.ResourceOptions) {
    super("shelf", name, args, { ...options, version: VERSION });
  }
}

class Group extends pulumi.ComponentResource {
  constructor(name: string, options: pulumi.ComponentResourceOptions) {
    super("table:index:Group", name, {}, options);
    this.registerOutputs({});
  }
}

const made = new Map<string, unknown>();

function find(name: unknown): pulumi.Resource {
  return made.get(String(name)) as pulumi.Resource;
}

function build(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(build);
  if (typeof value !== "object" || value === null) return value;
  const [key, argument] = Object.entries(value)[0] ?? ["", undefined];
  const [name = "", property = ""] = String(argument).split(".");
  if (key === "$output") return Reflect.get(made.get(name) as object, property);
  if (key === "$secret") return config.requireSecret(String(argument));
  return Object.fromEntries(Object.entries(value).map(([each, element]) => [each, build(element)]));
}

function optionsOf({
  provider,
  parent,
  dependsOn,
  deletedWith,
  ...options
}: Record<string, unknown>): object {
  return {
    ...options,
    ...(provider === undefined ? {} : { provider: find(provider) }),
    ...(parent === undefined ? {} : { parent: find(parent) }),
    ...(dependsOn === undefined ? {} : { dependsOn: (dependsOn as string[]).map(find) }),
    ...(deletedWith === undefined ? {} : { deletedWith: find(deletedWith) }),
  };
}

async function make({ name, kind = "box", args = {}, options = {}, get, call }: Row): Promise<unknown> {
  const [inputs, own] = [build(args) as pulumi.Inputs, optionsOf(options)];
  if (kind === "provider") return new Shelf(name, inputs, own);
  if (kind === "group") return new Group(name, own);
  if (kind === "get") return new Box(name, inputs, { ...own, id: get ?? build(options["id"]) } as object);
  const invokeOptions = { ...own, version: VERSION };
  if (kind === "call") return pulumi.runtime.invokeOutput(call ?? "", inputs, invokeOptions);
  if (kind === "plain call")
    return pulumi.runtime.invoke(call ?? "", inputs, invokeOptions) as Promise<unknown>;
  return new Box(name, inputs, own);
}

export = async (): Promise<unknown> => {
  for (const row of table.rows) made.set(row.name, await make(row));
  return build(table.outputs);
};
