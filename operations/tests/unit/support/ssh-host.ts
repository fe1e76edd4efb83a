import { utils } from "ssh2";
import type { HostConnection } from "../../../../components/ask-host";
import { makeKey, type SshKey, SshServer } from "../../../../engine/tests/ssh-server";

/** A real SSH server on loopback, and how to reach it. */
export interface SshHost {
  readonly server: SshServer;
  readonly connection: HostConnection;
}

/** A key pair that can be read again: of those that ssh2 makes, a few in a thousand cannot. */
function soundKey(): SshKey {
  for (;;) {
    const key = makeKey();
    if (![key.private, key.public].some((text) => utils.parseKey(text) instanceof Error)) return key;
  }
}

/** Starts it. */
export async function startSshHost(): Promise<SshHost> {
  const userKey = soundKey();
  const server = await SshServer.start({ userKey, hostKey: soundKey() });
  const hostKey = server.hostKey.public.split(" ").slice(0, 2).join(" ");
  return {
    server,
    connection: { host: "127.0.0.1", port: server.port, user: "root", hostKey, privateKey: userKey.private },
  };
}
