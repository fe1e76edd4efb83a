import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { Failed, Refused } from "../../../host/conductor/faults";
import type { Paths } from "../../../host/conductor/paths";
import { processGroup } from "../../../host/conductor/releases/enclosure";
import {
  directoryName,
  releasesOnDisk,
  type Keeping,
  type Releases,
} from "../../../host/conductor/releases/prepare";
import type { ReleaseIntent } from "../../../host/conductor/protocol";
import type { InstalledRelease } from "../../../host/conductor/site";
import { waitUntil } from "../../../host/conductor/system/wait";
import {
  intentOf,
  isAlive,
  pathsUnder,
  removeDirectories,
  SETTINGS,
  temporaryDirectory,
} from "./support/fixtures";
import { Repository } from "./support/repository";

afterAll(removeDirectories);

const silent = (): void => undefined;
const NEVER = new AbortController().signal;
const node = (code: string): string[] => [process.execPath, "-e", code];
/** A step that leaves its name, in the order of the steps. */
const mark = (name: string): string[] => node(`require("fs").appendFileSync("steps", "${name} ")`);

type Settings = Partial<Keeping["settings"]>;

/** Releases on the disk, with settings that seldom matter. */
class Disk {
  constructor(private readonly releases: Releases) {}

  prepare(
    intent: ReleaseIntent,
    progress: (line: string) => void,
    settings: Settings = {},
    inUse: readonly string[] = [],
    signal = NEVER,
  ): Promise<InstalledRelease> {
    const keeping = { inUse, settings: { ...SETTINGS, ...settings } };
    return this.releases.prepare(intent, keeping, { progress, signal });
  }

  restore(release: InstalledRelease, progress: (line: string) => void): Promise<void> {
    const keeping = { inUse: [], settings: SETTINGS };
    return this.releases.restore(release, keeping, { progress, signal: NEVER });
  }

  prune(inUse: readonly string[], releasesKept: number, settings: Settings = {}): Promise<void> {
    return this.releases.prune({ inUse, settings: { ...SETTINGS, ...settings, releasesKept } });
  }
}

interface World {
  readonly paths: Paths;
  readonly releases: Disk;
  readonly repository: Repository;
  /** An intent for this world's repository. */
  readonly intent: (version: string, change?: Partial<ReleaseIntent>) => ReleaseIntent;
  /** Names of the release directories, and of the records. */
  readonly left: () => { directories: string[]; records: string[] };
}

/** The environment of every release. */
const VARIABLES = {
  NEXT_PUBLIC_SITE_URL: "https://shop.test",
  SIGNING_KEY: "for builds",
  DATABASE_URL: "not for any build",
};

const ENVIRONMENTS = { read: () => Promise.resolve(VARIABLES) };

function world(): World {
  const paths = pathsUnder(temporaryDirectory());
  for (const directory of [paths.records, paths.home, paths.releases, dirname(paths.source)]) {
    mkdirSync(directory, { recursive: true });
  }
  const repository = new Repository();
  const account = { uid: process.getuid!(), gid: process.getgid!() };
  const builder = { paths, account, enclosure: processGroup(account), environments: ENVIRONMENTS };
  return {
    paths,
    repository,
    releases: new Disk(releasesOnDisk("shop", builder)),
    intent: (version, change = {}) =>
      intentOf(version, {
        repository: repository.url,
        install: mark("install"),
        build: mark("build"),
        ...change,
      }),
    left: () => ({ directories: readdirSync(paths.releases), records: readdirSync(paths.records) }),
  };
}

const FILES = { "server.js": "// server", "lib/a.js": "// a" };

