import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

import { run, type CommandResult } from "../../../sandbox/command";
import { identify, waitFor } from "../../../sandbox/processes";
import { repositoryRoot } from "../../../sandbox/repository";

const setup = path.join(repositoryRoot(), "bin", "lib", "setup");
let temporary: string;

beforeAll(() => {
  temporary = fs.mkdtempSync(path.join(os.tmpdir(), "setup-"));
  // Other users look at it, too.
  fs.chmodSync(temporary, 0o755);
});

afterAll(() => fs.rmSync(temporary, { recursive: true }));

/** Runs a function of the set-up as `prefix` (an argument list that runs another) has it. */
const setUp = (what: string, prefix: readonly string[] = []): Promise<CommandResult> =>
  run([...prefix, "bash", "-c", `set -euo pipefail; . ${setup}; ${what}`, "bin/sandbox"], { check: false });

/** Puts `content` in the place of a file of the system's, for one command. */
function withFile(file: string, content: string): string[] {
  const substitute = path.join(temporary, path.basename(file));
  fs.writeFileSync(substitute, content);
  return ["unshare", "--mount", "sh", "-c", `mount --bind ${substitute} ${file} && exec "$@"`, "sh"];
}

const traces = (): string[] =>
  [
    ...fs.readdirSync("/var/lib"),
    ...(fs.existsSync("/run/netns") ? fs.readdirSync("/run/netns") : []),
    ...fs.readdirSync("/sys/fs/cgroup"),
  ].filter((name) => name.startsWith("vehicleservice-setup"));

it("accepts this machine, silently, and leaves no trace of its tries", async () => {
  expect(await setUp("setup_machine")).toEqual({ exitCode: 0, stdout: "", stderr: "" });
  expect(traces()).toEqual([]);
});

it.each([
  ["Fedora", "ID=fedora\n", "needs Debian or Ubuntu; this is fedora"],
  ["Alpine", "ID=alpine\n", "needs Debian or Ubuntu; this is alpine"],
  ["a system without a name", "", "needs Debian or Ubuntu; this is an unknown system"],
])("refuses %s", async (_, release, reason) => {
  const { exitCode, stderr } = await setUp("setup_machine", withFile("/etc/os-release", release));
  expect(exitCode).toBe(1);
  expect(stderr).toContain(reason);
});

it.each([
  ["Ubuntu", "ID=ubuntu\nID_LIKE=debian\n"],
  ["a relative of Ubuntu's", 'ID=linuxmint\nID_LIKE="ubuntu debian"\n'],
])("accepts %s", async (_, release) => {
  expect(await setUp("setup_require_system", withFile("/etc/os-release", release))).toMatchObject({
    exitCode: 0,
  });
});

it("refuses another architecture", async () => {
  const directory = fs.mkdtempSync(path.join(temporary, "bin-"));
  fs.writeFileSync(path.join(directory, "dpkg"), "#!/bin/sh\necho riscv64\n", { mode: 0o755 });
  const { stderr, exitCode } = await setUp(`PATH=${directory}:$PATH; setup_machine`);
  expect(exitCode).toBe(1);
  expect(stderr).toContain("this machine is riscv64");
});

it("refuses a user who is not root, and says what works without", async () => {
  const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
  // Only the function: the repository may be in a directory that nobody else may enter.
  const copy = path.join(temporary, "setup");
  fs.copyFileSync(setup, copy);
  const argv = [...nobody, "bash", "-c", `. ${copy}; setup_require_system`, "bin/sandbox"];
  expect(await run(argv, { check: false })).toMatchObject({
    exitCode: 1,
    stderr: expect.stringMatching(/needs root[\s\S]*sudo bin\/sandbox[\s\S]*npm run check/),
  });
});

it("tells all that a machine without the capabilities lacks, at once, and what to do", async () => {
  const { stderr, exitCode } = await setUp("setup_machine", [
    "setpriv",
    "--bounding-set=-sys_admin,-net_admin",
  ]);
  expect(exitCode).toBe(1);
  for (const reason of [
    "namespaces",
    "network namespace",
    "overlay",
    "nftables",
    "--privileged",
    "virtual machine",
  ]) {
    expect(stderr).toContain(reason);
  }
  expect(traces()).toEqual([]);
});

