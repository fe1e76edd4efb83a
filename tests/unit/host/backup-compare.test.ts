import { catalogDifferences } from "../../../host/database/backups/catalog";
import { lostRows, rowDifferences } from "../../../host/database/backups/load";

describe("catalogs", () => {
  const original = { "table a.t": "1", "owner of table a.t": "anna", "grants on table a.t": "x" };

  test("that are equal differ in nothing", () => {
    expect(catalogDifferences(original, { ...original }, { owners: true, extras: true })).toEqual([]);
  });

  test("are told apart object by object", () => {
    const copy = { "table a.t": "2", "owner of table a.t": "anna", "view a.v": "1" };
    expect(catalogDifferences(original, copy, { owners: true, extras: true })).toEqual([
      "grants on table a.t is missing",
      "table a.t differs",
      "view a.v is not in the backup",
    ]);
  });

  test("are compared without owners, and without kinds that only one server has, where it has to be", () => {
    const copy = { "table a.t": "1", "owner of table a.t": "ben", "view a.v": "1" };
    expect(catalogDifferences(original, copy, { owners: false, extras: false })).toEqual([]);
    expect(catalogDifferences(original, copy, { owners: false, extras: true })).toEqual([
      "view a.v is not in the backup",
    ]);
  });
});

describe("rows", () => {
  test("that are not as many are told by table", () => {
    expect(rowDifferences({ "a.b": 2, "a.c": 1, "a.d": 0 }, { "a.b": 1, "a.d": 0, "a.e": 0 })).toEqual([
      "a.b: 1 rows, in the backup 2 rows",
      "a.c: no such table, in the backup 1 rows",
      "a.e: 0 rows, in the backup no such table",
    ]);
  });

  test.each([
    [{ t: 100 }, { t: 100 }, 0, 0],
    [{ t: 100 }, { t: 99 }, 0, 1],
    [{ t: 100 }, { t: 99 }, 1, 0],
    [{ t: 100 }, { t: 98 }, 1, 1],
    [{ t: 100 }, { t: 200 }, 0, 0],
    [{ t: 100 }, {}, 0, 0],
    [{ t: 0 }, { t: 0 }, 0, 0],
  ])(
    "of %j, of which %j are left with a tolerance of %i %%, are lost in %i tables",
    (then, now, percent, lost) => {
      expect(lostRows(then, now as Record<string, number>, percent)).toHaveLength(lost);
    },
  );
});
