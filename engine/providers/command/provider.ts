import { randomBytes } from "node:crypto";
import { containsUnknown, UNKNOWN, type PropertyMap } from "../../values/property";
import { diffOf, type DiffResult } from "../../values/diff";
import { EngineError } from "../../errors";
import type { CheckResult, CreateResult, OldResource, Provider, ProviderContext } from "../provider";
import { checkCommand, checkCopy } from "./check";
import { ConnectionPool } from "./connection-pool";
import { copyToRemote } from "./copy";
import { keepSecretOutputs } from "./outputs";
import { runLocal } from "./local";
import { runRemote } from "./remote";

/** The command that an operation runs. */
type Operation = "create" | "update" | "delete";

const COPY = "command:remote:CopyToRemote";
const LOCAL = "command:local:Command";
const REMOTE = "command:remote:Command";
const ID_BYTES = 4;

/** The resources of `@pulumi/command` 1.2.1, with that provider's ids, diffs, outputs and error texts. */
export class CommandProvider implements Provider {
  private readonly connections = new ConnectionPool();

  check(context: ProviderContext, _old: PropertyMap | undefined, inputs: PropertyMap): Promise<CheckResult> {
    switch (context.type) {
      case COPY:
        return Promise.resolve(checkCopy(inputs));
      case LOCAL:
        return Promise.resolve(checkCommand(inputs, false));
      case REMOTE:
        return Promise.resolve(checkCommand(inputs, true));
      default:
        return Promise.reject(
          new EngineError(`the embedded engine does not have the resource type ${context.type}`),
        );
    }
  }

  diff(_context: ProviderContext, old: OldResource, inputs: PropertyMap): Promise<DiffResult> {
    const diff = diffOf(old.inputs, inputs);
    const kind = diff.detailed?.["triggers"];
    if (kind === undefined) return Promise.resolve(diff);
    // The key as a whole is marked as replacing; a change of one of its elements is not.
    const replacing = kind.endsWith("-replace") ? kind : (`${kind}-replace` as typeof kind);
    return Promise.resolve({
      ...diff,
      replaceKeys: ["triggers"],
      detailed: { ...diff.detailed, triggers: replacing },
    });
  }

  async create(context: ProviderContext, inputs: PropertyMap): Promise<CreateResult> {
    if (context.type === COPY) {
      if (context.dryRun) return { id: "", outputs: inputs };
      await copyToRemote(context, this.connections, inputs);
      return { id: randomBytes(ID_BYTES).toString("hex"), outputs: inputs };
    }
    const id = `${context.name}${randomBytes(ID_BYTES).toString("hex")}`;
    const outputs = await this.run(context, "create", inputs, { stdout: "", stderr: "" });
    return { id: context.dryRun ? "" : id, outputs };
  }

  async update(context: ProviderContext, old: OldResource, inputs: PropertyMap): Promise<PropertyMap> {
    if (context.type !== COPY) {
      const { stdout = "", stderr = "", assets, archive } = old.outputs;
      const earlier = {
        stdout,
        stderr,
        ...(assets === undefined ? {} : { assets }),
        ...(archive === undefined ? {} : { archive }),
      };
      return this.run(context, "update", inputs, earlier);
    }
    const changed = diffOf(
      { source: old.inputs["source"] ?? null, remotePath: old.inputs["remotePath"] ?? null },
      { source: inputs["source"] ?? null, remotePath: inputs["remotePath"] ?? null },
    ).changed;
    if (changed && !context.dryRun) await copyToRemote(context, this.connections, inputs);
    return inputs;
  }

  async delete(context: ProviderContext, old: OldResource): Promise<void> {
    if (context.type === COPY || context.dryRun) return;
    await this.run(context, "delete", old.outputs, old.outputs);
  }

  async close(): Promise<void> {
    await this.connections.close();
  }

  /** Runs the command of an operation and returns the outputs: the inputs, and what it printed. */
  private async run(
    context: ProviderContext,
    operation: Operation,
    inputs: PropertyMap,
    earlier: PropertyMap,
  ): Promise<PropertyMap> {
    if (context.dryRun) return { ...inputs, ...unknownOutputs(earlier) };
    const command = inputs[operation] ?? (operation === "update" ? inputs["create"] : undefined);
    if (command === undefined || command === null) return { ...inputs, ...earlier };
    if (containsUnknown(inputs)) throw new EngineError(`an input of ${context.name} is still unknown`);
    const printed =
      context.type === LOCAL
        ? await runLocal(context, command, inputs, earlier)
        : await runRemote(context, this.connections, command, inputs, earlier);
    return { ...inputs, ...keepSecretOutputs(inputs, printed) };
  }
}

function unknownOutputs(earlier: PropertyMap): PropertyMap {
  return Object.fromEntries(Object.keys(earlier).map((key) => [key, UNKNOWN]));
}
