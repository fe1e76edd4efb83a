import { createHash, X509Certificate } from "node:crypto";
import { validate } from "../../config";
import type { Path } from "../../config/faults";
import { changed, faultsOf, machineWith, rawConfig, settings } from "./support/configuration";
import { makePair } from "./host/support/fake-certificates";

const SQL =
  "set lock_timeout = '4s';\nset statement_timeout = '60s';\ncreate table a (id bigint primary key);\n";
const RECORD = 'schema: { first: "001", last: null, needs: [a.id] }\n';
const FILES = {
  "/project/migrations/001_first.sql": SQL,
  "/project/migrations/002_second.sql": SQL.replace("table a", "table b"),
  "/project/migrations/checks/01_rows.sql": "select 1 where false;",
  "/project/releases/v0.9.9.yaml": RECORD,
  "/project/releases/v1.0.0.yaml": RECORD.replace("001", "002"),
};

/** A stack with a database, one value of it changed. */
const stack = (path?: Path, value?: unknown) => {
  const whole = {
    ...settings(),
    databaseUrl: "postgres://postgres:secret@db.example.com/postgres",
    backups: { bucket: "example-backups" },
  };
  return path === undefined ? whole : changed(whole, path, value);
};
const load = (values: Record<string, unknown>, files: Record<string, string> = {}) =>
  validate(rawConfig(values), machineWith({ ...FILES, ...files }));
const keysOf = (values: Record<string, unknown>, files: Record<string, string> = {}) =>
  faultsOf(values, machineWith({ ...FILES, ...files })).map(({ key }) => key.replace("vehicleservice:", ""));
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

describe("a stack with a database", () => {
  it("has its settings, its files and its releases' ranges in the host's own words", () => {
    expect(load(stack()).database).toEqual({
      settings: {
        url: "postgres://postgres:secret@db.example.com/postgres",
        schemas: [],
        limits: { lockTimeoutMs: 2000, lockWaitSeconds: 60, statementTimeoutSeconds: 300 },
        bucket: {
          ...{ name: "example-backups", region: "us-east-1", endpoint: null, prefix: "" },
          ...{ credentials: null, authority: null },
        },
        rehearsal: { url: null },
        rowTolerancePercent: 0,
      },
      identity: expect.stringMatching(/^[0-9a-f]{12}$/),
      migrations: [
        { version: "001", name: "first", sha256: sha256(SQL), sql: SQL, contract: false },
        expect.objectContaining({ version: "002", name: "second" }),
      ],
      holdsSecrets: false,
      checks: [{ name: "01_rows", sql: "select 1 where false;" }],
      accept: [],
      baseline: null,
      epoch: 0,
      backupGeneration: 0,
      ranges: { blue: { first: "001", last: null }, green: { first: "002", last: null } },
    });
  });

  it("says everything that it may say", async () => {
    const { chain } = await makePair(["s3.test"]);
    const values = {
      ...stack(),
      rehearsalUrl: "postgres://postgres:p@rehearsal.example.com/postgres",
      backupAccessKeyId: "key",
      backupSecretAccessKey: "a+b/c=",
      backups: {
        ...{ bucket: "example-backups", region: "eu-central-1", endpoint: "https://s3.test:9000" },
        ...{ prefix: "sites/vehicleservice/", authorityFile: "ca.pem" },
      },
      database: {
        ...{
          schemas: ["public", "app"],
          lockTimeoutMs: 500,
          lockWaitSeconds: 10,
          statementTimeoutSeconds: 30,
        },
        ...{ rowTolerancePercent: 1, epoch: 2, backupGeneration: 3, baseline: "001" },
        accept: [
          { version: "002", sha256: "0".repeat(64), reason: "a comment was corrected" },
          { version: "0015", reason: "it never reached any database" },
        ],
      },
    };
    const { database } = load(values, { "/project/ca.pem": chain });
    expect(database).toMatchObject({
      settings: {
        schemas: ["public", "app"],
        limits: { lockTimeoutMs: 500, lockWaitSeconds: 10, statementTimeoutSeconds: 30 },
        bucket: {
          ...{ region: "eu-central-1", endpoint: "https://s3.test:9000", prefix: "sites/vehicleservice/" },
          credentials: { accessKeyId: "key", secretAccessKey: "a+b/c=" },
          authority: new X509Certificate(chain).toString(),
        },
        rehearsal: { url: "postgres://postgres:p@rehearsal.example.com/postgres" },
        rowTolerancePercent: 1,
      },
      ...{ epoch: 2, backupGeneration: 3, baseline: "001" },
      accept: [
        { version: "002", sha256: "0".repeat(64), reason: "a comment was corrected" },
        { version: "0015", sha256: null, reason: "it never reached any database" },
      ],
    });
  });

  it("finds its folders where they are named", () => {
    const moved = { "/srv/sql/1_a.sql": SQL, "/project/records/v0.9.9.yaml": RECORD.replace("001", "1") };
    const files = { ...moved, "/project/records/v1.0.0.yaml": RECORD.replace("001", "1") };
    const values = changed(
      stack(["database", "migrationsDirectory"], "/srv/sql"),
      ["source", "records"],
      "records",
    );
    expect(load(values, files).database?.migrations.map(({ version }) => version)).toEqual(["1"]);
  });

  it("needs no checks, and no migrations either", () => {
    const machine = machineWith({ "/project/migrations/README.md": "#", "/project/releases/README.md": "#" });
    const values = changed({ ...stack(), canaryWeight: "0", greenVersion: "" }, ["blueVersion"], "v0.9.9");
    expect(faultsOf(values, machine).map(({ key }) => key)).toEqual(["vehicleservice:blueVersion"]);
  });

  it("keeps the text of a file secret that says so", () => {
    const secret = {
      "/project/migrations/003_c.sql": `-- secret: true\n${SQL.replace("table a", "table c")}`,
    };
    expect(load(stack(), secret).database?.holdsSecrets).toBe(true);
  });
});

