import { MigrationWorld } from "./support/migrations";

/* The checks of a database, on a real Postgres. */

let world: MigrationWorld;

beforeAll(() => {
  world = new MigrationWorld();
});

afterEach(() => world.clear());

afterAll(() => world.remove());

describe("checks", () => {
  const secured =
    "alter table public.t enable row level security; create policy p on public.t to authenticated using (true);";

  test("a row fails the check that gave it, and is shown", async () => {
    const database = await world.fresh();
    const migrator = await database.open();
    const checks = [
      { name: "empty", sql: "select 1 where false;" },
      {
        name: "numbers",
        sql: "-- five are shown\nselect n, 'x' || n as text from generate_series(1, 7) as n",
      },
      { name: "broken", sql: "select * from nowhere" },
      { name: "writes", sql: "create table public.w ()" },
      { name: "ends", sql: "commit; drop table public.t" },
      { name: "nothing", sql: "-- nothing" },
    ];
    const failure = await migrator.check(checks).catch((error: unknown) => (error as Error).message);
    expect(failure).toMatch(
      /numbers: 7 rows where none should be; the first 5:\n {2}\{"n":"1","text":"x1"\}/,
    );
    expect(failure).toMatch(/broken: relation "nowhere" does not exist/);
    expect(failure).toMatch(/writes: cannot execute CREATE TABLE in a read-only transaction/);
    expect(failure).toMatch(/ends: a check is one transaction/);
    expect(failure).toMatch(/nothing: has no query/);
    expect(failure).not.toMatch(/^empty/m);
    expect(await migrator.check(checks.slice(0, 1))).toEqual(["empty", "row-level-security", "anon"]);
  });

  test.each([
    ["without row level security", "", /public\.t has none[^]*public\.t, and no policy says so/],
    ["without a policy", "alter table public.t enable row level security;", /public\.t has no policy/],
    [
      "that anon reads as its owner",
      `${secured} alter table public.t owner to anon;`,
      /anon: [^]*public\.t, and no policy says so/,
    ],
  ])("a table %s fails", async (_, sql, message) => {
    const database = await world.fresh();
    database.query(`create table public.t (id int); insert into public.t values (1); ${sql}`);
    await expect((await database.open()).check([])).rejects.toThrow(message);
  });

  test.each([
    ["that a policy hides", secured, ""],
    ["that may not be read", `${secured} revoke all on public.t from anon;`, ""],
    [
      "that a policy shows to all",
      `${secured} create policy shown on public.t for select using (true);`,
      "anon reads rows of public.t, as its policies say: shown",
    ],
    [
      "behind a view of its owner's",
      `${secured} create view public.v as select * from public.t;`,
      "anon reads rows of the view public.v",
    ],
  ])("a table %s passes", async (_, sql, told) => {
    const database = await world.fresh();
    database.query(`create table public.t (id int); insert into public.t values (1); ${sql}`);
    const passed = await (await database.open()).check([]);
    expect(passed).toEqual(["row-level-security", "anon"]);
    expect(database.told.join("\n")).toContain(told);
    expect(database.told.join("\n")).toMatch(told === "" ? /^$/ : /./);
  });
});
