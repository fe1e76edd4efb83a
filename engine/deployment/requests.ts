import type {
  ReadResourceRequest,
  RegisterResourceRequest,
  ResourceInvokeRequest,
} from "@pulumi/pulumi/proto/resource_pb";
import { EngineError } from "../errors";
import { isProviderType, makeUrn, parseUrn } from "../state/urn";
import type { PropertyMap } from "../values/property";
import type { CustomTimeouts } from "../state/resource";
import { parseDuration, type FunctionCall, type Goal, type ReadGoal } from "./goal";

/** Fails, naming it, where a registration uses an option that the engine lacks. */
export function refuseUnsupported(request: RegisterResourceRequest): void {
  const used: Record<string, boolean> = {
    import: request.getImportid() !== "",
    "remote component": request.getRemote(),
    transforms: request.getTransformsList().length > 0,
    hooks: request.hasHooks(),
    replaceWith: request.getReplaceWithList().length > 0,
    replacementTrigger: request.hasReplacementTrigger(),
    hideDiffs: request.getHidediffsList().length > 0,
    stateMigrations: request.getStateMigrationsList().length > 0,
    pluginDownloadURL: request.getPlugindownloadurl() !== "",
    "parameterized package": request.getPackageref() !== "",
  };
  refuseUsed(used, "on resources");
}

/** Fails, naming it, where a read or a function's call uses an option that the engine lacks. */
export function refuseUnsupportedPackage(request: ReadResourceRequest | ResourceInvokeRequest): void {
  const used = {
    pluginDownloadURL: request.getPlugindownloadurl() !== "",
    "parameterized package": request.getPackageref() !== "",
  };
  refuseUsed(used, "here");
}

function refuseUsed(used: Readonly<Record<string, boolean>>, where: string): void {
  const names = Object.keys(used).filter((name) => used[name]);
  if (names.length === 0) return;
  const list = names.map((name) => `"${name}"`).join(", ");
  throw new EngineError(`the embedded engine does not support ${list} ${where}. Use the Pulumi CLI`);
}

/** Reads a registration; `projectRoot` is what the place in the source is told relative to. */
export function goalOf(request: RegisterResourceRequest, projectRoot: string): Goal {
  return {
    type: request.getType(),
    name: request.getName(),
    parent: request.getParent(),
    custom: request.getCustom(),
    inputs: inputsOf(request),
    provider: request.getProvider(),
    version: request.getVersion(),
    dependencies: request.getDependenciesList(),
    propertyDependencies: Object.fromEntries(
      [...request.getPropertydependenciesMap().entries()].map(([key, value]) => [key, value.getUrnsList()]),
    ),
    protect: request.hasProtect() ? request.getProtect() : undefined,
    retainOnDelete: request.hasRetainondelete() ? request.getRetainondelete() : undefined,
    deleteBeforeReplace: request.getDeletebeforereplacedefined()
      ? request.getDeletebeforereplace()
      : undefined,
    deletedWith: request.getDeletedwith(),
    ignoreChanges: request.getIgnorechangesList(),
    replaceOnChanges: request.getReplaceonchangesList(),
    additionalSecretOutputs: request.getAdditionalsecretoutputsList(),
    customTimeouts: timeoutsOf(request),
    aliases: aliasesOf(request),
    sourcePosition: positionOf(request, projectRoot),
  };
}

/** A provider resource keeps the version of its package among its inputs, as a default provider does. */
function inputsOf(request: RegisterResourceRequest): PropertyMap {
  const inputs: PropertyMap = request.getObject()?.toJavaScript() ?? {};
  const version = request.getVersion();
  return isProviderType(request.getType()) && version !== "" ? { ...inputs, version } : inputs;
}

/** Reads the wish to know an existing resource; `projectRoot` as above. */
export function readGoalOf(request: ReadResourceRequest, projectRoot: string): ReadGoal {
  return {
    type: request.getType(),
    name: request.getName(),
    parent: request.getParent(),
    id: request.getId(),
    inputs: request.getProperties()?.toJavaScript() ?? {},
    provider: request.getProvider(),
    version: request.getVersion(),
    dependencies: request.getDependenciesList(),
    additionalSecretOutputs: request.getAdditionalsecretoutputsList(),
    sourcePosition: positionOf(request, projectRoot),
  };
}

/** Reads the call of a function. */
export function functionCallOf(request: ResourceInvokeRequest): FunctionCall {
  return {
    token: request.getTok(),
    arguments: request.getArgs()?.toJavaScript() ?? {},
    provider: request.getProvider(),
    version: request.getVersion(),
    dependencies: request.getDependsonList(),
  };
}

function timeoutsOf(request: RegisterResourceRequest): CustomTimeouts {
  const timeouts = request.getCustomtimeouts();
  const entries = [
    ["create", timeouts?.getCreate()],
    ["update", timeouts?.getUpdate()],
    ["delete", timeouts?.getDelete()],
  ] as const;
  return Object.fromEntries(entries.flatMap(([key, text]) => (text ? [[key, parseDuration(text)]] : [])));
}

/** The old URNs of a resource, as far as they can be told from its own aliases. */
function aliasesOf(request: RegisterResourceRequest): string[] {
  const specs = request.getAliasesList().flatMap((alias) => {
    const spec = alias.getSpec();
    if (!spec) return [alias.getUrn()];
    const parent = spec.getNoparent() ? "" : spec.getParenturn() || request.getParent();
    const owner = parent === "" ? undefined : parseUrn(parent);
    const [stack, project] = [spec.getStack() || owner?.stack, spec.getProject() || owner?.project];
    if (stack === undefined || project === undefined) return [];
    return [
      makeUrn(
        stack,
        project,
        parent,
        spec.getType() || request.getType(),
        spec.getName() || request.getName(),
      ),
    ];
  });
  return [...specs, ...request.getAliasurnsList()];
}

/** Where the program registers the resource, without the place of the project on this machine. */
function positionOf(request: RegisterResourceRequest | ReadResourceRequest, projectRoot: string): string {
  const position = request.getSourceposition();
  const prefix = `file://${projectRoot}/`;
  if (!position?.getUri().startsWith(prefix)) return "";
  const path = position.getUri().slice(prefix.length);
  return `project:///${path}#${String(position.getLine())},${String(position.getColumn())}`;
}
