import { once } from "node:events";
import { Client } from "pg";
import { backup } from "../../host/database/backups/backup";
import { restore } from "../../host/database/backups/restore";
import type { DatabaseSettings, RestoreResult } from "../../host/database/protocol";
import { waitFor } from "../../sandbox/processes";
import { BackupWorld, programsWith, type TestHost } from "./support/backups";
import { ChildProgram } from "./support/child";
import { contentOf } from "./support/database-content";

jest.setTimeout(300_000);

/* `ops restore` on a real Postgres: all of the backup, or all of what was there; never neither. */

let world: BackupWorld;
let count = 0;

beforeAll(async () => {
  world = await BackupWorld.start();
}, 600_000);

afterAll(() => world.remove());

const run = (host: TestHost, confirmed = true, name = "latest"): Promise<RestoreResult> =>
  restore(host.surroundings(), { act: "restore", backup: name, confirmed });

/** A database with a backup, and its host. */
async function backedUp(
  change: Partial<DatabaseSettings> = {},
  user?: string,
): Promise<{ name: string; url: string; host: TestHost; backupName: string }> {
  count += 1;
  const name = `shop_${String(count)}`;
  world.database(name);
  const url = world.postgres.url(name, user);
  const host = await world.host(url, change);
  const made = await backup(host.surroundings(), { act: "backup", reason: "asked", generation: 0 });
  return { name, url, host, backupName: made.backup!.name };
}

/** What somebody does who needs a restore afterwards. */
const HARM = `
  delete from shop.kinds where id % 2 = 0; refresh materialized view shop.totals; update shop.kinds set body = 'gone' where id = 1;
  drop table shop.cache; create table shop.later (id int primary key); insert into shop.later values (1);
  alter table shop.owners disable row level security; select setval('shop.ticket', 1); select lo_unlink(4242);
  alter table shop.later add foreign key (id) references shop.owners`;

const databases = (): string[] =>
  world.postgres.run("select datname from pg_database where not datistemplate order by 1").split("\n");

describe("without a word", () => {
  test("it tells what would be lost, and changes nothing", async () => {
    const { name, url, host, backupName } = await backedUp();
    world.postgres.run(HARM, name);
    const before = await contentOf(url);
    const result = await run(host, false, backupName);
    expect(result).toMatchObject({ backup: { name: backupName }, restored: null });
    expect(result.loss.tables).toEqual({
      "pg_catalog.pg_largeobject_metadata": { now: 2, then: 3 },
      "shop.cache": { now: 0, then: 1 },
      "shop.kinds": { now: 1001, then: 2002 },
      "shop.later": { now: 1, then: 0 },
    });
    expect(result.loss.minutes).toBeGreaterThan(0);
    expect(await contentOf(url)).toEqual(before);
    expect(host.site).toEqual([]);
  });

  test("it names the backups there are, where it is asked for another one", async () => {
    const { host, backupName } = await backedUp();
    const other = "20200101/garage-20200101T000000Z";
    await expect(run(host, false, other)).rejects.toThrow(
      new RegExp(`there is no backup ${other}; the newest are .*${backupName}`),
    );
  });
});

