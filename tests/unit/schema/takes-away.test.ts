import fc from "fast-check";
import { isOneTransaction, parseSql } from "../../../schema/statements";
import { mayTakeAway, type Taking, takesNeed, takingsOf } from "../../../schema/takes-away";

const wordsOf = (sql: string) => takingsOf(parseSql([sql])[0]?.statements ?? []).map(({ words }) => words);

describe("what a file takes away", () => {
  it.each<[string, string, readonly string[]]>([
    ["a column", "alter table public.profiles drop column full_name", ["drops public.profiles.full_name"]],
    [
      "columns, among other changes",
      "alter table profiles add column a text, drop column if exists b, drop c cascade",
      ["drops public.profiles.b", "drops public.profiles.c"],
    ],
    ["tables", "drop table if exists a, app.b cascade", ["drops public.a", "drops app.b"]],
    ["a column's name", "alter table a rename column b to c", ["renames public.a.b"]],
    ["a column's name, in short", "alter table a rename b to c", ["renames public.a.b"]],
    ["a table's name", "alter table a rename to b", ["renames public.a"]],
    ["a table's schema", "alter table a set schema archive", ["moves to another schema public.a"]],
    ["a schema", "drop schema app cascade", ["drops the schema app"]],
    [
      "a name in quotes",
      'alter table "Odd ""Table" drop column "Select"',
      ['drops public.Odd "Table.Select'],
    ],
  ])("is %s", (_, sql, words) => {
    expect(wordsOf(sql)).toEqual(words);
    expect(mayTakeAway(sql)).toBe(true);
  });

  it.each([
    ["a table of its own", "create table a (id bigint); drop table a"],
    [
      "a table of its own, temporary",
      "create temp table a as select 1; alter table a rename to b; drop table a",
    ],
    ["a constraint", "alter table a drop constraint b; alter table a rename constraint c to d"],
    [
      "what is not there for the application",
      "drop index a; drop policy p on a; drop trigger t on a; drop view v",
    ],
    ["a default", "alter table a alter column b drop default, alter column c drop not null"],
    ["an index's name", "alter index a rename to b"],
  ])("is not %s", (_, sql) => {
    expect(wordsOf(sql)).toEqual([]);
  });

  it("stands on the line where the statement begins, behind comments and odd characters", () => {
    const sql = "\uFEFF-- é\nselect 'é€\u{1F600}';\r\n\r\n/* a\nb */ -- c\nalter table a\n  drop column b;";
    expect(takingsOf(parseSql([sql])[0]?.statements ?? [])).toEqual([expect.objectContaining({ line: 6 })]);
  });

  it("is looked for wherever it may be", () => {
    const space = fc.constantFrom(" ", "\n", "\t", " -- it's\n", " /* ' */ ", "\r\n");
    const before = fc.constantFrom(
      "",
      "select 'a''b';",
      "select E'\\'';",
      "-- it's\n",
      'select "a""b";',
      "select $$'$$;",
    );
    const statement = fc.constantFrom(
      ["DROP", "TABLE a"],
      ["alter table a", "DrOp b"],
      ["alter table a rename", "to b"],
    );
    fc.assert(
      fc.property(before, space, statement, (first, between, [one, two]) => {
        expect(mayTakeAway(`${first}${one}${between}${two}`)).toBe(true);
      }),
    );
  });

  it.each([
    ["a name in a text", `create policy "managers rename it" on a using (b <> 'drop table a')`],
    ["a comment", "-- drop table a\n/* rename */ select 1"],
    ["the body of a function", "create function f() returns void language sql as $body$ drop table a $body$"],
  ])("is not looked for because of %s", (_, sql) => {
    expect(mayTakeAway(sql)).toBe(false);
  });
});

describe("a need of a release", () => {
  const [column, table, other, schema]: readonly Taking[] = [
    { table: "public.profiles", column: "role", words: "", line: 1 },
    { table: "public.profiles", column: null, words: "", line: 1 },
    { table: "app.profiles", column: null, words: "", line: 1 },
    { table: "app.*", column: null, words: "", line: 1 },
  ];

  it.each([
    ["profiles.role", column, true],
    ["profiles.name", column, false],
    ["profiles", column, true],
    ["profiles.role", table, true],
    ["profiles", table, true],
    ["profile", table, false],
    ["profiles", other, false],
    ["app.profiles.role", other, true],
    ["app.profiles.*", other, true],
    ["app.profiles.role", schema, true],
    ["public.profiles.role", column, true],
    ["profiles", schema, false],
  ])("%s, with %j taken away: %p", (need, taking, taken) => {
    expect(takesNeed(taking!, need)).toBe(taken);
  });
});

describe("one transaction", () => {
  it.each([
    ["begin; select 1; commit", true],
    ["-- a\nstart transaction; select 1; end;", true],
    ["select 1; begin; select 2; commit", false],
    ["begin; select 1; commit; select 2", false],
    ["begin; select 1; commit; begin; select 2; commit", false],
    ["begin; savepoint a; select 1; commit", false],
    ["begin; select 1; rollback", false],
    ["begin", false],
    ["select 1", false],
    ["", false],
  ])("%j: %p", (sql, whole) => {
    expect(isOneTransaction(parseSql([sql])[0]!)).toBe(whole);
  });
});
