import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { Colour, SmokeResult } from "../../host/conductor/protocol";
import type { Site } from "../../host/conductor/site";
import { startLoad } from "../../sandbox/load/run";
import { waitFor } from "../../sandbox/processes";
import { editConfig } from "./support/config-file";
import { SLOW_MS, TestWorld } from "./support/world";

/*
 * What releases share, what is left of them, and what is mended: dependencies of one lock file, files that browsers still
 * ask for, daemons of a build, a stopped instance, a directory that somebody removed.
 */

jest.setTimeout(SLOW_MS);

/** Where the host serves the dependency that the application's lock file names. */
const PACKAGE_PORT = 8123;
/** Longest wait for a condition, in seconds. */
const WAIT_SECONDS = 120;
const STORE = "/var/www/vehicleservice-dependencies";
const ASSETS = "/var/www/vehicleservice-assets/_next/static";

let world: TestWorld;
let dependency: Buffer;

beforeAll(async () => {
  world = await TestWorld.create("release-upkeep");
  editConfig(world.project, { "application.health": { path: "/api/health", intervalMs: 100 } });
  dependency = packDependency();
  await world.up({ blueVersion: "v0.9.9" });
  await servePackage();
}, SLOW_MS);

afterAll(() => world.remove());

/** A package as npm packs it. */
function packDependency(): Buffer {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "dependency-"));
  const inside = path.join(directory, "package");
  fs.mkdirSync(inside);
  fs.writeFileSync(path.join(inside, "package.json"), JSON.stringify({ name: "greeting", version: "1.0.0" }));
  fs.writeFileSync(path.join(inside, "index.js"), 'module.exports = "hello";\n');
  const archive = execFileSync("tar", ["-czf", "-", "-C", directory, "package"]);
  fs.rmSync(directory, { recursive: true });
  return archive;
}

/** Serves it on the host's own loopback, until the host is removed. */
async function servePackage(): Promise<void> {
  await world.host.exec(["tee", "/root/greeting.tgz"], { stdin: dependency.toString("base64") });
  const code = `
    const archive = Buffer.from(require("node:fs").readFileSync("/root/greeting.tgz", "utf8"), "base64");
    require("node:http").createServer((_, response) => response.end(archive)).listen(${PACKAGE_PORT}, "127.0.0.1");`;
  await world.host.exec(["systemd-run", "--quiet", "--unit=packages", "node", "-e", code]);
  const ask = ["curl", "--silent", "--fail", "--output", "/dev/null", `http://127.0.0.1:${PACKAGE_PORT}/`];
  await waitFor("the package to be served", WAIT_SECONDS, async () =>
    (await world.host.exec(ask, { check: false })).exitCode === 0 ? true : undefined,
  );
}

/** Publishes a version that depends on the package; `edit` may change more. */
async function publish(version: string, edit: (directory: string) => void = () => undefined): Promise<void> {
  await world.source.addTag(version, (directory) => {
    const dependencies = { greeting: "1.0.0" };
    const integrity = `sha512-${createHash("sha512").update(dependency).digest("base64")}`;
    const locked = { version: "1.0.0", resolved: `http://127.0.0.1:${PACKAGE_PORT}/greeting.tgz`, integrity };
    change(directory, "package.json", (content) => ({ ...content, dependencies }));
    change(directory, "package-lock.json", (content) => {
      const packages = content["packages"] as Record<string, object>;
      const root = { ...packages[""], dependencies };
      return { ...content, packages: { "": root, "node_modules/greeting": locked } };
    });
    // npm takes archives from its registry only.
    fs.writeFileSync(path.join(directory, ".npmrc"), `registry=http://127.0.0.1:${PACKAGE_PORT}/\n`);
    append(directory, `\nif (require("greeting") !== "hello") throw new Error("another greeting");\n`);
    edit(directory);
  });
}

function change(
  directory: string,
  name: string,
  edit: (content: Record<string, unknown>) => Record<string, unknown>,
): void {
  const file = path.join(directory, name);
  const content = JSON.parse(fs.readFileSync(file, "utf8")) as Record<string, unknown>;
  fs.writeFileSync(file, JSON.stringify(edit(content), null, 2));
}

function append(directory: string, code: string): void {
  fs.appendFileSync(path.join(directory, "build.js"), code);
}

/** Brings `version` to green, and returns what the host told meanwhile. */
async function release(version: string): Promise<string> {
  const { stdout, stderr } = await world.up({ greenVersion: version });
  return stdout + stderr;
}