describe("a restore", () => {
  test("brings back every row and every object, and keeps what was there", async () => {
    const { name, url, host, backupName } = await backedUp();
    world.postgres.runEach(
      `alter database ${name} set search_path to "$user", shop; alter database ${name} set application_name to 'it''s';
       alter role shop_owner in database ${name} set work_mem to '5MB'; alter database ${name} connection limit 50;
       revoke connect on database ${name} from public; grant connect on database ${name} to shop_owner;
       comment on database ${name} is 'the shop'`,
      "postgres",
    );
    const before = await contentOf(url);
    const properties = propertiesOf(name);
    world.postgres.run(HARM, name);
    const harmed = await contentOf(url);
    expect(harmed).not.toEqual(before);
    const user = new Client({ connectionString: url });
    user.on("error", () => undefined);
    await user.connect();
    const { restored } = await run(host, true, backupName);
    expect(restored).toMatchObject({ how: "swap", safety: { reason: "restore" } });
    expect(await contentOf(url)).toEqual(before);
    expect(propertiesOf(name)).toBe(properties);
    await expect(user.query("select 1")).rejects.toThrow();
    const kept = databases().filter((one) => one.startsWith(`${name}_`));
    expect(kept).toEqual([expect.stringMatching(new RegExp(`^${name}_before_\\d{8}t\\d{6}z$`))]);
    expect(await contentOf(world.postgres.url(kept[0]))).toEqual(harmed);
    expect(host.site).toEqual(["close", "open"]);
    expect(host.leftovers()).toEqual([]);
    expect(await host.state()).toMatchObject({ pending: [], rehearsal: null, backup: restored!.safety });
    // The way back from the way back: what was there when it began.
    await run(host, true, restored!.safety.name);
    expect(await contentOf(url)).toEqual(harmed);
  });

  test("is of the newest backup, and not of what the restore before it put aside", async () => {
    const { name, url, host, backupName } = await backedUp();
    const before = await contentOf(url);
    for (let round = 0; round < 2; round++) {
      world.postgres.run("delete from shop.kinds", name);
      const { backup: from, restored } = await run(host);
      expect(from.name).toBe(backupName);
      expect(restored?.safety.name).not.toBe(backupName);
      expect(await contentOf(url)).toEqual(before);
    }
  });

  test("leaves a site closed that was closed before", async () => {
    const { host } = await backedUp();
    host.closed = true;
    await run(host);
    expect(host.site).toEqual(["close"]);
  });

  test("is in place for some schemas, and touches no other", async () => {
    const { name, url, host } = await backedUp({ schemas: ["shop"] });
    world.postgres.run("drop event trigger watch", name);
    const before = await contentOf(url);
    world.postgres.run(HARM.replace("select lo_unlink(4242);", ""), name);
    world.postgres.run("insert into auth.users (email) values ('a@b')", name);
    const { restored } = await run(host);
    expect(restored).toMatchObject({ how: "in place" });
    const after = await contentOf(url);
    expect(after.rows["auth.users"]).not.toBe(before.rows["auth.users"]);
    expect(without(after, "auth.users")).toEqual(without(before, "auth.users"));
    expect(databases().filter((one) => one.startsWith(`${name}_`))).toEqual([]);
  });

  test("is in place for a role that may make no database", async () => {
    world.postgres.run(
      "create role plain login bypassrls; grant pg_read_all_data, shop_owner to plain; create role other nologin",
    );
    world.postgres.runEach("create database plain_shop owner plain", "postgres");
    const url = world.postgres.url("plain_shop", "plain");
    const sql = new Client({ connectionString: url });
    await sql.connect();
    await sql.query(
      "create schema s; create table s.t (id int primary key); insert into s.t select generate_series(1, 100)",
    );
    await sql.query(
      "create table public.p (id int references s.t); insert into p values (1); select lo_create(77)",
    );
    await sql.end();
    const host = await world.host(url);
    await backup(host.surroundings(), { act: "backup", reason: "asked", generation: 0 });
    const before = await contentOf(url);
    world.postgres.run(
      "delete from p; delete from s.t; create table public.q (id int); alter table q owner to plain",
      "plain_shop",
    );
    expect(await run(host)).toMatchObject({ restored: { how: "in place" } });
    expect(await contentOf(url)).toEqual(before);
  });
});

describe("where something belongs to others, as on a platform,", () => {
  test("what is the role's own comes back in place, and theirs stays as it is", async () => {
    world.postgres.run("create role tenant login createdb bypassrls; grant pg_read_all_data to tenant");
    world.postgres.runEach("create database platform owner tenant", "postgres");
    world.postgres.run(
      `create schema auth; grant usage on schema auth to tenant;
       create table auth.users (id int primary key, email text); grant all on auth.users to tenant;
       create function auth.uid() returns int language sql stable as 'select 1';
       insert into auth.users values (1, 'a@b')`,
      "platform",
    );
    const url = world.postgres.url("platform", "tenant");
    const sql = new Client({ connectionString: url });
    await sql.connect();
    await sql.query(`
      create schema "own ""one"; comment on schema "own ""one" is 'mine'; grant usage on schema "own ""one" to anon;
      create extension pg_trgm schema "own ""one";
      create table public.t (id int primary key references auth.users, words text); alter table public.t enable row level security;
      create policy own on public.t using (id = auth.uid()); insert into public.t values (1, 'kept');
      create table "own ""one".u (id int references public.t); insert into "own ""one".u values (1);
      create index on public.t using gin (words "own ""one".gin_trgm_ops)`);
    const host = await world.host(url);
    await backup(host.surroundings(), { act: "backup", reason: "asked", generation: 0 });
    const before = await contentOf(url);
    await sql.query(`delete from "own ""one".u; delete from public.t; create table public.later (id int);
      update auth.users set email = 'b@c'; drop policy own on public.t`);
    await sql.end();
    expect(await run(host)).toMatchObject({ restored: { how: "in place" } });
    const after = await contentOf(url);
    expect(after.rows["auth.users"]).not.toBe(before.rows["auth.users"]);
    expect(without(after, "auth.users")).toEqual(without(before, "auth.users"));
  });
});

