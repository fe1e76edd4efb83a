import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { newestPrograms } from "../../../sandbox/postgres";

/** What Supabase has in every database before the first migration, as far as migrations and policies look at it. */
const SUPABASE = `
create role anon nologin; create role authenticated nologin; create role service_role nologin bypassrls;
create schema auth; grant usage on schema auth, public to anon, authenticated, service_role;
create table auth.users (id uuid primary key default gen_random_uuid(), email text);
create function auth.uid() returns uuid language sql stable
  as $$ select nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $$;
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
`;

/** A Postgres of a test's own, on a unix socket that only this test knows, with Supabase's roles. */
export class TestPostgres {
  private constructor(
    private readonly directory: string,
    private readonly programs: string,
  ) {}

  /** Makes and starts it. Call {@link TestPostgres.remove} in `afterAll`. */
  static start(): TestPostgres {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "postgres-"));
    const postgres = new TestPostgres(directory, newestPrograms());
    // The server refuses to run as root.
    execFileSync("chown", ["postgres:", directory]);
    postgres.asPostgres(
      "initdb",
      "--no-sync",
      "--auth=trust",
      "--encoding=UTF8",
      `--pgdata=${directory}/data`,
    );
    postgres.up();
    postgres.run(SUPABASE);
    return postgres;
  }

  /** Starts it, after {@link TestPostgres.stop}. */
  up(): void {
    const { directory } = this;
    const options =
      `-c listen_addresses='' -c unix_socket_directories=${directory} -c fsync=off ` +
      // In its own directory: /dev/shm is everybody's on this machine, and what is removed there ends every new session.
      "-c dynamic_shared_memory_type=mmap";
    this.asPostgres(
      ...["pg_ctl", "start", "--wait", `--pgdata=${directory}/data`, `--log=${directory}/log`],
      `--options=${options}`,
    );
  }

  /** Stops it as a power cut does: whoever is connected loses the connection. */
  stop(): void {
    this.asPostgres("pg_ctl", "stop", "--mode=immediate", `--pgdata=${this.directory}/data`);
  }

  /** URL of one of its databases, by its unix socket, or by one in another directory. */
  url(database = "postgres", user = "postgres", directory = this.directory): string {
    return `postgres://${user}@localhost/${database}?host=${encodeURIComponent(directory)}`;
  }

  /** Path of its socket. */
  get socket(): string {
    return path.join(this.directory, ".s.PGSQL.5432");
  }

  /**
   * Runs SQL as the owner of the database, all of it in one transaction.
   * @returns rows as text, unaligned, a line each
   * @throws Error with what psql said
   */
  run(sql: string, database = "postgres"): string {
    return this.psql(sql, database, ["--single-transaction"]);
  }

  /** Runs SQL as `psql -f` does: each statement for itself, unless it says otherwise. */
  runEach(sql: string, database: string): void {
    this.psql(sql, database, []);
  }

  private psql(sql: string, database: string, more: readonly string[]): string {
    const psql = path.join(this.programs, "psql");
    const args = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", ...more];
    return execFileSync(psql, [...args, "-v", "ON_ERROR_STOP=1", "-d", this.url(database)], {
      input: sql,
      encoding: "utf8",
      stdio: ["pipe", "pipe", "pipe"],
    }).trim();
  }

  /** Stops it, and removes everything of it. */
  remove(): void {
    this.stop();
    fs.rmSync(this.directory, { recursive: true });
  }

  private asPostgres(program: string, ...args: string[]): void {
    const argv = ["--user", "postgres", "--", path.join(this.programs, program), ...args];
    // pg_ctl's server would hold a pipe open for as long as it runs.
    execFileSync("runuser", argv, { cwd: "/", stdio: ["ignore", "ignore", "inherit"] });
  }
}
