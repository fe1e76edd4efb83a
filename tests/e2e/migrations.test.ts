import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { Refused } from "../../host/conductor/faults";
import { openMigrator } from "../../host/database/migrations/migrator";
import type { MigrationFile } from "../../host/database/protocol";
import { addressOf } from "../../host/database/connection";
import { Session } from "../../host/database/migrations/session";
import { repositoryRoot } from "../../sandbox/repository";
import { ChildProgram } from "./support/child";
import { DeafWire } from "./support/deaf-wire";
import { applyPending, migration, MigrationDatabase, supabase } from "./support/migrations";
import { TestPostgres } from "./support/postgres";

/* Migrations on a real Postgres, in every state that a database was ever found in. */

let postgres: TestPostgres;
const databases: MigrationDatabase[] = [];

beforeAll(() => {
  postgres = TestPostgres.start();
}, 60_000);

afterEach(async () => {
  for (const database of databases.splice(0)) await database.remove();
});

afterAll(() => postgres.remove());

async function fresh(): Promise<MigrationDatabase> {
  const database = await MigrationDatabase.make(postgres);
  databases.push(database);
  return database;
}

const table = (number: number): MigrationFile =>
  migration(number, `create table public.t${number} (id int primary key);`);
const tables = (count: number): MigrationFile[] =>
  Array.from({ length: count }, (_, index) => table(index + 1));

/** The product's own files. */
function ownFiles(): MigrationFile[] {
  const directory = join(repositoryRoot(), "migrations");
  return readdirSync(directory)
    .filter((name) => name.endsWith(".sql"))
    .sort()
    .map((file) => {
      const [version, ...name] = file.replace(/\.sql$/, "").split("_");
      return { ...migration(version!, readFileSync(join(directory, file), "utf8")), name: name.join("_") };
    });
}