describe("a restore that fails", () => {
  /** Expects that what was there is there, and that the site is open again. */
  async function expectUnchanged(
    { name, url, host }: { name: string; url: string; host: TestHost },
    work: () => Promise<unknown>,
    message: RegExp,
  ): Promise<void> {
    world.postgres.run(HARM.replace("select lo_unlink(4242);", ""), name);
    const before = await contentOf(url);
    await expect(work()).rejects.toThrow(message);
    expect(await contentOf(url)).toEqual(before);
    expect(databases().filter((one) => one.startsWith(`${name}_`))).toEqual([]);
    expect(host.closed).toBe(false);
    expect(host.leftovers()).toEqual([]);
  }

  test("on a dump that is not whole closes nothing", async () => {
    const shop = await backedUp();
    const { key } = (await shop.host.state()).backup!;
    await world.editObject(key, (bytes) => Buffer.concat([bytes.subarray(0, -1), Buffer.from("x")]));
    await expectUnchanged(
      shop,
      () => run(shop.host, true, shop.backupName),
      /another checksum than its manifest/,
    );
    expect(shop.host.site).toEqual([]);
  });

  test.each([[[]], [["shop"]]])("while it is loaded leaves the old one (schemas %p)", async (schemas) => {
    const shop = await backedUp({ schemas });
    const script = `#!/bin/sh
case "$*" in *dump) ;; *) exec REAL "$@" ;; esac
[ "$1" = --version ] || { case "$*" in *--file=-*) REAL "$@" | head -c 9000;; esac; echo "pg_restore: error: disk of mine" >&2; exit 1; }`;
    const programs = programsWith(shop.host.directory, { pg_restore: script });
    const work = (): Promise<unknown> =>
      restore(shop.host.surroundings({ programs }), {
        act: "restore",
        backup: shop.backupName,
        confirmed: true,
      });
    await expectUnchanged(shop, work, /disk of mine/);
    expect(shop.host.site).toEqual(["close", "open"]);
  });

  test.each([[[]], [["shop"]]])(
    "by a pg_restore that is killed leaves the old one (schemas %p)",
    async (schemas) => {
      const shop = await backedUp({ schemas });
      // What only reads the dump is left alone.
      const script = `#!/bin/sh
case "$*" in *--dbname=*|*--file=-*) REAL --file=- "$(for last; do :; done; echo "$last")" | head -c 9000; kill -9 $$ ;; *) exec REAL "$@" ;; esac`;
      const programs = programsWith(shop.host.directory, { pg_restore: script });
      const work = (): Promise<unknown> =>
        restore(shop.host.surroundings({ programs }), {
          act: "restore",
          backup: shop.backupName,
          confirmed: true,
        });
      await expectUnchanged(shop, work, /SIGKILL/);
      expect(shop.host.site).toEqual(["close", "open"]);
    },
  );

  test.each([
    ["a key", "create table auth.likes (id int references shop.owners)", "pg_constraint"],
    ["a trigger", "create trigger t before insert on auth.users execute function shop.touch()", "pg_trigger"],
    ["a column", "alter table auth.users add column mood shop.mood", "pg_attribute|pg_class"],
    ["an event trigger", "select 1", "pg_event_trigger"],
  ])("where %s of another schema would go leaves all of it", async (_, sql, where) => {
    const shop = await backedUp({ schemas: ["shop"] });
    if (where !== "pg_event_trigger") world.postgres.run("drop event trigger watch", shop.name);
    world.postgres.run(sql, shop.name);
    await expectUnchanged(
      shop,
      () => run(shop.host, true, shop.backupName),
      new RegExp(`objects in other schemas depend on .*\\(see (${where})\\)`),
    );
  });

  test("where the rows are not those of the manifest leaves the old one", async () => {
    for (const schemas of [[], ["shop"]]) {
      const shop = await backedUp({ schemas });
      world.postgres.run("drop event trigger watch", shop.name);
      const key = (await shop.host.state()).backup!.key.replace(".dump", ".json");
      await world.editObject(key, (bytes) =>
        Buffer.from(bytes.toString().replace('"shop.kinds":2002', '"shop.kinds":2003')),
      );
      await expectUnchanged(shop, () => run(shop.host, true, shop.backupName), /shop\.kinds.*2003/s);
    }
  });
});

