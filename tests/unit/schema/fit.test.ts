import fc from "fast-check";
import { checkFit } from "../../../schema/fit";
import { compareVersions, type Migration } from "../../../schema/migrations-folder";
import { readReleaseRecords, type ReleaseRecord } from "../../../schema/release-records";
import type { Taking } from "../../../schema/takes-away";

const found = (name: string, text: string) => ({ name, bytes: Buffer.from(text) });
const read = (text: string, name = "v1.0.0.yaml") => readReleaseRecords("releases", [found(name, text)]);

describe("a release record", () => {
  it("says which migrations a release runs on, digit by digit", () => {
    const text =
      "schema:\n  first: 0010\n  last: 20250124000000\n  needs: [profiles.role, wallet, app.t.c, app.t.*]\n";
    expect(read(text).records.get("v1.0.0")).toEqual({
      version: "v1.0.0",
      schema: {
        first: "0010",
        last: "20250124000000",
        needs: ["profiles.role", "wallet", "app.t.c", "app.t.*"],
      },
    });
  });

  it.each(["last: null", "last: ~", "last:", ""])("has no end where it says %j", (last) => {
    const { records, faults } = read(`schema:\n  first: "1"\n  ${last}\n`);
    expect([faults, records.get("v1.0.0")?.schema.last]).toEqual([[], null]);
  });

  it.each<[string, string, string, string]>([
    ["a key that nobody knows", "schema: { first: 1 }\nschmea: x", "releases/v1.0.0.yaml", "schema"],
    ["a mistyped key", "schema: { first: 1, lst: 2 }", "releases/v1.0.0.yaml schema", "first, last, needs"],
    ["no schema", "{}", "releases/v1.0.0.yaml schema", "a group of the keys first, last and needs"],
    ["nothing in it", "", "releases/v1.0.0.yaml", "a group of the key schema"],
    ["no first migration", "schema: { last: 1 }", "releases/v1.0.0.yaml schema.first", "digits"],
    ["a first that is none", "schema: { first: v1 }", "releases/v1.0.0.yaml schema.first", "digits"],
    ["a last that is none", "schema: { first: 1, last: [2] }", "releases/v1.0.0.yaml schema.last", "digits"],
    [
      "a need with four parts",
      "schema: { first: 1, needs: [a.b.c.d] }",
      "releases/v1.0.0.yaml schema.needs.0",
      "table.column",
    ],
    [
      "needs that are no list",
      "schema: { first: 1, needs: a }",
      "releases/v1.0.0.yaml schema.needs",
      "a list of names",
    ],
    ["no YAML", "schema: {", "releases/v1.0.0.yaml", "YAML"],
  ])("with %s is refused", (_, text, key, rule) => {
    const { records, faults } = read(text);
    expect(faults).toEqual([expect.objectContaining({ key, rule: expect.stringContaining(rule) })]);
    expect(records.size).toBe(0);
  });

  it.each(["v1.yaml", "latest.yaml", "v1.0.0.yml"])("is not called %s", (name) => {
    expect(read("schema: { first: 1 }", name).faults).toEqual([
      expect.objectContaining({ key: `releases/${name}`, rule: expect.stringContaining("<version>.yaml") }),
    ]);
  });

  it("stands beside files that are none", () => {
    expect(readReleaseRecords("releases", [found("README.md", "#")])).toEqual({
      records: new Map(),
      faults: [],
    });
  });
});

const migration = (version: string, contract = false): Migration => ({
  ...{
    file: `${version}_a.sql`,
    version,
    name: "a",
    sha256: "",
    sql: "",
    contract,
    alone: false,
    secret: false,
  },
});
const takes = (table: string, column: string | null): Taking => ({
  table: `public.${table}`,
  column,
  words: `drops public.${table}${column === null ? "" : `.${column}`}`,
  line: 4,
});
const record = (version: string, first: string, last: string | null, needs: readonly string[] = []) =>
  [version, { version, schema: { first, last, needs } }] as const;

interface Case {
  readonly migrations?: readonly Migration[];
  readonly takings?: Readonly<Record<string, Taking>>;
  readonly records?: readonly (readonly [string, ReleaseRecord])[];
  readonly blue?: string;
  readonly isOld?: (version: string) => boolean;
}

const MIGRATIONS = [migration("001"), migration("002"), migration("003", true), migration("004")];
const TAKINGS = { "003": takes("profiles", "full_name") };

