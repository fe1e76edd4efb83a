import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { applicationNamed, applicationOf, BROKEN_VERSION, PUBLISHED_VERSIONS } from "../../applications";
import { Source, tagOf } from "../../source";

const directories: string[] = [];

function temporary(): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "source-"));
  directories.push(directory);
  return path.join(directory, "source");
}

afterAll(() => {
  for (const directory of directories) fs.rmSync(directory, { recursive: true });
});

function git(source: Source, ...args: string[]): string {
  const repository = path.join(source.base, source.application.repository);
  return execFileSync("git", ["--git-dir", repository, ...args], { encoding: "utf8" }).trim();
}

describe("the sample's git repository", () => {
  let source: Source;

  beforeAll(async () => {
    source = await Source.create(temporary());
  });

  it("has a tag for every published version", () => {
    expect(git(source, "tag", "--list").split("\n")).toEqual(PUBLISHED_VERSIONS.map(tagOf));
  });

  it.each(PUBLISHED_VERSIONS)("%s carries its version in both manifests", (version) => {
    const read = (file: string): { version: string; packages?: { ""?: { version: string } } } =>
      JSON.parse(git(source, "show", `${tagOf(version)}:${file}`)) as { version: string };
    expect(`v${read("package.json").version}`).toBe(version);
    expect(`v${read("package-lock.json").version}`).toBe(version);
    expect(`v${read("package-lock.json").packages?.[""]?.version ?? ""}`).toBe(version);
  });

  it("holds the application and not its tests", () => {
    const files = git(source, "ls-tree", "-r", "--name-only", tagOf("v1.0.0")).split("\n");
    expect(files).toEqual(expect.arrayContaining(["package.json", "package-lock.json", "server.js"]));
    expect(files.filter((file) => /^(tests|dist|node_modules)\//.test(file))).toEqual([]);
  });

  it("is the same, commit by commit, wherever and whenever it is made", async () => {
    const before = process.env["GIT_AUTHOR_NAME"];
    process.env["GIT_AUTHOR_NAME"] = "Someone Else";
    try {
      const other = await Source.create(temporary());
      expect(git(other, "rev-parse", "main", ...PUBLISHED_VERSIONS.map(tagOf))).toBe(
        git(source, "rev-parse", "main", ...PUBLISHED_VERSIONS.map(tagOf)),
      );
    } finally {
      if (before === undefined) delete process.env["GIT_AUTHOR_NAME"];
      else process.env["GIT_AUTHOR_NAME"] = before;
    }
  });

  it("dates its commits by their number, not by the clock", () => {
    const format = "--format=%aI %cI %an";
    const noon = (day: number): string => `2025-01-0${day}T12:00:00Z`;
    const dated = [3, 2, 1].map((day) => `${noon(day)} ${noon(day)} Sandbox`);
    expect(git(source, "log", format, tagOf("v1.1.0")).replaceAll("+00:00", "Z").split("\n")).toEqual(dated);
  });

  it("publishes an edited variant under a new tag", async () => {
    const commit = await source.addTag("v2.0.0", (directory) =>
      fs.writeFileSync(path.join(directory, "server.js"), "process.exit(1);\n"),
    );
    expect(git(source, "rev-parse", `${tagOf("v2.0.0")}^{commit}`)).toBe(commit);
    expect(git(source, "show", `${tagOf("v2.0.0")}:server.js`)).toBe("process.exit(1);");
    // Only that one: the next is made from the sample again.
    await source.addTag("v2.0.1");
    expect(git(source, "show", `${tagOf("v2.0.1")}:server.js`)).toContain("createServer");
  });

  it("moves a tag that is published again", async () => {
    const first = await source.addTag("v3.0.0");
    const second = await source.addTag("v3.0.0", (directory) =>
      fs.writeFileSync(path.join(directory, "x"), "x"),
    );
    expect(second).not.toBe(first);
    expect(git(source, "rev-parse", `${tagOf("v3.0.0")}^{commit}`)).toBe(second);
  });

  it("tells a finished repository from one whose making was interrupted", () => {
    const directory = path.dirname(source.base);
    expect(Source.isComplete(directory)).toBe(true);
    git(source, "tag", "--delete", tagOf("v1.1.0"));
    expect(Source.isComplete(directory)).toBe(false);
  });
});

describe("the Next.js application's git repository", () => {
  let source: Source;
  let directory: string;

  beforeAll(async () => {
    directory = temporary();
    await Source.create(directory);
    source = await Source.create(directory, applicationNamed("next"));
  });

  it("has the same versions, and a broken one", () => {
    const tags = [...PUBLISHED_VERSIONS, BROKEN_VERSION].map(tagOf);
    expect(git(source, "tag", "--list").split("\n").sort()).toEqual(tags.sort());
  });

  it("stands beside the other application's", () => {
    expect(Source.isComplete(directory)).toBe(true);
    expect(Source.isComplete(directory, applicationNamed("next"))).toBe(true);
  });

  it("holds what a build needs, and nothing that a build makes", () => {
    const files = git(source, "ls-tree", "-r", "--name-only", tagOf("v1.0.0")).split("\n");
    const needed = [
      "app/page.tsx",
      "lib/webhook.ts",
      "next.config.mjs",
      "package-lock.json",
      "tsconfig.json",
    ];
    expect(files).toEqual(expect.arrayContaining(needed));
    expect(files.filter((file) => /^(tests|node_modules|\.next)\/|next-env|tsbuildinfo/.test(file))).toEqual(
      [],
    );
  });

  it("differs between good versions in nothing but the number", () => {
    const changed = git(source, "diff", "--name-only", tagOf("v0.9.9"), tagOf("v1.1.0")).split("\n");
    expect(changed).toEqual(["package-lock.json", "package.json"]);
    expect(git(source, "diff", "--numstat", tagOf("v0.9.9"), tagOf("v1.1.0"), "--", "package.json")).toMatch(
      /^1\t1\t/,
    );
  });

  it("has a broken version that differs in its health check alone", () => {
    const changed = git(source, "diff", "--name-only", tagOf("v1.0.0"), tagOf(BROKEN_VERSION)).split("\n");
    expect(changed).toEqual(["app/api/health/route.ts", "package-lock.json", "package.json"]);
    expect(git(source, "show", `${tagOf(BROKEN_VERSION)}:app/api/health/route.ts`)).toContain("status: 500");
  });

  it("locks what it installs on both processors, and says nothing of where from", () => {
    const lock = JSON.parse(git(source, "show", `${tagOf("v1.0.0")}:package-lock.json`)) as {
      packages: Record<string, { version: string; integrity?: string; resolved?: string }>;
    };
    const { version } = lock.packages["node_modules/next"]!;
    for (const processor of ["x64", "arm64"]) {
      expect(lock.packages[`node_modules/@next/swc-linux-${processor}-gnu`]).toMatchObject({
        version,
        integrity: expect.stringMatching(/^sha512-/),
      });
    }
    expect(Object.values(lock.packages).filter(({ resolved }) => resolved !== undefined)).toEqual([]);
  });
});

test.each([
  ["git://10.77.1.1/sample.git", "plain"],
  ["git://10.77.1.1/app.git", "next"],
  ["https://example.com/team/product.git", undefined],
  ["", undefined],
])("the application of %j is %s", (url, name) => {
  expect(applicationOf(url)?.name).toBe(name);
});
