import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { endpointsProvider } from "../../components/stripe-endpoints";
import { settingsProvider } from "../../components/stripe-settings";
import { run } from "../../sandbox/command";
import { findService, serviceNames } from "../../sandbox/services";
import type { StandInSettings } from "../../sandbox/stripe/main";
import { SandboxStripe } from "../../sandbox/stripe/service";
import { goProgram } from "../../sandbox/stripe/stripe-mock";
import { worldNamed } from "../../sandbox/world";

/* Stripe's stand-in as a service of the sandbox. */

jest.setTimeout(300_000);

const world = worldNamed("stripe-service");
let directory: string;
let stripe: SandboxStripe;
let settings: StandInSettings;

beforeAll(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "stripe-service-"));
  stripe = await SandboxStripe.start(world, {
    directory: path.join(directory, "stripe"),
    address: "127.0.0.1",
  });
  const file = path.join(directory, "stripe", "settings.json");
  settings = JSON.parse(fs.readFileSync(file, "utf8")) as StandInSettings;
}, 600_000);

afterAll(async () => {
  await stripe.remove();
  fs.rmSync(directory, { recursive: true });
  expect(serviceNames(world)).toEqual([]);
  fs.rmSync(world.stateDirectory, { recursive: true, force: true });
});

test("has what the stack made after a restart", async () => {
  const access = { apiUrl: stripe.url, apiKey: settings.key };
  const shape = {
    url: "https://vehicleservice.test/hook",
    events: ["charge.failed"],
    description: "of a test",
  };
  const { outs } = await endpointsProvider().create({
    ...{ ...access, ...shape, stack: "shop/test", mode: "test", account: "stop" },
    ...{ generation: 1, next: 0, keep: [], adopt: "", adoptedSecret: "" },
  });
  await stripe.stop();
  await stripe.resume();
  expect(stripe.endpoints).toMatchObject([{ id: outs!.endpoints[0]!.id, secret: outs!.signingSecrets }]);
  const endpoints = outs!.endpoints.map((one) => ({ ...one, waiting: false }));
  const { outs: found } = await settingsProvider().create({ ...access, ...shape, endpoints });
  expect(found!.found).toMatchObject([{ ...shape, status: "enabled" }]);
});

test("holds its key and its endpoints' secrets in files of its own alone, and takes no port but one", async () => {
  const { process: identity } = findService(world, serviceNames(world)[0]!)!;
  const command = fs.readFileSync(`/proc/${String(identity.pid)}/cmdline`, "utf8");
  const environment = fs.readFileSync(`/proc/${String(identity.pid)}/environ`, "utf8");
  for (const text of [command, environment])
    for (const secret of [settings.key, ...stripe.endpoints.map((one) => one.secret)])
      expect(text).not.toContain(secret);
  for (const name of ["settings.json", "state.json"])
    expect(fs.statSync(path.join(directory, "stripe", name)).mode & 0o077).toBe(0);
  // Its own one, and those of its session: stripe-mock listens on a socket in the file system.
  const session = (await run(["ps", "-o", "pid=", "--sid", String(identity.pid)])).stdout.trim().split(/\s+/);
  const { stdout } = await run(["ss", "--listening", "--tcp", "--processes", "--no-header", "--numeric"]);
  const ours = stdout.split("\n").filter((line) => session.some((pid) => line.includes(`pid=${pid},`)));
  expect(ours).toEqual([expect.stringContaining(`127.0.0.1:${String(settings.port)} `)]);
  expect(session).toHaveLength(2);
});

test("is compiled by the machine's Go where that is new enough", async () => {
  const go = await goProgram();
  expect((await run([go, "version"])).stdout).toMatch(/^go version go1\.(2[2-9]|[3-9]\d)/);
});
