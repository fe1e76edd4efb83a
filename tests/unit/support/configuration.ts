import { generateKeyPairSync } from "node:crypto";
import { sshField } from "../../../components/ssh-format";
import { validate } from "../../../config";
import { ConfigError, type Fault, type Path } from "../../../config/faults";
import type { Machine } from "../../../config/keys";
import { GROUPS } from "../../../config/schema/stack";
import type { RawConfig } from "../../../config/validation";
import { madeUpPrivateKey } from "../../../scripts/plan/made-up";

/** Makes a host's public key line, a new one at each call. */
export function newHostKey(type = "ssh-ed25519"): string {
  const { publicKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ type: "spki", format: "der" }).subarray(-32);
  return `${type} ${Buffer.concat([sshField(type), sshField(raw)]).toString("base64")}`;
}

/** Makes a private key in OpenSSH's format, a new one at each call; with another cipher it only says that it is encrypted. */
export function newPrivateKey(cipher = "none"): string {
  const privateKey = madeUpPrivateKey();
  if (cipher === "none") return privateKey;
  const [begin = "", ...lines] = privateKey.trim().split("\n");
  const end = lines.pop() ?? "";
  const bytes = Buffer.from(lines.join(""), "base64");
  const magic = bytes.subarray(0, bytes.indexOf(0) + 1);
  const rest = bytes.subarray(magic.length + sshField("none").length);
  const blob = Buffer.concat([magic, sshField(cipher), rest]);
  return `${begin}\n${blob.toString("base64")}\n${end}\n`;
}

/** The key pair of {@link settings}, the same for one run of the tests. */
export const hostKey = newHostKey();
export const privateKey = newPrivateKey();

/** Values of a valid stack, as deep as a test may want to change them. */
export function settings(): Record<string, unknown> {
  return {
    stable: "blue",
    canaryWeight: "5",
    blueVersion: "v0.9.9",
    greenVersion: "v1.0.0",
    host: { address: "10.77.1.2", hostKey, privateKeyFile: "keys/id" },
    site: { domains: ["vehicleservice.test"] },
    // What is tested is another matter than the guide's variables; variables.test.ts has them.
    variableRules: "none",
    source: { repository: "git://10.77.1.1/sample.git" },
  };
}

/** Returns a copy of `values` with the value at `path` replaced, or taken out where it is undefined. */
export function changed(
  values: Record<string, unknown>,
  path: Path,
  value: unknown,
): Record<string, unknown> {
  const copy = structuredClone(values);
  let at = copy;
  path.slice(0, -1).forEach((step, index) => {
    at[step] ??= typeof path[index + 1] === "number" ? [] : {};
    at = at[step] as Record<string, unknown>;
  });
  const last = String(path.at(-1));
  if (value === undefined) Reflect.deleteProperty(at, last);
  else at[last] = value;
  return copy;
}

/** What Pulumi would hand over for `values`: groups as JSON. `aws:region` is the provider's. */
export function rawConfig(
  { "aws:region": awsRegion, ...values }: Record<string, unknown>,
  encrypted: readonly string[] = [],
): RawConfig {
  const entries = Object.entries(values).map(([key, value]) => [
    key,
    GROUPS.has(key) && typeof value === "object" ? JSON.stringify(value) : value,
  ]);
  return {
    namespace: "vehicleservice",
    stack: "test",
    values: Object.fromEntries(entries) as Record<string, unknown>,
    encrypted: new Set(encrypted),
    awsRegion: awsRegion as string | undefined,
  };
}

/** A machine whose files are these, below the project's directory `/project` and the home directory `/home/me`. */
export function machineWith(files: Record<string, string> = {}): Machine {
  const all: Record<string, string> = { "/project/keys/id": privateKey, ...files };
  const missing = (path: string) => Object.assign(new Error(`no ${path}`), { code: "ENOENT" });
  const read = (path: string) => {
    const text = all[path];
    if (text === undefined) throw missing(path);
    return text;
  };
  return {
    projectDirectory: "/project",
    home: "/home/me",
    read,
    bytes: (path) => Buffer.from(read(path)),
    list: (path) => {
      const below = Object.keys(all).filter((file) => file.startsWith(`${path}/`));
      if (below.length === 0) throw missing(path);
      return [...new Set(below.map((file) => file.slice(path.length + 1).split("/")[0] ?? ""))];
    },
  };
}

/** The faults of a configuration; none for a valid one. */
export function faultsOf(values: Record<string, unknown>, machine = machineWith()): readonly Fault[] {
  try {
    validate(rawConfig(values), machine);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
}
