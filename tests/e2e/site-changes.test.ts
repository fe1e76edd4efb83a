import { once } from "node:events";
import { writeFileSync } from "node:fs";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { request } from "node:https";
import { join } from "node:path";
import { waitFor } from "../../sandbox/processes";
import { editConfig } from "./support/config-file";
import { lossesIn, Users } from "./support/users";
import { SLOW_MS, TestWorld } from "./support/world";

/*
 * No `up` fails a request that an admitted release could have answered, whatever it changed in the config: keys of the site
 * and of the application, one `up` each, under 1,000 requests a second.
 */

jest.setTimeout(SLOW_MS);

let world: TestWorld;
let users: Users;

beforeAll(async () => {
  world = await TestWorld.create("site-changes");
  writeFileSync(join(world.project.directory, "page.html"), "<h1>Open again at noon</h1>\n");
  await world.up({ blueVersion: "v0.9.9" });
  await world.up({ greenVersion: "v1.0.0", canaryWeight: 50 });
  users = await Users.start(world.loadTarget());
}, SLOW_MS);

afterAll(async () => {
  await users.stop();
  await world.remove();
});

/** Headers of an answer to a new user. */
async function headers(): Promise<IncomingHttpHeaders> {
  const { address, host = "", tls } = world.loadTarget();
  const options = { host: address, servername: host, ca: tls.ca, agent: false, path: "/", headers: { host } };
  const [incoming] = (await once(request(options).end(), "response")) as [IncomingMessage];
  incoming.resume();
  return incoming.headers;
}

/** Does every answer carry a header? */
async function shows(name: string, value: string): Promise<void> {
  expect((await headers())[name]).toBe(value);
}

/** A line of the configuration that Nginx serves by: the host proves that it serves by what is there. */
async function configured(text: string): Promise<void> {
  await world.host.exec(["grep", "-rqF", "--", text, "/etc/nginx/conf.d", "/etc/nginx/vehicleservice"]);
}

/** Statuses that a client on the host gets for 30 requests at once. */
async function statusesOfMany(): Promise<string[]> {
  const { stdout } = await world.host.exec([
    ...[
      "curl",
      "--silent",
      "--insecure",
      "--resolve",
      `${world.domain}:443:127.0.0.1`,
      "--output",
      "/dev/null",
    ],
    ...["--write-out", "%{http_code}\n", `https://${world.domain}/api/whoami?[1-30]`],
  ]);
  return [...new Set(stdout.trim().split("\n"))].sort();
}

/** Changes the config, does what comes next, and looks at what users noticed since. */
async function underLoad(label: string, reload: boolean, work: () => Promise<unknown>): Promise<void> {
  if (!reload) await settled();
  await users.mark(label);
  await work();
  await users.afterRequests(100);
  const segments = await users.snapshot();
  for (const segment of segments) expect(lossesIn(segment, reload ? ["refused"] : [])).toEqual([]);
  const [http1, http2] = segments;
  // Of HTTP/1.1 nothing is refused: where a connection ends, that is said with an answer, or while nothing is under way.
  expect(http1?.failed).toBe(0);
  if (reload) {
    expect(http2?.connections.goaways).toHaveProperty("NO_ERROR");
  } else {
    for (const segment of segments) {
      expect(segment.connections).toEqual({
        ...{ opened: 0, closedIdle: 0, closedInFlight: 0, closedAnnounced: 0 },
        goaways: {},
      });
    }
  }
}

/** Waits until everybody has the connection again that a reload ended. */
async function settled(): Promise<void> {
  await waitFor("all connections to be there", 60, async () => {
    await users.mark("settling");
    await users.afterRequests(200);
    const segments = await users.snapshot();
    return segments.every(({ connections }) => connections.opened === 0) ? true : undefined;
  });
}

