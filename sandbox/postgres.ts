import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";

import { run } from "./command";
import { waitFor } from "./processes";
import { freePorts } from "./reachable";
import { findService, serviceLog, startService, stopService } from "./services";
import type { World } from "./world";

/** Longest wait for the server to take connections, in seconds. */
const START_SECONDS = 120;

/** How long it may wait for its sessions before it is killed, in seconds. */
const STOP_SECONDS = 5;

/** The server refuses to run as root. Debian's packages make this user. */
const ACCOUNT = "postgres";

/** As Supabase has it: a superuser that nobody logs in as, and the owner of the data, who is none. */
const SUPERUSER = "supabase_admin";

/**
 * What Supabase has in every database before the first migration, as far as migrations, policies and backups look at it.
 * @param password Of the role `postgres`.
 */
function supabase(password: string): string {
  return `
create role postgres login createdb createrole bypassrls password '${password.replaceAll("'", "''")}';
create role anon nologin; create role authenticated nologin; create role service_role nologin bypassrls;
grant anon, authenticated, service_role to postgres with admin option;
grant pg_signal_backend, pg_monitor to postgres;
alter database postgres owner to postgres;
create schema auth; grant all on schema auth to postgres;
grant usage on schema auth, public to anon, authenticated, service_role;
create table auth.users (id uuid primary key default gen_random_uuid(), email text);
grant all on auth.users to postgres;
create function auth.uid() returns uuid language sql stable
  as $$ select nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $$;
alter default privileges for role postgres in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges for role postgres in schema public grant all on functions to anon, authenticated, service_role;
`;
}

/** A Postgres of the newest version that is installed here, with Supabase's roles, reached by TCP with a password. */
export class SandboxPostgres {
  private constructor(
    private readonly world: World,
    private readonly directory: string,
    private readonly address: string,
    private readonly port: number,
    private readonly password: string,
  ) {}

  /**
   * Makes and starts one at `address`, an address of this machine's, on a port that is free there.
   * @param directory For its data; made, and removed by {@link SandboxPostgres.remove}.
   */
  static async start(
    world: World,
    { directory, address }: { directory: string; address: string },
  ): Promise<SandboxPostgres> {
    const [port = 0] = await freePorts(address, 1);
    // With every character that a URL, a shell or a connection string gives a meaning to.
    const password = `${randomBytes(12).toString("hex")} @:/?#%'"\\$&`;
    const postgres = new SandboxPostgres(world, directory, address, port, password);
    await postgres.initialise();
    await postgres.resume();
    postgres.asSuperuser(supabase(password));
    return postgres;
  }

  /** URL of its database `postgres`, as the owner of the data. A secret, as far as a sandbox has any. */
  get url(): string {
    const url = new URL(`postgres://postgres@${this.address}:${String(this.port)}/postgres`);
    url.password = encodeURIComponent(this.password);
    return url.toString();
  }

  /** URL of the same database by its unix socket, as the superuser: works on this machine alone, and holds no password. */
  get socketUrl(): string {
    const directory = encodeURIComponent(this.directory);
    return `postgres://${SUPERUSER}@localhost:${String(this.port)}/postgres?host=${directory}`;
  }

  /** Starts it again after {@link SandboxPostgres.stop}, under the same URL. */
  async resume(): Promise<void> {
    const { directory, port, address, world } = this;
    startService(world, this.service, [
      ...["runuser", "--user", ACCOUNT, "--", program("postgres"), "-D", `${directory}/data`],
      ...["-c", `listen_addresses=${address}`, "-c", `port=${String(port)}`],
      ...["-c", `unix_socket_directories=${directory}`, "-c", "fsync=off", "-c", "max_connections=50"],
      // In its own directory: /dev/shm is everybody's on this machine, and what is removed there ends every new session.
      ...["-c", "dynamic_shared_memory_type=mmap"],
    ]);
    await waitFor(`Postgres (see ${serviceLog(world, this.service)})`, START_SECONDS, () => {
      if (findService(world, this.service) === null) throw new Error("Postgres ended while it started");
      return this.answers() ? true : undefined;
    });
  }

  /** Ends it at once, as a power cut does; the URL then refuses connections. */
  async stop(): Promise<void> {
    // Told to end it waits for its sessions, and no client is asked for that.
    await stopService(this.world, this.service, STOP_SECONDS);
  }

  /** Ends it, and removes its data. */
  async remove(): Promise<void> {
    await this.stop();
    fs.rmSync(this.directory, { recursive: true, force: true });
  }

  /**
   * Runs SQL as a superuser, in one transaction.
   * @returns rows as text, unaligned, a line each
   * @throws Error with what psql said
   */
  asSuperuser(sql: string, database = "postgres"): string {
    return this.psql(["--single-transaction"], sql, database);
  }

  /** Runs statements as a superuser, each in a transaction of its own: what makes databases can be in no other. */
  each(sql: string): void {
    this.psql([], sql, "postgres");
  }

  private psql(how: readonly string[], sql: string, database: string): string {
    const options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", ...how];
    const where = ["-h", this.directory, "-p", String(this.port), "-U", SUPERUSER, "-d", database];
    return execFileSync(program("psql"), [...options, "-v", "ON_ERROR_STOP=1", ...where], {
      input: sql,
      encoding: "utf8",
      stdio: ["pipe", "pipe", "pipe"],
    }).trim();
  }

  private get service(): string {
    return `postgres-${this.address}-${String(this.port)}`;
  }

  private async initialise(): Promise<void> {
    fs.rmSync(this.directory, { recursive: true, force: true });
    fs.mkdirSync(this.directory, { recursive: true });
    execFileSync("chown", [`${ACCOUNT}:`, this.directory]);
    const options = ["--no-sync", "--encoding=UTF8", `--username=${SUPERUSER}`];
    const argv = [program("initdb"), ...options, "--auth-host=scram-sha-256", "--auth-local=trust"];
    // Some seconds, in which others may start beside it.
    await run(["runuser", "--user", ACCOUNT, "--", ...argv, `--pgdata=${this.directory}/data`], { cwd: "/" });
    // By TCP come the hosts, whose addresses are not this machine's.
    const rules = "local all all trust\nhost all all 0.0.0.0/0 scram-sha-256\n";
    fs.writeFileSync(path.join(this.directory, "data", "pg_hba.conf"), rules);
  }

  private answers(): boolean {
    try {
      this.asSuperuser("select 1", "template1");
      return true;
    } catch {
      return false;
    }
  }
}

/** Path of a program of the newest Postgres here. */
function program(name: string): string {
  return `${newestPrograms()}/${name}`;
}

/**
 * Directory with the programs of the newest Postgres server here: Debian keeps one for each version.
 * @throws Error where there is none, with the package to install
 */
export function newestPrograms(): string {
  const root = "/usr/lib/postgresql";
  const versions = fs.existsSync(root) ? fs.readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  const [newest] = versions.filter((version) => fs.existsSync(`${root}/${version}/bin/initdb`));
  if (newest === undefined) throw new Error(`no Postgres server in ${root}: apt-get install postgresql`);
  return `${root}/${newest}/bin`;
}