function faultsOf({
  migrations = MIGRATIONS,
  takings = TAKINGS,
  records = [],
  blue,
  isOld = () => false,
}: Case) {
  return checkFit({
    folders: { migrations: "migrations", releases: "releases" },
    migrations,
    takings: new Map(Object.entries(takings).map(([version, taking]) => [version, [taking]])),
    records: new Map(records),
    inUse: blue === undefined ? {} : { "vehicleservice:blueVersion": blue },
    isOld,
  });
}

const keysOf = (given: Case) => faultsOf(given).map(({ key }) => key);

describe("releases and migrations", () => {
  it.each<[string, Case]>([
    [
      "a release of after the file",
      { records: [record("v2.0.0", "003", null, ["profiles"])], blue: "v2.0.0" },
    ],
    [
      "a release that needs other things",
      { records: [record("v1.0.0", "002", null, ["profiles.role"])], blue: "v1.0.0" },
    ],
    [
      "a release out of use, that ends before the file",
      { records: [record("v1.0.0", "001", "002", ["profiles.full_name"])] },
    ],
    ["no release", {}],
    [
      "an old file that is not marked",
      { migrations: [migration("001"), migration("003")], isOld: (version) => version === "003" },
    ],
  ])("fit: %s", (_, given) => {
    expect(keysOf(given)).toEqual([]);
  });

  it.each<[string, Case, readonly string[]]>([
    [
      "a file that takes something away, and does not say so",
      { migrations: [migration("001"), migration("003")] },
      ["migrations/003_a.sql:4"],
    ],
    ["a release in use without a record", { blue: "v1.0.0" }, ["vehicleservice:blueVersion"]],
    [
      "a range of migrations that are not there",
      { records: [record("v1.0.0", "000", "009")] },
      ["releases/v1.0.0.yaml schema.first", "releases/v1.0.0.yaml schema.last"],
    ],
    [
      "a range that ends before it begins",
      { records: [record("v1.0.0", "002", "001")] },
      ["releases/v1.0.0.yaml schema.last"],
    ],
    [
      "a record that needs what is taken away, and has no end",
      { records: [record("v1.0.0", "001", null, ["profiles.full_name"])] },
      ["releases/v1.0.0.yaml schema.last"],
    ],
    [
      "a record that ends too late",
      { records: [record("v1.0.0", "001", "003", ["profiles"])] },
      ["releases/v1.0.0.yaml schema.last"],
    ],
    [
      "a file that takes away what a release in use needs, whose record says it ends before",
      { records: [record("v1.0.0", "001", "002", ["profiles.full_name"])], blue: "v1.0.0" },
      ["migrations/003_a.sql blueVersion"],
    ],
    [
      "a file behind the end of a release in use, whatever it does",
      { takings: {}, records: [record("v1.0.0", "001", "001")], blue: "v1.0.0" },
      ["migrations/002_a.sql blueVersion"],
    ],
  ])("do not fit: %s", (_, given, keys) => {
    expect(keysOf(given)).toEqual(keys);
  });

  it("are told with what to do", () => {
    const [fault] = faultsOf({ records: [record("v1.0.0", "001", "002", ["profiles"])], blue: "v1.0.0" });
    expect(fault).toEqual({
      key: "migrations/003_a.sql blueVersion",
      value: "drops public.profiles.full_name",
      rule: "a file that v1.0.0, which blueVersion has in use, can do without: it needs that",
      remedy: expect.stringContaining("once v1.0.0 is out of use"),
    });
  });

  it("never leave a release in use on a schema that lacks what it needs", () => {
    const versions = MIGRATIONS.map(({ version }) => version);
    const anyVersion = fc.constantFrom(...versions);
    fc.assert(
      fc.property(
        anyVersion,
        fc.option(anyVersion),
        fc.subarray(["profiles", "profiles.full_name", "profiles.role", "wallet"]),
        fc.constantFrom(...versions),
        (first, last, needs, taker) => {
          const migrations = versions.map((version) => migration(version, version === taker));
          const takings = { [taker]: takes("profiles", "full_name") };
          const records = [record("v1.0.0", first, last, needs)];
          const accepted = faultsOf({ migrations, takings, records, blue: "v1.0.0" }).length === 0;
          const loses =
            compareVersions(taker, first) > 0 && needs.some((need) => /^profiles(\.full_name)?$/.test(need));
          const ends = last !== null && compareVersions(last, "004") < 0;
          expect(accepted).toBe(!loses && !ends && (last === null || compareVersions(first, last) <= 0));
        },
      ),
    );
  });
});