test("killed between the two names, one of the two databases has the name", async () => {
  const { name, url, host } = await backedUp();
  const before = await contentOf(url);
  const child = new ChildProgram(`
    import { connect, addressOf } from "./host/database/connection";
    import { swapNames } from "./host/database/backups/swap";
    void (async () => {
      const address = addressOf(${JSON.stringify(url)});
      const maintenance = await connect({ ...address, database: "postgres" }, "swap under test");
      const done = swapNames(maintenance, address, { live: "${name}", fresh: "${name}_fresh", before: "${name}_before" });
      process.stdout.write("there\\n");
      await done;
      await maintenance.end();
    })();
  `);
  const holder = new Client({ connectionString: world.postgres.url("postgres") });
  await holder.connect();
  try {
    world.postgres.runEach(`create database ${name}_fresh template ${name}`, "postgres");
    // Held, the second rename waits; the first one is done by then.
    await holder.query(`begin; comment on database ${name}_fresh is 'held'`);
    const running = await child.startAndWait();
    const sessions = (condition: string): string =>
      world.postgres.run(
        `select count(*) from pg_stat_activity where application_name = 'swap under test' and ${condition}`,
      );
    const waits = `query like 'alter database "${name}_fresh"%' and wait_event_type = 'Lock'`;
    await waitFor("the second rename to wait", 60, () => (sessions(waits) === "1" ? true : undefined));
    const exited = once(running, "exit");
    running.kill("SIGKILL");
    await exited;
    await waitFor("its session to end", 60, () => (sessions("true") === "0" ? true : undefined));
    await holder.query("commit");
    expect(databases().filter((one) => one.startsWith(name))).toEqual([name, `${name}_fresh`]);
    expect(await contentOf(url)).toEqual(before);
    // And the next one gets through.
    const again = child.start();
    await once(again, "exit");
    expect(databases().filter((one) => one.startsWith(name))).toEqual([name, `${name}_before`]);
    expect(host.leftovers()).toEqual([]);
  } finally {
    await holder.end();
    child.remove();
  }
});

test("a database that a killed restore left is removed by the next one", async () => {
  const { name, host } = await backedUp();
  world.postgres.runEach(
    `create database ${name}_restore_20260101t000000z; create database ${name}_restore_mine`,
    "postgres",
  );
  await run(host);
  const left = databases().filter((one) => one.startsWith(`${name}_restore`));
  expect(left).toEqual([`${name}_restore_mine`]);
});

/** What a dump holds nothing of. */
function propertiesOf(name: string): string {
  return world.postgres.run(`
    select d.datdba::regrole, d.encoding, d.datcollate, d.datctype, d.datconnlimit,
      (select array_agg(x::text order by x::text) from unnest(d.datacl) x), shobj_description(d.oid, 'pg_database'),
      (select array_agg(concat(setrole::regrole, ' ', setconfig) order by setrole) from pg_db_role_setting where setdatabase = d.oid)
    from pg_database d where datname = '${name}'`);
}

function without<T extends { rows: Readonly<Record<string, string>> }>(content: T, table: string): T {
  const rows = Object.fromEntries(Object.entries(content.rows).filter(([name]) => name !== table));
  return { ...content, rows };
}
