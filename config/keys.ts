import { isAbsolute, join } from "node:path";
import { hostMode } from "./host-mode";
import type { Fault, Path } from "./faults";
import { type HostKey, hostKeyFrom, KeyFault, parseHostKey, parsePrivateKey, publicHalfOf } from "./ssh-keys";
import { faultAt, type RawConfig, soundAt } from "./validation";

/** What loading a configuration needs of the machine that runs Pulumi. Apart, so that all the rest is pure. */
export interface Machine {
  /** Directory that holds `Pulumi.yaml`; relative paths start here. */
  readonly projectDirectory: string;
  /** Home directory, for paths that start with `~/`. */
  readonly home: string;
  /** Returns a file's text. Throws what Node's `readFileSync` throws. */
  readonly read: (path: string) => string;
  /** Returns a file's bytes. Throws what Node's `readFileSync` throws. */
  readonly bytes: (path: string) => Buffer;
  /** Returns the names in a folder, in any order. Throws what Node's `readdirSync` throws. */
  readonly list: (path: string) => readonly string[];
}

/** The keys that an SSH connection needs; a key that is at fault is undefined. */
export interface Keys {
  readonly hostKey?: HostKey;
  readonly privateKey?: string;
  /** Public half of `privateKey`, `<type> <base64>`, for a machine that the stack makes. */
  readonly publicKey?: string;
  readonly faults: readonly Fault[];
}

const FILE_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: "a file that exists",
  EACCES: "a file that this user may read",
  EISDIR: "a file, not a directory",
};

/** The path of a local file as the configuration names it. */
function resolved(machine: Machine, file: string): string {
  if (file.startsWith("~/")) return join(machine.home, file.slice(2));
  return isAbsolute(file) ? file : join(machine.projectDirectory, file);
}

/** Reads the file that a key names. Throws {@link KeyFault} where it cannot be read. */
export function fileAt(machine: Machine, file: string): string {
  const path = resolved(machine, file);
  try {
    return machine.read(path);
  } catch (error) {
    const code = String((error as NodeJS.ErrnoException).code);
    throw new KeyFault(`${FILE_ERRORS[code] ?? `a file that can be read (${code})`}; looked for ${path}`);
  }
}

/** Runs `work`; a {@link KeyFault} becomes a fault of the value at `path`. */
export function attempt<T>(raw: RawConfig, path: Path, faults: Fault[], work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof KeyFault)) throw error;
    faults.push(faultAt(raw, path, error.message));
    return undefined;
  }
}

/** A text that keeps its own rule and is not empty. */
export function givenText(raw: RawConfig, path: Path): string | undefined {
  const value = soundAt(raw, path);
  return typeof value === "string" && value !== "" ? value : undefined;
}

function findHostKey(raw: RawConfig, machine: Machine, faults: Fault[]): HostKey | undefined {
  const inline = givenText(raw, ["host", "hostKey"]);
  if (inline !== undefined) return attempt(raw, ["host", "hostKey"], faults, () => parseHostKey(inline));
  const file = givenText(raw, ["host", "knownHostsFile"]);
  const address = givenText(raw, ["host", "address"]);
  const port = soundAt(raw, ["host", "port"]) as number | undefined;
  if (file === undefined || address === undefined || port === undefined) return undefined;
  return attempt(raw, ["host", "knownHostsFile"], faults, () =>
    hostKeyFrom(fileAt(machine, file), address, port),
  );
}

function findPrivateKey(
  raw: RawConfig,
  machine: Machine,
  faults: Fault[],
): Pick<Keys, "privateKey" | "publicKey"> | undefined {
  const inline = givenText(raw, ["hostPrivateKey"]);
  if (inline !== undefined) return attempt(raw, ["hostPrivateKey"], faults, () => bothHalves(raw, inline));
  const file = givenText(raw, ["host", "privateKeyFile"]);
  if (file === undefined) return undefined;
  return attempt(raw, ["host", "privateKeyFile"], faults, () => bothHalves(raw, fileAt(machine, file)));
}

/** A machine that is there knows the public half already. */
function bothHalves(raw: RawConfig, text: string): Pick<Keys, "privateKey" | "publicKey"> {
  const privateKey = parsePrivateKey(text);
  return hostMode(raw) === "ec2" ? { privateKey, publicKey: publicHalfOf(privateKey) } : { privateKey };
}

/** Finds the keys that the configuration names, in its own values or in files. Reads through `machine` only. */
export function findKeys(raw: RawConfig, machine: Machine): Keys {
  const faults: Fault[] = [];
  const hostKey = hostMode(raw) === "ec2" ? undefined : findHostKey(raw, machine, faults);
  const halves = findPrivateKey(raw, machine, faults);
  return { ...(hostKey === undefined ? {} : { hostKey }), ...halves, faults };
}
