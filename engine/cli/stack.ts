import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { EngineError, ExitCode } from "../errors";
import { fullName } from "../state/backend";
import { readCheckpoint, writeCheckpoint } from "../state/checkpoint";
import type { ResourceState } from "../state/resource";
import { parseUrn, STACK_TYPE } from "../state/urn";
import { redact, unwrapSecrets, type PropertyMap, type PropertyValue } from "../values/property";
import { openSession, Stack, stackReference, type Session } from "../workspace/session";
import { selectStack, selectedStack, shortStackName } from "../workspace/selection";
import { approve, requireApprovable } from "./confirm";
import { print, type CommandOptions } from "./options";

/** `stack init`: makes an empty stack with a key of its own, and selects it. */
export async function init(name: string | undefined, options: CommandOptions): Promise<void> {
  const session = openSession(options);
  const wanted = name ?? options.stack;
  if (wanted === undefined) throw new EngineError("missing stack name", ExitCode.configuration);
  if ((options.secretsProvider ?? "passphrase") !== "passphrase") {
    throw new EngineError(
      `the secrets provider "${options.secretsProvider ?? ""}" is not supported by the embedded engine: only "passphrase"`,
      ExitCode.configuration,
    );
  }
  await create(session, wanted, options);
}

async function create(session: Session, name: string, options: CommandOptions): Promise<void> {
  const reference = stackReference(session.project, name);
  if (await session.backend.load(reference)) {
    throw new EngineError(`stack '${fullName(reference)}' already exists`);
  }
  const stack = await Stack.open(session, { ...options, stack: name }, false);
  await stack.crypter();
  const empty = { resources: [], pendingOperations: [], salt: stack.salt };
  await session.backend.save(reference, writeCheckpoint(fullName(reference), empty, undefined, new Date()));
  if (options.select !== false)
    selectStack(session.project, session.backendUrl, fullName(reference), session.environment);
  print(`Created stack '${reference.stack}'`);
}

/** `stack select`: what other commands take where they are given no stack. */
export async function select(name: string | undefined, options: CommandOptions): Promise<void> {
  const session = openSession(options);
  const wanted = name ?? options.stack;
  if (wanted === undefined) throw new EngineError("missing stack name", ExitCode.configuration);
  const reference = stackReference(session.project, wanted);
  if (!(await session.backend.load(reference))) {
    if (options.create) return create(session, wanted, options);
    throw new EngineError(`no stack named '${reference.stack}' found`, ExitCode.stackNotFound);
  }
  selectStack(session.project, session.backendUrl, fullName(reference), session.environment);
}

/** `stack ls`: the project's stacks, the selected one with a star. */
export async function list(options: CommandOptions): Promise<void> {
  const session = openSession(options);
  const selected = options.stack ?? selectedStack(session.project, session.backendUrl, session.environment);
  const names = await session.backend.stacks(session.project.name);
  const rows = await Promise.all(
    names.map(async (name) => {
      const file = await session.backend.load({ project: session.project.name, stack: name });
      return {
        name,
        current: name === (selected && shortStackName(selected)),
        resourceCount: file?.checkpoint.latest?.resources?.length ?? 0,
      };
    }),
  );
  if (options.json) {
    print(JSON.stringify(rows, undefined, 2));
    return;
  }
  print(
    ["NAME", "RESOURCE COUNT"]
      .map((title) => title.padEnd(24))
      .join("")
      .trimEnd(),
  );
  for (const { name, current, resourceCount } of rows)
    print(`${`${name}${current ? "*" : ""}`.padEnd(24)}${String(resourceCount)}`);
}

/** `stack output`: one output, or all. A secret is masked where it stands, unless `--show-secrets` is given. */
export async function output(name: string | undefined, options: CommandOptions): Promise<void> {
  const stack = await Stack.open(openSession(options), options);
  const outputs = outputsOf(await resourcesOf(stack));
  if (name !== undefined) {
    const value = outputs[name];
    if (value === undefined) throw new EngineError(`current stack does not have output property '${name}'`);
    const shown = shownValue(value, options.showSecrets);
    print(options.json || typeof shown !== "string" ? JSON.stringify(shown) : shown);
    return;
  }
  if (options.json) print(JSON.stringify(shownValue(outputs, options.showSecrets), undefined, 2));
  else printOutputs(outputs, options.showSecrets);
}

/** `stack`: its resources and outputs. */
export async function show(options: CommandOptions): Promise<void> {
  const stack = await Stack.open(openSession(options), options);
  const resources = await resourcesOf(stack);
  print(`Current stack is ${stack.reference.stack}:`);
  print(`Current stack resources (${String(resources.length)}):`);
  for (const resource of resources) {
    const { type, name } = parseUrn(resource.urn);
    const notes = [
      resource.delete && "pending deletion",
      resource.pendingReplacement && "pending replacement",
      resource.protect && "protected",
    ];
    print(
      `    ${type}  ${name}${notes
        .filter(Boolean)
        .map((note) => ` (${String(note)})`)
        .join("")}`,
    );
    if (options.showUrns) print(`        URN: ${resource.urn}`);
  }
  printOutputs(outputsOf(resources), options.showSecrets);
}

/** `stack rm`: removes a stack and its config file. */
export async function remove(name: string | undefined, options: CommandOptions): Promise<void> {
  const session = openSession(options);
  const stack = await Stack.open(session, { ...options, stack: name ?? options.stack });
  const count = stack.checkpoint?.checkpoint.latest?.resources?.length ?? 0;
  if (count > 0 && !options.force) {
    throw new EngineError(
      `'${stack.reference.stack}' still has ${String(count)} resource(s); destroy it first, or use --force to remove it and leave them behind`,
    );
  }
  requireApprovable(options, "--yes");
  await approve(options, `This will permanently remove the '${stack.reference.stack}' stack. Proceed?`);
  await session.backend.remove(stack.reference);
  if (!options.preserveConfig && existsSync(stack.configFile.path)) await rm(stack.configFile.path);
  if (selectedStack(session.project, session.backendUrl, session.environment) === stack.reference.stack)
    selectStack(session.project, session.backendUrl, undefined, session.environment);
  print(`Stack '${stack.reference.stack}' has been removed!`);
}

async function resourcesOf(stack: Stack): Promise<readonly ResourceState[]> {
  if (!stack.checkpoint) return [];
  return readCheckpoint(stack.checkpoint, stack.hasSecrets ? await stack.crypter() : undefined).resources;
}

function outputsOf(resources: readonly ResourceState[]): PropertyMap {
  return resources.find(({ type }) => type === STACK_TYPE)?.outputs ?? {};
}

function shownValue(value: PropertyValue, clear: boolean | undefined): PropertyValue {
  return clear ? unwrapSecrets(value) : redact(value);
}

function printOutputs(outputs: PropertyMap, showSecrets: boolean | undefined): void {
  const names = Object.keys(outputs).sort();
  print(`Current stack outputs (${String(names.length)}):`);
  if (names.length === 0) print("    No output values currently in this stack");
  const width = Math.max(6, ...names.map((name) => name.length));
  for (const name of names) {
    const value = shownValue(outputs[name] ?? null, showSecrets);
    print(`    ${name.padEnd(width)}  ${typeof value === "string" ? value : JSON.stringify(value)}`);
  }
}
