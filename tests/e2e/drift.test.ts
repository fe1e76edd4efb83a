import { z } from "zod";
import { DRIFT_PARTS } from "../../host/conductor/protocol";
import type { LoadReport } from "../../sandbox/load/report";
import { lossesIn, Users } from "./support/users";
import { SLOW_MS, TestWorld } from "./support/world";

/*
 * Somebody changes the host by hand: a preview tells it and names the part, an `up` puts it right, and no user notices.
 */

jest.setTimeout(SLOW_MS);

let world: TestWorld;

beforeAll(async () => {
  world = await TestWorld.create("drift");
  await world.up({ blueVersion: "v0.9.9" });
  await world.up({ greenVersion: "v1.0.0", canaryWeight: 25 });
}, SLOW_MS);

afterAll(() => world.remove());

const previewSchema = z.object({
  steps: z.array(
    z.object({
      op: z.string(),
      urn: z.string(),
      newState: z.object({ inputs: z.record(z.string(), z.unknown()).optional() }).optional(),
    }),
  ),
});

/** What a preview shows as changed, by name, and what it says was found. */
async function preview(): Promise<{ changed: string[]; found: string[] }> {
  const { stdout } = await world.project.pulumi(["preview", "--json"]);
  const { steps } = previewSchema.parse(JSON.parse(stdout));
  const changed = steps.filter(({ op }) => op !== "same");
  const nameOf = (urn: string): string => urn.split("::").at(-1) ?? "";
  const inputs = changed.find(({ urn }) => nameOf(urn) === "web-drift")?.newState?.inputs ?? {};
  const found = ["software", ...DRIFT_PARTS].flatMap((part) =>
    typeof inputs[part] === "string" && inputs[part] !== "" ? [inputs[part]] : [],
  );
  return { changed: changed.map(({ urn }) => nameOf(urn)).sort(), found };
}

const onHost = (...argv: string[]): Promise<unknown> => world.host.exec(argv);

/** PM2's own command line, for the PM2 of a colour. */
async function pm2(colour: string, ...argv: string[]): Promise<string> {
  const home = `/var/lib/vehicleservice/pm2/${colour}`;
  const program = "/usr/local/lib/pm2/node_modules/pm2/bin/pm2";
  const asUser = ["runuser", "-u", "www-data", "--", "env", `PM2_HOME=${home}`, `HOME=${home}`];
  return (await world.host.exec([...asUser, "node", program, ...argv])).stdout;
}

/** Does something while users send requests, before, meanwhile and after. */
async function underLoad(work: () => Promise<void>): Promise<LoadReport[]> {
  const users = await Users.start(world.loadTarget());
  try {
    await users.afterRequests(100);
    await work();
    await users.afterRequests(100);
  } finally {
    await users.stop();
  }
  return users.stop();
}

async function directoryOf(colour: "blue" | "green"): Promise<string> {
  return (await world.status()).colours[colour].directory ?? "";
}

const ENVIRONMENTS = "/var/lib/vehicleservice/environments";
const SITE_FILE = "/etc/nginx/conf.d/vehicleservice.conf";

describe("a host that nobody changed", () => {
  test("is told to be as it was left, and nothing is sent to it", async () => {
    const before = await world.status();
    const { stdout } = await world.project.pulumi(["preview", "--expect-no-changes"]);
    expect(stdout).toMatch(/unchanged/);
    await world.up({}, ["--expect-no-changes"]);
    expect(await world.status()).toEqual(before);
  });
});

