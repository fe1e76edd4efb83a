import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { compareFiles, type Recorded, type Wanted } from "../../../host/database/migrations/comparison";
import { orderFaults } from "../../../host/database/migrations/order";
import { statementDigest } from "../../../host/database/migrations/script";
import type { MigrationFile } from "../../../host/database/protocol";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const file = (version: string, sql = `select ${version}`, contract = false): MigrationFile => ({
  ...{ version, name: "x", sha256: sha256(sql), sql, contract },
});

/** A database that our files were applied to. */
const applied = (...files: MigrationFile[]): Recorded => ({
  history: files.map(({ version, name }) => ({ version, name, statements: null })),
  files: files.map((each) => ({ ...each, finished: true, done: [] })),
  accepted: [],
});

const wanted = (files: MigrationFile[], more: Partial<Wanted> = {}): Wanted => ({
  ...{ files, accept: [], baseline: null, holdContract: null },
  ...more,
});

describe("orderFaults", () => {
  test.each([
    [["00010", "0002"], /00010_x.sql and 0002_x.sql sort differently as text and as numbers/],
    [["9", "10"], /sort differently/],
    [["1", "1"], /have one version/],
    [["2", "1"], /comes after 2_x.sql, but its version is lower/],
    [["1", "2a"], /2a_x.sql does not begin with digits/],
  ])("%j", (versions, fault) => {
    expect(orderFaults(versions.map((version) => file(version))).join("\n")).toMatch(fault);
  });

  test("nothing is wrong with versions of one length in order", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 10 ** 13, max: 10 ** 14 - 1 })), (numbers) => {
        const sorted = [...numbers].sort((a, b) => a - b).map((number) => file(String(number)));
        expect(orderFaults(sorted)).toEqual([]);
      }),
    );
  });
});

describe("compareFiles", () => {
  test("names of files are judged first, and nothing else", async () => {
    const { faults } = await compareFiles(applied(file("5")), wanted([file("9"), file("10")]));
    expect(faults).toEqual([expect.stringContaining("sort differently")]);
  });

  test.each([
    [
      "a fresh database",
      [] as string[],
      null,
      { schemaVersion: null, pending: ["1", "2", "3"], waiting: [] },
    ],
    ["a hold", ["1"], "blue", { schemaVersion: "1", pending: [], waiting: ["2", "3"] }],
    [
      "a hold with the contract file applied",
      ["1", "2"],
      "blue",
      { schemaVersion: "2", pending: ["3"], waiting: [] },
    ],
  ])("%s", async (_, there, holdContract, result) => {
    const files = [file("1"), file("2", "select 2", true), file("3")];
    const recorded = applied(...files.filter(({ version }) => there.includes(version)));
    const found = await compareFiles(recorded, wanted(files, { holdContract }));
    expect(found.result).toEqual(result);
    expect(found.faults).toEqual([]);
  });

  test("a file that comes before what a newer release applied is put in between", async () => {
    const { faults } = await compareFiles(applied(file("1"), file("5")), wanted([file("1"), file("3")]));
    expect(faults).toEqual([
      expect.stringMatching(/^3_x.sql is not applied, but 5, which comes after it, is/),
    ]);
  });

  test("an acceptance counts for its own SHA-256 only, and the fault says which", async () => {
    const edited = file("1", "select 'edited'");
    const accept = [{ version: "1", sha256: sha256("another"), reason: "a reason" }];
    const { faults } = await compareFiles(applied(file("1")), wanted([edited], { accept }));
    expect(faults).toEqual([expect.stringContaining(`{version: "1", sha256: "${edited.sha256}", reason:`)]);
    const right = [{ version: "1", sha256: edited.sha256, reason: "a reason" }];
    const found = await compareFiles(applied(file("1")), wanted([edited], { accept: right }));
    expect(found).toMatchObject({ faults: [], adopted: [edited], accepted: right });
  });

  test("only acceptances that were needed are kept", async () => {
    const accept = [{ version: "1", sha256: file("1").sha256, reason: "a reason" }];
    expect((await compareFiles(applied(file("1")), wanted([file("1")], { accept }))).accepted).toEqual([]);
  });

  test.each([
    ["the same beginning", "select 1; select 'new'", []],
    ["another beginning", "select 0; select 2", [expect.stringContaining("its statement 1 was changed")]],
    ["less than is applied", "", [expect.stringContaining("its statement 1 was changed")]],
  ])("a half-applied file with %s", async (_, sql, faults) => {
    const half = { ...file("1"), finished: false, done: [await statementDigest("SELECT 1")] };
    const recorded: Recorded = { history: [], files: [half], accepted: [] };
    expect((await compareFiles(recorded, wanted([file("1", sql)]))).faults).toEqual(faults);
  });

  test("a history without names and statements is adopted as it is", async () => {
    const recorded: Recorded = {
      history: [{ version: "1", name: null, statements: null }],
      files: [],
      accepted: [],
    };
    expect(await compareFiles(recorded, wanted([file("1")]))).toMatchObject({
      faults: [],
      adopted: [file("1")],
    });
    expect((await compareFiles(recorded, wanted([file("2")]))).faults[0]).toMatch(
      /^1 is applied, but its file is gone/,
    );
  });

  test("a baseline is for an empty history, and for a file that is there", async () => {
    const files = [file("1"), file("2")];
    const empty = await compareFiles(applied(), wanted(files, { baseline: "1" }));
    expect(empty).toMatchObject({ baseline: [files[0]], result: { schemaVersion: "1", pending: ["2"] } });
    const full = await compareFiles(applied(file("1")), wanted(files, { baseline: "2" }));
    expect(full).toMatchObject({ baseline: [], result: { pending: ["2"] } });
    expect((await compareFiles(applied(), wanted(files, { baseline: "3" }))).faults).toHaveLength(1);
  });
});
