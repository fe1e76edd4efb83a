import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { lintMigrations } from "../../../schema/lint-faults";
import { readMigrations } from "../../../schema/migrations-folder";

const LIMITS = "set lock_timeout = '4s';\nset statement_timeout = '60s';\n";

/** Lints files of these texts, `001_a.sql`, `002_a.sql` and so on. */
function linted(sqls: readonly string[], isOld: (version: string) => boolean = () => false) {
  const files = sqls.map((sql, index) => ({
    name: `${String(index + 1).padStart(3, "0")}_a.sql`,
    bytes: Buffer.from(sql),
  }));
  const { migrations, faults } = readMigrations("migrations", { files, checks: [] });
  expect(faults).toEqual([]);
  return lintMigrations("migrations", migrations, isOld);
}

const keysOf = (sqls: readonly string[]) => linted(sqls).faults.map(({ key }) => key);

test("the migrations of the product have nothing against them", () => {
  const folder = join(__dirname, "..", "..", "..", "migrations");
  const filesIn = (directory: string) =>
    readdirSync(directory)
      .filter((name) => name.endsWith(".sql"))
      .map((name) => ({ name, bytes: readFileSync(join(directory, name)) }));
  const read = readMigrations("migrations", {
    files: filesIn(folder),
    checks: filesIn(join(folder, "checks")),
  });
  expect(read.migrations).toHaveLength(7);
  const { faults, takings } = lintMigrations("migrations", read.migrations, () => false);
  expect([...read.faults, ...faults]).toEqual([]);
  expect(takings.size).toBe(0);
});

describe("squawk", () => {
  it.each([
    [
      "no limit for locks",
      "set statement_timeout = 1;\nalter table a add column b text;",
      "2 require-lock-timeout",
    ],
    [
      "no limit for statements",
      "set lock_timeout = 1;\nalter table a add column b text;",
      "2 require-statement-timeout",
    ],
    [
      "a table that is rewritten",
      `${LIMITS}alter table a alter column b type bigint;`,
      "3 changing-column-type",
    ],
    [
      "a column that every row needs",
      `${LIMITS}alter table a add column b text not null;`,
      "3 adding-required-field",
    ],
    [
      "a foreign key that is checked at once",
      `${LIMITS}alter table a add constraint c foreign key (b) references d (id);`,
      "3 adding-foreign-key-constraint",
    ],
    [
      "an index that keeps writes away",
      `${LIMITS}create index on a (b);`,
      "3 require-concurrent-index-creation",
    ],
    [
      "an index that keeps writes away, behind a byte order mark",
      `\uFEFF${LIMITS}create index on a (b);`,
      "3 require-concurrent-index-creation",
    ],
    [
      "an index that needs no transaction, in one",
      `${LIMITS}create index concurrently i on a (b);`,
      "3 ban-concurrent-index-creation-in-transaction",
    ],
    [
      "a transaction in the middle",
      `${LIMITS}begin;\nselect 1;\ncommit;\nselect 2;`,
      "3 transaction-nesting",
    ],
    [
      "a reason for a rule that is none",
      `${LIMITS}-- squawk-ignore no-such-rule\nselect 1;`,
      "3 unused-ignore",
    ],
  ])("finds %s", (_, sql, place) => {
    const { faults } = linted(["select 1;", sql]);
    expect(faults.map(({ key }) => key)).toContain(`migrations/002_a.sql:${place}`);
    for (const { value, rule, remedy } of faults) {
      expect(rule).toMatch(/^a statement that squawk has nothing against: \w/);
      expect(remedy).toContain("-- squawk-ignore ");
      expect(value).not.toBe("(not set)");
    }
  });

  it.each([
    [
      "a reason in the line above",
      `${LIMITS}-- One row.\n-- squawk-ignore require-concurrent-index-creation\ncreate index on a (b);`,
    ],
    [
      "a byte order mark and CRLF",
      `\uFEFF${LIMITS}alter table a add column b text;\n-- end`.replaceAll("\n", "\r\n"),
    ],
    [
      "BEGIN and COMMIT around the whole",
      `-- All.\nbegin;\n${LIMITS}create table a (id bigint primary key);\ncommit;\n-- end`,
    ],
    [
      "an index of a file of its own",
      `-- transaction: none\n${LIMITS}create index concurrently if not exists i on a (b);`,
    ],
    ["taste", `${LIMITS}create table a (id serial primary key, b varchar(10), c timestamp, d char(2));`],
    ["nothing at all", ""],
    ["comments alone", "-- nothing yet"],
  ])("has nothing against %s", (_, sql) => {
    expect(linted([sql]).faults).toEqual([]);
  });

  it("does not look at what is old", () => {
    const index = `${LIMITS}create index on a (b);`;
    const { faults } = linted([index, index], (version) => version === "001");
    expect(faults.map(({ key }) => key)).toEqual([
      "migrations/002_a.sql:3 require-concurrent-index-creation",
    ]);
  });

  it("tells of no line of a secret file", () => {
    const { faults } = linted([`-- secret: true\ncreate index hidden_idx on a (b);`]);
    expect(faults).not.toEqual([]);
    expect(JSON.stringify(faults.map(({ value }) => value))).not.toContain("hidden_idx");
  });
});

describe("what is no SQL", () => {
  it("is told once, as Postgres tells it", () => {
    expect(linted([`${LIMITS}creat table a (id bigint primary key);`]).faults).toEqual([
      {
        key: "migrations/001_a.sql:3",
        value: '"creat table a (id bigint primary key);"',
        rule: 'SQL as Postgres takes it: syntax error at or near "creat"',
        remedy: expect.stringContaining("psql"),
      },
    ]);
  });

  it("is found in a file that is run statement by statement, too", () => {
    expect(keysOf([`-- transaction: none\n${LIMITS}select from where;`])).toEqual(["migrations/001_a.sql:4"]);
  });
});

it("looks at all files in one go, and tells every one of them", () => {
  const sqls = Array.from({ length: 300 }, (_, index) =>
    index % 100 === 7
      ? `${LIMITS}create index on a (b);`
      : `${LIMITS}create table t${String(index)} (id bigint primary key);`,
  );
  expect(keysOf(sqls)).toEqual(
    ["008", "108", "208"].map((version) => `migrations/${version}_a.sql:3 require-concurrent-index-creation`),
  );
});

describe("SQL that Postgres takes and squawk cannot read", () => {
  const puzzled = (sql: string) => {
    jest.resetModules();
    const finding = { line: 2, rule: "syntax-error", message: "expected a name", help: null };
    jest.doMock("../../../schema/lint", () => ({
      lint: (files: readonly { file: string }[]) => files.map(({ file }) => ({ ...finding, file })),
    }));
    const { lintMigrations: withPuzzle } = jest.requireActual<typeof import("../../../schema/lint-faults")>(
      "../../../schema/lint-faults",
    );
    const files = [{ name: "001_a.sql", bytes: Buffer.from(sql) }];
    return withPuzzle(
      "migrations",
      readMigrations("migrations", { files, checks: [] }).migrations,
      () => false,
    );
  };
  afterAll(() => {
    jest.dontMock("../../../schema/lint");
  });

  it("is told, for nothing of such a file is linted", () => {
    expect(puzzled("select 1;\nselect 2;").faults).toEqual([
      expect.objectContaining({
        key: "migrations/001_a.sql:2",
        value: '"select 2;"',
        remedy: expect.stringContaining("`-- squawk-ignore-file`"),
      }),
    ]);
  });

  it("may be meant", () => {
    expect(puzzled("-- squawk-ignore-file\nselect 2;").faults).toEqual([]);
  });
});
