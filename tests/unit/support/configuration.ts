import { generateKeyPairSync } from "node:crypto";
import { validate } from "../../../config";
import { ConfigError, type Fault, type Path } from "../../../config/faults";
import type { Machine } from "../../../config/keys";
import { GROUPS } from "../../../config/schema";
import type { RawConfig } from "../../../config/validation";

/** A field of SSH's wire format. */
function field(content: Buffer | string): Buffer {
  const bytes = Buffer.from(content);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** Makes a host's public key line, a new one at each call. */
export function newHostKey(type = "ssh-ed25519"): string {
  const { publicKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ type: "spki", format: "der" }).subarray(-32);
  return `${type} ${Buffer.concat([field(type), field(raw)]).toString("base64")}`;
}

/** Makes an OpenSSH private key as far as a configuration looks at it: armour, magic and name of the cipher. */
export function newPrivateKey(cipher = "none"): string {
  const { privateKey } = generateKeyPairSync("ed25519");
  const secret = privateKey.export({ type: "pkcs8", format: "der" });
  const blob = Buffer.concat([Buffer.from("openssh-key-v1\0"), field(cipher), field("none"), field(secret)]);
  const [begin, end] = ["BEGIN", "END"].map((word) => `-----${word} OPENSSH PRIVATE KEY-----`);
  return `${String(begin)}\n${blob.toString("base64")}\n${String(end)}\n`;
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

/** What Pulumi would hand over for `values`: groups as JSON. */
export function rawConfig(values: Record<string, unknown>, encrypted: readonly string[] = []): RawConfig {
  const entries = Object.entries(values).map(([key, value]) => [
    key,
    GROUPS.has(key) && typeof value === "object" ? JSON.stringify(value) : value,
  ]);
  return {
    namespace: "vehicleservice",
    stack: "test",
    values: Object.fromEntries(entries) as Record<string, unknown>,
    encrypted: new Set(encrypted),
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
