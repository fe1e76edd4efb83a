import { runCommand } from "../system/command";

/**
 * Tells whether systemd is starting Nginx: a process is there that may have read its files already, and does not listen yet.
 * It is not while systemd waits before it tries again, and not once it listens.
 */
export async function nginxIsStarting(): Promise<boolean> {
  const shown = await runCommand({
    argv: ["systemctl", "show", "--property=ActiveState,SubState", "nginx"],
    timeoutSeconds: 30,
  });
  return /^ActiveState=activating$/m.test(shown) && !/^SubState=auto-restart/m.test(shown);
}