describe("prepare", () => {
  it("fetches, checks out, installs, builds and prunes, in a directory of its own", async () => {
    const { releases, repository, intent, paths } = world();
    const commit = repository.tag("v1.0.0-production", FILES);
    const wanted = intent("v1.0.0", { prune: mark("prune") });
    const progress: string[] = [];
    const release = await releases.prepare(wanted, (line) => progress.push(line));
    expect(release).toEqual({
      intent: wanted,
      commit,
      directory: join(paths.releases, directoryName("shop", wanted)),
    });
    expect(readFileSync(join(release.directory, "steps"), "utf8")).toBe("install build prune ");
    expect(readFileSync(join(release.directory, "lib/a.js"), "utf8")).toBe("// a");
    expect(existsSync(join(release.directory, ".git"))).toBe(false);
    expect(progress.map((line) => line.split(" (")[0])).toEqual([
      "v1.0.0: make room for the source",
      "v1.0.0: fetch v1.0.0-production",
      "v1.0.0: resolve v1.0.0-production",
      "v1.0.0: read the tree",
      "v1.0.0: check out",
      "v1.0.0: install",
      "v1.0.0: build",
      "v1.0.0: prune",
    ]);
  });

  it("lets installs and builds see the public variables and those named for them, and no others", async () => {
    const { releases, repository, intent } = world();
    repository.tag("v1.0.0-production", FILES);
    const names = JSON.stringify(Object.keys(VARIABLES));
    const build = node(
      `require("fs").writeFileSync("seen", JSON.stringify(${names}.map((name) => process.env[name] ?? null)))`,
    );
    const wanted = intent("v1.0.0", { build, buildVariables: ["SIGNING_KEY"] });
    const { directory } = await releases.prepare(wanted, silent);
    expect(JSON.parse(readFileSync(join(directory, "seen"), "utf8"))).toEqual([
      VARIABLES.NEXT_PUBLIC_SITE_URL,
      VARIABLES.SIGNING_KEY,
      null,
    ]);
  });

  it("takes an annotated tag for its commit", async () => {
    const { releases, repository, intent } = world();
    const commit = repository.tag("v1.0.0-production", FILES, true);
    expect((await releases.prepare(intent("v1.0.0"), silent)).commit).toBe(commit);
  });

  it("takes a finished release up as it is, without download or build", async () => {
    const { releases, repository, intent } = world();
    repository.tag("v1.0.0-production", FILES);
    const first = await releases.prepare(intent("v1.0.0"), silent);
    repository.remove();
    const progress: string[] = [];
    const wanted = intent("v1.0.0", { args: ["--new"], script: "lib/a.js" });
    const second = await releases.prepare(wanted, (line) => progress.push(line));
    expect(second).toEqual({ ...first, intent: wanted });
    expect(progress).toEqual([]);
    expect(readFileSync(join(second.directory, "steps"), "utf8")).toBe("install build ");
  });

  it("has nothing of one release in another one", async () => {
    const { releases, repository, intent } = world();
    repository.tag("v1.0.0-production", FILES);
    repository.tag("v1.1.0-production", { "server.js": "// new" });
    await releases.prepare(intent("v1.0.0"), silent);
    const { directory } = await releases.prepare(intent("v1.1.0"), silent);
    expect(readdirSync(directory).sort()).toEqual(["server.js", "steps"]);
  });

  it("begins anew where a crash left a directory without a record, or the record without its directory", async () => {
    const { releases, repository, intent, paths } = world();
    repository.tag("v1.0.0-production", FILES);
    const directory = join(paths.releases, directoryName("shop", intent("v1.0.0")));
    mkdirSync(directory);
    writeFileSync(join(directory, "half"), "");
    await releases.prepare(intent("v1.0.0"), silent);
    expect(existsSync(join(directory, "half"))).toBe(false);
    rmSync(directory, { recursive: true });
    await releases.prepare(intent("v1.0.0"), silent);
    expect(existsSync(join(directory, "server.js"))).toBe(true);
  });

  it("gives builds a clean environment: nothing of the conductor's, and a HOME of their own", async () => {
    const { releases, repository, intent, paths } = world();
    repository.tag("v1.0.0-production", FILES);
    const build = node('require("fs").writeFileSync("seen.json", JSON.stringify(process.env))');
    process.env["CONDUCTOR_ONLY"] = "not for builds";
    try {
      const { directory } = await releases.prepare(intent("v1.0.0", { build }), silent);
      const seen = JSON.parse(readFileSync(join(directory, "seen.json"), "utf8")) as Record<string, string>;
      expect(seen).toMatchObject({ HOME: paths.home, CI: "true" });
      expect(JSON.stringify(seen)).not.toContain("not for builds");
    } finally {
      delete process.env["CONDUCTOR_ONLY"];
    }
  });
});