async function shell(script: string): Promise<string> {
  return (await world.host.exec(["bash", "-c", script])).stdout.trim();
}

describe("dependencies", () => {
  test("are installed once a lock file, whatever the application's own version", async () => {
    await publish("v1.2.0");
    await publish("v1.2.1");
    expect(await release("v1.2.0")).toMatch(/v1\.2\.0: install \(npm ci\)/);
    const second = await release("v1.2.1");
    expect(second).toMatch(/v1\.2\.1: install: nothing to do, .* \(linked\)/);
    expect(second).not.toMatch(/npm ci/);
    const inodes = await shell(`stat -c %i /var/www/vehicleservice-v1.2.?-*/node_modules/greeting/index.js`);
    expect(new Set(inodes.split("\n")).size).toBe(1);
  });

  test("cannot be written by a build: it gets a copy of its own", async () => {
    await publish("v1.2.2", (directory) =>
      append(
        directory,
        `\nfs.writeFileSync("node_modules/greeting/index.js", 'module.exports = "patched";');\n`,
      ),
    );
    expect(await release("v1.2.2")).toMatch(/may not write into files that releases share/);
    const texts = await shell(`cat /var/www/vehicleservice-v1.2.[12]-*/node_modules/greeting/index.js`);
    expect(texts).toBe('module.exports = "hello";\nmodule.exports = "patched";');
    expect(await shell(`cat ${STORE}/*/node_modules/greeting/index.js`)).toBe('module.exports = "hello";');
  });

  test("are out of the builder's reach", async () => {
    const index = `$(ls /var/www/vehicleservice-v1.2.1-*/node_modules/greeting/index.js)`;
    expect(await shell(`stat -c '%U %a' ${index}`)).toBe("root 644");
    expect(
      await shell(`setpriv --reuid=www-data --regid=www-data --clear-groups ls ${STORE} 2>&1 || echo no`),
    ).toMatch(/Permission denied\nno$/);
  });

  test("go with the last release that has them", async () => {
    await world.setGroupValue("application.releasesKept", "1");
    for (const version of ["v1.0.0", "v1.1.0"]) await release(version);
    expect(await shell(`ls ${STORE}`)).toBe("");
  });
});

test("what a build leaves behind ends with it", async () => {
  await world.source.addTag("v1.3.0", (directory) =>
    append(
      directory,
      `
const { spawn } = require("node:child_process");
spawn("setsid", ["--fork", "sleep", "86399"], { stdio: "inherit", detached: true }).unref();
`,
    ),
  );
  await release("v1.3.0");
  expect(await shell("pgrep -f 'sleep [8]6399' || echo none")).toBe("none");
});

test("files that browsers may still ask for outlive their release, and end with its directory", async () => {
  const chunk =
    (name: string, text: string) =>
    (directory: string): void =>
      append(
        directory,
        `
fs.mkdirSync(".next/static/chunks", { recursive: true });
fs.writeFileSync(".next/static/chunks/${name}", "${text}");
fs.writeFileSync(".next/static/chunks/main.js", "${text}");
`,
      );
  await world.source.addTag("v1.4.0", chunk("a.js", "a"));
  await world.source.addTag("v1.4.1", chunk("b.js", "b"));
  await release("v1.4.0");
  expect(await shell(`cd ${ASSETS}/chunks && grep -H . *`)).toBe("a.js:a\nmain.js:a");
  await release("v1.4.1");
  // What the two releases call by one name is not shared: each answers for its own.
  expect(await shell(`cd ${ASSETS}/chunks && grep -H . *`)).toBe("a.js:a\nb.js:b");
  await release("v1.0.0");
  expect(await shell(`cd ${ASSETS}/chunks && grep -H . *`)).toBe("b.js:b");
});

test("a build cache goes from release to release", async () => {
  const count = (directory: string): void =>
    append(
      directory,
      `
fs.mkdirSync(".next/cache", { recursive: true });
const file = ".next/cache/builds";
const before = fs.existsSync(file) ? Number(fs.readFileSync(file, "utf8")) : 0;
fs.writeFileSync(file, String(before + 1));
`,
    );
  for (const version of ["v1.5.0", "v1.5.1"]) {
    await world.source.addTag(version, count);
    await release(version);
  }
  expect(await shell("cat /var/www/vehicleservice-v1.5.1-*/.next/cache/builds")).toBe("2");
});