describe("databases as they are found", () => {
  test("fresh: the product's files, its checks, and the supabase CLI finds nothing to do", async () => {
    const database = await fresh();
    const files = ownFiles();
    const migrator = await database.open();
    const { found, applied } = await applyPending(migrator, files);
    expect(found).toEqual({ schemaVersion: null, pending: files.map(({ version }) => version), waiting: [] });
    expect(applied.map(({ outcome }) => outcome)).toEqual(files.map(() => "applied"));
    expect(await migrator.schemaVersion()).toBe(files.at(-1)!.version);
    const checks = readdirSync(join(repositoryRoot(), "migrations/checks")).map((name) => ({
      name,
      sql: readFileSync(join(repositoryRoot(), "migrations/checks", name), "utf8"),
    }));
    expect(await migrator.check(checks)).toEqual([
      ...checks.map(({ name }) => name),
      "row-level-security",
      "anon",
    ]);
    expect(supabase(files, "db", "push", "--yes", "--db-url", database.url)).toContain("up to date");
    expect((await applyPending(migrator, files)).found.pending).toEqual([]);
    await expect(migrator.apply(files[0]!, { after: null })).resolves.toMatchObject({
      outcome: "was applied",
    });
  });

  test("migrated by the supabase CLI: adopted, and the rest is applied; it sees ours", async () => {
    const database = await fresh();
    const odd = [
      migration(1, "\ufeff-- first\r\nBEGIN;\r\ncreate table public.a (id int); -- a\r\nCOMMIT;\r\n"),
      migration(
        2,
        "create function public.f() returns text language sql as $$ select 'x;y' $$;\n/* end */ select 1 -- no semicolon",
      ),
      migration(3, "-- nothing"),
    ];
    supabase(odd, "db", "push", "--yes", "--db-url", database.url);
    const files = [...odd, table(4)];
    const migrator = await database.open();
    expect((await applyPending(migrator, files)).found.pending).toEqual([files[3]!.version]);
    expect(database.query("select origin from deployment.files order by version")).toBe(
      "adopted\nadopted\nadopted\napplied",
    );
    const list = supabase(files, "migration", "list", "--db-url", database.url);
    for (const { version } of files) expect(list).toMatch(new RegExp(`${version}.*\\|.*${version}.*\\|`));

    const edited = migration(2, odd[1]!.sql.replace("x;y", "x;z"));
    await expect(applyPending(migrator, [odd[0]!, edited, odd[2]!, table(4)])).rejects.toThrow(
      `${edited.version}_change.sql was edited after it was applied`,
    );
  });

  test("an edit of what the CLI applied is refused by its statements, not by its spaces", async () => {
    const database = await fresh();
    const applied = migration(1, "create table public.a (id int);");
    supabase([applied], "db", "push", "--yes", "--db-url", database.url);
    const migrator = await database.open();
    await expect(
      applyPending(migrator, [migration(1, "create table public.a (id bigint);")]),
    ).rejects.toThrow("was edited after it was applied by another tool");
    const spaced = migration(1, "-- why\nCREATE TABLE public.a\n  (id int)");
    expect((await applyPending(migrator, [spaced])).found.pending).toEqual([]);
  });

  test("half migrated", async () => {
    const database = await fresh();
    const files = tables(4);
    await applyPending(await database.open(), files.slice(0, 2));
    const { found } = await applyPending(await database.open(), files);
    expect(found).toEqual({
      schemaVersion: files[1]!.version,
      pending: [files[2]!.version, files[3]!.version],
      waiting: [],
    });
    expect(database.history()).toEqual(["1", "2", "3", "4"]);
  });

  test("migrated by hand: the error says what to write, and with a baseline the rest is applied", async () => {
    const database = await fresh();
    const files = tables(3);
    for (const { sql } of files.slice(0, 2)) database.query(sql);
    const migrator = await database.open();
    await expect(applyPending(migrator, files)).rejects.toThrow(/t1.*already exists[^]*database\.baseline/);
    await expect(applyPending(migrator, files, { baseline: "7" })).rejects.toThrow(
      "which is no file's version",
    );
    await applyPending(migrator, files, { baseline: files[1]!.version });
    expect(database.history()).toEqual(["1", "2", "3"]);
    expect(database.query("select origin from deployment.files order by version")).toBe(
      "baseline\nbaseline\napplied",
    );
    expect(supabase(files, "db", "push", "--yes", "--dry-run", "--db-url", database.url)).toContain(
      "up to date",
    );
  });

  test("newer than we know: going back to an earlier config is allowed", async () => {
    const database = await fresh();
    const migrator = await database.open();
    await applyPending(migrator, tables(3));
    const { found } = await applyPending(migrator, tables(2));
    expect(found).toEqual({ schemaVersion: table(3).version, pending: [], waiting: [] });
  });

  test("contract files, and all after them, wait while two releases are there", async () => {
    const database = await fresh();
    const [first, , third] = tables(3);
    const files = [first!, migration(2, "drop table public.t1;", true), third!];
    const migrator = await database.open();
    const { found } = await applyPending(migrator, files, { holdContract: "blue is there" });
    expect(found).toMatchObject({ pending: [first!.version], waiting: [files[1]!.version, third!.version] });
    expect(database.history()).toEqual(["1"]);
    await applyPending(migrator, files);
    expect(database.history()).toEqual(["1", "2", "3"]);
  });

  test("edited, removed and put in between: refused together by name, accepted by name, and recorded", async () => {
    const database = await fresh();
    const migrator = await database.open();
    await applyPending(migrator, [table(1), table(2), table(5), table(6)]);
    const edited = migration(1, "create table public.t1 (id bigint);");
    const files = [edited, table(3), table(5), table(6)];
    const refused = await applyPending(migrator, files).catch((error: unknown) => error as Error);
    expect(refused).toBeInstanceOf(Refused);
    for (const part of [
      /0001_change.sql was edited/,
      /0002_change.sql is applied, but its file is gone/,
      /0003_change.sql is not applied/,
    ]) {
      expect((refused as Error).message).toMatch(part);
    }
    const accept = [
      { version: edited.version, sha256: edited.sha256, reason: "only a comment" },
      { version: table(2).version, sha256: null, reason: "squashed" },
      { version: table(3).version, sha256: table(3).sha256, reason: "a late branch" },
    ];
    await expect(applyPending(migrator, files, { accept: accept.slice(0, 2) })).rejects.toThrow(
      /^[^]*0003_change.sql is not(?!.*edited)/,
    );
    expect((await applyPending(migrator, files, { accept })).found.pending).toEqual([table(3).version]);
    expect(database.history()).toEqual(["1", "2", "3", "5", "6"]);
    expect(
      database.query("select version, reason from deployment.acceptances order by 1").split("\n"),
    ).toHaveLength(3);
    // What was accepted once stays accepted.
    expect((await applyPending(migrator, files)).found.pending).toEqual([]);
  });
});

