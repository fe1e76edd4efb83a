import fc from "fast-check";
import {
  backupName,
  dumpKey,
  manifestKey,
  namesIn,
  parseManifest,
  told,
  type StoredManifest,
} from "../../../host/database/backups/manifest";

const MANIFEST: StoredManifest = {
  ...{ key: "a/20260102/garage-20260102T030405Z.dump", name: "20260102/garage-20260102T030405Z" },
  ...{
    takenAt: "2026-01-02T03:04:05.000Z",
    seconds: 1.5,
    bytes: 10,
    sha256: "0".repeat(64),
    rows: { "a.b": 1 },
  },
  ...{ database: "shop", server: "17.6", client: "17.6", schemaVersion: null, reason: "asked" },
  ...{ schemas: [], databaseBytes: 100, encoding: "UTF8", owner: "o", role: "r", roles: [], grants: null },
  ...{ extensions: [], catalog: {} },
};

describe("names", () => {
  test("are of the second, in a directory of the day", () => {
    const name = backupName("garage", new Date("2026-01-02T03:04:05.999Z"));
    expect(name).toBe("20260102/garage-20260102T030405Z");
    expect(dumpKey("a/", name)).toBe("a/20260102/garage-20260102T030405Z.dump");
    expect(manifestKey(dumpKey("a/", name))).toBe("a/20260102/garage-20260102T030405Z.json");
  });

  test("of a bucket are those with a manifest, of this application, newest first", () => {
    const keys = [
      "a/20260102/garage-20260102T030405Z.dump",
      "a/20260102/garage-20260102T030405Z.json",
      "a/20260103/garage-20260103T030405Z.json",
      "a/20260104/garage-20260104T030405Z.dump",
      "a/20260105/garage-two-20260105T030405Z.json",
      "a/20260106/arage-20260106T030405Z.json",
      "b/20260107/garage-20260107T030405Z.json",
      "a/x/garage-20260107T030405Z.json",
    ];
    expect(namesIn(keys, "a/", "garage")).toEqual([
      "20260103/garage-20260103T030405Z",
      "20260102/garage-20260102T030405Z",
    ]);
  });

  test("sort as their times do, and come back from their keys", () => {
    const date = fc.date({ min: new Date("2000-01-01"), max: new Date("2099-12-31"), noInvalidDate: true });
    fc.assert(
      fc.property(fc.uniqueArray(date, { selector: (at) => Math.floor(at.getTime() / 1000) }), (dates) => {
        const keys = dates.map((at) => manifestKey(dumpKey("p/", backupName("app", at))));
        const newestFirst = dates.toSorted((a, b) => b.getTime() - a.getTime());
        expect(namesIn(keys, "p/", "app")).toEqual(newestFirst.map((at) => backupName("app", at)));
      }),
    );
  });
});

describe("a manifest", () => {
  test("is read as it was written, and told without what a restore compares with", () => {
    expect(parseManifest("k", JSON.stringify(MANIFEST))).toEqual(MANIFEST);
    expect(told(MANIFEST)).not.toHaveProperty("catalog");
    expect(told(MANIFEST)).toMatchObject({ name: MANIFEST.name, rows: { "a.b": 1 } });
  });

  test.each([
    ["no JSON", "{"],
    ["a cut one", JSON.stringify(MANIFEST).slice(0, -1)],
    ["a checksum that is none", JSON.stringify({ ...MANIFEST, sha256: "x" })],
    ["a length below nothing", JSON.stringify({ ...MANIFEST, bytes: -1 })],
    ["one without its catalog", JSON.stringify({ ...MANIFEST, catalog: undefined })],
  ])("is not %s", (_, text) => {
    expect(() => parseManifest("a/k.json", text)).toThrow(/^a\/k\.json is no manifest of a backup/);
  });
});
