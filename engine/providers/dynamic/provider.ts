import { EngineError, messageOf } from "../../errors";
import { diffOf, NO_DIFF, type DiffResult } from "../../values/diff";
import { maskStrings, secretStrings, unwrapMap, type PropertyMap } from "../../values/property";
import { keepSecretOutputs } from "../command/outputs";
import { markLike } from "../protocol/marks";
import {
  PartialFailure,
  type CheckResult,
  type CreateResult,
  type OldResource,
  type Provider,
  type ProviderContext,
  type ReadResult,
} from "../provider";
import { SOURCE, sourceIn, type Method, type Questions, type Values } from "./messages";
import type { DynamicProcess } from "./process";

/** What the providers of a run need. */
export interface DynamicProviderOptions {
  /**
   * Starts the process. What is printed in it goes to `onLine`; it may hold secrets until `mask` is applied, which the
   * provider gives.
   */
  readonly start: (mask: (text: string) => string) => DynamicProcess;
  /** The config of the stack with its secret marks, by full key; a provider's `configure` gets it. */
  readonly config: PropertyMap;
  /** Aborted where operations under way have to stop at once. */
  readonly signal: AbortSignal;
}

/**
 * The resources whose providers stand in the program itself (`pulumi.dynamic.Resource`). Their providers run in a process
 * of their own, which begins to start with the object and knows neither secrets nor previews: secrets are
 * unwrapped before a question and marked again after it, and a preview takes the inputs for the outputs.
 */
export class DynamicProvider implements Provider {
  private readonly process: DynamicProcess;
  private readonly secrets = new Set<string>();

  constructor(private readonly options: DynamicProviderOptions) {
    this.process = options.start((text) => this.mask(text));
    this.process.configure(this.plain(options.config));
    options.signal.addEventListener("abort", this.kill);
    if (options.signal.aborted) this.kill();
  }

  async check(
    _context: ProviderContext,
    old: PropertyMap | undefined,
    inputs: PropertyMap,
  ): Promise<CheckResult> {
    const answer = await this.ask("check", { olds: this.plain(old ?? {}), news: this.plain(inputs) });
    return {
      inputs: markLike(answer.inputs, inputs),
      failures: answer.failures.map(({ property, reason }) => ({ property, reason: this.mask(reason) })),
    };
  }

  async diff(_context: ProviderContext, old: OldResource, inputs: PropertyMap): Promise<DiffResult> {
    const { changes, replaces, deleteBeforeReplace } = await this.ask("diff", {
      id: old.id,
      olds: this.plain(old.outputs),
      news: this.plain(inputs),
    });
    const answer = { replaceKeys: replaces, deleteBeforeReplace };
    if (changes === true) return { changed: true, changedKeys: [], ...answer };
    // Without an opinion of the provider's the inputs are compared.
    const diff = changes === undefined ? diffOf(old.inputs, inputs) : NO_DIFF;
    return diff.changed ? { ...diff, ...answer } : NO_DIFF;
  }

  async create({ name, dryRun }: ProviderContext, inputs: PropertyMap): Promise<CreateResult> {
    if (dryRun) return { id: "", outputs: inputs };
    const { id, outputs } = await this.ask("create", { inputs: this.plain(inputs) }, inputs);
    if (!id) throw new EngineError(`the provider of ${name} created it without an id`);
    return { id, outputs: remark(outputs, inputs) };
  }

  async update({ dryRun }: ProviderContext, old: OldResource, inputs: PropertyMap): Promise<PropertyMap> {
    if (dryRun) return inputs;
    const { id } = old;
    const tell = { id, olds: this.plain(old.outputs), news: this.plain(inputs) };
    const { outputs } = await this.ask("update", tell, inputs);
    return remark(outputs, inputs);
  }

  async delete({ dryRun }: ProviderContext, { id, outputs }: OldResource): Promise<void> {
    if (!dryRun) await this.ask("delete", { id, outputs: this.plain(outputs) });
  }

  /** Asks the provider's own `read`; one without it finds everything as it was. */
  async read(_context: ProviderContext, resource: OldResource): Promise<ReadResult | undefined> {
    const { id, outputs, inputs } = resource;
    const tell = { id, outputs: this.plain(outputs), inputs: this.plain(inputs) };
    const found = await this.ask("read", tell);
    if (found.id === "") return undefined;
    return {
      id: found.id,
      outputs: remark(markLike({ ...found.outputs, ...sourceIn(outputs) }, outputs), inputs),
      ...(found.inputs ? { inputs: markLike({ ...found.inputs, ...sourceIn(inputs) }, inputs) } : {}),
    };
  }

  async close(): Promise<void> {
    this.options.signal.removeEventListener("abort", this.kill);
    await this.process.close();
  }

  private readonly kill = (): void => {
    this.process.kill();
  };

  /** Asks the process. A resource that was made or changed by half gets its secret marks from `inputs`. */
  private async ask<Asked extends Method>(
    method: Asked,
    tell: Questions[Asked]["tell"],
    inputs: PropertyMap = {},
  ): Promise<Questions[Asked]["get"]> {
    try {
      return await this.process.ask(method, tell);
    } catch (error) {
      if (this.options.signal.aborted) throw new EngineError("interrupted");
      if (!(error instanceof PartialFailure)) throw new EngineError(this.mask(messageOf(error)));
      throw new PartialFailure(
        error.id,
        remark({ ...error.outputs, ...sourceIn(inputs) }, inputs),
        error.reasons.map((reason) => this.mask(reason)),
      );
    }
  }

  /** Properties as the process takes them; the secrets among them are not shown from now on. */
  private plain(properties: PropertyMap): Values {
    this.learn(properties);
    return unwrapMap(properties);
  }

  private learn(properties: PropertyMap): void {
    for (const each of secretStrings(withoutSource(properties))) this.secrets.add(each);
  }

  private mask(text: string): string {
    return maskStrings(text, this.secrets);
  }
}

/** A source that is secret, for what it captured, would have each of its lines taken for a secret. */
function withoutSource(properties: PropertyMap): PropertyMap {
  return Object.fromEntries(Object.entries(properties).filter(([key]) => key !== SOURCE));
}

/** Outputs with the marks of the inputs, and with marks where a secret shows up in another output. */
function remark(outputs: PropertyMap, inputs: PropertyMap): PropertyMap {
  return keepSecretOutputs(withoutSource(inputs), markLike(outputs, inputs));
}
