import { messageOf } from "../../../errors";
import { UNKNOWN } from "../../../values/property";
import {
  SOURCE,
  sourceIn,
  type Failure,
  type Method,
  type Question,
  type Questions,
  type Values,
} from "../messages";
import { dataOf } from "./data";
import type { ProviderLoader } from "./loader";

/** What a provider throws, where it throws what the SDK knows: with an id the resource exists, and is not ready. */
interface Thrown {
  readonly id?: string;
  readonly properties?: object;
  readonly reasons?: readonly string[];
}

/** Answers the engine as the SDK's own process for dynamic providers does, see `cmd/dynamic-provider`. */
export class DynamicService {
  constructor(private readonly loader: ProviderLoader) {}

  /** Answers a question. Fails with what the provider throws. */
  async answer({ method, tell }: Question): Promise<Questions[Method]["get"]> {
    const ask = this.methods[method] as (told: typeof tell) => Promise<Questions[Method]["get"]>;
    return ask(tell);
  }

  private readonly methods: {
    readonly [Asked in Method]: (tell: Questions[Asked]["tell"]) => Promise<Questions[Asked]["get"]>;
  } = {
    check: async ({ olds, news }) => {
      const provider = await this.loader.get(knownSource(olds, news));
      const { inputs = news, failures = [] } = (await provider.check?.(olds, news)) ?? {};
      return {
        inputs: dataOf({ ...inputs, ...sourceIn(news) }, "inputs"),
        failures: failures.map(({ property, reason }) => ({ property, reason })),
      };
    },
    diff: async ({ id, olds, news }) => {
      const provider = await this.loader.get(knownSource(olds, news));
      const {
        changes,
        replaces = [],
        deleteBeforeReplace = false,
      } = (await provider.diff?.(id, olds, news)) ?? {};
      return { ...(typeof changes === "boolean" ? { changes } : {}), replaces, deleteBeforeReplace };
    },
    create: async ({ inputs }) => {
      const provider = await this.loader.get(sourceOf(inputs));
      const { id, outs } = await provider.create(inputs);
      return { id, outputs: dataOf({ ...outs, ...sourceIn(inputs) }, "outs") };
    },
    update: async ({ id, olds, news }) => {
      const provider = await this.loader.get(sourceOf(news));
      const { outs } = (await provider.update?.(id, olds, news)) ?? {};
      return { outputs: dataOf({ ...outs, ...sourceIn(news) }, "outs") };
    },
    delete: async ({ id, outputs }) => {
      const provider = await this.loader.get(sourceOf(outputs));
      await provider.delete?.(id, outputs);
      return null;
    },
    read: async ({ id, outputs, inputs }) => {
      // Of a resource that somebody asks for nothing but its inputs is known.
      const known = Object.keys(outputs).length > 0 ? outputs : inputs;
      const provider = await this.loader.get(sourceOf(known));
      if (!provider.read) return { id, outputs: known };
      const found = await provider.read(id, known);
      return {
        id: found.id ?? "",
        outputs: dataOf({ ...found.props, ...sourceIn(known) }, "props"),
        ...(found.inputs ? { inputs: dataOf({ ...found.inputs, ...sourceIn(known) }, "inputs") } : {}),
      };
    },
  };
}

/** What the engine is told of something thrown. */
export function failureOf(method: Method, thrown: unknown): Failure {
  const message = messageOf(thrown);
  const { id, properties = {}, reasons = [] } = (thrown ?? {}) as Thrown;
  if (!id || (method !== "create" && method !== "update")) return { message };
  try {
    return { message, half: { id, outputs: dataOf(properties, "properties"), reasons } };
  } catch (fault) {
    return { message: `${message}; ${messageOf(fault)}` };
  }
}

function sourceOf(properties: Values): unknown {
  return properties[SOURCE];
}

/** In a preview the new source may not be known yet. */
function knownSource(olds: Values, news: Values): unknown {
  return sourceOf(news) === UNKNOWN ? sourceOf(olds) : sourceOf(news);
}
