import { addressOf } from "../../host/database/connection";
import { openMigrator } from "../../host/database/migrations/migrator";
import { Session } from "../../host/database/migrations/session";
import { allDone, waitFor } from "../../sandbox/processes";
import { ChildProgram } from "./support/child";
import { DeafWire } from "./support/deaf-wire";
import {
  applyPending,
  migration,
  type MigrationDatabase,
  MigrationWorld,
  program,
  table,
  tables,
} from "./support/migrations";

/* Migrations on a real Postgres: what fails, dies, and comes twice. */

jest.setTimeout(600_000);

let world: MigrationWorld;

beforeAll(() => {
  world = new MigrationWorld();
});

afterEach(() => world.clear());

afterAll(() => world.remove());

describe("failures", () => {
  test("a file in the middle: those before it stay, nothing of it does, and the error says where and what", async () => {
    const database = await world.fresh();
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
    const database = await world.fresh();
    await expect(applyPending(await database.open(), [migration(1, sql)])).rejects.toThrow(message);
    expect(database.history()).toEqual([]);
  });

  test("a file whose predecessor is not applied is refused", async () => {
    const database = await world.fresh();
    const migrator = await database.open();
    await expect(migrator.apply(table(2), { after: table(1) })).rejects.toThrow("which is not applied");
    expect(database.query("select to_regclass('public.t2')")).toBe("");
  });

  test("a statement that takes too long is ended", async () => {
    const database = await world.fresh();
    const migrator = await database.open("run-1", { statementTimeoutSeconds: 10 });
    await expect(applyPending(migrator, [migration(1, "select 1;\nselect pg_sleep(600);")])).rejects.toThrow(
      /statement 2, line 2: canceling statement due to statement timeout[^]*57014/,
    );
  });

  test("a session that broke while it held something has no other in its place until that is given up", async () => {
    const database = await world.fresh();
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
        world.postgres.stop();
        world.postgres.up();
        await Promise.resolve();
      },
    ],
  ])(
    "when %s in the middle of a file nothing of it stays, and the same migrator goes on",
    async (_, break_) => {
      const database = await world.fresh();
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
    const database = await world.fresh();
    const wire = new DeafWire(world.postgres.socket, "commit");
    try {
      const migrator = await database.open(
        "run-1",
        {},
        true,
        world.postgres.url(database.name, "postgres", await wire.open()),
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
    const database = await world.fresh();
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
    const database = await world.fresh();
    const first = await database.open("run-1");
    await expect(database.open("run-2")).rejects.toThrow(/run run-1 on .* changes this database since 20/);
    await applyPending(await database.open("run-1"), [table(1)]);
    // However often it says that it is alive.
    database.query(`
      create function deployment.silence() returns trigger language plpgsql as $$
        begin new.heartbeat := now() - interval '10 minutes'; return new; end $$;
      create trigger silence before update on deployment.lease for each row when (new.run = 'run-1')
        execute function deployment.silence();
      update deployment.lease set heartbeat = now();`);
    const second = await database.open("run-2");
    expect(database.told.join()).toMatch(/took over the lease of the database from run run-1 .* for 6\d\d s/);
    await expect(first.apply(table(2), { after: table(1) })).rejects.toThrow("run run-2 took it over");
    await applyPending(second, [table(1), table(2)]);
    expect(database.history()).toEqual(["1", "2"]);
    await second.close();
    await database.open("run-3");
  });

  test("a silent one is left alone in the middle of a file", async () => {
    const database = await world.fresh();
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
  });

  test("a live one says so", async () => {
    const database = await world.fresh();
    await database.open("run-1");
    await database.until("select 1 from deployment.lease where heartbeat > since + interval '1 second'");
  });

  test("a database that is nobody else's needs no lease", async () => {
    const database = await world.fresh();
    await database.open("run-1");
    await applyPending(await database.open("run-2", {}, false), tables(2));
    expect(database.history()).toEqual(["1", "2"]);
    expect(database.query("select run from deployment.lease")).toBe("run-1");
  });

  test("two with one name, at once: each file is applied once", async () => {
    const database = await world.fresh();
    const files = tables(30);
    const both = await Promise.all([database.open("run-1"), database.open("run-1")]);
    const results = await Promise.all(both.map((migrator) => applyPending(migrator, files)));
    const outcomes = results.flatMap(({ applied }) => applied.map(({ outcome }) => outcome));
    expect(outcomes.filter((outcome) => outcome === "applied")).toHaveLength(30);
    expect(database.history()).toHaveLength(30);
  });
});

test("what a killed run left at work is waited for, and what it did is not done again", async () => {
  const database = await world.fresh();
  const file = migration(1, "select pg_sleep(30); create table public.x ();");
  // There before the other one dies: what that left at work ends a second later.
  const migrator = await database.open();
  const child = new ChildProgram(program(database, file, null));
  try {
    const run = child.start();
    await database.until(
      "select 1 from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()",
    );
    const asleep = database.query(
      "select pid from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()",
    );
    // It looks for its client once a second, and may do so before it is met.
    process.kill(Number(asleep), "SIGSTOP");
    run.kill("SIGKILL");
    const applying = allDone([applyPending(migrator, [migration(1, "create table public.x ();")])]);
    try {
      await waitFor("it to be met", 60, () => (database.told.length > 0 ? true : undefined));
    } finally {
      process.kill(Number(asleep), "SIGCONT");
      await applying;
    }
  } finally {
    child.remove();
  }
  expect(database.told).toEqual(["another session changes the schema; waiting for its end"]);
  expect(database.history()).toEqual(["1"]);
});

test("an owner who is no superuser, by a password of special characters that is in no error", async () => {
  const password = "p@:/?#% w";
  world.postgres.run(`create role special login password '${password}' in role anon`);
  const database = await world.fresh();
  database.query(`alter database ${database.name} owner to special`);
  const url = database.url.replace("postgres@", `special:${encodeURIComponent(password)}@`);
  const options = {
    limits: { lockTimeoutMs: 200, lockWaitSeconds: 20, statementTimeoutSeconds: 60 },
    run: "r",
    lease: true,
    progress: () => undefined,
  };
  const migrator = await openMigrator(url, options);
  expect(await migrator.schemaVersion()).toBeNull();
  const secured =
    "alter table public.t1 enable row level security; create policy p on public.t1 using (false);";
  const concurrent = "create index concurrently t1_idx on public.t1 (id);";
  await applyPending(migrator, [table(1), migration(2, secured), migration(3, concurrent)]);
  expect(await migrator.check([])).toEqual(["row-level-security", "anon"]);
  await migrator.close();
  const failure = await openMigrator(url.replace(database.name, "nowhere"), options).catch(
    (error: unknown) => (error as Error).message,
  );
  expect(failure).toMatch(/nowhere/);
  expect(failure).not.toContain("p@");
});
