import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { readScript, sameSql, statementDigest } from "../../../host/database/migrations/script";
import type { MigrationFile } from "../../../host/database/protocol";

const file = (sql: string): MigrationFile => ({
  version: "20250101000000",
  name: "one",
  sha256: createHash("sha256").update(sql).digest("hex"),
  sql,
  contract: false,
});

/** What is left of a file, and the statements that it is. */
async function read(sql: string): Promise<{ text: string; statements: string[]; lines: number[] }> {
  const { text, statements } = await readScript(file(sql));
  return { text, statements: statements.map((each) => each.text), lines: statements.map(({ line }) => line) };
}

describe("readScript", () => {
  test("counts statements and lines, in bytes or not", async () => {
    const { statements, lines } = await read("-- é\nselect 'ü;';;\n\n/* ö */ select\n  2 -- end");
    expect(statements).toEqual(["select 'ü;'", expect.stringContaining("2")]);
    expect(lines).toEqual([2, 4]);
  });

  test("blanks outer BEGIN and COMMIT, and moves nothing", async () => {
    const sql = "-- é\nset lock_timeout = '1s';\nBEGIN;\r\nselect 'begin';\nCOMMIT; -- é\n";
    const { text, statements, lines } = await read(sql);
    expect(text).toHaveLength(sql.length);
    expect(text).toBe(sql.replace("BEGIN", "     ").replace("COMMIT", "      "));
    expect(statements).toEqual(["set lock_timeout = '1s'", "select 'begin'"]);
    expect(lines).toEqual([2, 4]);
  });

  test("keeps all statements for the history", async () => {
    expect((await readScript(file("begin; select 1; commit;"))).recorded).toEqual([
      "begin",
      "select 1",
      "commit",
    ]);
  });

  test.each([
    ["", true],
    ["-- why\n\n-- transaction: none\nselect 1", false],
    ["--transaction:none\r\nselect 1", false],
    ["select 1; -- transaction: none", true],
    ["select 1;\n-- transaction: none", true],
  ])("%j is a transaction: %p", async (sql, transaction) => {
    expect((await readScript(file(sql))).transaction).toBe(transaction);
  });

  test.each([
    [
      "create table a ();\ncommit;",
      /20250101000000_one.sql, line 2: begins or ends a transaction in the middle/,
    ],
    ["begin;\nselect 1;", /line 1: begins or ends/],
    ["commit; select 1; begin;", /line 1: begins or ends/],
    ["select 1; begin; select 2; commit;", /line 1: begins or ends/],
    ["begin; select 1; commit; begin; select 1; commit;", /begins or ends/],
    ["begin; prepare transaction 'x';", /begins or ends/],
    ["begin; select 1; commit and chain;", /options/],
    ["-- transaction: none\nbegin; select 1; commit;", /line 2: a file without a transaction/],
    ["select 1;\n selekt 2;", /line 2: syntax error at or near "selekt"/],
  ])("%j is refused", async (sql, message) => {
    await expect(readScript(file(sql))).rejects.toThrow(message);
  });

  test("a text that is not the one of its checksum is refused", async () => {
    await expect(readScript({ ...file("select 1"), sql: "select 2" })).rejects.toThrow("SHA-256");
  });
});

describe("what is the same to Postgres", () => {
  test.each([
    ["select 1", "SELECT  1 ; -- one", true],
    ["select 'A'", "select 'a'", false],
    ["select 'a  b'", "select 'a b'", false],
    ['select "A"', "select A", false],
    ["select 1; select 2", "select 1;;\nselect 2;", true],
    ["\ufeffselect 1", "select 1", true],
    ["", "-- nothing", true],
    ["select 'open", "select  'open", true],
  ])("%j and %j: %p", async (one, other, same) => {
    expect(await sameSql(one, other)).toBe(same);
    expect((await statementDigest(one)) === (await statementDigest(other))).toBe(same);
  });

  test("comments and white space between words change nothing, whatever they are", async () => {
    const gap = fc.constantFrom(" ", "\n", "\r\n", "\t", " /* ; */ ", " -- commit;\n");
    const words = ["create", "table", "public", ".", "a", "(", "note", "text", "default", "'; -- x'", ")"];
    await fc.assert(
      fc.asyncProperty(fc.array(gap, { minLength: words.length, maxLength: words.length }), async (gaps) => {
        const sql = words.map((word, index) => `${word}${gaps[index] ?? ""}`).join("");
        expect(await sameSql(sql, words.join(" "))).toBe(true);
        expect((await readScript(file(sql))).statements).toHaveLength(1);
      }),
      { numRuns: 50 },
    );
  });
});
