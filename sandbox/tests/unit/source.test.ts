import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { PUBLISHED_VERSIONS } from "../../applications";
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
  return execFileSync("git", ["--git-dir", path.join(source.base, "sample.git"), ...args], {
    encoding: "utf8",
  }).trim();
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
