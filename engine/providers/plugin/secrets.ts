import { maskStrings, secretStrings, type PropertyMap } from "../../values/property";

/** The secrets that the plugins of a run were given, so that nothing that they say shows one. */
export class PluginSecrets {
  private readonly strings = new Set<string>();

  /** Takes the secrets among the properties. */
  learn(properties: PropertyMap): void {
    for (const each of secretStrings(properties)) this.strings.add(each);
  }

  /** The text without any of them. */
  mask(text: string): string {
    return this.strings.size === 0 ? text : maskStrings(text, this.strings);
  }
}
