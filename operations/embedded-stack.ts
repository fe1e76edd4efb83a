import { EngineError, ExitCode } from "../engine/errors";
import { readCheckpoint } from "../engine/state/checkpoint";
import { STACK_TYPE } from "../engine/state/urn";
import { containsSecret, unwrapSecrets } from "../engine/values/property";
import { openSession, Stack as EngineStack } from "../engine/workspace/session";
import { OpsError, OpsExit } from "./faults";
import { rawConfigOf } from "./raw-config";
import type { Stack, StackConfig, StackOutput, StackReference } from "./stack";

/** A stack that the embedded engine keeps, read in this very process. */
export class EmbeddedStack implements Stack {
  constructor(
    private readonly reference: StackReference,
    private readonly environment: NodeJS.ProcessEnv,
  ) {}

  config(): Promise<StackConfig> {
    return this.reading(async (stack) => {
      const { project } = stack.session;
      const raw = rawConfigOf(project.name, stack.reference.stack, await stack.config());
      return { raw, projectDirectory: project.root };
    });
  }

  outputs(): Promise<Readonly<Record<string, StackOutput>>> {
    return this.reading(async (stack) => {
      if (stack.checkpoint === undefined) return {};
      const crypter = stack.hasSecrets ? await stack.crypter() : undefined;
      const { resources } = readCheckpoint(stack.checkpoint, crypter);
      const outputs = resources.find(({ type }) => type === STACK_TYPE)?.outputs ?? {};
      return Object.fromEntries(
        Object.entries(outputs).map(([name, value]) => [
          name,
          { value: unwrapSecrets(value), secret: containsSecret(value) },
        ]),
      );
    });
  }

  private async reading<T>(read: (stack: EngineStack) => Promise<T>): Promise<T> {
    const { directory, name } = this.reference;
    try {
      return await read(
        await EngineStack.open(openSession({ cwd: directory }, this.environment), { stack: name }),
      );
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      const isUsage = error.exitCode === ExitCode.configuration;
      throw new OpsError(error.message, isUsage ? OpsExit.usage : OpsExit.unreachable);
    }
  }
}
