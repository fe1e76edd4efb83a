import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { Refused } from "../../host/conductor/faults";
import type { MigrationFile } from "../../host/database/protocol";
import { repositoryRoot } from "../../sandbox/repository";
import { applyPending, migration, MigrationWorld, supabase, table, tables } from "./support/migrations";
import { seedOfRun } from "./support/moves";

/* Migrations on a real Postgres: databases as they are found, files as they are written. */

jest.setTimeout(600_000);

let world: MigrationWorld;

beforeAll(() => {
  world = new MigrationWorld();
});

afterEach(() => world.clear());

afterAll(() => world.remove());

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
    const database = await world.fresh();
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

  test("the product's files are the supabase CLI's as they are: it makes the same schema of them, which is adopted", async () => {
    const files = ownFiles();
    const [theirs, ours] = [await world.fresh(), await world.fresh()];
    supabase(files, "db", "push", "--yes", "--db-url", theirs.url);
    await applyPending(await ours.open(), files);
    expect(theirs.contents()).toBe(ours.contents());
    const migrator = await theirs.open();
    expect((await applyPending(migrator, files)).found).toEqual({
      schemaVersion: files.at(-1)!.version,
      pending: [],
      waiting: [],
    });
    expect(theirs.query("select distinct origin from deployment.files")).toBe("adopted");
  });

  test("migrated by the supabase CLI: adopted, and the rest is applied; it sees ours", async () => {
    const database = await world.fresh();
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
    const database = await world.fresh();
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
    const database = await world.fresh();
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
    const database = await world.fresh();
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
    const database = await world.fresh();
    const migrator = await database.open();
    await applyPending(migrator, tables(3));
    const { found } = await applyPending(migrator, tables(2));
    expect(found).toEqual({ schemaVersion: table(3).version, pending: [], waiting: [] });
  });

  test("contract files, and all after them, wait while two releases are there", async () => {
    const database = await world.fresh();
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
    const database = await world.fresh();
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
      "create table public.a (id int); savepoint s; create table public.b (id int); rollback to s; release s;",
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
    const database = await world.fresh();
    const migrator = await database.open();
    await applyPending(migrator, [migration(1, sql)]);
    expect(database.query("select to_regclass('public.a')")).toBe("a");
    // One transaction made the table and wrote the history.
    const same = "(select xmin from deployment.files) = (select xmin from pg_class where relname = 'a')";
    expect(database.query(`select ${same}`)).toBe("t");
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
    const database = await world.fresh();
    const migrator = await database.open();
    const files = [table(1), migration(2, sql), table(3)];
    await expect(applyPending(migrator, files)).rejects.toThrow(reason);
    await expect(applyPending(migrator, files)).rejects.toThrow("20250000000002_change.sql, line");
    expect(database.history()).toEqual([]);
  });

  test("what a file sets is gone after it", async () => {
    const database = await world.fresh();
    const settings =
      "set lock_timeout = '1ms'; set search_path = ''; set statement_timeout = '90s'; create temp table left_over ();";
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
    const database = await world.fresh();
    const files = tables(300);
    const { applied } = await applyPending(await database.open(), files);
    expect(applied).toHaveLength(300);
    expect(database.query("select count(*) from pg_tables where schemaname = 'public'")).toBe("300");
  });
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

  const seed = seedOfRun();

  test(`ends as psql ends that runs each file once, in order (TEST_SEED=${seed})`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat({ max: kinds.length - 1 }), { minLength: 3, maxLength: 8 }),
        fc.array(step, { maxLength: 8 }),
        async (chosen, steps) => {
          const files = chosen.map((kind, index) => migration(index + 1, kinds[kind]!(index + 1)));
          const [ours, plain] = [await world.fresh(), await world.fresh()];
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
          await world.clear();
        },
      ),
      { numRuns: 6, seed },
    );
  });
});
