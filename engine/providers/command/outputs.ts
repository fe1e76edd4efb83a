import {
  maskStrings,
  SECRET_MASK,
  secret,
  secretStrings,
  someValue,
  textOf,
  unwrapSecrets,
  type PropertyMap,
} from "../../values/property";

/** Printed text without the newline at its end, as the command provider stores it. */
export function withoutFinalNewline(text: string): string {
  return text.endsWith("\n") ? text.slice(0, -1) : text;
}

/**
 * Marks an output as secret where a secret input shows up in it, so that a command that echoes a password does not
 * put it into the state in clear. (The command provider itself does not do this.)
 */
export function keepSecretOutputs(inputs: PropertyMap, outputs: PropertyMap): PropertyMap {
  const secrets = [...secretStrings(inputs)];
  if (secrets.length === 0) return outputs;
  const leaks = (text: string): boolean => secrets.some((each) => text.includes(each));
  return Object.fromEntries(
    Object.entries(outputs).map(([key, value]) => {
      const leaking = someValue(value, (element) => typeof element === "string" && leaks(element));
      return [key, leaking ? secret(value) : value];
    }),
  );
}

/** The error of a command that failed, as the command provider words it, with the resource's secrets masked. */
export function commandError(reason: string, command: string, printed: string, inputs: PropertyMap): Error {
  return new Error(
    maskStrings(`${reason}: running ${JSON.stringify(command)}:\n${printed}`, masksFor(inputs)),
  );
}

/** All strings of a resource that must not be shown, in the spellings in which a message can hold them. */
export function masksFor(inputs: PropertyMap): Set<string> {
  const masks = secretStrings(inputs);
  // A command is quoted in messages, which escapes what a secret in it may hold.
  for (const each of [...masks]) masks.add(JSON.stringify(each).slice(1, -1));
  masks.delete(SECRET_MASK);
  return masks;
}

/** A string input without its secret mark; undefined where it is missing. */
export function textInput(inputs: PropertyMap, key: string): string | undefined {
  const value = inputs[key];
  if (value === undefined || value === null) return undefined;
  return textOf(value);
}

/** The map of strings under a key, without secret marks; empty where it is missing. */
export function textMapInput(inputs: PropertyMap, key: string): Record<string, string> {
  const value = unwrapSecrets(inputs[key] ?? {});
  const entries = Object.entries(value as PropertyMap);
  return Object.fromEntries(entries.map(([name, element]) => [name, textOf(element)]));
}

/** What the previous command printed, for the variables that the next one gets; empty where it does not want them. */
export function previousOutput(inputs: PropertyMap, earlier: PropertyMap): Record<string, string> {
  if (unwrapSecrets(inputs["addPreviousOutputInEnv"] ?? true) === false) return {};
  const stdout = textInput(earlier, "stdout") ?? "";
  const stderr = textInput(earlier, "stderr") ?? "";
  return {
    ...(stdout === "" ? {} : { PULUMI_COMMAND_STDOUT: stdout }),
    ...(stderr === "" ? {} : { PULUMI_COMMAND_STDERR: stderr }),
  };
}
