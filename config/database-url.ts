import { createHash } from "node:crypto";
import { isIPv4, isIPv6 } from "node:net";
import { shown } from "./faults";
import { KeyFault } from "./ssh-keys";

/** What of a database's URL says which database it is. */
export interface DatabaseAddress {
  /** Host and port; a unix socket's directory where there is no host. */
  readonly server: string;
  /** Short hash of server, user and name: another one is another database. Holds nothing of the password. */
  readonly identity: string;
}

const FORM = "postgres://USER:PASSWORD@HOST:PORT/DATABASE";

/** Where Supabase's and other poolers lend a connection for one transaction only. */
const TRANSACTION_POOLER_PORT = 6543;

const SESSION_MODE =
  "a connection in session mode: a transaction pooler lends one for a transaction only, so that neither the locks nor the " +
  "dumps nor the settings of a session hold. Take the direct connection (port 5432, IPv6), or the session pooler (port 5432 " +
  "of the pooler's host, IPv4)";

/** Characters that stand for themselves in a user or a password. */
const PLAIN = /[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2}/gu;

/** What dashboards and the guide write where the reader's own password or host belongs. */
const PLACEHOLDER =
  /\[(?:your-|db-|production-|project-)?(?:password|host|ref|user)\]|<password>|YOUR[-_]PASSWORD/i;

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/i;
const SSL_MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/**
 * Reads the URL of a database. No message holds a part of it beside the names of characters.
 * @param options.pooled takes a transaction pooler, too, for an application whose requests each are one transaction; false by
 * default
 * @throws {KeyFault} if it is none, or leads to a transaction pooler.
 */
export function parseDatabaseUrl(text: string, { pooled = false } = {}): DatabaseAddress {
  if (PLACEHOLDER.test(text)) {
    throw new KeyFault(`${FORM} with your own values; a placeholder is still in it`);
  }
  const scheme = /^postgres(?:ql)?:\/\//.exec(text)?.[0];
  // The last one: an @ before it belongs to the password, which is told below.
  const at = text.lastIndexOf("@");
  if (scheme === undefined || at === -1) throw new KeyFault(FORM);
  const [user = "", ...password] = text.slice(scheme.length, at).split(":");
  if (user === "") throw new KeyFault(`${FORM}; the user is missing`);
  requireEncoded("user", user);
  requireEncoded("password", password.join(":"));
  const [, name = "", portText = "", database = "", query = ""] =
    /^(\[[^\]]*\]|[^:/?#]*)(?::(\d{1,5}))?\/([^/?#]*)(?:\?([\x21\x22\x24-\x7e]*))?$/.exec(
      text.slice(at + 1),
    ) ?? [];
  const parameters = new URLSearchParams(query);
  const port = portText === "" ? 5432 : Number(portText);
  if (!pooled && (port === TRANSACTION_POOLER_PORT || parameters.get("pgbouncer") === "true")) {
    throw new KeyFault(SESSION_MODE);
  }
  if (port < 1 || port > 65535) throw new KeyFault(`${FORM}; the port is from 1 to 65535`);
  if (!/^(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2}){1,63}$/.test(database)) {
    throw new KeyFault(`${FORM}; behind the host comes / and the name of the database`);
  }
  requireDecodable("name of the database", database);
  const server = `${hostOf(name, parameters)} ${String(port)}`;
  const identity = createHash("sha256").update(`${server} ${user} ${database}`).digest("hex").slice(0, 12);
  return { server, identity };
}

/** Characters that mean something in a URL would cut the password, or lead to another host. */
function requireEncoded(part: "user" | "password", text: string): void {
  const odd = [...new Set(text.replace(PLAIN, ""))];
  if (odd.length === 0) {
    requireDecodable(part, text);
    return;
  }
  const names = odd.map((character) => `${shown(character, false)} as ${encoded(character)}`).join(", ");
  throw new KeyFault(`${FORM}; the ${part} has characters that are written in another way: ${names}`);
}

/** `%XX` stands for a byte, and bytes can be no text. */
function requireDecodable(part: string, text: string): void {
  try {
    if (!decodeURIComponent(text).includes("\0")) return;
  } catch {
    // Told below.
  }
  throw new KeyFault(`${FORM}; the ${part} has %XX that are no characters of UTF-8: write % itself as %25`);
}

/** `encodeURIComponent` leaves out half a surrogate pair. */
function encoded(character: string): string {
  return character.isWellFormed() ? encodeURIComponent(character) : "two characters of UTF-8";
}

function hostOf(name: string, parameters: URLSearchParams): string {
  const mode = parameters.get("sslmode");
  if (mode !== null && !SSL_MODES.includes(mode)) {
    throw new KeyFault(`${FORM}; sslmode is one of ${SSL_MODES.join(", ")}`);
  }
  const socket = parameters.get("host");
  if (socket !== null) {
    if (/^\/\P{Cc}{1,100}$/u.test(socket)) return socket;
    throw new KeyFault(`${FORM}; a parameter host is the directory of a unix socket, from the root`);
  }
  const address = name.replace(/^\[(.*)\]$/, "$1");
  const isHost = name.startsWith("[") ? isIPv6(address) : isIPv4(name) || HOST_NAME.test(name);
  if (!isHost)
    throw new KeyFault(`${FORM}; the host is a DNS name, an IPv4 address, or an IPv6 address in [ ]`);
  return address.toLowerCase();
}
