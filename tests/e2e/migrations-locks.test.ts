import type { MigrationFile } from "../../host/database/protocol";
import { statementDigest } from "../../host/database/migrations/script";
import { waitFor } from "../../sandbox/processes";
import { ChildProgram } from "./support/child";
import { applyPending, migration, MigrationWorld, program, table } from "./support/migrations";

/* Migrations on a real Postgres that others use meanwhile, and files that cannot be in a transaction. */

jest.setTimeout(600_000);

let world: MigrationWorld;

beforeAll(() => {
  world = new MigrationWorld();
});

afterEach(() => world.clear());

afterAll(() => world.remove());

describe("a long transaction in the way", () => {
  const column = migration(2, "alter table public.t1 add column note text;");

  test("is named, with its values left out, and the file waits no longer than it may", async () => {
    const database = await world.fresh();
    // So long that who is in the way is seen, also by a machine that stands still for a while: one looks four times a second.
    const migrator = await database.open("run-1", { lockTimeoutMs: 10_000, lockWaitSeconds: 1 });
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
    const database = await world.fresh();
    const migrator = await database.open("run-1", { lockWaitSeconds: 90 });
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
    const pauses = (): number => database.told.filter((line) => line.includes("trying again")).length;
    const before = { pauses: pauses(), written };
    // Three more pauses, in which those who queued behind the file write.
    await waitFor("three pauses, and what is written in them", 60, () =>
      pauses() >= before.pauses + 3 && written > before.written + 3 ? true : undefined,
    );
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
  });
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
    const database = await world.fresh();
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
    const database = await world.fresh();
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
    const database = await world.fresh();
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

  test.each([
    [
      "an index of that name",
      "create index t1_note on public.t1 (note); ",
      "create index concurrently t1_note on public.t1 (id);",
    ],
    ["no such index", "", "drop index concurrently public.t1_note;"],
  ])("%s is an error each time, and not taken for a run that died", async (_, there, sql) => {
    const database = await world.fresh();
    const migrator = await database.open();
    const files = [migration(1, `create table public.t1 (id int, note text); ${there}`), migration(2, sql)];
    await expect(applyPending(migrator, files)).rejects.toThrow(/statement 1, line 1: .*t1_note/);
    await expect(applyPending(migrator, files)).rejects.toThrow(/statement 1, line 1: .*t1_note/);
    expect(database.history()).toEqual(["1"]);
  });

  test.each([
    ["made", "", index, "t1_id_idx"],
    ["dropped", "create index t1_id_idx on public.t1 (id);", "drop index concurrently public.t1_id_idx;", ""],
  ])(
    "an index that was %s when its run died before it could say so is not asked for again",
    async (_, first, sql, there) => {
      const database = await world.fresh();
      const files = [migration(1, `create table public.t1 (id int); ${first}`), migration(2, sql)];
      await applyPending(await database.open(), files);
      // As it is between the end of the statement and the word that it is done.
      database.query(`
      delete from supabase_migrations.schema_migrations where version = '${files[1]!.version}';
      update deployment.files set finished_at = null, done = '{}', running = '${await statementDigest(sql)}'
      where version = '${files[1]!.version}'`);
      const { applied } = await applyPending(await database.open(), files);
      expect(applied).toMatchObject([{ outcome: "applied" }]);
      expect(database.query("select to_regclass('public.t1_id_idx')")).toBe(there);
      expect(database.history()).toEqual(["1", "2"]);
    },
  );

  test("an index whose run was killed is made again", async () => {
    const database = await world.fresh();
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
    expect(database.query("select running is not null from deployment.files where finished_at is null")).toBe(
      "t",
    );
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
  });
});
