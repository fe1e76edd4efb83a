import { maskStrings } from "../values/property";

/** Strings shorter than this are not masked everywhere: a one-digit secret would blank out half of every line. */
const SHORTEST = 6;

/** Keeps known secrets out of everything that is shown. */
export class Concealer {
  private readonly strings = new Set<string>();

  /** Strings that must not be shown from now on, also in the spelling that JSON gives them. */
  add(strings: Iterable<string>): void {
    for (const text of strings) {
      if (text.length < SHORTEST) continue;
      this.strings.add(text);
      this.strings.add(JSON.stringify(text).slice(1, -1));
    }
  }

  mask(text: string): string {
    return this.strings.size === 0 ? text : maskStrings(text, this.strings);
  }
}
