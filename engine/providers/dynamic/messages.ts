import type { PropertyMap } from "../../values/property";

/** Properties as plain data: without secret marks. */
export type Values = PropertyMap;

/**
 * What the engine asks the process of the dynamic providers, with what it tells (`tell`) and what it gets (`get`). The
 * providers' own source stands among the properties, see {@link SOURCE}.
 */
export interface Questions {
  check: {
    readonly tell: { readonly olds: Values; readonly news: Values };
    readonly get: {
      readonly inputs: Values;
      readonly failures: readonly { readonly property: string; readonly reason: string }[];
    };
  };
  diff: {
    readonly tell: { readonly id: string; readonly olds: Values; readonly news: Values };
    /** `changes` is absent where the provider has no opinion. */
    readonly get: {
      readonly changes?: boolean;
      readonly replaces: readonly string[];
      readonly deleteBeforeReplace: boolean;
    };
  };
  create: {
    readonly tell: { readonly inputs: Values };
    readonly get: { readonly id: string; readonly outputs: Values };
  };
  update: {
    readonly tell: { readonly id: string; readonly olds: Values; readonly news: Values };
    readonly get: { readonly outputs: Values };
  };
  delete: { readonly tell: { readonly id: string; readonly outputs: Values }; readonly get: null };
  read: {
    readonly tell: { readonly id: string; readonly outputs: Values; readonly inputs: Values };
    /** The id is empty where the resource is gone. */
    readonly get: { readonly id: string; readonly outputs: Values; readonly inputs?: Values };
  };
}

/** What the engine may ask. */
export type Method = keyof Questions;

/** The input that holds the provider itself, as source text. */
export const SOURCE = "__provider";

/** The source among properties, which stays there whatever a provider answers; nothing where there is none. */
export function sourceIn(properties: Values): Values {
  return properties[SOURCE] === undefined ? {} : { [SOURCE]: properties[SOURCE] };
}

/** Asks the process to end. */
export const END = "end";

/** Tells the process the stack's config, by full key; comes before the first {@link Question}. */
export interface ConfigMessage {
  readonly config: Values;
}

/** A question of the engine's. */
export interface Question<Asked extends Method = Method> {
  /** Number of the question, which its answer has, too. */
  readonly number: number;
  readonly method: Asked;
  readonly tell: Questions[Asked]["tell"];
}

/** The answer to a {@link Question}: what was asked for, or a failure. */
export interface Answer {
  readonly number: number;
  readonly get?: Questions[Method]["get"];
  readonly failure?: Failure;
}

/** Why a question was not answered. */
export interface Failure {
  readonly message: string;
  /** A resource that was made, or changed, by half. */
  readonly half?: { readonly id: string; readonly outputs: Values; readonly reasons: readonly string[] };
}
