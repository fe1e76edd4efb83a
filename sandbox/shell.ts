import { spawn } from "node:child_process";
import { once } from "node:events";

import { findHost } from "./hosts/host";

/**
 * Opens an SSH session on a host, as an administrator of a real one would; with a command, runs that there instead. The
 * exit code becomes this process's. Throws when no such host is up.
 */
export async function openShell(name: string, command: readonly string[]): Promise<void> {
  const host = findHost(name);
  if (host === null) throw new Error(`host ${name} is not up: boot it with bin/sandbox`);
  const child = spawn("ssh", [...host.sshOptions(), `root@${host.address}`, ...command], {
    stdio: "inherit",
  });
  const [code] = (await once(child, "close")) as [number | null];
  process.exitCode = code ?? 1;
}
