import { readFileSync } from "node:fs";
import { Client, type ClientConfig } from "pg";
import { Failed, Refused } from "../conductor/faults";

/** Where Supabase's and other poolers lend a connection for one transaction only. */
const TRANSACTION_POOLER_PORT = 6543;

/** How long a server may take to answer a connection, in milliseconds. */
const CONNECT_TIMEOUT_MS = 15_000;

/** How often the server looks whether its client is still there while a statement runs. */
const LOOK_FOR_CLIENT = "1s";

/** A database's address, taken apart. */
export interface Address {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Parameters of libpq, such as `sslmode`. */
  readonly parameters: Readonly<Record<string, string>>;
}

/**
 * Takes a URL apart. Its parts are percent-encoded; a `host` parameter that begins with `/` is a unix socket's directory.
 * @throws Refused where it is none, or leads to a transaction pooler; without the URL, which holds a password
 */
export function addressOf(text: string): Address {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new Refused(
      "the database's URL is none: postgres://USER:PASSWORD@HOST:PORT/DATABASE, with every character of the password " +
        "but letters, digits, - . _ ~ written as %XX",
    );
  }
  const { host: socket, ...parameters } = Object.fromEntries(url.searchParams);
  const port = url.port === "" ? 5432 : Number(url.port);
  if (port === TRANSACTION_POOLER_PORT || parameters["pgbouncer"] === "true") {
    throw new Refused(
      `port ${String(port)} is a transaction pooler, which lends a connection for one transaction: locks, dumps and ` +
        "settings of a session do not hold there. Take the direct connection (port 5432, IPv6), or the session pooler " +
        "(port 5432 of the pooler's host, IPv4)",
    );
  }
  return {
    host: socket ?? url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port,
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)),
    parameters,
  };
}

/** Puts an address together again. */
export function urlOf({ host, port, user, password, database, parameters }: Address): string {
  const [urlHost, more] = host.startsWith("/")
    ? ["localhost", { host }]
    : [host.includes(":") ? `[${host}]` : host, {}];
  const url = new URL(`postgres://${urlHost}:${String(port)}/${encodeURIComponent(database)}`);
  url.username = encodeURIComponent(user);
  url.password = encodeURIComponent(password);
  for (const [name, value] of Object.entries({ ...more, ...parameters })) url.searchParams.set(name, value);
  return url.toString();
}

/** What `pg_dump`, `pg_restore` and `psql` connect by: environment variables, for arguments are everybody's to read. */
export function libpqEnvironment({
  host,
  port,
  user,
  password,
  database,
  parameters,
}: Address): Record<string, string> {
  const named: Record<string, string> = {
    sslmode: "PGSSLMODE",
    sslrootcert: "PGSSLROOTCERT",
    application_name: "PGAPPNAME",
    options: "PGOPTIONS",
  };
  const more = Object.entries(parameters).flatMap(([name, value]) => {
    const variable = named[name];
    return variable === undefined ? [] : [[variable, value]];
  });
  return {
    PGHOST: host,
    PGPORT: String(port),
    PGUSER: user,
    PGPASSWORD: password,
    PGDATABASE: database,
    PGCONNECT_TIMEOUT: String(CONNECT_TIMEOUT_MS / 1000),
    ...(Object.fromEntries(more) as Record<string, string>),
  };
}

/**
 * What of the connection libpq reads from no environment variable, for `--dbname` of its programs; no secret. A server that
 * has gone away is noticed within two minutes, and not after the kernel's two hours. No `tcp_user_timeout`: it would end a
 * connection whose server is busy with one statement and reads nothing meanwhile.
 */
export const LIBPQ_KEEPALIVE = "keepalives_idle=30 keepalives_interval=10 keepalives_count=9";

/**
 * Connects. The session ends soon after its client does, even in the middle of a statement.
 * @param name What `pg_stat_activity` shows.
 * @throws Failed with what the server said, and where it was looked for; never with the password
 */
export async function connect(address: Address, name: string): Promise<Client> {
  const { host, port, user, database } = address;
  try {
    return await open(address, name, tlsOf(address)).catch((error: unknown) => {
      // As libpq does by itself: with TLS where the server has it.
      if (modeOf(address) !== "prefer" || (error as Error).message !== NO_TLS) throw error;
      return open(address, name, false);
    });
  } catch (error) {
    throw new Failed(
      `the database ${database} at ${host} port ${String(port)} does not let ${user} in: ${(error as Error).message}. ` +
        "Check the key databaseUrl, and that the host reaches it (a direct Supabase connection is IPv6; the session pooler is IPv4)",
    );
  }
}

/** How `pg` tells that a server has no TLS. */
const NO_TLS = "The server does not support SSL connections";

async function open(address: Address, name: string, ssl: ClientConfig["ssl"]): Promise<Client> {
  const client = new Client({ ...clientConfig(address), ssl, application_name: name });
  // Without a listener a connection that breaks between two queries would end the process; the next query fails by itself.
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.query(`set client_connection_check_interval = '${LOOK_FOR_CLIENT}'`);
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
}

function modeOf({ parameters }: Address): string {
  return parameters["sslmode"] ?? "prefer";
}

/** What `sslmode` and `sslrootcert` say, as libpq understands them. */
function tlsOf(address: Address): NonNullable<ClientConfig["ssl"]> {
  const mode = modeOf(address);
  if (mode === "disable" || mode === "allow" || address.host.startsWith("/")) return false;
  const file = address.parameters["sslrootcert"];
  return {
    rejectUnauthorized: mode.startsWith("verify"),
    ...(file === undefined || file === "system" ? {} : { ca: readFileSync(file, "utf8") }),
    // That the certificate is trusted is enough for it, whoever's it is.
    ...(mode === "verify-ca" ? { checkServerIdentity: () => undefined } : {}),
  };
}

function clientConfig({ host, port, user, password, database, parameters }: Address): ClientConfig {
  return {
    host,
    port,
    user,
    password,
    database,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    // A connection into nothing is noticed within minutes, not hours.
    keepAliveInitialDelayMillis: 30_000,
    ...(parameters["options"] === undefined ? {} : { options: parameters["options"] }),
  };
}
