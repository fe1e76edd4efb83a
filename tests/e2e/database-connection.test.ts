import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addressOf, connect } from "../../host/database/connection";
import { certificatesIn, makeCertificates } from "../../sandbox/certificates";
import { SandboxPostgres } from "../../sandbox/postgres";
import { worldNamed } from "../../sandbox/world";

/* Connections as libpq makes them: with TLS where the server has it, verified where that is asked for. */

let directory: string;
let plain: SandboxPostgres;
let secure: SandboxPostgres;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "connection-"));
  execFileSync("chmod", ["711", directory]);
  const start = (name: string): Promise<SandboxPostgres> =>
    SandboxPostgres.start(worldNamed(), { directory: join(directory, name), address: "127.0.0.1" });
  plain = await start("plain");
  secure = await start("secure");
  await makeCertificates(join(directory, "tls"), ["localhost"]);
  const { chain, key } = certificatesIn(join(directory, "tls"));
  const data = join(directory, "secure", "data");
  for (const [from, to] of [
    [chain, "server.crt"],
    [key, "server.key"],
  ] as const)
    execFileSync("install", ["-m", "600", "-o", "postgres", from, join(data, to)]);
  secure.each("alter system set ssl = on; select pg_reload_conf()");
});

afterAll(async () => {
  await plain.remove();
  await secure.remove();
  rmSync(directory, { recursive: true, force: true });
});

/** Whether the session of a URL with these parameters is encrypted. */
async function encrypted(postgres: SandboxPostgres, parameters: Record<string, string>): Promise<boolean> {
  const url = new URL(postgres.url);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  const client = await connect(addressOf(url.toString()), "test");
  try {
    const { rows } = await client.query<{ ssl: boolean }>(
      "select ssl from pg_stat_ssl where pid = pg_backend_pid()",
    );
    return rows[0]?.ssl === true;
  } finally {
    await client.end();
  }
}

const authority = (): string => certificatesIn(join(directory, "tls")).authority;

test.each([
  ["nothing said", {}, true],
  ["prefer", { sslmode: "prefer" }, true],
  ["require", { sslmode: "require" }, true],
  ["disable", { sslmode: "disable" }, false],
] as const)("a server with TLS, %s", async (_, parameters, expected) => {
  expect(await encrypted(secure, parameters)).toBe(expected);
});

test("a server without TLS is reached unless TLS is asked for", async () => {
  expect(await encrypted(plain, {})).toBe(false);
  await expect(encrypted(plain, { sslmode: "require" })).rejects.toThrow(/does not support SSL/);
});

test("a certificate is verified where that is asked for: its authority, and its name", async () => {
  await expect(encrypted(secure, { sslmode: "verify-full" })).rejects.toThrow(/self-signed certificate/);
  const sslrootcert = authority();
  expect(readFileSync(sslrootcert, "utf8")).toContain("BEGIN CERTIFICATE");
  expect(await encrypted(secure, { sslmode: "verify-ca", sslrootcert })).toBe(true);
  await expect(encrypted(secure, { sslmode: "verify-full", sslrootcert })).rejects.toThrow(/127\.0\.0\.1/);
});

test("an error never holds the password", async () => {
  const url = new URL(plain.url);
  const { password } = url;
  url.pathname = "/nowhere";
  const error = await connect(addressOf(url.toString()), "test").catch((reason: unknown) => reason);
  expect(String(error)).toMatch(/nowhere/);
  expect(String(error)).not.toContain(decodeURIComponent(password));
  expect(String(error)).not.toContain(password);
});
