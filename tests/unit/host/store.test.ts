import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readIfThere, removeDurably, writeDurably } from "../../../host/conductor/system/durable-file";
import { emptySite } from "../../../host/conductor/site";
import { openStore, type Store } from "../../../host/conductor/store";
import { removeDirectories, serving, SETTINGS, siteOf, temporaryDirectory } from "./support/fixtures";

afterAll(removeDirectories);

interface Place {
  readonly site: string;
  readonly journal: string;
  readonly open: () => Promise<Store>;
}

function place(): Place {
  const directory = temporaryDirectory();
  const [site, journal] = [join(directory, "site.json"), join(directory, "journal.json")];
  return { site, journal, open: () => openStore(site, journal) };
}

describe("the truth", () => {
  it("is empty on a new host, with a key of its own for probes", async () => {
    const [one, other] = [await place().open(), await place().open()];
    expect(one.site).toEqual(emptySite(one.site.probeKey));
    expect(one.site.probeKey).toMatch(/^[0-9a-f]{32}$/);
    expect(one.site.probeKey).not.toBe(other.site.probeKey);
  });

  it("holds once an update has resolved, for whoever opens it next", async () => {
    const at = place();
    const store = await at.open();
    await store.update(() => siteOf({ blue: serving("v1") }));
    expect((await at.open()).site).toEqual(store.site);
    expect(store.site.colours.blue.release?.intent.version).toBe("v1");
  });

  it("counts its generation up with each change, whatever the change says of it", async () => {
    const store = await place().open();
    for (const generation of [1, 2, 3]) {
      const changed = await store.update((site) => ({
        ...site,
        generation: 99,
        settings: { ...SETTINGS, drainSeconds: generation },
      }));
      expect(changed.generation).toBe(generation);
    }
  });

  it("is not taken for a new host's where it is gone though there was one", async () => {
    const at = place();
    const store = await at.open();
    await store.update(() => siteOf({ blue: serving("v1") }));
    await store.update(() => siteOf({ blue: serving("v2") }));
    rmSync(at.site);
    await expect(at.open()).rejects.toThrow(/site\.json is gone.*site\.json\.previous/);
    copyFileSync(`${at.site}.previous`, at.site);
    expect((await at.open()).site.colours.blue.release?.intent.version).toBe("v1");
  });

  it("is not written by a change that changes nothing", async () => {
    const at = place();
    const store = await at.open();
    await store.update(() => siteOf({ blue: serving("v1") }));
    const before = { site: store.site, inode: statSync(at.site).ino, written: statSync(at.site).mtimeMs };
    expect(await store.update((site) => JSON.parse(JSON.stringify(site)) as typeof site)).toBe(before.site);
    expect({ site: store.site, inode: statSync(at.site).ino, written: statSync(at.site).mtimeMs }).toEqual(
      before,
    );
  });

  it("takes concurrent changes one after the other, each on what the one before left", async () => {
    const at = place();
    const store = await at.open();
    const add = (): Promise<unknown> =>
      store.update((site) => ({
        ...site,
        settings: { ...SETTINGS, drainSeconds: (site.settings?.drainSeconds ?? 0) + 1 },
      }));
    await Promise.all(Array.from({ length: 20 }, add));
    expect(store.site.settings?.drainSeconds).toBe(20);
    expect(store.site.generation).toBe(20);
    expect((await at.open()).site).toEqual(store.site);
  });

  it("stays what it was where a change throws, and takes the next one", async () => {
    const store = await place().open();
    await expect(
      store.update(() => {
        throw new Error("no");
      }),
    ).rejects.toThrow("no");
    expect(store.site.generation).toBe(0);
    await store.update(() => siteOf({ blue: serving("v1") }));
    expect(store.site.generation).toBe(1);
  });

  it("stays what it was where the disk does not take it", async () => {
    const at = place();
    const store = await at.open();
    mkdirSync(`${at.site}.new`);
    await expect(store.update(() => siteOf({ blue: serving("v1") }))).rejects.toThrow("EISDIR");
    expect(store.site.generation).toBe(0);
    expect(store.site.colours.blue.release).toBeNull();
  });

  it.each([
    "",
    "{",
    "null",
    "[]",
    "42",
    '{"generation":"1"}',
    '{"generation":1,"probeKey":"k"}',
    '{"generation":1,"probeKey":"k","colours":null}',
  ])("that is damaged (%j) names its file and the way out, and is left as it is", async (text) => {
    const at = place();
    writeFileSync(at.site, text);
    const opening = expect(at.open());
    await opening.rejects.toThrow(at.site);
    await expect(at.open()).rejects.toThrow(/is damaged.*site\.json\.previous/);
    expect(readFileSync(at.site, "utf8")).toBe(text);
  });

  it("is readable by its owner only: it holds the probes' key and the testers' secret", async () => {
    const at = place();
    const store = await at.open();
    await store.update(() => siteOf({ blue: serving("v1") }));
    await store.begin({ act: "configure", site: SETTINGS });
    expect(statSync(at.site).mode & 0o777).toBe(0o600);
    expect(statSync(at.journal).mode & 0o777).toBe(0o600);
  });
});

describe("the journal", () => {
  it("tells the next conductor what was under way, until it has ended", async () => {
    const at = place();
    const store = await at.open();
    expect(store.unfinished).toBeNull();
    await store.begin({ act: "traffic", stable: "blue", weight: 5 });
    expect((await at.open()).unfinished).toEqual({ act: "traffic", stable: "blue", weight: 5 });
    await store.end();
    expect(store.unfinished).toBeNull();
    expect((await at.open()).unfinished).toBeNull();
  });

  it.each(["", '{"act":"traf', "null"])("that was cut (%j) tells of nothing", async (text) => {
    const at = place();
    writeFileSync(at.journal, text);
    expect((await at.open()).unfinished).toBeNull();
  });

  it("may end without having begun", async () => {
    await expect((await place().open()).end()).resolves.toBeUndefined();
  });
});

describe("a durable file", () => {
  it("replaces the old text as a whole, with the mode that is asked for, and leaves nothing beside it", async () => {
    const directory = temporaryDirectory();
    const path = join(directory, "file");
    writeFileSync(path, "old", { mode: 0o666 });
    await writeDurably(path, "new", 0o644);
    expect(readFileSync(path, "utf8")).toBe("new");
    expect(statSync(path).mode & 0o777).toBe(0o644);
    expect(readdirSync(directory)).toEqual(["file"]);
  });

  it("is not opened by a reader of the old one: it is another file", async () => {
    const path = join(temporaryDirectory(), "file");
    await writeDurably(path, "old");
    const { ino } = statSync(path);
    await writeDurably(path, "new");
    expect(statSync(path).ino).not.toBe(ino);
  });

  it("takes the place of what a crash left half-written", async () => {
    const path = join(temporaryDirectory(), "file");
    writeFileSync(`${path}.new`, "half of something lon", { mode: 0o666 });
    await writeDurably(path, "new");
    expect(readFileSync(path, "utf8")).toBe("new");
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it("is null where it is not there, and may be removed twice", async () => {
    const path = join(temporaryDirectory(), "file");
    expect(await readIfThere(path)).toBeNull();
    await writeDurably(path, "x");
    await removeDurably(path);
    await removeDurably(path);
    expect(await readIfThere(path)).toBeNull();
  });

  it("does not hide any other fault", async () => {
    await expect(readIfThere(temporaryDirectory())).rejects.toThrow("EISDIR");
  });
});