describe("files", () => {
  const crlf =
    "create table public.a (id int);\r\ncreate function public.f() returns int language plpgsql as $$\r\nbegin\r\n  return 1;\r\nend $$;\r\n";
  test.each([
    ["its own BEGIN and COMMIT", "-- a file\nBEGIN;\ncreate table public.a (id int);\nCOMMIT;\n"],
    [
      "settings around BEGIN",
      "set lock_timeout = '4s';\nstart transaction;\ncreate table public.a (id int);\nend;\nnotify pgrst, 'reload';",
    ],
    ["a comment at its end", "create table public.a (id int); -- and nothing else"],
    ["no semicolon", "create table public.a (id int)"],
    ["carriage returns", crlf],
    ["a byte order mark", "\ufeffcreate table public.a (id int);"],
    ["the words in a text", "create table public.a (id int); comment on table public.a is 'begin; commit;';"],
    [
      "a savepoint",
      "create table public.a (id int); savepoint s; create table public.b (id int); rollback to s;",
    ],
    [
      "37,000 lines",
      `create table public.a (id int);\n${"insert into public.a values (1);\n".repeat(37_000)}`,
    ],
    [
      "another role",
      "set role service_role; reset role; set role anon; do $$ begin null; end $$; create temp table x (); set session authorization postgres; create table public.a (id int);  set role anon",
    ],
  ])("with %s are applied whole", async (_, sql) => {
    const database = await fresh();
    const migrator = await database.open();
    await applyPending(migrator, [migration(1, sql)]);
    expect(database.query("select to_regclass('public.a')")).toBe("a");
    expect(database.history()).toEqual(["1"]);
    expect((await applyPending(migrator, [migration(1, sql), table(2)])).applied).toHaveLength(1);
  });

  test.each([
    [
      "COMMIT in the middle",
      "create table public.a (id int);\ncommit;\ncreate table public.b (id int);",
      /line 2: begins or ends a transaction in the middle/,
    ],
    ["two transactions", "begin; select 1; commit;\nbegin; select 2; commit;", /line 1: begins or ends/],
    ["ROLLBACK", "begin; create table public.a (id int); rollback;", /line 1: begins or ends/],
    ["an option", "begin isolation level serializable; select 1; commit;", /with options are not kept/],
    ["psql's words", "select 1;\n\\i other.sql", /line 2: .*is psql's/],
    ["rows of COPY", "copy public.a from stdin;", /COPY FROM STDIN/],
    ["an index without a name", "create index concurrently on public.a (id);", /needs a name/],
    ["a NUL", "select 1;\nselect '\0';", /line 2: holds a NUL/],
    ["an unknown mark", "-- transaction: some\nselect 1;", /takes `none`/],
  ])("with %s are refused by name before anything is applied", async (_, sql, reason) => {
    const database = await fresh();
    const migrator = await database.open();
    const files = [table(1), migration(2, sql), table(3)];
    await expect(applyPending(migrator, files)).rejects.toThrow(reason);
    await expect(applyPending(migrator, files)).rejects.toThrow("20250000000002_change.sql, line");
    expect(database.history()).toEqual([]);
  });

  test("what a file sets is gone after it", async () => {
    const database = await fresh();
    const settings =
      "set lock_timeout = '1ms'; set search_path = ''; set statement_timeout = '1s'; create temp table left_over ();";
    await applyPending(await database.open(), [
      migration(1, settings),
      migration(2, `set role anon; prepare p as select 1;`),
      migration(
        3,
        `create table seen as select current_setting('lock_timeout') as l, current_setting('search_path') as s,
        current_setting('statement_timeout') as t, current_user::text as u, to_regclass('pg_temp.left_over')::text as tmp;`,
      ),
    ]);
    expect(database.query("select * from public.seen")).toBe('200ms|"$user", public|1min|postgres|');
  });

  test("300 of them", async () => {
    const database = await fresh();
    const files = tables(300);
    const { applied } = await applyPending(await database.open(), files);
    expect(applied).toHaveLength(300);
    expect(database.query("select count(*) from pg_tables where schemaname = 'public'")).toBe("300");
  });
});

describe("failures", () => {
  test("a file in the middle: those before it stay, nothing of it does, and the error says where and what", async () => {
    const database = await fresh();
    const bad = migration(
      2,
      "create table public.x (id int unique);\ninsert into public.x values (1);\n\ninsert into public.x\n  values (1);",
    );
    const migrator = await database.open();
    const failure = await applyPending(migrator, [table(1), bad, table(3)]).catch(
      (error: unknown) => (error as Error).message,
    );
    expect(failure).toMatch(
      /^20250000000002_change.sql, statement 3, line 4: duplicate key value[^]*SQLSTATE 23505[^]*Detail: Key \(id\)=\(1\)/,
    );
    expect(failure).toMatch("Nothing of this file was applied; the files before it are");
    expect(failure).not.toContain(database.url);
    expect(database.history()).toEqual(["1"]);
    expect(database.query("select to_regclass('public.x')")).toBe("");
    const mended = migration(2, "create table public.x (id int);");
    await applyPending(migrator, [table(1), mended, table(3)]);
    expect(database.history()).toEqual(["1", "2", "3"]);
  });

  test.each([
    [
      "the server's place",
      "select 1;\nselect\n  nothing from public.nowhere;",
      /statement 2, line 3: relation "public.nowhere" does not exist/,
    ],
    [
      "the end of the transaction",
      "create table public.d (id int primary key, up int references public.d deferrable initially deferred);\ninsert into public.d values (1, 2);",
      /at COMMIT: insert or update on table "d" violates/,
    ],
  ])("are told by %s", async (_, sql, message) => {
    const database = await fresh();
    await expect(applyPending(await database.open(), [migration(1, sql)])).rejects.toThrow(message);
    expect(database.history()).toEqual([]);
  });

  test("a file whose predecessor is not applied is refused", async () => {
    const database = await fresh();
    const migrator = await database.open();
    await expect(migrator.apply(table(2), { after: table(1) })).rejects.toThrow("which is not applied");
    expect(database.query("select to_regclass('public.t2')")).toBe("");
  });

  test("a statement that takes too long is ended", async () => {
    const database = await fresh();
    const migrator = await database.open("run-1", { statementTimeoutSeconds: 1 });
    await expect(applyPending(migrator, [migration(1, "select 1;\nselect pg_sleep(60);")])).rejects.toThrow(
      /statement 2, line 2: canceling statement due to statement timeout[^]*57014/,
    );
  });

  test("a session that broke while it held something has no other in its place until that is given up", async () => {
    const database = await fresh();
    const session = new Session(addressOf(database.url), "held");
    await session.query("begin");
    session.hold();
    database.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'held'");
    await expect(session.query("create table public.x ()")).rejects.toThrow();
    await expect(session.query("create table public.x ()")).rejects.toThrow("the connection broke");
    await session.abandon();
    expect((await session.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    await session.close();
  });

  test.each([
    [
      "its session is ended",
      async (database: MigrationDatabase) => {
        database.query(
          "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'migrations' and datname = current_database()",
        );
        await Promise.resolve();
      },
    ],
    [
      "the server stops",
      async () => {
        postgres.stop();
        postgres.up();
        await Promise.resolve();
      },
    ],
  ])(
    "when %s in the middle of a file nothing of it stays, and the same migrator goes on",
    async (_, break_) => {
      const database = await fresh();
      const migrator = await database.open();
      const slow = migration(2, "create table public.x (id int);\nselect pg_sleep(60);");
      await applyPending(migrator, [table(1)]);
      const applying = applyPending(migrator, [table(1), slow]).catch(
        (error: unknown) => (error as Error).message,
      );
      await database.until(
        "select 1 from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()",
      );
      await break_(database);
      expect(await applying).toMatch(/statement 2, line 2: [^]*Nothing of this file was applied/);
      await applyPending(migrator, [table(1), migration(2, "create table public.x (id int)"), table(3)]);
      expect(database.history()).toEqual(["1", "2", "3"]);
    },
  );

  test("when the answer to a COMMIT that was kept is lost, the history knows that it was", async () => {
    const database = await fresh();
    const wire = new DeafWire(postgres.socket, "commit");
    try {
      const migrator = await database.open(
        "run-1",
        {},
        true,
        postgres.url(database.name, "postgres", await wire.open()),
      );
      wire.deaf = true;
      await expect(migrator.apply(table(1), { after: null })).resolves.toMatchObject({ outcome: "applied" });
      expect(wire.lost).toBe(1);
      await migrator.apply(table(2), { after: table(1) });
      expect(database.told).toEqual([
        `${table(1).version}_change.sql: the connection broke at COMMIT; asking the history`,
      ]);
      expect(database.history()).toEqual(["1", "2"]);
      await migrator.close();
    } finally {
      await wire.close();
    }
  });

  test("when a session dies in its COMMIT, the history knows that nothing was kept", async () => {
    const database = await fresh();
    const migrator = await database.open();
    const dies =
      "create function public.die() returns trigger language plpgsql as $$ begin perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(1); return null; end $$; create table public.d (id int); create constraint trigger d after insert on public.d deferrable initially deferred for each row execute function public.die();";
    const insert = migration(2, "insert into public.d values (1);");
    await applyPending(migrator, [migration(1, dies)]);
    await expect(applyPending(migrator, [migration(1, dies), insert])).rejects.toThrow(
      /at COMMIT: [^]*Nothing of this file was applied/,
    );
    expect(database.told.join()).toContain("asking the history");
    expect(database.history()).toEqual(["1"]);
  });
});

describe("runs", () => {
  test("a second one is refused with who has it; a silent one is taken over; the first is told", async () => {
    const database = await fresh();
    const first = await database.open("run-1");
    await expect(database.open("run-2")).rejects.toThrow(/run run-1 on .* changes this database since 20/);
    await applyPending(await database.open("run-1"), [table(1)]);
    database.query("update deployment.lease set heartbeat = now() - interval '10 minutes'");
    const second = await database.open("run-2");
    expect(database.told.join()).toMatch(/took over the lease of the database from run run-1 .* for 6\d\d s/);
    await expect(first.apply(table(2), { after: table(1) })).rejects.toThrow("run run-2 took it over");
    await applyPending(second, [table(1), table(2)]);
    expect(database.history()).toEqual(["1", "2"]);
    await second.close();
    await database.open("run-3");
  });

  test("a silent one is left alone in the middle of a file", async () => {
    const database = await fresh();
    const first = await database.open("run-1");
    const holder = await database.session();
    await holder.query("select pg_advisory_lock(1)");
    const applying = applyPending(first, [
      migration(1, "set lock_timeout = 0; select pg_advisory_xact_lock(1);"),
    ]);
    await database.until(
      "select 1 from pg_stat_activity where wait_event = 'advisory' and datname = current_database()",
    );
    database.query("update deployment.lease set heartbeat = now() - interval '10 minutes'");
    await expect(database.open("run-2")).rejects.toThrow("changes this database");
    await holder.query("select pg_advisory_unlock(1)");
    expect((await applying).applied).toMatchObject([{ outcome: "applied" }]);
  }, 20_000);

  test("two with one name, at once: each file is applied once", async () => {
    const database = await fresh();
    const files = tables(30);
    const both = await Promise.all([database.open("run-1"), database.open("run-1")]);
    const results = await Promise.all(both.map((migrator) => applyPending(migrator, files)));
    const outcomes = results.flatMap(({ applied }) => applied.map(({ outcome }) => outcome));
    expect(outcomes.filter((outcome) => outcome === "applied")).toHaveLength(30);
    expect(database.history()).toHaveLength(30);
  });
});

test("what a killed run left at work is waited for, and what it did is not done again", async () => {
  const database = await fresh();
  const file = migration(1, "select pg_sleep(30); create table public.x ();");
  const child = new ChildProgram(program(database, file, null));
  try {
    const run = child.start();
    await database.until(
      "select 1 from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()",
    );
    run.kill("SIGKILL");
    const mended = migration(1, "create table public.x ();");
    await applyPending(await database.open(), [mended]);
  } finally {
    child.remove();
  }
  expect(database.told).toEqual(["another session changes the schema; waiting for its end"]);
  expect(database.history()).toEqual(["1"]);
}, 20_000);

/** A program that applies one file, and tells its progress. */
function program(database: MigrationDatabase, file: MigrationFile, after: MigrationFile | null): string {
  return `
    import { openMigrator } from "./host/database/migrations/migrator";
    const limits = { lockTimeoutMs: 200, lockWaitSeconds: 20, statementTimeoutSeconds: 60 };
    void openMigrator(${JSON.stringify(database.url)}, { limits, run: "run-1", lease: true, progress: console.log })
      .then((migrator) => migrator.apply(${JSON.stringify(file)}, { after: ${JSON.stringify(after)} }));
  `;
}

describe("a long transaction in the way", () => {
  const column = migration(2, "alter table public.t1 add column note text;");

  test("is named, with its values left out, and the file waits no longer than it may", async () => {
    const database = await fresh();
    const migrator = await database.open("run-1", { lockWaitSeconds: 1 });
    await applyPending(migrator, [table(1)]);
    const reader = await database.session("a report");
    await reader.query("begin");
    await reader.query("select id, 'secret' from public.t1 where id = 4711");
    const failure = await applyPending(migrator, [table(1), column]).catch(
      (error: unknown) => (error as Error).message,
    );
    expect(failure).toMatch(
      /SQLSTATE 55P03[^]*waited for AccessExclusiveLock on public.t1; in the way: process \d+ of postgres \(a report\)/,
    );
    expect(failure).toMatch("select id, $1 from public.t1 where id = $2");
    expect(failure).not.toMatch(/secret|4711/);
    expect(database.history()).toEqual(["1"]);
  });

  test("lets users write on, and the file is applied once it ends", async () => {
    const database = await fresh();
    const migrator = await database.open();
    await applyPending(migrator, [table(1)]);
    const reader = await database.session("a report");
    await reader.query("begin");
    await reader.query("select from public.t1");
    const writer = await database.session("a user");
    let written = 0;
    let failed = 0;
    const over = new AbortController();
    const writing = (async () => {
      for (let id = 0; !over.signal.aborted; id += 1) {
        await writer.query("insert into public.t1 (id) values ($1)", [id]).then(
          () => (written += 1),
          () => (failed += 1),
        );
      }
    })();
    const applying = applyPending(migrator, [table(1), column]);
    await database.until(
      "select 1 from pg_stat_activity where wait_event_type = 'Lock' and application_name = 'migrations' and datname = current_database()",
    );
    const before = written;
    // Three pauses, in which those who queued behind the file write.
    while (database.told.filter((line) => line.includes("trying again")).length < 3)
      await new Promise(setImmediate);
    expect(written).toBeGreaterThan(before + 3);
    await reader.query("commit");
    const { applied } = await applying;
    over.abort();
    await writing;
    expect(failed).toBe(0);
    expect(applied[0]!.locks).toEqual([
      {
        version: column.version,
        table: "public.t1",
        mode: "AccessExclusiveLock",
        milliseconds: expect.any(Number),
      },
    ]);
  }, 20_000);
});

describe("files that cannot be in a transaction", () => {
  const index = "create index concurrently t1_id_idx on public.t1 (id);";

  test.each([
    ["by the server's first text", `insert into public.t1 values (2);\n${index}\nvacuum public.t1;`],
    [
      "by its second text",
      "create procedure public.p() language plpgsql as $$ begin insert into public.t1 values (2); commit; end $$;\ncall public.p();\ncreate index t1_id_idx on public.t1 (id);",
    ],
    [
      "by a mark",
      `-- transaction: none\ninsert into public.t1 values (2);\ncreate index t1_id_idx on public.t1 (id);`,
    ],
  ])("are known %s, and applied statement by statement", async (_, sql) => {
    const database = await fresh();
    await applyPending(await database.open(), [table(1), migration(2, sql), table(3)]);
    expect(
      database.query(
        "select id from public.t1; select indisvalid from pg_index where indexrelid = 't1_id_idx'::regclass",
      ),
    ).toBe("2\nt");
    expect(database.history()).toEqual(["1", "2", "3"]);
    expect(database.query("select count(*) from deployment.files where finished_at is null")).toBe("0");
  });

  test("go on at the statement that failed; the rest may be corrected, what is applied may not", async () => {
    const database = await fresh();
    const migrator = await database.open();
    const sql = (first: string, second: string): MigrationFile[] => [
      table(1),
      migration(
        2,
        `-- transaction: none\nset statement_timeout = '90s';\ninsert into public.t1 values (${first});\n${second};\ncreate table public.seen as select current_setting('statement_timeout') as t`,
      ),
    ];
    await expect(applyPending(migrator, sql("1", "insert into public.t1 values (1)"))).rejects.toThrow(
      /statement 3, line 4: duplicate key[^]*Its 2 statements before are applied[^]*goes on at this statement/,
    );
    expect(database.history()).toEqual(["1"]);
    await expect(applyPending(migrator, sql("7", "insert into public.t1 values (2)"))).rejects.toThrow(
      "its statement 2 was changed since",
    );
    await applyPending(migrator, sql("1", "insert into public.t1 values (2)"));
    expect(database.query("select id from public.t1 order by 1")).toBe("1\n2");
    expect(database.query("select t from public.seen")).toBe("90s");
  });

  test("an index that fails leaves no invalid one behind", async () => {
    const database = await fresh();
    const migrator = await database.open();
    database.query("create table public.twice (id int); insert into public.twice values (1), (1)");
    const file = migration(1, "create unique index concurrently twice_id on public.twice (id);");
    await expect(applyPending(migrator, [file])).rejects.toThrow(
      /could not create unique index[^]*Nothing of this file was applied/,
    );
    expect(database.query("select to_regclass('public.twice_id')")).toBe("");
    database.query("delete from public.twice where ctid = '(0,1)'");
    await applyPending(migrator, [file]);
    expect(database.query("select indisvalid from pg_index where indexrelid = 'twice_id'::regclass")).toBe(
      "t",
    );
  });

  test("an index whose run was killed is made again", async () => {
    const database = await fresh();
    const file = migration(2, `insert into public.t1 values (1);\n${index}`);
    await applyPending(await database.open(), [table(1)]);
    // A writer that does not end holds the index back: its run dies there.
    const writer = await database.session();
    await writer.query("begin");
    await writer.query("insert into public.t1 values (99)");
    const child = new ChildProgram(program(database, file, table(1)));
    try {
      const process = await child.startAndWait();
      await database.until(
        "select 1 from pg_index where indexrelid = to_regclass('public.t1_id_idx') and not indisvalid",
      );
      process.kill("SIGKILL");
      await database.until(
        "select 1 where not exists (select from pg_stat_activity where application_name = 'migrations' and query like 'create index%' and datname = current_database())",
      );
    } finally {
      child.remove();
    }
    await writer.query("rollback");
    expect(database.query("select indisvalid from pg_index where indexrelid = 't1_id_idx'::regclass")).toBe(
      "f",
    );
    expect(database.history()).toEqual(["1"]);
    const { applied } = await applyPending(await database.open(), [table(1), file]);
    expect(applied).toMatchObject([{ outcome: "applied" }]);
    expect(database.told.join()).toMatch(
      /going on at statement 2[^]*t1_id_idx was left unfinished; dropping it/,
    );
    expect(
      database.query(
        "select indisvalid from pg_index where indexrelid = 't1_id_idx'::regclass; select id from public.t1",
      ),
    ).toBe("t\n1");
  }, 30_000);
});

describe("checks", () => {
  const secured =
    "alter table public.t enable row level security; create policy p on public.t to authenticated using (true);";

  test("a row fails the check that gave it, and is shown", async () => {
    const database = await fresh();
    const migrator = await database.open();
    const checks = [
      { name: "empty", sql: "select 1 where false;" },
      {
        name: "numbers",
        sql: "-- five are shown\nselect n, 'x' || n as text from generate_series(1, 7) as n",
      },
      { name: "broken", sql: "select * from nowhere" },
      { name: "writes", sql: "create table public.w ()" },
      { name: "ends", sql: "commit; drop table public.t" },
      { name: "nothing", sql: "-- nothing" },
    ];
    const failure = await migrator.check(checks).catch((error: unknown) => (error as Error).message);
    expect(failure).toMatch(
      /numbers: 7 rows where none should be; the first 5:\n {2}\{"n":"1","text":"x1"\}/,
    );
    expect(failure).toMatch(/broken: relation "nowhere" does not exist/);
    expect(failure).toMatch(/writes: cannot execute CREATE TABLE in a read-only transaction/);
    expect(failure).toMatch(/ends: a check is one transaction/);
    expect(failure).toMatch(/nothing: has no query/);
    expect(failure).not.toMatch(/^empty/m);
    expect(await migrator.check(checks.slice(0, 1))).toEqual(["empty", "row-level-security", "anon"]);
  });

  test.each([
    ["without row level security", "", /public\.t has none[^]*public\.t, and no policy says so/],
    ["without a policy", "alter table public.t enable row level security;", /public\.t has no policy/],
    [
      "that anon reads as its owner",
      `${secured} alter table public.t owner to anon;`,
      /anon: [^]*public\.t, and no policy says so/,
    ],
  ])("a table %s fails", async (_, sql, message) => {
    const database = await fresh();
    database.query(`create table public.t (id int); insert into public.t values (1); ${sql}`);
    await expect((await database.open()).check([])).rejects.toThrow(message);
  });

  test.each([
    ["that a policy hides", secured, ""],
    ["that may not be read", `${secured} revoke all on public.t from anon;`, ""],
    [
      "that a policy shows to all",
      `${secured} create policy shown on public.t for select using (true);`,
      "anon reads rows of public.t, as its policies say: shown",
    ],
    [
      "behind a view of its owner's",
      `${secured} create view public.v as select * from public.t;`,
      "anon reads rows of the view public.v",
    ],
  ])("a table %s passes", async (_, sql, told) => {
    const database = await fresh();
    database.query(`create table public.t (id int); insert into public.t values (1); ${sql}`);
    const passed = await (await database.open()).check([]);
    expect(passed).toEqual(["row-level-security", "anon"]);
    expect(database.told.join("\n")).toContain(told);
    expect(database.told.join("\n")).toMatch(told === "" ? /^$/ : /./);
  });
});

test("a password of special characters lets in, and is in no error", async () => {
  const password = "p@:/?#% w";
  postgres.run(`create role special login superuser password '${password}'`);
  const database = await fresh();
  const url = database.url.replace("postgres@", `special:${encodeURIComponent(password)}@`);
  const options = {
    limits: { lockTimeoutMs: 100, lockWaitSeconds: 1, statementTimeoutSeconds: 9 },
    run: "r",
    lease: true,
    progress: () => undefined,
  };
  const migrator = await openMigrator(url, options);
  expect(await migrator.schemaVersion()).toBeNull();
  await migrator.close();
  const failure = await openMigrator(url.replace(database.name, "nowhere"), options).catch(
    (error: unknown) => (error as Error).message,
  );
  expect(failure).toMatch(/nowhere/);
  expect(failure).not.toContain("p@");
});

describe("any sequence of applying, failing and trying again", () => {
  /** What files are made of; each works after those before it. */
  const kinds: ((number: number) => string)[] = [
    (n) => `create table public.t${n} (id int primary key, note text default '${n}');`,
    (n) =>
      `begin;\ncreate table public.t${n} (id int);\ninsert into public.t${n} select generate_series(1, ${n});\ncommit;`,
    (n) =>
      `create table public.t${n} (id int);\ncreate index concurrently t${n}_idx on public.t${n} (id);\ninsert into public.t${n} values (${n})`,
    (n) =>
      `-- transaction: none\ncreate table public.t${n} (id int);\ninsert into public.t${n} values (${n}), (${n}); -- end`,
    (n) => `create function public.f${n}() returns int language sql as $$ select ${n}; $$`,
  ];
  const step = fc.oneof(
    fc.record({ do: fc.constant("apply" as const), count: fc.integer({ min: 1, max: 3 }) }),
    fc.record({
      do: fc.constant("fail" as const),
      statement: fc.constantFrom("select 1 / 0;", "select nothing;", "selekt 1;"),
    }),
    fc.record({ do: fc.constant("reopen" as const) }),
    fc.record({ do: fc.constant("end session" as const) }),
  );

  test("ends as psql ends that runs each file once, in order", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat({ max: kinds.length - 1 }), { minLength: 3, maxLength: 8 }),
        fc.array(step, { maxLength: 8 }),
        async (chosen, steps) => {
          const files = chosen.map((kind, index) => migration(index + 1, kinds[kind]!(index + 1)));
          const [ours, plain] = [
            await MigrationDatabase.make(postgres),
            await MigrationDatabase.make(postgres),
          ];
          databases.push(ours, plain);
          let migrator = await ours.open();
          let applied = 0;
          for (const each of steps) {
            if (each.do === "apply") {
              applied = Math.min(files.length, applied + each.count);
              await applyPending(migrator, files.slice(0, applied));
            } else if (each.do === "fail" && applied < files.length) {
              const next = files[applied]!;
              const broken = migration(
                next.version,
                `${next.sql.replace(/commit;$/, "")}\n;${each.statement}${next.sql.startsWith("begin") ? "commit;" : ""}`,
              );
              await expect(applyPending(migrator, [...files.slice(0, applied), broken])).rejects.toThrow(
                next.version,
              );
            } else if (each.do === "reopen") {
              await migrator.close();
              migrator = await ours.open("run-2");
            } else if (each.do === "end session") {
              ours.query(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'migrations' and datname = current_database()",
              );
            }
            expect(ours.history()).toEqual(files.slice(0, applied).map((_, index) => String(index + 1)));
          }
          await applyPending(migrator, files);
          for (const { sql } of files) plain.queryAlone(sql);
          expect(ours.contents()).toBe(plain.contents());
          for (const database of databases.splice(0)) await database.remove();
        },
      ),
      { numRuns: 6 },
    );
  }, 60_000);
});
