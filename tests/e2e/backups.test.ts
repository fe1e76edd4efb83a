import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import { once } from "node:events";
import * as fs from "node:fs";
import type { AddressInfo } from "node:net";
import { backup } from "../../host/database/backups/backup";
import { Bucket } from "../../host/database/backups/bucket";
import { parseManifest } from "../../host/database/backups/manifest";
import type { BucketSettings } from "../../host/database/protocol";
import { status } from "../../host/database/status";
import { BackupWorld, migration, PREFIX, programsWith, type TestHost } from "./support/backups";

/* Backups of a real Postgres in a real S3 server: what is one, and what must never look like one. */

jest.setTimeout(300_000);

let world: BackupWorld;
let url: string;
let bucket: Bucket;

beforeAll(async () => {
  world = await BackupWorld.start();
  url = world.database("shop");
  bucket = new Bucket(world.settings(url).bucket);
}, 600_000);

afterAll(async () => {
  bucket.close();
  await world.remove();
});

const asked = { act: "backup", reason: "asked", generation: 0 } as const;
const forMigrations = { act: "backup", reason: "migrations", generation: 0 } as const;
const ADD = migration("20260101000000", "create table shop.more (id int)");

async function bytesOf(key: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of bucket.read(key)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Expects a backup to fail, and to leave nothing in the bucket. */
async function expectNone(work: () => Promise<unknown>, message: RegExp | string): Promise<void> {
  const before = await bucket.keys();
  await expect(work()).rejects.toThrow(message);
  expect(await bucket.keys()).toEqual(before);
  expect(await world.unfinishedUploads()).toBe(0);
}

describe("a backup", () => {
  test("is a dump and its manifest, of one moment", async () => {
    const host = await world.host(url);
    const { backup: made } = await backup(host.surroundings(), asked);
    expect(made).toMatchObject({
      name: expect.stringMatching(/^20260102\/garage-20260102T\d{6}Z$/),
      ...{ database: "shop", reason: "asked", schemaVersion: null },
      server: world.postgres.run("show server_version").split(" ")[0],
    });
    expect(made!.key).toMatch(new RegExp(`^${PREFIX}\\d+/${made!.name}\\.dump$`));
    expect(made!.rows).toMatchObject({ "shop.kinds": 2002, 'shop.Odd.Name "x"': 2, "shop.events_old": 213 });
    expect(made!.rows["pg_catalog.pg_largeobject_metadata"]).toBe(3);
    const bytes = await bytesOf(made!.key);
    expect(bytes.length).toBe(made!.bytes);
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(made!.sha256);
    const key = made!.key.replace(".dump", ".json");
    expect(parseManifest(key, (await bytesOf(key)).toString())).toMatchObject(made!);
    expect((await host.state()).backup).toEqual(made);
  });

  test("of some schemas holds these and the history", async () => {
    const database = world.database("some_schemas");
    world.postgres.run(
      "create schema supabase_migrations; create table supabase_migrations.schema_migrations (version text, statements text[], name text); " +
        "insert into supabase_migrations.schema_migrations values ('9', null, 'a'), ('10', null, 'b')",
      "some_schemas",
    );
    const host = await world.host(database, { schemas: ["shop"] });
    const { backup: made } = await backup(host.surroundings(), asked);
    expect(Object.keys(made!.rows)).toEqual(expect.arrayContaining(["shop.kinds"]));
    expect(made!.rows["supabase_migrations.schema_migrations"]).toBe(2);
    expect(Object.keys(made!.rows).filter((name) => name.startsWith("auth."))).toEqual([]);
    expect(made!.schemaVersion).toBe("10");
  });

  test("for migrations is made where files are pending, and once for the same ones", async () => {
    const host = await world.host(url);
    expect(await backup(host.surroundings(), forMigrations)).toEqual({ backup: null });
    const digest = await host.stage([ADD]);
    const first = await backup(host.surroundings(), forMigrations);
    expect((await host.state()).backupFor).toBe(digest);
    expect(await backup(host.surroundings(), forMigrations)).toEqual(first);
    await host.stage([ADD, migration("20260102000000", "select 1")]);
    const second = await backup(host.surroundings(), forMigrations);
    expect(second.backup!.name).not.toBe(first.backup!.name);
  });

  test("for migrations is made again where it is gone from the bucket", async () => {
    const host = await world.host(url);
    await host.stage([ADD]);
    const first = await backup(host.surroundings(), forMigrations);
    await world.removeObject(first.backup!.key);
    const second = await backup(host.surroundings(), forMigrations);
    expect(second.backup!.key).not.toBe(first.backup!.key);
  });

  test("never goes over another one of the same second", async () => {
    const host = await world.host(url);
    const now = (): Date => new Date("2026-05-05T05:05:05.9Z");
    const first = await backup(host.surroundings({ now }), asked);
    const second = await backup(host.surroundings({ now }), asked);
    expect(first.backup!.name).toBe("20260505/garage-20260505T050505Z");
    expect(second.backup!.name).toBe("20260505/garage-20260505T050506Z");
  });
});

test("keys that config does not have come by AWS' own chain", async () => {
  const { bucket: place } = world.settings(url);
  const host = await world.host(url, { bucket: { ...place, credentials: null } });
  const { accessKeyId, secretAccessKey } = world.keys;
  const keys = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  const { backup: made } = await withEnvironment(keys, () => backup(host.surroundings(), asked));
  expect(await bucket.head(made!.key)).toMatchObject({ bytes: made!.bytes });
});

/** Runs with these variables, and none other of AWS', in the environment. */
async function withEnvironment<T>(
  variables: Readonly<Record<string, string>>,
  work: () => Promise<T>,
): Promise<T> {
  const before = process.env;
  const others = Object.entries(before).filter(([name]) => !name.startsWith("AWS_"));
  // Nor does a file of whoever runs the tests have a say.
  const files = { AWS_CONFIG_FILE: "/dev/null", AWS_SHARED_CREDENTIALS_FILE: "/dev/null" };
  process.env = { ...Object.fromEntries(others), ...files, ...variables };
  try {
    return await work();
  } finally {
    process.env = before;
  }
}

describe("no backup", () => {
  let host: TestHost;

  beforeEach(async () => {
    host = await world.host(url);
  });

  const dumping = (script: string): (() => Promise<unknown>) => {
    const programs = programsWith(host.directory, { pg_dump: `#!/bin/sh\n${script}\n` });
    return () => backup(host.surroundings({ programs }), asked);
  };
  const version = '[ "$1" != --version ] || exec REAL "$@"';

  test("comes of a pg_dump that is killed in the middle", async () => {
    await expectNone(
      // As much as takes several parts.
      dumping(`${version}\nREAL "$@" | head -c 20000\nhead -c 20000000 /dev/zero\nkill -9 $$`),
      /pg_dump was ended by SIGKILL/,
    );
    expect((await host.state()).backup).toBeNull();
  });

  test("comes of a pg_dump that fails", async () => {
    await expectNone(
      dumping(`${version}\nREAL "$@"\necho 'broken pipe of mine' >&2\nexit 3`),
      /exit code 3\n {2}broken pipe of mine/,
    );
  });

  test("comes of a dump that is cut, whatever pg_dump says of it", async () => {
    await expectNone(dumping(`${version}\nREAL "$@" | head -c 20000`), /reading the dump/);
    await expectNone(dumping(`${version}\nexit 0`), /reading the dump|wrote nothing/);
  });

  test("comes of a client that is older than the server", async () => {
    const programs = programsWith(host.directory, {}, 9);
    await expectNone(
      () => backup(host.surroundings({ programs }), asked),
      /pg_dump on this host is of version 9, older than the server: install postgresql-client-\d+/,
    );
  });

  test("comes of rows that the role may not see", async () => {
    // It may read everything: pg_dump, too, meets nothing else first.
    world.postgres.run("create role half login; grant pg_read_all_data to half", "shop");
    const poor = await world.host(world.postgres.url("shop", "half"));
    await expectNone(
      () => backup(poor.surroundings(), asked),
      /query would be affected by row-level security/,
    );
  });

  test("comes of a schema that is not there", async () => {
    const wrong = await world.host(url, { schemas: ["shop", "missing"] });
    await expectNone(() => backup(wrong.surroundings(), asked), /has no schema missing/);
  });

  test("comes of an S3 that is down", async () => {
    await world.s3.stop();
    try {
      await expect(backup(host.surroundings(), asked)).rejects.toThrow(/backups at https.*ECONNREFUSED/s);
    } finally {
      await world.s3.resume();
    }
  });

  const withBucket = (change: Partial<BucketSettings>): Promise<TestHost> =>
    world.host(url, { bucket: { ...world.settings(url).bucket, ...change } });

  test.each([
    ["wrong keys", { credentials: { accessKeyId: "AKIAWRONG", secretAccessKey: "wrong" } }, /status 403/],
    ["a prefix that is not theirs", { prefix: "other/" }, /status 403.*backups.prefix/s],
    ["a bucket that is not there", { name: "nothing" }, /bucket nothing at .*status 40[34]/],
    ["an authority that nobody knows", { authority: null }, /certificate is not trusted/],
  ])("comes of %s", async (_, change, message) => {
    const other = await withBucket(change);
    await expect(backup(other.surroundings(), asked)).rejects.toThrow(message);
  });

  test("comes of a host without a role, where config has no keys either", async () => {
    const other = await withBucket({ credentials: null });
    await withEnvironment({ AWS_EC2_METADATA_DISABLED: "true" }, () =>
      expectNone(
        () => backup(other.surroundings(), asked),
        /Set backupAccessKeyId and its secret, or give the host a role/,
      ),
    );
  });

  test.each([
    ["another length", { "content-length": "5" }, /has 5 bytes there, not the \d+/],
    ["another checksum", { etag: '"0123456789abcdef0123456789abcdef"' }, /another checksum there/],
  ])("comes of an upload that S3 has with %s", async (_, lie, message) => {
    const liar = await LyingS3.start(lie);
    try {
      const other = await withBucket({ endpoint: liar.url, authority: null });
      await expect(backup(other.surroundings(), asked)).rejects.toThrow(message);
      expect(liar.put.filter((path) => path.endsWith(".json"))).toEqual([]);
      expect(liar.put).toHaveLength(1);
    } finally {
      liar.stop();
    }
  });
});

test("a password is in no argument list, progress line or file of the bucket", async () => {
  const password = "p@:/?#%25 word'\"\\ß";
  world.postgres.run(`create role odd login superuser password '${password.replaceAll("'", "''")}'`);
  world.requirePassword("odd");
  const address = new URL(world.postgres.url("shop", "odd"));
  address.password = encodeURIComponent(password);
  const host = await world.host(address.toString());
  const seen = new Set<string>();
  const look = setInterval(() => {
    for (const pid of fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      try {
        seen.add(fs.readFileSync(`/proc/${pid}/cmdline`, "utf8"));
      } catch {
        // It has ended.
      }
    }
  }, 1);
  const made = await backup(host.surroundings(), asked).finally(() => clearInterval(look));
  const told = [...seen, ...host.lines, JSON.stringify(made)].join("\n");
  expect(told).toContain("--format=custom");
  for (const form of [password, encodeURIComponent(password), "p@:/?#"]) expect(told).not.toContain(form);
  const wrong = new URL(address);
  wrong.password = "secret%20but%20wrong";
  const other = await world.host(wrong.toString());
  const failure: unknown = await backup(other.surroundings(), asked).catch((error: unknown) => error);
  expect(String(failure)).toMatch(/does not let odd in/);
  expect(String(failure)).not.toMatch(/secret/);
});

describe("status", () => {
  test("tells of the database, and of its backups", async () => {
    const host = await world.host(url);
    const { backup: made } = await backup(host.surroundings(), asked);
    const result = await status(host.surroundings(), { act: "database-status", details: true });
    expect(result).toMatchObject({ configured: true, unreachable: null, backup: made });
    expect(result.details).toMatchObject({ longQueries: [], blocked: [], bucketUnreachable: null });
    expect(result.details!.backups).toContainEqual(made);
    const times = result.details!.backups.map(({ name }) => name);
    expect(times).toEqual([...times].sort().reverse());
    expect(result.details!.sizeBytes).toBeGreaterThan(1_000_000);
    expect(result.details!.connections.used).toBeGreaterThan(0);
  });

  test("tells of a damaged manifest by name, and of all other backups", async () => {
    const host = await world.host(url);
    const [first, second] = [
      await backup(host.surroundings(), asked),
      await backup(host.surroundings(), asked),
    ];
    await world.editObject(second.backup!.key.replace(".dump", ".json"), (bytes) => bytes.subarray(0, 100));
    const { details } = await status(host.surroundings(), { act: "database-status", details: true });
    expect(details).toMatchObject({ bucketUnreachable: null, damagedBackups: [second.backup!.name] });
    expect(details!.backups).toEqual([first.backup]);
  });

  test("tells that there is none, that it does not answer, that the bucket does not", async () => {
    const act = { act: "database-status", details: true } as const;
    const none = await world.host(url);
    await none.store.writeSettings(null);
    expect(await status(none.surroundings(), act)).toMatchObject({ configured: false, details: null });
    const gone = await world.host(world.postgres.url("gone"));
    expect((await status(gone.surroundings(), act)).unreachable).toMatch(/"gone" does not exist/);
    const settings = world.settings(url);
    const lost = await world.host(url, { bucket: { ...settings.bucket, name: "nothing" } });
    const result = await status(lost.surroundings(), act);
    expect(result).toMatchObject({ unreachable: null, details: { backups: [] } });
    expect(result.details!.bucketUnreachable).toMatch(/bucket nothing/);
  });
});

/** An S3 that takes everything and says something else of it afterwards. */
class LyingS3 {
  readonly put: string[] = [];

  private constructor(private readonly server: Server) {}

  static async start(lie: Readonly<Record<string, string>>): Promise<LyingS3> {
    const server = createServer((request, response) => {
      const path = request.url!.split("?")[0]!;
      if (request.method === "PUT") {
        const md5 = createHash("md5");
        let length = 0;
        request.on("data", (chunk: Buffer) => {
          md5.update(chunk);
          length += chunk.length;
        });
        request.on("end", () => {
          answers.set(path, { etag: `"${md5.digest("hex")}"`, "content-length": String(length), ...lie });
          liar.put.push(path);
          response.end();
        });
      } else {
        const answer = answers.get(path);
        response.writeHead(answer === undefined ? 404 : 200, answer).end();
      }
    });
    const answers = new Map<string, Record<string, string>>();
    const liar = new LyingS3(server);
    await once(server.listen(0, "127.0.0.1"), "listening");
    return liar;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }
}