describe("what somebody changed is told by a preview, and put right by an `up`, without a lost request", () => {
  test.each<[string, string, () => Promise<unknown>, RegExp]>([
    [
      "the site's Nginx file, and a reload",
      "front-door-act",
      async () => {
        await onHost("sed", "-i", "s/client_max_body_size .*m;/client_max_body_size 1m;/", SITE_FILE);
        await onHost("nginx", "-s", "reload");
      },
      /conf\.d\/vehicleservice\.conf was edited$/,
    ],
    [
      "who gets which share, past the conductor",
      "front-door-act",
      () =>
        onHost(
          ...["curl", "--silent", "--fail", "--unix-socket", "/run/vehicleservice/front-door/control.sock"],
          ...["--request", "PUT", "--data", "green 0 0 1 1 0", "http://localhost/traffic"],
        ),
      /splits the traffic another way/,
    ],
    [
      "the environment file",
      "environment-act",
      () => onHost("sh", "-c", `for file in ${ENVIRONMENTS}/*.json; do echo '{"ADDED": "1"}' >"$file"; done`),
      /^\/var\/lib\/vehicleservice\/environments\/[0-9a-f]{16}\.json was edited$/,
    ],
    [
      "an instance of the stable colour, stopped in PM2",
      "blue-act",
      () => pm2("blue", "stop", "1"),
      /^instance 1 of blue was stopped$/,
    ],
    [
      "an instance of the stable colour, deleted in PM2",
      "blue-act",
      () => pm2("blue", "delete", "0"),
      /^instance 0 of blue was stopped$/,
    ],
    [
      "the ecosystem file of the candidate",
      "green-act",
      () => onHost("sed", "-i", "s/10s/11s/", "/var/lib/vehicleservice/pm2/green/ecosystem.json"),
      /green\/ecosystem\.json was edited$/,
    ],
    [
      "the release that serves, deleted",
      "blue-act",
      async () => onHost("rm", "-r", await directoryOf("blue")),
      /^the directory of v0\.9\.9 is gone/,
    ],
    [
      "the conductor's program",
      "web-bootstrap",
      () => onHost("rm", "/usr/local/bin/vehicleservice-conductor"),
      /^the conductor is gone$/,
    ],
  ])("%s", async (_, name, change, told) => {
    const reports = await underLoad(async () => {
      await change();
      expect(await preview()).toEqual({
        changed: [name, "web-drift"].sort(),
        found: [expect.stringMatching(told)],
      });
      await world.up();
      await world.project.pulumi(["preview", "--expect-no-changes"]);
    });
    for (const { total } of reports) {
      // Some of it is put right by a reload, which closes idle connections and says so to those in use.
      expect(lossesIn(total, ["refused"])).toEqual([]);
      expect(total.connections.closedInFlight).toBe(0);
      expect(total.ok + total.failures.refused).toBe(total.sent);
    }
  });

  test("a candidate that is stopped altogether", async () => {
    await world.up({ canaryWeight: 0 });
    await onHost("systemctl", "stop", "vehicleservice@green");
    expect(await preview()).toEqual({ changed: ["green-act", "web-drift"], found: ["green was stopped"] });
    await world.up();
    await world.project.pulumi(["preview", "--expect-no-changes"]);
    expect((await world.status()).colours.green.healthy).toBe(true);
  });

  test("is told in words", async () => {
    await onHost("chmod", "644", SITE_FILE);
    const { stdout, stderr } = await world.project.pulumi(["preview"]);
    expect(stdout + stderr).toContain(`${SITE_FILE} has mode 644 instead of 600`);
    await world.up();
    expect((await world.host.exec(["stat", "--format=%a", SITE_FILE])).stdout.trim()).toBe("600");
  });
});

const instancesSchema = z.array(
  z.object({ pid: z.number(), pm2_env: z.object({ NODE_APP_INSTANCE: z.number() }) }),
);

/**
 * Ends an instance of blue as PM2 does, and has it stand still twice: before, so that Nginx opens many connections to it,
 * idle afterwards; and once it has begun to end, so that Nginx sends requests on all of them. Returns when the instance
 * that PM2 starts in its place answers: true where Nginx could send something, false where the instance had ended too soon.
 */
async function endOnBusyMachine(number: number): Promise<boolean> {
  const list = (await pm2("blue", "jlist")).split("\n").findLast((line) => line.startsWith("["));
  const instances = instancesSchema.parse(JSON.parse(list ?? ""));
  const pid = instances.find(({ pm2_env }) => pm2_env.NODE_APP_INSTANCE === number)?.pid;
  const script = `
    pid=$1 socket=$2
    answers() {
      [ "$(curl --silent --output /dev/null --write-out '%{http_code}' --unix-socket "$socket" http://instance/api/health)" = "$1" ]
    }
    runs() { kill -0 "$pid" 2>/dev/null; }
    kill -STOP "$pid"; sleep 0.4; kill -CONT "$pid"
    until answers 200; do :; done
    kill -INT "$pid"
    until answers 503 || ! runs; do :; done
    if kill -STOP "$pid" 2>/dev/null; then sleep 0.6; kill -CONT "$pid"; echo true; else echo false; fi
    until ! runs && answers 200; do sleep 0.1; done`;
  const socket = `/run/vehicleservice/health/blue/${String(number)}.sock`;
  const ended = await world.host.exec(["timeout", "60", "sh", "-euc", script, "sh", String(pid), socket]);
  return ended.stdout.trim() === "true";
}

test("an instance that ends on a busy machine answers what Nginx sends it meanwhile", async () => {
  const reports = await underLoad(async () => {
    for (const number of [0, 1]) {
      while (!(await endOnBusyMachine(number)));
    }
  });
  for (const { total } of reports) {
    expect(lossesIn(total)).toEqual([]);
    expect(total.ok).toBe(total.sent);
  }
});

describe("what cannot be asked", () => {
  test("a host without SSH: the preview says so, and how to go on", async () => {
    await onHost("systemctl", "stop", "ssh.socket", "ssh.service");
    try {
      const { exitCode, stdout, stderr } = await world.project.pulumi(["preview"], { check: false });
      expect(exitCode).not.toBe(0);
      expect(stdout + stderr).toMatch(
        new RegExp(
          `web-drift.*cannot connect to root@${world.host.address}:22: .*ECONNREFUSED.*run it again`,
          "s",
        ),
      );
    } finally {
      await onHost("systemctl", "start", "ssh.socket", "ssh.service");
    }
  });
});