describe("a release that fails leaves nothing", () => {
  const broken = node('console.log("said this"); process.exit(3)');
  it.each<[string, Partial<ReleaseIntent>, RegExp]>([
    ["no such tag", { tag: "v9-production" }, /^v1.0.0: fetch v9-production ended with exit code/],
    [
      "no such repository",
      { repository: "file:///nowhere/at/all" },
      /^v1.0.0: fetch v1.0.0-production ended with exit code/,
    ],
    [
      "install",
      { install: broken },
      /^v1.0.0: install \(.*ended with exit code 3:\n {2}said this\nWay out: /s,
    ],
    ["build", { build: broken }, /^v1.0.0: build \(.*ended with exit code 3:\n {2}said this\nWay out: /s],
    ["prune", { prune: broken }, /^v1.0.0: prune \(.*ended with exit code 3:\n {2}said this\nWay out: /s],
    [
      "a secret in what browsers load",
      {
        build: node(
          'fs.mkdirSync(".next/static", { recursive: true }); fs.writeFileSync(".next/static/a.js", "not for" + " any build")',
        ),
      },
      /^v1.0.0: what browsers load .*: DATABASE_URL in \.next\/static\/a\.js\nWay out: (?!.*not for any build)/s,
    ],
    [
      "a program that is not there",
      { build: ["no-such-program-here"] },
      /^v1.0.0: build \(no-such-program-here\) /,
    ],
    [
      "no script",
      { script: "dist/none.js" },
      /^v1.0.0: dist\/none.js is not there after the build; check application.script$/,
    ],
    ["a program as address", { repository: "ext::touch here" }, /^v1.0.0: fetch .*not allowed/s],
  ])("%s", async (_, change, message) => {
    const { releases, repository, intent, left } = world();
    repository.tag("v1.0.0-production", FILES);
    const failed = releases.prepare(intent("v1.0.0", change), silent);
    await expect(failed).rejects.toThrow(Failed);
    await expect(failed).rejects.toThrow(message);
    expect(left()).toEqual({ directories: [], records: [] });
    expect(existsSync("here")).toBe(false);
  });

  it("nor does one that is given up: its program ends at once, and the reason is told", async () => {
    const { releases, repository, intent, paths, left } = world();
    repository.tag("v1.0.0-production", FILES);
    const pidFile = join(paths.state, "pid");
    const wait = `require("fs").writeFileSync(${JSON.stringify(pidFile)}, String(process.pid)); setInterval(() => {}, 1000);`;
    const abandon = new AbortController();
    const wanted = intent("v1.0.0", { build: node(wait) });
    const prepared = releases.prepare(wanted, silent, {}, [], abandon.signal);
    const reason = new Failed("v1.0.0 is asked for no longer");
    expect(await waitUntil(60_000, 10, () => Promise.resolve(existsSync(pidFile)))).toBe(true);
    abandon.abort(reason);
    await expect(prepared).rejects.toBe(reason);
    expect(left()).toEqual({ directories: [], records: [] });
    expect(isAlive(Number(readFileSync(pidFile, "utf8")))).toBe(false);
    await expect(releases.prepare(wanted, silent, {}, [], abandon.signal)).rejects.toBe(reason);
    await expect(releases.prepare(intent("v1.0.0"), silent)).resolves.toBeDefined();
  });

  it("and the next try passes", async () => {
    const { releases, repository, intent } = world();
    repository.tag("v1.0.0-production", FILES);
    const once = intent("v1.0.0", {
      build: node('if (!require("fs").existsSync("/tmp")) throw 1; process.exit(1)'),
    });
    await expect(releases.prepare(once, silent)).rejects.toThrow("exit code 1");
    await expect(releases.prepare(intent("v1.0.0"), silent)).resolves.toBeDefined();
  });
});

it("the source holds the tags of the releases that are kept, and of the new one", async () => {
  const { releases, repository, intent, paths } = world();
  const prepare = (version: string): Promise<{ directory: string }> => {
    repository.tag(`${version}-production`, { "server.js": `// ${version}` });
    return releases.prepare(intent(version), silent);
  };
  await prepare("v1.0.0");
  const second = await prepare("v1.1.0");
  await releases.prune([second.directory], 0);
  await prepare("v1.2.0");
  const list = execFileSync("git", [`--git-dir=${paths.source}`, "tag"], { encoding: "utf8" });
  expect(list.trim().split("\n")).toEqual(["v1.1.0-production", "v1.2.0-production"]);
});

describe("a tag is one commit for ever", () => {
  it("a moved one is refused, and what was released under it stays", async () => {
    const { releases, repository, intent, left } = world();
    const commit = repository.tag("v1.0.0-production", FILES);
    const first = await releases.prepare(intent("v1.0.0"), silent);
    const moved = repository.tag("v1.0.0-production", { "server.js": "// other" });
    const again = releases.prepare(intent("v1.0.0", { build: mark("other") }), silent);
    await expect(again).rejects.toThrow(
      `was commit ${commit} when it was released here, and is ${moved} now`,
    );
    expect(left().directories).toEqual([first.directory.split("/").at(-1)]);
  });

  it("the same tag of another repository is another one", async () => {
    const { releases, repository, intent } = world();
    repository.tag("v1.0.0-production", FILES);
    await releases.prepare(intent("v1.0.0"), silent);
    const other = new Repository();
    const commit = other.tag("v1.0.0-production", { "server.js": "// other" });
    const release = await releases.prepare(intent("v1.0.0", { repository: other.url }), silent);
    expect(release.commit).toBe(commit);
  });

  it("a pinned commit has to be the tag's, before anything is built and after", async () => {
    const { releases, repository, intent, left } = world();
    const commit = repository.tag("v1.0.0-production", FILES);
    const wrong = intent("v1.0.0", { commit: "0".repeat(40) });
    await expect(releases.prepare(wrong, silent)).rejects.toThrow(
      `is commit ${commit}, and the config pins 000`,
    );
    expect(left()).toEqual({ directories: [], records: [] });
    await expect(releases.prepare(intent("v1.0.0", { commit }), silent)).resolves.toMatchObject({ commit });
    await expect(releases.prepare(wrong, silent)).rejects.toThrow("a tag that moved is not released");
    expect(left().directories).toHaveLength(1);
  });
});

/** A package manager whose install leaves these files, and says when it was called. */
function fakeNpm(files: Readonly<Record<string, string>> = { "dep/index.js": "hello" }): string {
  const program = join(temporaryDirectory(), "npm");
  const code = `
    const fs = require("node:fs"), path = require("node:path");
    fs.appendFileSync("installs", "x");
    for (const [name, text] of Object.entries(${JSON.stringify(files)})) {
      fs.mkdirSync(path.dirname("node_modules/" + name), { recursive: true });
      fs.writeFileSync("node_modules/" + name, text);
    }`;
  writeFileSync(program, `#!${process.execPath}\n${code}`, { mode: 0o755 });
  return program;
}

const LOCKED = (version: string, next = "16.0.0"): Record<string, string> => ({
  ...FILES,
  "package.json": JSON.stringify({ name: "shop", version, dependencies: { next } }),
  "package-lock.json": JSON.stringify({ version, packages: { "": { version }, "node_modules/next": next } }),
});

describe("dependencies of one lock file", () => {
  const read = (directory: string, file: string): string => readFileSync(join(directory, file), "utf8");
  const inode = (directory: string): number => statSync(join(directory, "node_modules/dep/index.js")).ino;

  async function twoReleases(
    second: Partial<ReleaseIntent> = {},
    next = "16.0.0",
  ): Promise<World & { one: string; two: string; progress: string[] }> {
    const w = world();
    const install = [fakeNpm(), "ci"];
    w.repository.tag("v1.0.0-production", LOCKED("1.0.0"));
    w.repository.tag("v1.1.0-production", LOCKED("1.1.0", next));
    const one = await w.releases.prepare(w.intent("v1.0.0", { install }), silent);
    const progress: string[] = [];
    const wanted = w.intent("v1.1.0", { install, ...second });
    const two = await w.releases.prepare(wanted, (line) => progress.push(line));
    return { ...w, one: one.directory, two: two.directory, progress };
  }

  it("are installed once, and are the same files in both releases", async () => {
    const { one, two, progress } = await twoReleases();
    expect(read(one, "installs")).toBe("x");
    expect(existsSync(join(two, "installs"))).toBe(false);
    expect(inode(two)).toBe(inode(one));
    expect(progress).toContain(
      "v1.1.0: install: nothing to do, the dependencies of this lock file are here (linked)",
    );
  });

  it("are installed again for another lock file", async () => {
    const { one, two } = await twoReleases({}, "16.0.1");
    expect(read(two, "installs")).toBe("x");
    expect(inode(two)).not.toBe(inode(one));
  });

  it("are a copy for a build that may not write into them, and for the next one at once", async () => {
    const forbidden = `
      const fs = require("node:fs");
      if (fs.statSync("node_modules/dep/index.js").nlink > 1) throw new Error("EACCES: permission denied, open");
      fs.writeFileSync("node_modules/dep/index.js", "patched");`;
    const { one, two, progress, releases, repository, intent, paths } = await twoReleases({
      build: node(forbidden),
    });
    expect(progress).toContain(
      "v1.1.0: the build may not write into files that releases share; again, with a copy of its own",
    );
    expect([read(one, "node_modules/dep/index.js"), read(two, "node_modules/dep/index.js")]).toEqual([
      "hello",
      "patched",
    ]);
    repository.tag("v1.2.0-production", LOCKED("1.2.0"));
    const again: string[] = [];
    const wanted = intent("v1.2.0", { install: installOf(paths, one), build: node(forbidden) });
    const three = await releases.prepare(wanted, (line) => again.push(line));
    expect(again).toContain(
      "v1.2.0: install: nothing to do, the dependencies of this lock file are here (copied)",
    );
    expect(again.join()).not.toContain("may not write");
    expect(read(three.directory, "node_modules/dep/index.js")).toBe("patched");
  });

  it("are the release's own where the install leaves none, and where there is no lock file", async () => {
    const { paths, releases, repository, intent } = world();
    repository.tag("v1.0.0-production", LOCKED("1.0.0"));
    repository.tag("v1.1.0-production", { ...FILES, "package.json": "{}" });
    await releases.prepare(intent("v1.0.0", { install: [fakeNpm({}), "ci"] }), silent);
    const { directory } = await releases.prepare(intent("v1.1.0", { install: [fakeNpm(), "ci"] }), silent);
    expect(read(directory, "node_modules/dep/index.js")).toBe("hello");
    expect(existsSync(paths.dependencies)).toBe(false);
  });

  it("that were not on the disk for sure when the power was cut are installed again", async () => {
    const { paths, one, repository, intent, releases } = await twoReleases();
    for (const key of readdirSync(paths.dependencies)) {
      rmSync(join(paths.dependencies, key, "whole"), { force: true });
    }
    repository.tag("v1.2.0-production", LOCKED("1.2.0"));
    const install = installOf(paths, one);
    const account = { uid: process.getuid!(), gid: process.getgid!() };
    const rebooted = releasesOnDisk("shop", {
      paths,
      account,
      enclosure: processGroup(account),
      environments: ENVIRONMENTS,
    });
    const keeping = { inUse: [], settings: SETTINGS };
    const three = await rebooted.prepare(intent("v1.2.0", { install }), keeping, {
      progress: silent,
      signal: NEVER,
    });
    expect(read(three.directory, "installs")).toBe("x");
    await releases.prune([three.directory], 0);
    expect(readdirSync(paths.dependencies).filter((name) => name !== "staging")).toHaveLength(1);
  });

  it("are kept as long as a release that has them", async () => {
    const { paths, one, two, releases } = await twoReleases({}, "16.0.1");
    const entries = (): number => readdirSync(paths.dependencies).filter((name) => name !== "staging").length;
    expect(entries()).toBe(2);
    await releases.prune([two], 0);
    expect(entries()).toBe(1);
    expect(existsSync(one)).toBe(false);
    expect(read(two, "node_modules/dep/index.js")).toBe("hello");
  });
});

it.each(["install", "build", "prune"] as const)(
  "a %s that takes too long is ended, and says by which limit; nothing of it is left",
  async (step) => {
    const { releases, repository, intent, left } = world();
    repository.tag("v1.0.0-production", FILES);
    const stuck = node('console.log("asking: continue?"); setInterval(() => undefined, 1000)');
    const failure: unknown = await releases
      .prepare(intent("v1.0.0", { [step]: stuck }), silent, {
        builds: { ...SETTINGS.builds, timeoutSeconds: 1 },
      })
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Failed);
    const { message } = failure as Failed;
    expect(message).toContain(`v1.0.0: ${step} (`);
    expect(message).toContain("took longer than 1 s:\n  asking: continue?\n");
    expect(message).toContain("application.buildTimeoutSeconds (1) allows");
    expect(left()).toEqual({ directories: [], records: [] });
  },
);

/** How a finished release was installed. */
function installOf(paths: Paths, directory: string): readonly string[] {
  const record = readFileSync(join(paths.records, `${directory.split("/").at(-1)!}.json`), "utf8");
  return (JSON.parse(record) as InstalledRelease).intent.install;
}

describe("space", () => {
  const everything = { builds: { ...SETTINGS.builds, minFreeMegabytes: 1_000_000_000 } };

  it("is made by removing what is spare, the oldest first; then the build is refused with the figures", async () => {
    const { releases, repository, intent, left } = world();
    const directories: string[] = [];
    for (const version of ["v1.0.0", "v1.1.0", "v1.2.0"]) {
      repository.tag(`${version}-production`, FILES);
      directories.push((await releases.prepare(intent(version, { install: [] }), silent)).directory);
    }
    const progress: string[] = [];
    const wanted = intent("v1.2.0", { build: mark("other") });
    const refused = releases.prepare(
      wanted,
      (line) => progress.push(line),
      everything,
      directories.slice(0, 1),
    );
    await expect(refused).rejects.toThrow(Refused);
    await expect(refused).rejects.toThrow(
      /has \d+ MB left, and a build needs 10000000\d\d: application.minFreeMegabytes \(1000000000\) and twice/,
    );
    expect(progress.map((line) => line.replace(/:.*/, ""))).toEqual(
      [directories[1], directories[2]].map((directory) => `removing ${directory}`),
    );
    expect(left().directories).toEqual([directories[0]!.split("/").at(-1)]);
  });

  it("is not asked for by a release that is there already", async () => {
    const { releases, repository, intent } = world();
    repository.tag("v1.0.0-production", FILES);
    await releases.prepare(intent("v1.0.0"), silent);
    await expect(releases.prepare(intent("v1.0.0"), silent, everything)).resolves.toBeDefined();
  });
});

it("takes the build cache of the newest release over, as a copy", async () => {
  const { releases, repository, intent } = world();
  const build = node(`
    const fs = require("node:fs");
    fs.mkdirSync(".next/cache", { recursive: true });
    fs.appendFileSync(".next/cache/builds", "x");`);
  const directories: string[] = [];
  for (const version of ["v1.0.0", "v1.1.0"]) {
    repository.tag(`${version}-production`, FILES);
    directories.push((await releases.prepare(intent(version, { build }), silent)).directory);
  }
  const builds = directories.map((directory) => readFileSync(join(directory, ".next/cache/builds"), "utf8"));
  expect(builds).toEqual(["x", "xx"]);
});

it("shares the assets of a release that was finished before they were configured", async () => {
  const { paths, releases, repository, intent } = world();
  repository.tag("v1.0.0-production", { ...FILES, ".next/static/a.js": "a" });
  await releases.prepare(intent("v1.0.0"), silent, { assetsPath: null });
  expect(existsSync(paths.assets)).toBe(false);
  await releases.prepare(intent("v1.0.0"), silent);
  expect(readFileSync(join(paths.assets, "_next/static/a.js"), "utf8")).toBe("a");
  await releases.prune([], 0);
  expect(existsSync(join(paths.assets, "_next/static/a.js"))).toBe(false);
});

describe("restore", () => {
  it("builds a release again where its directory is gone, and only there", async () => {
    const { releases, repository, intent } = world();
    repository.tag("v1.0.0-production", FILES);
    const release = await releases.prepare(intent("v1.0.0"), silent);
    const progress: string[] = [];
    await releases.restore(release, (line) => progress.push(line));
    expect(progress).toEqual([]);
    rmSync(release.directory, { recursive: true });
    await releases.restore(release, (line) => progress.push(line));
    expect(progress[0]).toBe(`v1.0.0: ${release.directory} is gone; it is built again`);
    expect(readFileSync(join(release.directory, "steps"), "utf8")).toBe("install build ");
  });

  it("takes no other commit for the one that runs", async () => {
    const { releases, repository, intent } = world();
    repository.tag("v1.0.0-production", FILES);
    const release = await releases.prepare(intent("v1.0.0"), silent);
    rmSync(release.directory, { recursive: true });
    repository.tag("v1.0.0-production", { "server.js": "// other" });
    await expect(releases.restore(release, silent)).rejects.toThrow("a tag that moved is not released");
  });
});

describe("directoryName", () => {
  it("is another one for whatever the directory is a function of, and the same otherwise", () => {
    const name = directoryName("shop", intentOf("v1.0.0"));
    expect(name).toMatch(/^shop-v1\.0\.0-[0-9a-f]{8}$/);
    for (const change of [
      { build: ["x"] },
      { install: ["x"] },
      { prune: ["x"] },
      { repository: "file:///x" },
      { tag: "x" },
    ]) {
      expect(directoryName("shop", intentOf("v1.0.0", change))).not.toBe(name);
    }
    expect(directoryName("shop", intentOf("v1.0.0", { args: ["x"], script: "x.js", commit: "x" }))).toBe(
      name,
    );
  });
});

describe("prune", () => {
  it("keeps those in use and the newest others, and removes unfinished ones", async () => {
    const { releases, repository, intent, left, paths } = world();
    const made: string[] = [];
    for (const [age, version] of ["v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0"].entries()) {
      repository.tag(`${version}-production`, FILES);
      const { directory } = await releases.prepare(intent(version, { install: [] }), silent);
      const name = directory.split("/").at(-1)!;
      utimesSync(join(paths.records, `${name}.json`), age, age);
      made.push(name);
    }
    mkdirSync(join(paths.releases, "shop-v2.0.0-00000000"));
    await releases.prune([], 9);
    expect(left().directories.sort()).toEqual(made);
    await releases.prune([join(paths.releases, made[0]!)], 2);
    expect(left().directories.sort()).toEqual([made[0], made[2], made[3]]);
    expect(left().records.sort()).toEqual([made[0], made[2], made[3]].map((name) => `${name}.json`));
    await releases.prune([join(paths.releases, made[0]!)], 0);
    expect(left().directories).toEqual([made[0]]);
  });

  it("removes nothing that it did not make", async () => {
    const { releases, left, paths } = world();
    const foreign = [
      "html",
      "shop",
      "shop-backup",
      "shop-v1.0.0",
      "shop-uploads-2026",
      "shop-admin-v1.0.0-0123abcd",
      "other-v1.0.0-0123abcd",
    ];
    foreign.forEach((name) => mkdirSync(join(paths.releases, name)));
    await releases.prune([], 0);
    expect(left().directories.sort()).toEqual([...foreign].sort());
  });
});
