import { execFileSync } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as path from "node:path";
import { backup } from "../../host/database/backups/backup";
import { PROGRAMS_ROOT, serverPrograms } from "../../host/database/backups/programs";
import { rehearse } from "../../host/database/backups/rehearse";
import { ScratchServer } from "../../host/database/backups/scratch-server";
import type { DatabaseSettings, MigrationFile } from "../../host/database/protocol";
import type { Surroundings } from "../../host/database/surroundings";
import { Worker } from "../../host/database/worker";
import { identify, isAlive, waitFor } from "../../sandbox/processes";
import { BackupWorld, migration, programsWith, TestHost } from "./support/backups";
import { ChildProgram } from "./support/child";
import { contentOf } from "./support/database-content";
import { openMigrator } from "../../host/database/migrations/migrator";

/* Rehearsals on what comes back from S3: only what was restored, and worked there, may touch the database. */

jest.setTimeout(300_000);

let world: BackupWorld;
let url: string;

beforeAll(async () => {
  world = await BackupWorld.start();
  url = world.database("shop");
}, 600_000);

afterAll(() => world.remove());

const ADD = migration(
  "20260101000000",
  "alter table shop.kinds add column added int; create table shop.more (id int)",
);
const CHECK = { name: "named", sql: "select id from shop.kinds where name is null" };

/** A host with a backup, and files that are pending. */
async function hostWithBackup(
  files: readonly MigrationFile[] = [ADD],
  change: Partial<DatabaseSettings> = {},
): Promise<TestHost> {
  const host = await world.host(url, change);
  await host.stage(files, [CHECK]);
  await backup(host.surroundings(), { act: "backup", reason: "migrations", generation: 0 });
  return host;
}

/** Puts other bytes in the place of an object. */
async function change(host: TestHost, edit: (bytes: Buffer) => Buffer, what = ".dump"): Promise<void> {
  const key = (await host.state()).backup!.key.replace(".dump", what);
  await world.editObject(key, edit);
}

/** Expects a rehearsal to fail, and to leave neither a trace nor a permission. */
async function expectFailure(
  host: TestHost,
  message: RegExp,
  surroundings: Partial<Surroundings> = {},
): Promise<void> {
  await expect(rehearse(host.surroundings(surroundings), openMigrator)).rejects.toThrow(message);
  expect((await host.state()).rehearsal).toBeNull();
  expect(host.leftovers()).toEqual([]);
}

/** Expects that no migration starts: the first pending one is refused, and the database knows nothing of it. */
async function expectNoMigration(host: TestHost): Promise<void> {
  const [file] = (await host.store.staged())!.files;
  const { version, name, sha256 } = file!;
  const { app, store, scratch } = host.surroundings();
  const worker = new Worker({ app, store, scratch });
  try {
    const act = { act: "migrate", epoch: 0, version, name, sha256, after: null } as const;
    await expect(worker.take(act, host.surroundings())).rejects.toThrow(
      `${version}_${name}.sql was not rehearsed on a restored backup`,
    );
  } finally {
    await worker.close();
  }
  const history = "select count(*) from supabase_migrations.schema_migrations";
  expect(world.postgres.run(history, "shop")).toBe("0");
  // All tests here share the database.
  world.postgres.run("drop schema supabase_migrations, deployment cascade", "shop");
}

describe("a rehearsal", () => {
  test("is nothing where nothing is pending, and needs a backup", async () => {
    const host = await world.host(url);
    expect(await rehearse(host.surroundings(), openMigrator)).toEqual({ rehearsal: null });
    await host.stage([ADD]);
    await expectFailure(host, /there is no backup/);
  });

  test("restores the backup, applies what is pending, and leaves the database as it was", async () => {
    const files = [ADD, migration("20260102000000", "insert into shop.more values (1)")];
    const before = await contentOf(url);
    const host = await hostWithBackup(files);
    const { rehearsal } = await rehearse(host.surroundings(), openMigrator);
    expect(rehearsal).toMatchObject({
      key: (await host.state()).backup!.key,
      files: files.map(({ version, sha256 }) => `${version}:${sha256}`),
    });
    expect(rehearsal!.locks).toContainEqual({
      ...{ version: ADD.version, table: "shop.kinds", mode: "AccessExclusiveLock" },
      milliseconds: expect.any(Number),
    });
    expect(rehearsal!.restoreSeconds).toBeGreaterThan(0);
    expect((await host.state()).rehearsal).toEqual(rehearsal);
    expect(host.leftovers()).toEqual([]);
    expect(await contentOf(url)).toEqual(before);
  });

  test("runs the files as the role that runs them on the database", async () => {
    world.postgres.run("create role deployer login; grant shop_owner to deployer", "shop");
    world.postgres.run("grant create on database shop to deployer");
    world.postgres.run("alter role deployer bypassrls; grant pg_read_all_data to deployer", "shop");
    const host = await world.host(world.postgres.url("shop", "deployer"), { schemas: ["shop"] });
    await host.stage([migration("1", "create role sneaky")]);
    await backup(host.surroundings(), { act: "backup", reason: "migrations", generation: 0 });
    await expectFailure(host, /permission denied to create role/);
  });

  test("on the server of a URL leaves no database there", async () => {
    const databases = (): string => world.postgres.run("select datname from pg_database order by 1");
    const before = databases();
    const host = await hostWithBackup([ADD], { rehearsal: { url: world.postgres.url("postgres") } });
    const { rehearsal } = await rehearse(host.surroundings(), openMigrator);
    expect(rehearsal!.files).toHaveLength(1);
    expect(databases()).toBe(before);
    const failing = await hostWithBackup([migration("1", "select 1 / 0")], {
      rehearsal: { url: world.postgres.url("postgres") },
    });
    await expectFailure(failing, /division by zero/);
    expect(databases()).toBe(before);
  });
});