it("refuses a /var/lib that no overlay can be made in", async () => {
  const overlay = path.join(temporary, "overlay");
  const parts = ["lower", "upper", "work"].map((name) => path.join(overlay, name));
  for (const part of parts) fs.mkdirSync(part, { recursive: true });
  const [lower, upper, work] = parts;
  const mount = `mount -t overlay overlay -o lowerdir=${lower!},upperdir=${upper!},workdir=${work!} /var/lib`;
  const { stderr, exitCode } = await setUp("setup_require_kernel", [
    "unshare",
    "--mount",
    "sh",
    "-c",
    `${mount} && exec "$@"`,
    "sh",
  ]);
  expect(exitCode).toBe(1);
  expect(stderr).toContain("an overlay cannot be mounted below /var/lib");
  expect(stderr).not.toContain("namespaces");
});

describe("system packages", () => {
  /** Runs setup_packages with a missing command, and an apt-get that fails the given number of times. */
  async function install(failures: number): Promise<CommandResult & { readonly calls: readonly string[] }> {
    const directory = fs.mkdtempSync(path.join(temporary, "apt-"));
    const log = path.join(directory, "log");
    const script = `#!/bin/sh\necho "$@" >>${log}\n[ $(wc -l <${log}) -gt ${failures} ] || { echo mirror is busy; exit 100; }\n`;
    fs.writeFileSync(path.join(directory, "apt-get"), script, { mode: 0o755 });
    const missing =
      "setup_commands+=(no-such-command:package-one other-command:package-one); setup_files+=(/no/file:package-two)";
    const result = await setUp(`PATH=${directory}:$PATH; ${missing}; setup_packages`);
    return { ...result, calls: fs.readFileSync(log, "utf8").trim().split("\n") };
  }

  it("are installed when their command or file is missing, each once", async () => {
    const { calls, exitCode, stderr } = await install(0);
    expect(exitCode).toBe(0);
    expect(calls).toEqual(["update -q", "install -y -q --no-install-recommends package-one package-two"]);
    expect(stderr).toMatch(
      /^installing system packages \(package-one package-two\) \.\.\.\n.*done in \d+ s\n$/,
    );
  });

  it("are tried once more when apt fails", async () => {
    const { calls, exitCode } = await install(1);
    expect(exitCode).toBe(0);
    expect(calls).toHaveLength(3);
  });

  it("end the command with apt's own words when it fails again", async () => {
    const { exitCode, stderr } = await install(2);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("mirror is busy");
    expect(stderr).toContain("exit status 100");
  });
});

