import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const SCRIPT = readFileSync(join(__dirname, "..", "..", "components", "install-host"), "utf8");
const RECORD =
  '#!/bin/sh\nprintf "%s" "$1" >"$(dirname "$0")/../../app.argument"\ncat >&2\necho "a package"\n';

let prefix: string;
beforeEach(() => {
  prefix = mkdtempSync(join(tmpdir(), "install-host-"));
  mkdirSync(join(prefix, "usr/local/lib"), { recursive: true });
  mkdirSync(join(prefix, "var/log"), { recursive: true });
});
afterEach(() => {
  rmSync(prefix, { recursive: true });
});

const library = () => join(prefix, "usr/local/lib/garage");

/** Packs `files` (text, or the target of a link behind `->`) and returns the archive's hash. */
function pack(files: Record<string, string>): string {
  const tree = mkdtempSync(join(prefix, "tree-"));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, name)), { recursive: true });
    if (content.startsWith("->")) symlinkSync(content.slice(2), join(tree, name));
    else writeFileSync(join(tree, name), content);
    if (name.startsWith("bootstrap/")) chmodSync(join(tree, name), 0o755);
  }
  execFileSync("tar", ["-cf", join(prefix, "host.tar"), "-C", tree, "."]);
  return createHash("sha256")
    .update(readFileSync(join(prefix, "host.tar")))
    .digest("hex");
}

/** Runs the script as SSH does: on standard input of a shell, in the directory that holds the archive. */
function install(sha256: string, settings: Record<string, string> = {}, behind = "") {
  const arguments_ = ["-s", "--", "garage", sha256, "host.tar"];
  const env = { PATH: process.env.PATH, PREFIX: prefix, ...settings };
  return spawnSync("sh", arguments_, {
    input: SCRIPT + behind,
    cwd: prefix,
    env,
    encoding: "utf8",
    timeout: 100_000,
  });
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}

it("puts the archive's content in place and runs its bootstrap with the application's name", () => {
  const { status, stdout } = install(
    pack({ "bootstrap/bootstrap": RECORD, "nginx/a.js": "a", link: "->nginx/a.js" }),
  );
  expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
  expect(filesBelow(library())).toEqual(["bootstrap/bootstrap", "link", "nginx/a.js"]);
  expect(readFileSync(join(prefix, "usr/local/lib/app.argument"), "utf8")).toBe("garage");
});

it("keeps the bootstrap's standard output in a log, and its standard input empty", () => {
  // Longer than what a shell reads ahead, so that something is left for the bootstrap to read.
  const { stderr } = install(pack({ "bootstrap/bootstrap": RECORD }), {}, ": more\n".repeat(20_000));
  expect(stderr).toBe("");
  expect(readFileSync(join(prefix, "var/log/garage-bootstrap.log"), "utf8")).toBe("a package\n");
});

it("keeps modes, and the directory that running processes hold on to", () => {
  install(pack({ "bootstrap/bootstrap": RECORD, "a.js": "old" }));
  const { ino } = statSync(library());
  install(pack({ "bootstrap/bootstrap": RECORD, "a.js": "new" }));
  expect(statSync(library()).ino).toBe(ino);
  expect(statSync(join(library(), "bootstrap/bootstrap")).mode & 0o777).toBe(0o755);
  expect(readFileSync(join(library(), "a.js"), "utf8")).toBe("new");
});

it("replaces a file in one step: who has the old one open keeps it whole", () => {
  install(pack({ "bootstrap/bootstrap": RECORD, "a.js": "old" }));
  const { ino } = statSync(join(library(), "a.js"));
  install(pack({ "bootstrap/bootstrap": RECORD, "a.js": "new" }));
  expect(statSync(join(library(), "a.js")).ino).not.toBe(ino);
});

it("takes away what an earlier version had, and changes files into directories and back", () => {
  install(
    pack({ "bootstrap/bootstrap": RECORD, "old/deep/gone.js": "x", a: "file", "b/c": "in a directory" }),
  );
  const { status } = install(pack({ "bootstrap/bootstrap": RECORD, "a/c": "in a directory", b: "file" }));
  expect(status).toBe(0);
  expect(filesBelow(library())).toEqual(["a/c", "b", "bootstrap/bootstrap"]);
  expect(existsSync(join(library(), "old"))).toBe(false);
  expect(readdirSync(join(prefix, "usr/local/lib")).sort()).toEqual(["app.argument", "garage"]);
});

it("starts over after it was killed in the middle", () => {
  mkdirSync(join(prefix, "usr/local/lib/garage.new/half"), { recursive: true });
  writeFileSync(join(prefix, "usr/local/lib/garage.new/half/a.js"), "x");
  expect(install(pack({ "bootstrap/bootstrap": RECORD, "a.js": "a" })).status).toBe(0);
  expect(filesBelow(library())).toEqual(["a.js", "bootstrap/bootstrap"]);
});

it.each<[string, () => { status: number | null; stderr: string }, RegExp]>([
  [
    "an archive that was changed on the way",
    () => install("0".repeat(64)),
    /not what was sent.*pulumi up --replace/,
  ],
  [
    "an archive without a bootstrap",
    () => install(pack({ "a.js": "a" })),
    /holds no program bootstrap\/bootstrap/,
  ],
  [
    "missing arguments",
    () => spawnSync("sh", ["-s"], { input: SCRIPT, encoding: "utf8" }),
    /three arguments/,
  ],
])("refuses %s", (_, run, reason) => {
  pack({ "bootstrap/bootstrap": RECORD });
  const { status, stderr } = run();
  expect(status).toBe(1);
  expect(stderr).toMatch(reason);
  expect(existsSync(library())).toBe(false);
});

it("shows the end of the log of a bootstrap that failed, and its exit code", () => {
  const failing = '#!/bin/sh\nseq 1 100\nprintf "%0500d\\n" 7\nexit 23\n';
  const { status, stderr } = install(pack({ "bootstrap/bootstrap": failing }));
  expect(status).toBe(1);
  expect(stderr).toMatch(/^62\n/);
  expect(stderr).toMatch(/\n0{400}\n/);
  expect(stderr).toMatch(
    /failed with exit code 23; what it printed is in .*\/var\/log\/garage-bootstrap\.log\n$/,
  );
});

it("ends a bootstrap that hangs", () => {
  const { status, stderr } = install(pack({ "bootstrap/bootstrap": "#!/bin/sh\nexec sleep 60\n" }), {
    LIMIT: "1",
  });
  expect(status).toBe(1);
  expect(stderr).toMatch(/took more than 1 seconds/);
});
