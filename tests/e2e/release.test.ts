import * as fs from "node:fs";
import * as path from "node:path";
import { waitFor } from "../../sandbox/processes";
import { stopServing } from "../../sandbox/source";
import { worldNamed } from "../../sandbox/world";
import { editConfig } from "./support/config-file";
import { answeredBy, lossesIn, Users } from "./support/users";
import { SLOW_MS, TestWorld } from "./support/world";

/*
 * The ways in which a release fails. Each `up` names the resource, the step, the last lines and the way out; users
 * notice nothing, for blue serves on; the broken candidate never gets a request; and the next `up` converges.
 */

jest.setTimeout(SLOW_MS);

/** Space for everything below /var/www, in megabytes: small enough to be filled. */
const DISK_MEGABYTES = 64;

/** What no build sees, and no message shows. */
const DATABASE_URL = "postgres://shop:not-for-eyes@127.0.0.1/shop";

/** How long a release has to become healthy that will, also on a busy machine. */
const AMPLE_SECONDS = 200;

/** How long one has that never does: as long as a whole `up` with one that does takes here, of which a start is a part. */
let shortSeconds: number;

/** Releases that never become healthy. */
const NEVER_HEALTHY: readonly string[] = ["v2.0.6", "v2.0.7"];

let world: TestWorld;
let users: Users;

beforeAll(async () => {
  world = await TestWorld.create("release-failures");
  await world.host.exec(["mkdir", "-p", "/var/www"]);
  const size = ["-o", `size=${DISK_MEGABYTES}m`];
  await world.host.exec(["mount", "-t", "tmpfs", ...size, "tmpfs", "/var/www"]);
  editConfig(world.project, {
    "application.minFreeMegabytes": 4,
    "application.health": { path: "/api/health", intervalMs: 100, deadlineSeconds: AMPLE_SECONDS },
    "variables.DATABASE_URL": DATABASE_URL,
  });
  await world.up({ blueVersion: "v0.9.9" });
  users = await Users.start(world.loadTarget());
  await world.source.addTag("v1.9.0");
  const began = performance.now();
  await world.up({ greenVersion: "v1.9.0" });
  shortSeconds = Math.ceil((performance.now() - began) / 1000);
  await world.up({ greenVersion: "" });
}, SLOW_MS);

afterAll(async () => {
  await users.stop();
  await world.remove();
});

type Edit = (directory: string) => void;

const append =
  (file: string, text: string): Edit =>
  (directory) =>
    fs.appendFileSync(path.join(directory, file), text);

const replace =
  (file: string, from: string, to: string): Edit =>
  (directory) => {
    const name = path.join(directory, file);
    const text = fs.readFileSync(name, "utf8");
    expect(text).toContain(from);
    fs.writeFileSync(name, text.replace(from, to));
  };

const manifest =
  (change: Readonly<Record<string, unknown>>): Edit =>
  (directory) => {
    const name = path.join(directory, "package.json");
    const content = JSON.parse(fs.readFileSync(name, "utf8")) as Record<string, unknown>;
    fs.writeFileSync(name, JSON.stringify({ ...content, ...change }));
  };

function setDeadline(seconds: number): void {
  editConfig(world.project, { "application.health.deadlineSeconds": seconds });
}

/** Does something for which no release becomes healthy, so that nobody has to wait long for one. */
async function withShortDeadline<T>(work: () => Promise<T>): Promise<T> {
  setDeadline(shortSeconds);
  try {
    return await work();
  } finally {
    setDeadline(AMPLE_SECONDS);
  }
}

/** Brings `version` to green with half of the users, which fails; returns what the operator reads. */
async function failedUp(version: string): Promise<string> {
  const { exitCode, stdout, stderr } = await world.tryUp({ greenVersion: version, canaryWeight: 50 });
  expect(exitCode).not.toBe(0);
  return stdout + stderr;
}

