import { resolve } from "node:path";
import type { LocalWorkspace } from "@pulumi/pulumi/automation";
import { findProjectDirectory } from "../engine/workspace/project";
import { OpsError, OpsExit } from "./faults";
import { rawConfigOf } from "./raw-config";
import type { Stack, StackConfig, StackOutput, StackReference } from "./stack";

/** A stack that the Pulumi CLI keeps, read through Pulumi's Automation API. */
export class AutomationStack implements Stack {
  constructor(private readonly reference: StackReference) {}

  config(): Promise<StackConfig> {
    return this.reading(async (workspace, stack) => {
      const { name } = await workspace.projectSettings();
      const values = Object.entries(await workspace.getAllConfig(stack)).map(
        ([key, { value, secret = false }]) => [key, { text: value, secret }] as const,
      );
      return { raw: rawConfigOf(name, stack, values), projectDirectory: workspace.workDir };
    });
  }

  outputs(): Promise<Readonly<Record<string, StackOutput>>> {
    return this.reading((workspace, stack) => workspace.stackOutputs(stack));
  }

  private async reading<T>(read: (workspace: LocalWorkspace, stack: string) => Promise<T>): Promise<T> {
    const { directory, name } = this.reference;
    const workDir = findProjectDirectory(directory);
    if (workDir === undefined) {
      throw new OpsError(`no Pulumi.yaml in ${resolve(directory)} or above it`, OpsExit.usage);
    }
    // It takes a second to load, which only those pay who have the CLI.
    const automation = await import("@pulumi/pulumi/automation/index.js");
    try {
      const workspace = await automation.LocalWorkspace.create({ workDir });
      const stack = name ?? (await workspace.stack())?.name;
      if (stack !== undefined) return await read(workspace, stack);
    } catch (error) {
      throw new OpsError(reasonOf(error), OpsExit.unreachable);
    }
    throw new OpsError(
      "no stack selected: use `pulumi stack select NAME`, or the flag --stack",
      OpsExit.unreachable,
    );
  }
}

/** Why a call failed. What the CLI printed on standard output may be a config in clear, and is left out. */
function reasonOf(error: unknown): string {
  if (error instanceof SyntaxError)
    return "the Pulumi CLI answered with what is no JSON; see `pulumi version`";
  const { commandResult } = error as { commandResult?: { err?: { stderr?: string } } };
  if (commandResult === undefined) return (error as Error).message.split("\n", 1)[0] ?? "";
  // Not the result's own `stderr`, which is all that was printed, standard output too.
  const said = commandResult.err?.stderr ?? "";
  return said.trim().replace(/^error: /, "") || "the Pulumi CLI failed without a word";
}
