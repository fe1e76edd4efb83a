import { pathToFileURL } from "node:url";
import { EngineError, ExitCode, messageOf } from "../errors";
import { withText, type ConfigValue } from "./config";

/** Names a module that is asked for the values of an offline plan; of nothing else. */
export const OFFLINE_VALUES_VARIABLE = "PULUMI_OFFLINE_VALUES";

/** A value as such a module has it: a text, or a tree; decrypted. */
export interface OfflineValue {
  readonly value: unknown;
  /** Whether it, or anything in it, is never shown. */
  readonly secret: boolean;
}

/** What such a module is told. */
export interface OfflineConfig {
  /** Name of the stack's config file, for notices. */
  readonly file: string;
  /** The project's name: the namespace of its own keys. */
  readonly namespace: string;
  /** The stack's values with the project's defaults, by full key. */
  readonly values: ReadonlyMap<string, OfflineValue>;
}

/** What such a module answers. */
export interface OfflineValues {
  /** The values that the plan is made with. */
  readonly values: ReadonlyMap<string, OfflineValue>;
  /** What the reader of the plan has to know of them; undefined where they are the stack's own. */
  readonly notice?: string;
}

/** What such a module exports. */
interface OfflineModule {
  readonly offlineValues?: (config: OfflineConfig) => OfflineValues;
}

/** The values of an offline plan: those of the module that the environment names, or the stack's own where it names none. */
export async function valuesOfPlan(
  config: ReadonlyMap<string, ConfigValue>,
  about: { readonly file: string; readonly namespace: string },
  environment: NodeJS.ProcessEnv,
): Promise<{ config: ReadonlyMap<string, ConfigValue>; notice?: string | undefined }> {
  const path = environment[OFFLINE_VALUES_VARIABLE];
  if (path === undefined || path === "") return { config };
  let module: OfflineModule;
  try {
    module = (await import(pathToFileURL(path).href)) as OfflineModule;
  } catch (error) {
    throw unusable(path, `cannot be loaded: ${messageOf(error)}`);
  }
  if (typeof module.offlineValues !== "function") throw unusable(path, "exports no function offlineValues");
  const { values, notice } = module.offlineValues({ ...about, values: config });
  const entries = [...values].map(([key, { value, secret }]) => [key, withText(value, secret)] as const);
  return { config: new Map(entries), notice };
}

function unusable(path: string, why: string): EngineError {
  return new EngineError(
    `${OFFLINE_VALUES_VARIABLE} names ${path}, which ${why}; unset it, or have it name a module that does`,
    ExitCode.configuration,
  );
}