/** Green is as it was before the first try, and nobody but blue answered. */
async function expectUntouched(): Promise<void> {
  const { colours, effectiveWeight } = await world.status();
  expect(colours.green).toMatchObject({ version: null, healthy: false, admitted: false });
  expect(colours.blue).toMatchObject({ version: "v0.9.9", healthy: true, admitted: true });
  expect(effectiveWeight).toBe(0);
  await users.afterRequests(50);
  const segments = await users.snapshot();
  expect(segments.flatMap((segment) => lossesIn(segment))).toEqual([]);
  expect(answeredBy(segments, "byVersion")).toEqual(["v0.9.9"]);
}

/** Nothing of a build that failed is left. */
async function expectNothingLeft(version: string): Promise<void> {
  expect((await world.host.exec(["ls", "/var/www"])).stdout).not.toContain(`-${version}-`);
}

describe("a release whose code is broken", () => {
  test.each<[string, string, Edit, readonly RegExp[]]>([
    [
      "the install fails",
      "v2.0.1",
      (directory) => fs.rmSync(path.join(directory, "package-lock.json")),
      [
        /v2\.0\.1: install \(npm ci\) ended with exit code 1/,
        /can only install with an existing[\s\S]*package-lock\.json/,
        /Way out: the install has to/,
      ],
    ],
    [
      "an install script fails",
      "v2.0.2",
      manifest({ scripts: { postinstall: "echo no such compiler; exit 3", build: "node build.js" } }),
      [/v2\.0\.2: install \(npm ci\) ended with exit code/, /no such compiler/],
    ],
    [
      "the build fails",
      "v2.0.3",
      append("build.js", '\nthrow new Error("type error in wallet.ts");\n'),
      [
        /v2\.0\.3: build \(npm run build\) ended with exit code 1/,
        /type error in wallet\.ts/,
        /Way out: the build/,
      ],
    ],
    [
      "the build migrates its own database",
      "v2.0.4",
      append(
        "build.js",
        '\nif (process.env.DATABASE_URL === undefined) throw new Error("cannot migrate: no DATABASE_URL");\n',
      ),
      [
        /v2\.0\.4: build .*ended/,
        /cannot migrate: no DATABASE_URL/,
        /sees no secrets and no DATABASE_URL, neither/,
      ],
    ],
    [
      "the build calls a network that does not answer",
      "v2.0.5",
      append("build.js", '\nrequire("node:http").get("http://127.0.0.1:9/fonts.css");\n'),
      [
        /v2\.0\.5: build .*ended/,
        /ECONNREFUSED/,
        /Way out: the network did not answer: 127\.0\.0\.1:9, which is this host itself/,
      ],
    ],
    [
      "it starts and is not healthy",
      "v2.0.6",
      replace(
        "server.js",
        'sendJson(response, 200, { status: "ok" })',
        'sendJson(response, 500, { db: "gone" })',
      ),
      [
        /v2\.0\.6 on green did not become healthy within \d+ s/,
        /answers \/api\/health with 500/,
        /green runs nothing/,
      ],
    ],
    [
      "it ends when it starts",
      "v2.0.7",
      append("server.js", "\nthrow new Error(`cannot reach ${process.env.DATABASE_URL}`);\n"),
      [
        /v2\.0\.7 on green did not become healthy/,
        /last lines of its error log/,
        /Error: cannot reach \[DATABASE_URL\]/,
      ],
    ],
    [
      "it is healthy and does not do what it is for",
      "v2.0.8",
      replace("server.js", '"/business/wallet": pageRoute', '"/business/purse": pageRoute'),
      [
        /smoke test wallet FAILED/,
        /failed 1 of 6 smoke tests/,
        /GET \/business\/wallet at instance 0 answered 404, not 200/,
      ],
    ],
  ])("%s", async (_, version, edit, told) => {
    await world.source.addTag(version, edit);
    const bring = (): Promise<string> => failedUp(version);
    const words = await (NEVER_HEALTHY.includes(version) ? withShortDeadline(bring) : bring());
    expect(words).toMatch(/green-act/);
    for (const pattern of told) expect(words).toMatch(pattern);
    if (NEVER_HEALTHY.includes(version))
      expect(words).toContain(`${version} on green did not become healthy within ${shortSeconds} s`);
    expect(words).not.toContain("not-for-eyes");
    if (!words.includes(`starting ${version}`)) await expectNothingLeft(version);
    await expectUntouched();
  });
});