describe("a key of the site, which a reload brings", () => {
  test.each<[string, Readonly<Record<string, unknown>>, () => Promise<unknown>]>([
    [
      "rateLimit",
      { "site.rateLimit.requestsPerMinute": 60, "site.rateLimit.burst": 5 },
      async () => expect(await statusesOfMany()).toEqual(["200", "429"]),
    ],
    ["headers", { "site.headers": { "X-Frame-Options": "DENY" } }, () => shows("x-frame-options", "DENY")],
    [
      "hsts.maxAgeSeconds",
      { "site.hsts.maxAgeSeconds": 600 },
      () => shows("strict-transport-security", "max-age=600; includeSubDomains"),
    ],
    ["keepaliveSeconds", { "site.keepaliveSeconds": 30 }, () => configured("keepalive_timeout 30s;")],
    ["readTimeoutSeconds", { "site.readTimeoutSeconds": 45 }, () => configured("proxy_read_timeout 45s;")],
    [
      "maintenance",
      { "site.maintenance": { page: "page.html", retryAfterSeconds: 300 } },
      () => configured("Open again at noon"),
    ],
    [
      "stablePaths",
      { "site.stablePaths": ["/api/business/wallet/webhook", "/api/orders"] },
      async () => {
        await users.mark("all on stable");
        await users.afterRequests(100);
        for (const { answers } of await users.snapshot())
          expect(Object.keys(answers.byColour)).toEqual(["blue"]);
      },
    ],
  ])("%s", async (label, values, isInForce) => {
    await underLoad(label, true, async () => {
      editConfig(world.project, values);
      await world.up();
    });
    await isInForce();
  });
});

describe("a key of the application, which needs no reload", () => {
  test("health.intervalMs", async () => {
    await underLoad("health", false, async () => {
      editConfig(world.project, { "application.health": { path: "/api/health", intervalMs: 150 } });
      await world.up();
    });
  });

  test("instances: by the colour's next release", async () => {
    await underLoad("instances", false, async () => {
      editConfig(world.project, { "application.instances": 3 });
      await world.up();
      await world.up({ greenVersion: "v1.1.0" });
    });
    const { stdout } = await world.host.exec(["ls", "/run/vehicleservice/health/green"]);
    expect(stdout.trim().split("\n").sort()).toEqual(["0.sock", "1.sock", "2.sock"]);
  });
});

test("args are kept off what serves, and come by the same version on the other colour", async () => {
  await underLoad("args", false, async () => {
    editConfig(world.project, { "application.args": ["--quiet"] });
    const { stdout, stderr } = await world.up();
    for (const colour of ["blue", "green"])
      expect(stdout + stderr).toContain(`${colour}: serves users and keeps the way it was built and started`);
    await world.up({}, ["--expect-no-changes"]);
    // Of a colour without users the next `up` makes a release of it.
    await world.up({ canaryWeight: 0 });
    await world.up({ greenVersion: "v0.9.9" });
    await world.up({ canaryWeight: 50 });
  });
  const ecosystem = "/var/lib/vehicleservice/pm2/green/ecosystem.json";
  expect((await world.host.exec(["cat", ecosystem])).stdout).toContain("--quiet");
  expect((await world.status()).colours.green).toMatchObject({ version: "v0.9.9", pendingEnvironment: null });
});

test("ports are refused while a colour listens on them, and users notice nothing", async () => {
  const before = await world.status();
  await underLoad("ports", false, async () => {
    editConfig(world.project, { "application.ports": { blue: 3101, green: 3102 } });
    const { exitCode, stdout, stderr } = await world.project.up([], { check: false });
    expect(exitCode).not.toBe(0);
    expect(stdout + stderr).toMatch(
      /front-door-act[^]*blue listens on port 3001; retire blue before its port is changed/,
    );
  });
  expect(await world.status()).toEqual(before);
  editConfig(world.project, { "application.ports": { blue: 3001, green: 3002 } });
  await world.up();
});

test("in all of it nothing was lost", async () => {
  for (const { total } of await users.stop()) {
    expect(lossesIn(total, ["refused"])).toEqual([]);
    expect(total.ok + total.failures.refused).toBe(total.sent);
  }
});
