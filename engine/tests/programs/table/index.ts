/**
 * Registers what `table.json` says: `{rows: [{name, type, args, options}], outputs}`. In arguments and outputs
 * `{"$output": "NAME.KEY"}` stands for an output of an earlier row, `{"$secret": "KEY"}` for a config secret, `{"$file":
 * PATH}`, `{"$text": TEXT}` and `{"$directory": PATH}` for assets. In options `dependsOn`, `parent` and `deletedWith` are names.
 */
import { readFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import { local, remote } from "@pulumi/command";
import * as random from "@pulumi/random";
import { Group } from "./group";

interface Row {
  name: string;
  /** One of the types below, or a class of `@pulumi/random`. */
  type?: string;
  args?: unknown;
  options?: Record<string, unknown>;
}

const table = JSON.parse(readFileSync("table.json", "utf8")) as {
  rows: Row[];
  outputs: Record<string, unknown>;
};
const config = new pulumi.Config();
const made = new Map<string, pulumi.Resource>();

function find(name: unknown): pulumi.Resource {
  const resource = made.get(String(name));
  if (!resource) throw new Error(`no row ${String(name)} before this one`);
  return resource;
}

function build(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(build);
  if (typeof value !== "object" || value === null) return value;
  const [key, argument] = Object.entries(value)[0] ?? ["", undefined];
  const [name, property = ""] = String(argument).split(".");
  if (key === "$output") return Reflect.get(find(name), property);
  if (key === "$secret") return config.requireSecret(String(argument));
  if (key === "$file") return new pulumi.asset.FileAsset(String(argument));
  if (key === "$text") return new pulumi.asset.StringAsset(String(argument));
  if (key === "$directory") return new pulumi.asset.FileArchive(String(argument));
  return Object.fromEntries(Object.entries(value).map(([each, element]) => [each, build(element)]));
}

function optionsOf({
  dependsOn,
  parent,
  deletedWith,
  ...options
}: Record<string, unknown>): pulumi.CustomResourceOptions {
  return {
    ...options,
    ...(dependsOn === undefined ? {} : { dependsOn: (dependsOn as string[]).map(find) }),
    ...(parent === undefined ? {} : { parent: find(parent) }),
    ...(deletedWith === undefined ? {} : { deletedWith: find(deletedWith) }),
  };
}

class Unknown extends pulumi.CustomResource {
  constructor(name: string, args: object, options: pulumi.CustomResourceOptions) {
    super("elsewhere:index:Thing", name, args, options);
  }
}

const types = {
  local: local.Command,
  remote: remote.Command,
  copy: remote.CopyToRemote,
  component: Group,
  unknown: Unknown,
};
for (const { name, type = "local", args = {}, options = {} } of table.rows) {
  const Type = (Reflect.get(types, type) ?? Reflect.get(random, type)) as new (
    name: string,
    args: unknown,
    options: pulumi.CustomResourceOptions,
  ) => pulumi.Resource;
  made.set(name, new Type(name, build(args), optionsOf(options)));
}

export = build(table.outputs);
