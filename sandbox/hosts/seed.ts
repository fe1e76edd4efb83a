import * as fs from "node:fs";
import * as path from "node:path";

import { run } from "../command";

/** A file that is put into a host before its first boot. */
export interface SeedFile {
  readonly content: string | Buffer;
  /** Mode; 0o644 by default. The owner is root. */
  readonly mode?: number;
}

/** Files by their absolute path in the host. */
export type SeedFiles = Readonly<Record<string, SeedFile>>;

/** Keys of a host that somebody else made: its own, and those that let in. */
export interface GivenKeys {
  /** Private Ed25519 key of the host, in OpenSSH's format. */
  readonly hostPrivateKey: string;
  /** `ssh-ed25519 AAAA...`. */
  readonly hostPublicKey: string;
  /** Public keys that root accepts; of none root accepts nobody. */
  readonly rootKeys: readonly string[];
}

/** Name of the private key in a host's directory that root accepts. */
export const CLIENT_KEY = "id_ed25519";

/**
 * Writes what makes the image this host (name, keys, resolver) and the caller's files into `directory`/seed, and the
 * client's key pair into `directory`, unless the keys are given. Returns the public host key.
 */
export async function writeSeed(
  directory: string,
  name: string,
  files: SeedFiles,
  given?: GivenKeys,
): Promise<string> {
  const seed = path.join(directory, "seed");
  fs.mkdirSync(directory, { recursive: true });
  const { hostPrivateKey, hostPublicKey: hostKey, rootKeys } = given ?? (await makeKeys(directory, name));
  const own: SeedFiles = {
    "/etc/hostname": { content: `${name}\n` },
    "/etc/hosts": { content: `127.0.0.1 localhost\n127.0.1.1 ${name}\n::1 localhost\n` },
    "/etc/resolv.conf": { content: resolver() },
    "/etc/ssh/ssh_host_ed25519_key": { content: hostPrivateKey, mode: 0o600 },
    "/etc/ssh/ssh_host_ed25519_key.pub": { content: `${hostKey}\n` },
    "/root/.ssh/authorized_keys": { content: rootKeys.map((key) => `${key}\n`).join(""), mode: 0o600 },
  };
  for (const [file, { content, mode }] of Object.entries({ ...own, ...files })) {
    writeFile(seed, file, content, mode ?? 0o644);
  }
  fs.chmodSync(path.join(seed, "root/.ssh"), 0o700);
  return hostKey.split(" ").slice(0, 2).join(" ");
}

function writeFile(seed: string, file: string, content: string | Buffer, mode: number): void {
  if (path.posix.normalize(file) !== file || !file.startsWith("/")) {
    throw new Error(`file ${JSON.stringify(file)} for a host: must be an absolute path without "." and ".."`);
  }
  const target = path.join(seed, file);
  fs.mkdirSync(path.dirname(target), { recursive: true, mode: 0o755 });
  fs.writeFileSync(target, content);
  fs.chmodSync(target, mode);
}

async function makeKeys(directory: string, name: string): Promise<GivenKeys> {
  const [clientKey, hostPublicKey] = await Promise.all([
    generateKey(path.join(directory, CLIENT_KEY), "sandbox"),
    generateKey(path.join(directory, "ssh_host_ed25519_key"), name),
  ]);
  const hostPrivateKey = fs.readFileSync(path.join(directory, "ssh_host_ed25519_key"), "utf8");
  fs.rmSync(path.join(directory, "ssh_host_ed25519_key"));
  fs.rmSync(path.join(directory, "ssh_host_ed25519_key.pub"));
  return { hostPrivateKey, hostPublicKey, rootKeys: [clientKey] };
}

async function generateKey(file: string, comment: string): Promise<string> {
  await run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", file]);
  return fs.readFileSync(`${file}.pub`, "utf8").trim();
}

/** The machine's name servers as a guest can reach them: a stub on the machine's own loopback is of no use to it. */
function resolver(): string {
  const candidates = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];
  for (const file of candidates.filter((candidate) => fs.existsSync(candidate))) {
    const lines = fs.readFileSync(file, "utf8").split("\n");
    const servers = lines.filter((line) => /^nameserver\s+(?!127\.|::1)/.test(line));
    const search = lines.filter((line) => /^(search|options)\s/.test(line));
    if (servers.length > 0) return `${[...servers, ...search].join("\n")}\n`;
  }
  return "# The machine has no name server that a guest can reach.\n";
}