test("a rehearsal on the server of a URL wants no superuser: what it may not give to others does not count", async () => {
  const grants = "alter default privileges for role shop_owner in schema shop";
  world.postgres.run("create role rehearser login createdb", "shop");
  const rehearsal = { url: world.postgres.url("postgres", "rehearser") };
  world.postgres.run(`${grants} grant select on tables to pg_monitor`, "shop");
  try {
    const host = await hostWithBackup([ADD], { rehearsal, schemas: ["shop"] });
    await expectFailure(host, /the role rehearser of rehearsalUrl does not see every row/);
    world.postgres.run("alter role rehearser bypassrls", "shop");
    const { rehearsal: done } = await rehearse(host.surroundings(), openMigrator);
    expect(done!.files).toHaveLength(1);
    expect(host.leftovers()).toEqual([]);
  } finally {
    world.postgres.run(`${grants} revoke select on tables from pg_monitor`, "shop");
  }
});

describe("a rehearsal fails", () => {
  test.each([
    [
      "a file that fails",
      [ADD, migration("20260102000000", "select 1 / 0")],
      /20260102000000.*division by zero/,
    ],
    [
      "a check that finds something",
      [
        migration(
          "1",
          "alter table shop.kinds alter name drop not null; update shop.kinds set name = null where id = 1; alter table shop.kinds disable trigger touch; update shop.kinds set name = null where id = 1",
        ),
      ],
      /named: 1 rows/,
    ],
    [
      "rows that the files take away",
      [migration("1", "delete from shop.kinds where id < 100")],
      /shop.kinds: 1903 rows, 2002 in the backup/,
    ],
  ])("for %s", async (_, files, message) => {
    await expectFailure(await hostWithBackup(files), message);
  });

  test("for as many rows as may not be missing, and for no fewer", async () => {
    const files = [migration("1", "delete from shop.kinds where id <= 20")];
    await rehearse((await hostWithBackup(files, { rowTolerancePercent: 1 })).surroundings(), openMigrator);
    await expectFailure(await hostWithBackup(files, { rowTolerancePercent: 0.5 }), /takes? rows away/);
  });

  test.each<[string, (bytes: Buffer) => Buffer, RegExp]>([
    ["an empty dump", () => Buffer.alloc(0), /has 0 bytes, not the \d+ of its manifest/],
    ["a dump that is cut", (bytes) => bytes.subarray(0, bytes.length - 1), /has \d+ bytes, not the \d+/],
    ["a dump with another byte", (bytes) => flip(bytes), /another checksum than its manifest/],
  ])("for %s", async (_, edit, message) => {
    const host = await hostWithBackup();
    await change(host, edit);
    await expectFailure(host, message);
    await expectNoMigration(host);
  });

  test("for a manifest that is damaged, or of another dump", async () => {
    const host = await hostWithBackup();
    await change(host, (bytes) => bytes.subarray(0, 100), ".json");
    await expectFailure(host, /is no manifest of a backup/);
    await expectNoMigration(host);
    const other = await hostWithBackup();
    await change(
      other,
      (bytes) => Buffer.from(bytes.toString().replace(/"sha256":"./, '"sha256":"x')),
      ".json",
    );
    await expectFailure(other, /is no manifest of a backup/);
  });

  test("for a dump that is not what its manifest says", async () => {
    const host = await hostWithBackup();
    await change(
      host,
      (bytes) => Buffer.from(bytes.toString().replace('"shop.kinds":2002', '"shop.kinds":2003')),
      ".json",
    );
    await expectFailure(host, /shop\.kinds: 2002 rows, in the backup 2003/);
    const other = await hostWithBackup();
    await change(
      other,
      (bytes) =>
        Buffer.from(
          bytes.toString().replace('"policy own on shop.owners":"', '"policy own on shop.owners":"0'),
        ),
      ".json",
    );
    await expectFailure(other, /policy own on shop\.owners differs/);
  });

  test("for a backup that is gone, and for an S3 that is down", async () => {
    const host = await hostWithBackup();
    await world.s3.stop();
    try {
      await expectFailure(host, /ECONNREFUSED/);
      await expectNoMigration(host);
    } finally {
      await world.s3.resume();
    }
    await world.removeObject((await host.state()).backup!.key);
    await expectFailure(host, /is not in the bucket any more/);
  });

  test("for an extension that the server to rehearse on has not", async () => {
    const host = await hostWithBackup();
    await change(
      host,
      (bytes) => Buffer.from(bytes.toString().replace('"extensions":[', '"extensions":["pg_graphql",')),
      ".json",
    );
    await expectFailure(host, /extensions that the server to rehearse on has not: pg_graphql;/);
  });

  test.each([
    ["pg_restore", "kill -9 $$", /the dump cannot be restored[^]*was ended by SIGKILL/],
    [
      "the server that it is restored into",
      `kill -9 "$(head -n 1 SCRATCH/server/data/postmaster.pid)"; exec REAL "$@"`,
      /the dump cannot be restored[^]*ended with exit code 1/,
    ],
  ])("for %s that is killed", async (_, script, message) => {
    const host = await hostWithBackup();
    const pg_restore = `#!/bin/sh\ncase "$1" in --version) exec REAL "$@";; esac\n${script.replace("SCRATCH", host.scratch)}\n`;
    const programs = programsWith(host.directory, { pg_restore });
    await expectFailure(host, message, { programs });
    await rehearse(host.surroundings(), openMigrator);
  });
});

describe("a disk that is full", () => {
  let disk: string;

  beforeEach(() => {
    disk = fs.mkdtempSync(path.join(world.directory, "disk-"));
  });

  afterEach(() => {
    execFileSync("umount", [disk]);
  });

  const mount = (mebibytes: number): void => {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${String(mebibytes)}m,mode=755`, "tmpfs", disk]);
  };

  test("is told before anything is got", async () => {
    mount(8);
    await expectFailure(
      await hostWithBackup(),
      /the dump needs \d+ MiB on the disk of .*, and 8 MiB are free/,
      {
        scratch: disk,
      },
    );
    expect(fs.readdirSync(disk)).toEqual([]);
  });

  test("while the dump comes leaves no file", async () => {
    mount(80);
    const host = await hostWithBackup();
    // The room was there when it was looked at.
    const watcher = fs.watch(disk, () => {
      watcher.close();
      fillUp(path.join(disk, "filler"));
    });
    await expectFailure(host, /the disk of .* is full: the dump has \d+ bytes/, { scratch: disk });
    expect(fs.readdirSync(disk)).toEqual(["filler"]);
  });

  test("while it is restored leaves no server", async () => {
    mount(200);
    const fill = (line: string): void => {
      if (line.startsWith("restoring")) fillUp(path.join(disk, "filler"));
    };
    const host = await hostWithBackup();
    await expectFailure(host, /the disk of .* is full: make room there\n/, { scratch: disk, progress: fill });
    await expectNoMigration(host);
    expect(fs.readdirSync(disk)).toEqual(["filler"]);
  });
});

describe("a rehearsal that was killed", () => {
  test("may leave a server running, which the next one ends", async () => {
    const { scratch } = await world.host(url);
    const programs = await serverPrograms(PROGRAMS_ROOT, 1);
    await ScratchServer.start(scratch, programs, "UTF8");
    const pid = Number(
      fs.readFileSync(path.join(scratch, "server/data/postmaster.pid"), "utf8").split("\n")[0],
    );
    const server = identify(pid)!;
    expect(isAlive(server)).toBe(true);
    await ScratchServer.clear(scratch);
    expect(isAlive(server)).toBe(false);
    expect(fs.readdirSync(scratch)).toEqual([]);
  });

  test("leaves no server, and the next one passes", async () => {
    const host = await hostWithBackup();
    const child = new ChildProgram(`
      import { rehearse } from "./host/database/backups/rehearse";
      import { TestHost } from "./tests/e2e/support/backups";
      const host = new TestHost(${JSON.stringify(host.directory)});
      // It stays where the migrations begin, until it is killed.
      void rehearse(host.surroundings(), () => {
        process.stdout.write("there\\n");
        return new Promise(() => setInterval(() => undefined, 1000));
      });
    `);
    try {
      const running = await child.startAndWait();
      const pid = Number(
        fs.readFileSync(path.join(host.scratch, "server/data/postmaster.pid"), "utf8").split("\n")[0],
      );
      const server = identify(pid)!;
      const exited = once(running, "exit");
      running.kill("SIGKILL");
      await exited;
      await waitFor("the server to end with it", 60, () => (isAlive(server) ? undefined : true));
      expect(host.leftovers().sort()).toEqual(["restore.dump", "server"]);
      await rehearse(host.surroundings(), openMigrator);
      expect(host.leftovers()).toEqual([]);
    } finally {
      child.remove();
    }
  });
});

function flip(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy[copy.length >> 1]! ^= 1;
  return copy;
}

/** Writes zeros until there is no room. */
function fillUp(file: string): void {
  const descriptor = fs.openSync(file, "w");
  try {
    for (const size of [1 << 20, 1 << 12]) {
      for (;;) {
        try {
          if (fs.writeSync(descriptor, Buffer.alloc(size)) < size) break;
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
          break;
        }
      }
    }
  } finally {
    fs.closeSync(descriptor);
  }
}
