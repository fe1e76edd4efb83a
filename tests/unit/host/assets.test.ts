import { existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { SharedAssets } from "../../../host/conductor/releases/assets";
import { removeDirectories, temporaryDirectory } from "./support/fixtures";

afterAll(removeDirectories);

/** Releases with these files below `.next/static`, and the directory that they share. */
function world(releases: Readonly<Record<string, Readonly<Record<string, string>>>>): {
  assets: SharedAssets;
  release: (name: string) => string;
  shared: (file: string) => string;
  read: (file: string) => string | null;
} {
  const root = temporaryDirectory();
  for (const [name, files] of Object.entries(releases)) {
    mkdirSync(join(root, name));
    for (const [file, text] of Object.entries(files)) {
      const path = join(root, name, ".next/static", file);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    }
  }
  const directory = join(root, "assets/_next/static");
  const shared = (file: string): string => join(directory, file);
  return {
    assets: new SharedAssets(directory, ".next/static"),
    release: (name) => join(root, name),
    shared,
    read: (file) => (existsSync(shared(file)) ? readFileSync(shared(file), "utf8") : null),
  };
}

it("shares a release's files without copying them", async () => {
  const { assets, release, shared, read } = world({ one: { "chunks/a.js": "a", "b/c/d.js": "d" } });
  await assets.add(release("one"), []);
  await assets.add(release("one"), []);
  expect([read("chunks/a.js"), read("b/c/d.js")]).toEqual(["a", "d"]);
  expect(statSync(shared("chunks/a.js")).ino).toBe(
    statSync(join(release("one"), ".next/static/chunks/a.js")).ino,
  );
});

it("keeps a file until the last release that has it is gone", async () => {
  const { assets, release, read } = world({ one: { "a.js": "a", "x/only.js": "1" }, two: { "a.js": "a" } });
  await assets.add(release("one"), []);
  await assets.add(release("two"), [release("one")]);
  rmSync(release("one"), { recursive: true });
  await assets.prune([release("two")]);
  expect([read("a.js"), read("x/only.js")]).toEqual(["a", null]);
  expect(read("x")).toBeNull();
  await assets.prune([]);
  expect(read("a.js")).toBeNull();
});

it("shares no name that two releases use for different contents, in whatever order they come", async () => {
  const { assets, release, read } = world({
    one: { "main.js": "one", "a.js": "a" },
    two: { "main.js": "two" },
    three: { "main.js": "one" },
  });
  await assets.add(release("one"), []);
  await assets.add(release("two"), [release("one")]);
  expect([read("main.js"), read("a.js")]).toEqual([null, "a"]);
  await assets.add(release("three"), [release("one"), release("two")]);
  expect(read("main.js")).toBeNull();
});

it("follows no link out of a release", async () => {
  const { assets, release, read } = world({ one: { "a.js": "a" } });
  const outside = temporaryDirectory();
  writeFileSync(join(outside, "secret"), "secret");
  symlinkSync(outside, join(release("one"), ".next/static/linked"));
  symlinkSync(join(outside, "secret"), join(release("one"), ".next/static/secret.js"));
  await assets.add(release("one"), []);
  expect([read("a.js"), read("linked/secret"), read("secret.js")]).toEqual(["a", null, null]);
});

it("does nothing for a release without such files", async () => {
  const { assets, release } = world({ one: {} });
  await assets.add(release("one"), []);
  await expect(assets.prune([release("one")])).resolves.toBeUndefined();
});
