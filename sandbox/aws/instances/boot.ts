import { bootHost, type SandboxHost } from "../../hosts/host";
import type { GivenKeys, SeedFiles } from "../../hosts/seed";
import type { World } from "../../world";
import { readUserData, type CloudConfig } from "./cloud-config";

/** What a new instance is. */
export interface InstancePlan {
  /** Its id, which is its host's name. */
  readonly id: string;
  readonly userData: string;
  /** What the machine image has beside Debian. */
  readonly imageFiles: SeedFiles;
  readonly world: World;
  readonly onProgress: (line: string) => void;
}

/** Boots the host that an instance is, and has it obey its user data once, as cloud-init does at the first boot. */
export async function bootInstance(plan: InstancePlan): Promise<SandboxHost> {
  const config = readUserData(plan.userData);
  const host = await bootHost({
    name: plan.id,
    world: plan.world,
    keys: keysOf(config),
    files: { ...plan.imageFiles, ...serverFiles(config), ...writtenFiles(config) },
    onProgress: plan.onProgress,
  });
  if (config.hostname !== undefined) await host.exec(["hostname", config.hostname]);
  for (const user of config.users) await makeUser(host, user);
  for (const command of config.runcmd)
    await host.exec(typeof command === "string" ? ["sh", "-c", command] : command);
  return host;
}

function keysOf(config: CloudConfig): GivenKeys {
  return {
    hostPrivateKey: config.ssh_keys.ed25519_private,
    hostPublicKey: config.ssh_keys.ed25519_public.trim(),
    rootKeys: config.disable_root ? [] : config.ssh_authorized_keys,
  };
}

/** The server shows the one key that it was given, and takes no password. */
function serverFiles(config: CloudConfig): SeedFiles {
  const lines = [
    "HostKey /etc/ssh/ssh_host_ed25519_key",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    `PermitRootLogin ${config.disable_root ? "no" : "prohibit-password"}`,
  ];
  const hostname: SeedFiles =
    config.hostname === undefined ? {} : { "/etc/hostname": { content: `${config.hostname}\n` } };
  return {
    ...hostname,
    "/etc/ssh/sshd_config.d/50-cloud-init.conf": { content: `${lines.join("\n")}\n`, mode: 0o600 },
  };
}

function writtenFiles(config: CloudConfig): SeedFiles {
  const entries = config.write_files.map(({ path, content, encoding, permissions }) => {
    const bytes = Buffer.from(content, encoding === "text/plain" ? "utf8" : "base64");
    return [path, { content: bytes, mode: Number.parseInt(permissions, 8) }] as const;
  });
  return Object.fromEntries(entries);
}

async function makeUser(host: SandboxHost, user: CloudConfig["users"][number]): Promise<void> {
  const { name, shell, sudo } = user;
  await host.exec(["useradd", "--create-home", "--shell", shell, name]);
  // No password at all, which is not an empty one.
  await host.exec(["usermod", "--lock", name]);
  await host.exec(["install", "-d", "-m", "700", "-o", name, "-g", name, `/home/${name}/.ssh`]);
  const keys = `/home/${name}/.ssh/authorized_keys`;
  const text = user.ssh_authorized_keys.map((key) => `${key}\n`).join("");
  await writeFile(host, { path: keys, text, owner: name, mode: "600" });
  if (sudo === undefined || sudo === false) return;
  const rules = [sudo].flat().map((rule) => `${name} ${rule}\n`);
  await host.exec(["mkdir", "-p", "/etc/sudoers.d"]);
  const path = "/etc/sudoers.d/90-cloud-init-users";
  await writeFile(host, { path, text: rules.join(""), owner: "root", mode: "440" });
}

async function writeFile(
  host: SandboxHost,
  { path, text, owner, mode }: { path: string; text: string; owner: string; mode: string },
): Promise<void> {
  const script = 'set -e; umask 077; cat >>"$1"; chown "$2:" "$1"; chmod "$3" "$1"';
  await host.exec(["sh", "-c", script, "sh", path, owner, mode], { stdin: text });
}
