import { createHash } from "node:crypto";
import { isMap, textOf, unwrapSecrets, type PropertyMap } from "../../values/property";
import { EngineError } from "../../errors";

/** How to reach a host: the `connection` input of the command provider. */
export interface ConnectionOptions {
  readonly host: string;
  /** Default: 22. */
  readonly port: number;
  /** Default: root. */
  readonly user: string;
  readonly password?: string;
  readonly privateKey?: string;
  readonly privateKeyPassword?: string;
  /** Default: SSH_AUTH_SOCK. */
  readonly agentSocketPath?: string;
  /** The expected key, as in an authorized_keys file. Without it the host's key is not checked. */
  readonly hostKey?: string;
  /** How often a failed dial is repeated; -1 means without end. Default: 10. */
  readonly dialErrorLimit: number;
  /** Seconds for one dial; 0 means without end. Default: 15. */
  readonly perDialTimeout: number;
}

const TEXT_KEYS = ["password", "privateKey", "privateKeyPassword", "agentSocketPath", "hostKey"] as const;

/** Reads the checked `connection` input. */
export function connectionOptions(inputs: PropertyMap, environment: NodeJS.ProcessEnv): ConnectionOptions {
  const connection = unwrapSecrets(inputs["connection"] ?? null);
  if (!isMap(connection)) throw new EngineError("the connection is missing");
  const number = (key: string, fallback: number): number => Number(connection[key] ?? fallback);
  const texts = Object.fromEntries(
    TEXT_KEYS.flatMap((key) => (typeof connection[key] === "string" ? [[key, connection[key]]] : [])),
  ) as Partial<Record<(typeof TEXT_KEYS)[number], string>>;
  const agent = texts.agentSocketPath ?? environment["SSH_AUTH_SOCK"];
  return {
    host: textOf(connection["host"]),
    user: textOf(connection["user"] ?? "root"),
    port: number("port", 22),
    dialErrorLimit: number("dialErrorLimit", 10),
    perDialTimeout: number("perDialTimeout", 15),
    ...texts,
    ...(agent ? { agentSocketPath: agent } : {}),
  };
}

/** A name for the connection: two with the same name may share one. It holds no secret. */
export function connectionKey(options: ConnectionOptions): string {
  return createHash("sha256").update(JSON.stringify(options)).digest("hex");
}

/** A host key that is expected: its type and its bytes. */
export interface ExpectedHostKey {
  readonly type: string;
  readonly key: Buffer;
}

/** Parses a host key as authorized_keys or known_hosts spell it. Fails where it is not one. */
export function parseHostKey(text: string): ExpectedHostKey {
  const match = /(?:^|\s)((?:ssh|ecdsa|sk)-[a-z0-9@.-]+)\s+([A-Za-z0-9+/]+={0,2})(?:\s|$)/.exec(text.trim());
  const [, type, encoded] = match ?? [];
  if (type === undefined || encoded === undefined) {
    throw new EngineError(
      'connection.hostKey is not a public key: expected "TYPE BASE64", as in /etc/ssh/ssh_host_ed25519_key.pub',
    );
  }
  return { type, key: Buffer.from(encoded, "base64") };
}

/** The fingerprint of a key, as `ssh-keygen -l` shows it. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
}

/** The signature algorithms by which a key of a type can be proven. */
export function hostKeyAlgorithms(type: string): string[] {
  return type === "ssh-rsa" ? ["rsa-sha2-512", "rsa-sha2-256"] : [type];
}
