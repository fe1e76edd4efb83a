import { randomInt } from "node:crypto";

/** What a random text is made of; the names are those of the resource's inputs. */
export interface TextOptions {
  readonly length: number;
  readonly lower: boolean;
  readonly upper: boolean;
  readonly numeric: boolean;
  readonly special: boolean;
  readonly minLower: number;
  readonly minUpper: number;
  readonly minNumeric: number;
  readonly minSpecial: number;
  /** The special characters to choose from. Default, also where it is empty: the usual ones. */
  readonly overrideSpecial?: string | undefined;
}

const LOWER = "abcdefghijklmnopqrstuvwxyz";
const DIGITS = "0123456789";
const SPECIAL = "!@#$%&*()-_=+[]{}<>:?";

/** A text of random characters. A class gets its minimum even where it is switched off, as with the real provider. */
export function randomText(options: TextOptions): string {
  const { overrideSpecial = "" } = options;
  const special = overrideSpecial === "" ? SPECIAL : overrideSpecial;
  const classes = [
    { characters: LOWER, used: options.lower, minimum: options.minLower },
    { characters: LOWER.toUpperCase(), used: options.upper, minimum: options.minUpper },
    { characters: DIGITS, used: options.numeric, minimum: options.minNumeric },
    { characters: special, used: options.special, minimum: options.minSpecial },
  ];
  const text = classes.flatMap(({ characters, minimum }) => choose(characters, minimum));
  const all = classes.map(({ characters, used }) => (used ? characters : "")).join("");
  return shuffle([...text, ...choose(all, options.length - text.length)]).join("");
}

function choose(characters: string, count: number): string[] {
  const each = Array.from(characters);
  return Array.from({ length: count }, () => each[randomInt(each.length)] ?? "");
}

/** The elements in a random order, every order being equally likely. */
export function shuffle<T>(elements: readonly T[]): T[] {
  const rest = [...elements];
  return elements.map(() => rest.splice(randomInt(rest.length), 1)[0] as T);
}
