import { spawn } from "node:child_process";
import { once } from "node:events";

/**
 * Opens an SSH session on a host, as an administrator of a real one would; with a command, runs that there instead. The
 * exit code becomes this process's.
 * @param login `ssh`'s options and whom to log in as
 */
export async function openShell(login: readonly string[], command: readonly string[]): Promise<void> {
  const child = spawn("ssh", [...login, ...command], { stdio: "inherit" });
  const [code] = (await once(child, "close")) as [number | null];
  process.exitCode = code ?? 1;
}
