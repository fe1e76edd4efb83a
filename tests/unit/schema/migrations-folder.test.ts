import { createHash } from "node:crypto";
import fc from "fast-check";
import { readMarks } from "../../../schema/leading-comments";
import {
  compareVersions,
  FILE_BYTES,
  FOLDER_BYTES,
  type FoundFile,
  readMigrations,
} from "../../../schema/migrations-folder";

const file = (name: string, content: string | Buffer = "select 1;"): FoundFile => ({
  name,
  bytes: Buffer.from(content),
});
const read = (files: readonly FoundFile[], checks: readonly FoundFile[] = []) =>
  readMigrations("migrations", { files, checks });

describe("a folder of migrations", () => {
  it("is read in the order of its names, whatever order the disk gives", () => {
    const names = ["20250107000000_b.sql", "20250103000000_a.sql", "README.md", "checks"];
    const { migrations, faults } = read(names.map((name) => file(name)));
    expect(faults).toEqual([]);
    expect(migrations.map(({ version, name }) => [version, name])).toEqual([
      ["20250103000000", "a"],
      ["20250107000000", "b"],
    ]);
  });

  it("keeps every byte of a file, and hashes those", () => {
    const sql = "\uFEFFselect 'é';\r\n-- the end";
    const [migration] = read([file("1_a.sql", sql)]).migrations;
    expect(migration?.sql).toBe(sql);
    expect(migration?.sha256).toBe(createHash("sha256").update(sql).digest("hex"));
  });

  it("has checks by name, none of which is a migration", () => {
    const { migrations, checks, faults } = read([], [file("02_b.sql"), file("01_a.sql", "select 2")]);
    expect([migrations, faults]).toEqual([[], []]);
    expect(checks).toEqual([
      { name: "01_a", sql: "select 2" },
      { name: "02_b", sql: "select 1;" },
    ]);
  });

  it.each<[string, readonly FoundFile[], string, string]>([
    ["a name without digits", [file("add_users.sql")], "migrations/add_users.sql", "<digits>_<name>.sql"],
    ["a name without a name", [file("20250103.sql")], "migrations/20250103.sql", "<digits>_<name>.sql"],
    ["capitals at its end", [file("1_a.SQL")], "migrations/1_a.SQL", "<digits>_<name>.sql"],
    ["a blank in it", [file("1_a b.sql")], "migrations/1_a b.sql", "<digits>_<name>.sql"],
    ["no UTF-8", [file("1_a.sql", Buffer.from([0x73, 0xe9, 0x21]))], "migrations/1_a.sql", "text in UTF-8"],
    ["a NUL", [file("1_a.sql", "select 1;\0")], "migrations/1_a.sql", "without the character NUL"],
    [
      "too many bytes",
      [file("1_a.sql", " ".repeat(FILE_BYTES + 1))],
      "migrations/1_a.sql",
      `at most ${String(FILE_BYTES)} bytes`,
    ],
    [
      "the same version twice",
      [file("001_a.sql"), file("001_b.sql")],
      "migrations/001_b.sql",
      "a version of its own: 001_a.sql has the same one",
    ],
    [
      "the same number twice",
      [file("01_a.sql"), file("1_b.sql")],
      "migrations/1_b.sql",
      "a version of its own",
    ],
    [
      "another order as text than by number",
      [file("10_b.sql"), file("9_a.sql")],
      "migrations/9_a.sql",
      "a greater number than 10",
    ],
    [
      "another order where one version begins with the other",
      [file("20250103_a.sql"), file("20250103000000_b.sql")],
      "migrations/20250103_a.sql",
      "a greater number than 20250103000000",
    ],
    [
      "a mark of no known value",
      [file("1_a.sql", "-- What for.\n-- phase: contrat\nselect 1;")],
      "migrations/1_a.sql:2",
      "`-- phase: expand` or `-- phase: contract`",
    ],
    [
      "a mark where nobody looks for it",
      [file("1_a.sql", "select 1;\n-- phase: contract\n")],
      "migrations/1_a.sql:2",
      "before the first statement",
    ],
  ])("with %s is refused by name", (_, files, key, rule) => {
    expect(read(files).faults).toEqual([
      expect.objectContaining({
        key,
        rule: expect.stringContaining(rule),
        remedy: expect.stringMatching(/\w/),
      }),
    ]);
  });

  it("tells the faults of all files at once, those of checks among them", () => {
    const { faults } = read([file("a.sql"), file("2_b.sql", "\0"), file("3_c.sql")], [file("a b.sql")]);
    expect(faults.map(({ key }) => key)).toEqual([
      "migrations/2_b.sql",
      "migrations/a.sql",
      "migrations/checks/a b.sql",
    ]);
  });

  it("tells when all files together are more than an act holds, counted as JSON has them", () => {
    // A line break is two characters there.
    const large = FILE_BYTES / 2;
    const files = (count: number) =>
      Array.from({ length: count }, (_, at) => file(`${String(at + 10)}_a.sql`, "\n".repeat(large)));
    const most = FOLDER_BYTES / FILE_BYTES - 1;
    expect(read(files(most)).faults).toEqual([]);
    expect(read(files(most + 1)).faults).toEqual([
      expect.objectContaining({ key: "migrations", rule: `at most ${String(FOLDER_BYTES)} bytes in all` }),
    ]);
  });

  it("is taken only in an order that texts and numbers share, whatever its versions are", () => {
    const version = fc.stringMatching(/^[0-9]{1,6}$/);
    fc.assert(
      fc.property(fc.uniqueArray(version, { minLength: 2, maxLength: 8 }), (versions) => {
        const { migrations, faults } = read(versions.map((one) => file(`${one}_x.sql`)));
        const byNumber = versions.toSorted((one, other) => Number(one) - Number(other));
        const numbers = new Set(versions.map(Number));
        const agree =
          numbers.size === versions.length && byNumber.every((one, at) => migrations[at]?.version === one);
        expect(faults.length === 0).toBe(agree);
      }),
    );
  });
});

test.each([
  ["9", "10", -1],
  ["010", "10", 0],
  ["20250103000001", "20250103000000", 1],
])("%s beside %s: %i", (one, other, order) => {
  expect(compareVersions(one, other)).toBe(order);
});

describe("the marks of a file", () => {
  it.each([
    ["nothing", "select 1;", { contract: false, alone: false, secret: false }],
    ["a comment alone", "-- phase: contract", { contract: true, alone: false, secret: false }],
    [
      "several, among other comments, empty lines and CRLF",
      "\uFEFF-- Takes the old name away.\r\n\r\n--phase:contract\r\n-- Transaction: none\r\ndrop table a;",
      { contract: true, alone: true, secret: false },
    ],
    ["the usual phase", "-- phase: expand\nselect 1;", { contract: false, alone: false, secret: false }],
    [
      "a secret",
      "-- secret: true\ninsert into a values (1);",
      { contract: false, alone: false, secret: true },
    ],
    [
      "a comment behind a statement",
      "select 1; -- phase: contract",
      { contract: false, alone: false, secret: false },
    ],
  ])("are read from %s", (_, sql, marks) => {
    expect(readMarks(sql)).toEqual({ ...marks, faults: [] });
  });
});