describe("in a clone of its own", () => {
  let clone: string;

  /** A clone with an npm that only takes notes. */
  beforeEach(() => {
    clone = fs.mkdtempSync(path.join(temporary, "clone-"));
    fs.mkdirSync(path.join(clone, "bin", "lib"), { recursive: true });
    for (const name of ["engine", "sandbox", "host", "scripts"]) fs.mkdirSync(path.join(clone, name));
    fs.copyFileSync(setup, path.join(clone, "bin", "lib", "setup"));
    fs.writeFileSync(path.join(clone, "package-lock.json"), "{}");
    const npm = `#!/bin/sh\necho "$3" >>${clone}/log\nmkdir -p ${clone}/node_modules\n`;
    fs.mkdirSync(path.join(clone, "stub"));
    fs.writeFileSync(path.join(clone, "stub", "npm"), npm, { mode: 0o755 });
  });

  const setUpClone = async (): Promise<string[]> => {
    fs.rmSync(path.join(clone, "log"), { force: true });
    await run([
      "bash",
      "-c",
      `set -euo pipefail; PATH=${clone}/stub:$PATH; . ${clone}/bin/lib/setup; setup_node`,
    ]);
    const log = path.join(clone, "log");
    return fs.existsSync(log) ? fs.readFileSync(log, "utf8").trim().split("\n") : [];
  };

  it("installs and builds once", async () => {
    expect(await setUpClone()).toEqual(["ci", "run"]);
    expect(await setUpClone()).toEqual([]);
  });

  it("installs again when the lock file changed, and builds again for it", async () => {
    await setUpClone();
    fs.writeFileSync(path.join(clone, "package-lock.json"), "{ }");
    expect(await setUpClone()).toEqual(["ci", "run"]);
  });

  it.each([
    ["a source is new", (root: string) => fs.writeFileSync(path.join(root, "engine", "new.ts"), "")],
    ["a source is gone", (root: string) => fs.rmSync(path.join(root, "host", "old.ts"))],
  ])("builds again when %s", async (_, change) => {
    fs.writeFileSync(path.join(clone, "host", "old.ts"), "");
    await setUpClone();
    change(clone);
    expect(await setUpClone()).toEqual(["run"]);
  });

  it("does not build for a changed test", async () => {
    fs.mkdirSync(path.join(clone, "engine", "tests"));
    await setUpClone();
    fs.writeFileSync(path.join(clone, "engine", "tests", "new.test.ts"), "");
    expect(await setUpClone()).toEqual([]);
  });

  it("does it once when two commands start together", async () => {
    await Promise.all([setUpClone(), setUpClone()]);
    fs.rmSync(path.join(clone, "node_modules"), { recursive: true });
    const both = `set -euo pipefail; PATH=${clone}/stub:$PATH; . ${clone}/bin/lib/setup; setup_node`;
    fs.rmSync(path.join(clone, "log"), { force: true });
    await Promise.all([run(["bash", "-c", both]), run(["bash", "-c", both])]);
    expect(fs.readFileSync(path.join(clone, "log"), "utf8").trim().split("\n")).toEqual(["ci"]);
  });

  it("says what to do without npm", async () => {
    const bare = fs.mkdtempSync(path.join(temporary, "bare-"));
    for (const name of ["bash", "dirname"]) fs.symlinkSync(`/usr/bin/${name}`, path.join(bare, name));
    const argv = [path.join(bare, "bash"), "-c", `. ${setup}; setup_node`, "bin/pulumi"];
    expect(await run(argv, { env: { PATH: bare }, check: false })).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(/npm is missing[\s\S]*apt-get install nodejs npm/),
    });
  });
});

describe("the hosts' image, made beside the rest", () => {
  /** Runs `between` while an image is made by a program of another kind. Its directory is `$here`. */
  function meanwhile(mmdebstrap: string, between: string): Promise<CommandResult> {
    const here = fs.mkdtempSync(path.join(temporary, "image-"));
    fs.writeFileSync(path.join(here, "mmdebstrap"), `#!/bin/bash\nhere=${here}\n${mmdebstrap}\n`, {
      mode: 0o755,
    });
    const environment = `here=${here}; export PATH=${here}:$PATH XDG_CACHE_HOME=${here}/cache`;
    return setUp(`${environment}; setup_begin_image; ${between}; setup_end_image; echo ready`);
  }

  it("is waited for, and its failure is told", async () => {
    const { exitCode, stdout, stderr } = await meanwhile("echo no archive; exit 2", "true");
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
    expect(stderr).toMatch(/no archive[^]*image that hosts boot from was not made; the reason is above/);
  });

  it.each([
    ["fails", 'setup_die "no npm"', 1],
    ["is interrupted", "kill -INT $$; sleep 60", 130],
    ["is ended", "kill -TERM $$; sleep 0.1", 143],
  ])("is given up where the rest %s, and nothing of it runs on", async (_, ending, code) => {
    const stuck = 'echo $$ >"$here/pid.new"; mv "$here/pid.new" "$here/pid"; sleep 300';
    const begun = 'while [[ ! -e $here/pid ]]; do sleep 0.02; done; cat "$here/pid"';
    const { exitCode, stdout, stderr } = await meanwhile(stuck, `${begun}; ${ending}`);
    expect({ exitCode, stderr }).toMatchObject({ exitCode: code });
    expect(stdout).toMatch(/^\d+\n$/);
    await waitFor("its end", 10, () => (identify(Number(stdout)) === null ? true : undefined));
  });
});