describe("mending", () => {
  const pm2 = (command: string): Promise<string> => {
    const home = "/var/lib/vehicleservice/pm2/green";
    const program = "/usr/local/lib/pm2/node_modules/pm2/bin/pm2";
    return shell(`runuser -u www-data -- env PM2_HOME=${home} HOME=${home} node ${program} ${command}`);
  };

  /** Sends the release act of what the colour shall run already; returns what the host told. */
  const act = async (colour: Colour): Promise<string> => {
    const { colours } = JSON.parse(await shell("cat /var/lib/vehicleservice/site.json")) as Site;
    const intent = colours[colour].release?.intent ?? null;
    const stdin = JSON.stringify({ act: "release", colour, release: intent });
    return (await world.host.exec(["vehicleservice-conductor", "act"], { stdin })).stderr;
  };

  const instances = async (): Promise<{ id: number; pid: number; status: string }[]> => {
    const list = await pm2("jlist");
    const parsed = JSON.parse(list) as { pm_id: number; pid: number; pm2_env: { status: string } }[];
    return parsed.map(({ pm_id, pid, pm2_env }) => ({ id: pm_id, pid, status: pm2_env.status }));
  };

  const isHealthy = async (healthy: boolean): Promise<void> => {
    await waitFor(`green to be ${healthy ? "healthy" : "sick"}`, WAIT_SECONDS, async () =>
      (await world.status()).colours.green.healthy === healthy ? true : undefined,
    );
  };

  test("of two instances the one that was stopped is started, the other one is not touched", async () => {
    await world.up({ greenVersion: "v1.0.0" });
    const before = await instances();
    await pm2("stop 1");
    await isHealthy(false);
    expect(await act("green")).toMatch(/starting what is down/);
    const after = await instances();
    expect(after.map(({ status }) => status)).toEqual(["online", "online"]);
    expect(after[0]?.pid).toBe(before[0]?.pid);
    expect(after[1]?.pid).not.toBe(before[1]?.pid);
    await isHealthy(true);
  });

  test("where all were stopped, the colour's unit is started anew", async () => {
    await pm2("stop all");
    await isHealthy(false);
    await act("green");
    expect((await instances()).map(({ status }) => status)).toEqual(["online", "online"]);
    await isHealthy(true);
  });

  test("a directory that is gone is built again while its release serves", async () => {
    const load = await startLoad({
      ...world.loadTarget(),
      protocol: "http1",
      rate: 200,
      connections: 20,
      timeoutMs: 60_000,
    });
    const before = await shell("pgrep -f 'vehicleservice-v0.9.[9]|[l]auncher' | sort | tr '\\n' ' '");
    await shell("rm -r /var/www/vehicleservice-v0.9.9-*");
    expect(await act("blue")).toMatch(/is gone; it is built again/);
    expect(await shell("ls /var/www/vehicleservice-v0.9.9-*/server.js")).toMatch(/server\.js$/);
    expect(await shell("pgrep -f 'vehicleservice-v0.9.[9]|[l]auncher' | sort | tr '\\n' ' '")).toBe(before);
    await load.afterRequests(100);
    expect((await load.stop()).total.failed).toBe(0);
  });
});

describe("smoke tests on demand", () => {
  const smoke = async (target: string): Promise<{ exitCode: number; result: SmokeResult; words: string }> => {
    const answer = await world.host.exec(["vehicleservice-conductor", "smoke", target], { check: false });
    const result = JSON.parse(answer.stdout) as SmokeResult;
    return { exitCode: answer.exitCode, result, words: answer.stderr };
  };

  test.each(["blue", "green", "site"])("%s", async (target) => {
    const { exitCode, result, words } = await smoke(target);
    expect(result.passed).toBe(true);
    expect(result.checks.map(({ name }) => name)).toEqual([
      "health",
      "home",
      "wallet",
      "admin",
      "webhook",
      "unknown-path",
    ]);
    expect(words).toMatch(new RegExp(`^${target}: ALL SMOKE TESTS PASSED$`, "m"));
    expect(exitCode).toBe(0);
  });

  test("one that fails is named, and is the exit code", async () => {
    await world.host.exec(["systemctl", "stop", "vehicleservice@green.service"]);
    const { exitCode, result, words } = await smoke("green");
    expect(exitCode).toBe(1);
    expect(result.passed).toBe(false);
    expect(words).toMatch(/green: smoke test home FAILED: GET \/ at instance 0 got no answer/);
  });
});
