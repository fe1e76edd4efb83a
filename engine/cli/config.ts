import { EngineError, ExitCode } from "../errors";
import { SECRET_MASK } from "../values/property";
import type { PathElement } from "../values/path";
import { assign, parseTarget } from "../workspace/assignments";
import { isSecure, resolveValue, withDefaults, type ConfigValue } from "../workspace/config";
import { openSession, Stack } from "../workspace/session";
import type { StoredValue } from "../workspace/stack-config";
import { isInteractive } from "./confirm";
import { print, type CommandOptions } from "./options";

/** `config`: all values, secrets masked. */
export async function list(options: CommandOptions): Promise<void> {
  const stack = await Stack.open(openSession(options), options, false);
  const { project } = stack.session;
  const stored = withDefaults(project, stack.configFile.values());
  const decrypt = options.showSecrets ? await decrypter(stack) : (): string => SECRET_MASK;
  const values = new Map(
    [...stored]
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([key, value]) => [key, resolveValue(value, decrypt)]),
  );
  if (options.json) {
    print(
      JSON.stringify(
        Object.fromEntries(
          [...values].map(([key, value]) => [key, jsonValue(value, options.showSecrets ?? false)]),
        ),
        undefined,
        2,
      ),
    );
    return;
  }
  const rows = [...values].map(([key, { text }]) => [
    key.startsWith(`${project.name}:`) ? key.slice(project.name.length + 1) : key,
    text,
  ]);
  const width = Math.max(3, ...rows.map(([key]) => key?.length ?? 0));
  for (const [key = "", text = ""] of [["KEY", "VALUE"], ...rows])
    print(`${key.padEnd(width)}  ${text}`.trimEnd());
}

/** `config get`: one value in clear. */
export async function get(key: string, options: CommandOptions): Promise<void> {
  const stack = await Stack.open(openSession(options), options, false);
  const target = parseTarget(stack.session.project.name, key, options.path);
  const stored = valueAt(
    withDefaults(stack.session.project, stack.configFile.values()).get(target.key),
    target.path,
  );
  if (stored === undefined)
    throw new EngineError(`configuration key '${key}' not found for stack '${stack.reference.stack}'`);
  const value = resolveValue(stored, await decrypter(stack));
  print(options.json ? JSON.stringify(jsonValue(value, true), undefined, 2) : value.text);
}

/** `config set`: sets a value, encrypted or not. */
export async function set(key: string, value: string | undefined, options: CommandOptions): Promise<void> {
  if (options.secret && options.plaintext)
    throw new EngineError("--secret and --plaintext exclude each other", ExitCode.configuration);
  const stack = await Stack.open(openSession(options), options, false);
  const { path = false, secret = false } = options;
  const text = value ?? (await readValue(options));
  await assign(stack, [{ key, text, path, secret }]);
}

/** `config rm`: removes a value. */
export async function remove(key: string, options: CommandOptions): Promise<void> {
  const stack = await Stack.open(openSession(options), options, false);
  const { key: name, path } = parseTarget(stack.session.project.name, key, options.path);
  if (stack.configFile.remove(name, path)) await stack.configFile.save();
}

async function decrypter(stack: Stack): Promise<(ciphertext: string) => string> {
  const crypter = stack.hasSecrets ? await stack.crypter() : undefined;
  return (ciphertext) => crypter?.decrypt(ciphertext) ?? "";
}

function valueAt(value: StoredValue | undefined, path: readonly PathElement[]): StoredValue | undefined {
  return path.reduce<StoredValue | undefined>((found, element) => {
    if (typeof found !== "object" || found === null || isSecure(found)) return undefined;
    return (found as Record<string, StoredValue>)[element];
  }, value);
}

async function readValue(options: CommandOptions): Promise<string> {
  if (isInteractive(options)) {
    const { input, password } = await import("@inquirer/prompts");
    return options.secret ? password({ message: "value" }) : input({ message: "value" });
  }
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8").replace(/\n$/, "");
}

function jsonValue({ value, text, secret }: ConfigValue, clear: boolean): object {
  if (secret && !clear) return { secret };
  return { value: text, ...(typeof value === "object" ? { objectValue: value } : {}), secret };
}