describe("a release that the world around it fails", () => {
  test("its tag is missing", async () => {
    const words = await failedUp("v9.9.9");
    expect(words).toMatch(/v9\.9\.9: fetch v9\.9\.9-production ended with exit code 128/);
    expect(words).toMatch(/Way out: publish the tag v9\.9\.9-production/);
    await expectUntouched();
  });

  test("its repository is unreachable", async () => {
    const { gateway } = world.host;
    await stopServing(worldNamed(), gateway);
    try {
      const words = await failedUp("v1.0.0");
      expect(words).toMatch(/v1\.0\.0: fetch v1\.0\.0-production ended/);
      expect(words).toMatch(
        /Way out: check source\.repository, and that this host reaches it: `git ls-remote/,
      );
    } finally {
      await world.source.serve(worldNamed(), gateway);
    }
    await expectUntouched();
  });

  test("its port is taken", async () => {
    const code = 'require("node:net").createServer().listen(3002, "127.0.0.1")';
    await world.host.exec(["systemd-run", "--unit=squatter", "node", "-e", code]);
    try {
      await waitFor("the port to be taken", 60, async () => {
        const { exitCode } = await world.host.exec(["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/3002"], {
          check: false,
        });
        return exitCode === 0 ? true : undefined;
      });
      const words = await withShortDeadline(() => failedUp("v1.0.0"));
      expect(words).toMatch(/v1\.0\.0 on green did not become healthy/);
      expect(words).toMatch(/Way out: port 3002 is taken by another program/);
    } finally {
      await world.host.exec(["systemctl", "stop", "squatter.service"]);
    }
    await expectUntouched();
  });

  /** Leaves so many bytes of /var/www; returns a function that gives the rest back. */
  async function fillDisk(left: number): Promise<() => Promise<unknown>> {
    const { stdout } = await world.host.exec(["df", "--block-size=1", "--output=avail", "/var/www"]);
    const size = Number(stdout.trim().split("\n").at(-1)) - left;
    await world.host.exec(["fallocate", "--length", String(size), "/var/www/ballast"]);
    return () => world.host.exec(["rm", "/var/www/ballast"]);
  }

  test("the disk has too little room: told with the figures, before anything is begun", async () => {
    const empty = await fillDisk(3 * 1024 * 1024);
    try {
      const words = await failedUp("v1.1.0");
      expect(words).toMatch(
        /\/var\/www has \d MB left, and a build needs \d+: application\.minFreeMegabytes \(4\)/,
      );
      expect(words).not.toMatch(/v1\.1\.0: fetch/);
    } finally {
      await empty();
    }
    await expectUntouched();
  });

  test("the disk fills up under it", async () => {
    await world.source.addTag("v2.1.0", (directory) =>
      append("build.js", '\nfs.writeFileSync("big", Buffer.alloc(32 * 1024 * 1024));\n')(directory),
    );
    const empty = await fillDisk(16 * 1024 * 1024);
    try {
      const words = await failedUp("v2.1.0");
      expect(words).toMatch(/v2\.1\.0: build .*ended/);
      expect(words).toMatch(/ENOSPC/);
      expect(words).toMatch(/Way out: the disk is full: make room on the host/);
      await expectNothingLeft("v2.1.0");
    } finally {
      await empty();
    }
    await expectUntouched();
  });
});

test("the next `up` converges, and nobody ever met a broken release", async () => {
  await world.up({ greenVersion: "v1.0.0", canaryWeight: 50 });
  expect((await world.status()).colours.green).toMatchObject({ version: "v1.0.0", admitted: true });
  await users.afterRequests(200);
  for (const { total } of await users.stop()) {
    expect(total.incidents).toEqual([]);
    expect(total.failed).toBe(0);
    expect(answeredBy([total], "byVersion")).toEqual(["v0.9.9", "v1.0.0"]);
  }
  await world.up({}, ["--expect-no-changes"]);
});