describe("a stack without a database", () => {
  it("looks at no migration and at no record", () => {
    const machine = { ...machineWith(), list: () => fail("somebody looked") };
    expect(validate(rawConfig(settings()), machine).database).toBeNull();
  });

  it("may keep the rest of its settings", () => {
    expect(keysOf(changed(stack(["databaseUrl"], ""), ["database", "epoch"], 3))).toEqual([]);
  });
});

function fail(why: string): never {
  throw new Error(why);
}

describe("a mistaken value is refused", () => {
  it.each<[string, Path, unknown]>([
    [
      "a database behind a transaction pooler",
      ["databaseUrl"],
      "postgres://u:p@db.example.com:6543/postgres",
    ],
    ["a database that is none", ["databaseUrl"], "db.example.com"],
    [
      "a rehearsal on the database's own server",
      ["rehearsalUrl"],
      "postgres://x:y@db.example.com:5432/other",
    ],
    ["a rehearsal nowhere", ["rehearsalUrl"], "localhost"],
    ["a database without a bucket", ["backups", "bucket"], ""],
    ["a bucket in capitals", ["backups", "bucket"], "Backups"],
    ["a bucket of two characters", ["backups", "bucket"], "ab"],
    ["a bucket that looks like an address", ["backups", "bucket"], "192.168.1.1"],
    ["a bucket with dots in a row", ["backups", "bucket"], "a..b"],
    ["a region with a slash", ["backups", "region"], "eu/central"],
    ["an endpoint in clear across the internet", ["backups", "endpoint"], "http://s3.example.com"],
    ["an endpoint with a path", ["backups", "endpoint"], "https://s3.example.com/bucket"],
    ["a prefix without an end", ["backups", "prefix"], "sites"],
    ["a prefix from the root", ["backups", "prefix"], "/sites/"],
    ["a prefix that climbs", ["backups", "prefix"], "a/../b/"],
    ["half a key", ["backupAccessKeyId"], "key"],
    ["the other half", ["backupSecretAccessKey"], "key"],
    ["an authority that is not there", ["backups", "authorityFile"], "ca.pem"],
    ["a folder of migrations that is not there", ["database", "migrationsDirectory"], "sql"],
    ["a folder of records that is not there", ["source", "records"], "records"],
    ["a folder above the project", ["database", "migrationsDirectory"], "../sql"],
    ["Postgres' own schema", ["database", "schemas"], ["pg_catalog"]],
    ["no limit for locks", ["database", "lockTimeoutMs"], 0],
    ["more rows than there are", ["database", "rowTolerancePercent"], 101],
    ["an epoch before the first", ["database", "epoch"], -1],
    ["a baseline that is no migration", ["database", "baseline"], "003"],
    ["an old end that is no migration", ["database", "lintAfter"], "003"],
    ["a version that YAML took for a number", ["database", "baseline"], 1],
  ])("%s", (_, path, value) => {
    const key =
      path[0] === "backupAccessKeyId"
        ? "backupSecretAccessKey"
        : path[0] === "backupSecretAccessKey"
          ? "backupAccessKeyId"
          : path.join(".").replace(/\.pg_.*/, "");
    const keys = keysOf(stack(path, value));
    expect(keys[0]?.replace(/\[.*/, "")).toBe(key);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ["no reason", { version: "001", sha256: "0".repeat(64) }, "reason"],
    ["a short reason", { version: "001", sha256: "0".repeat(64), reason: "because" }, "reason"],
    ["a reason of blanks", { version: "001", sha256: "0".repeat(64), reason: " ".repeat(20) }, "reason"],
    ["half a hash", { version: "001", sha256: "abc", reason: "it is meant, really" }, "sha256"],
    [
      "a file that is not there",
      { version: "009", sha256: "0".repeat(64), reason: "it is meant, really" },
      "version",
    ],
    ["a file that is not gone", { version: "001", reason: "it is meant, really" }, "version"],
    ["a key that nobody knows", { version: "001", sha: "0", reason: "it is meant, really" }, "sha"],
  ])("an acceptance with %s", (_, acceptance, key) => {
    expect(keysOf(stack(["database", "accept"], [acceptance]))).toEqual([`database.accept[0].${key}`]);
  });

  it.each([
    ["source", "records"],
    ["database", "migrationsDirectory"],
  ])("a path in %s.%s that may not be, and nothing of what lies elsewhere", (group, key) => {
    const elsewhere = { "/project/Pulumi.yaml": "name: x", "/project/schema.sql": "select 1" };
    expect(keysOf(stack([group, key], "../other"), elsewhere)).toEqual([`${group}.${key}`]);
  });

  it("an acceptance, twice", () => {
    const once = { version: "009", reason: "it is meant, really" };
    expect(keysOf(stack(["database", "accept"], [once, once]))).toEqual(["database.accept"]);
  });

  it("without a word of the URL in the message", () => {
    const values = stack(["databaseUrl"], "postgres://hidden:hid#den@hidden.example.com/hidden");
    const [fault] = faultsOf(values, machineWith(FILES));
    expect(fault?.value).toBe("[secret]");
    expect(JSON.stringify(fault)).not.toContain("hidden");
    expect(fault?.remedy).toMatch(/^pulumi config set --secret databaseUrl </);
  });
});

describe("files that are at fault", () => {
  const wrong = {
    "/project/migrations/notes.sql": "select 1;",
    "/project/migrations/003_index.sql": `${SQL.replace(/create.*/, "")}create index on a (id);\n`,
    "/project/migrations/004_gone.sql": `${SQL.replace(/create.*/, "")}alter table a drop column id;\n`,
    "/project/releases/v2.0.0.yaml": "schema: { frist: 1 }",
  };

  it("are faults of the configuration, all of them at once, beside the others", () => {
    expect(keysOf(changed(stack(), ["canaryWeight"], "500"), wrong)).toEqual([
      "canaryWeight",
      "migrations/notes.sql",
      "releases/v2.0.0.yaml schema.first",
      "releases/v2.0.0.yaml schema",
      "migrations/003_index.sql:4 require-concurrent-index-creation",
      "migrations/004_gone.sql:4",
      "releases/v0.9.9.yaml schema.last",
      "releases/v1.0.0.yaml schema.last",
      "migrations/004_gone.sql blueVersion",
      "migrations/004_gone.sql greenVersion",
    ]);
  });

  it("are not judged up to where they are old", () => {
    const old = { "/project/migrations/003_index.sql": wrong["/project/migrations/003_index.sql"] };
    expect(keysOf(stack(), old)).toHaveLength(1);
    expect(keysOf(stack(["database", "lintAfter"], "003"), old)).toEqual([]);
    expect(keysOf(stack(["database", "baseline"], "003"), old)).toEqual([]);
  });

  it("include the record of a release that is in use and has none", () => {
    expect(keysOf(stack(["greenVersion"], "v1.1.0"))).toEqual(["greenVersion"]);
  });
});
