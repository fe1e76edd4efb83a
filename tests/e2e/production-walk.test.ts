import { execFileSync } from "node:child_process";
import * as path from "node:path";
import { block } from "../support/document-blocks";
import { Terminal } from "../support/shell";
import { SLOW_MS, TestWorld } from "./support/world";

/* docs/production.md from the first `up` to the way back, by the page's own lines, on a booted host. */

jest.setTimeout(SLOW_MS);

const PAGE = "docs/production.md";

let world: TestWorld;
let terminal: Terminal;

beforeAll(async () => {
  world = await TestWorld.create("walk");
  const { directory } = world.project;
  // The stack that the page speaks of is the one that is there.
  terminal = new Terminal(
    directory,
    { PULUMI_CONFIG_PASSPHRASE_FILE: path.join(directory, ".passphrase"), VEHICLESERVICE_ENGINE: "embedded" },
    ["--yes", "--skip-preview"],
  );
  await terminal.run("pulumi stack select sandbox");
  git("init", "--quiet", "--initial-branch=main");
}, SLOW_MS);

afterAll(() => world.remove());

function git(...words: string[]): void {
  const identity = ["-c", "user.name=x", "-c", "user.email=x@example.com"];
  execFileSync("git", ["-C", world.project.directory, ...identity, ...words], { stdio: "pipe" });
}

/** Commits the stack's file, as somebody does who went a step of a rollout. */
function commitConfig(): void {
  git("add", "Pulumi.sandbox.yaml");
  git("commit", "--quiet", "--allow-empty", "-m", "a step");
}

/** Who takes which share, and what each colour runs. */
async function live() {
  const { traffic, effectiveWeight, colours } = await world.status();
  const version = (colour: "blue" | "green") => colours[colour].version;
  return { stable: traffic.stable, weight: effectiveWeight, blue: version("blue"), green: version("green") };
}

/** Runs a block of the page. The stack's file has another name in the sandbox. */
async function run(name: string): Promise<void> {
  await terminal.run(block(PAGE, name).replaceAll("Pulumi.production.yaml", "Pulumi.sandbox.yaml"));
}

const STABLE = { stable: "blue", weight: 0, blue: "v0.9.9" };

test("the first up serves the version that is named", async () => {
  await run("first-up");
  expect(await live()).toEqual({ ...STABLE, green: null });
});

test("the first release comes to testers, then to some users; and back, at once and by an up", async () => {
  await run("first-release");
  expect(await live()).toEqual({ ...STABLE, weight: 5, green: "v1.0.0" });
  await run("abort");
  expect(await live()).toEqual({ ...STABLE, green: "v1.0.0" });
  expect((await world.status()).aborted).toMatchObject({ colour: "green", reason: "payments fail" });
  await run("ack");
  expect((await world.status()).aborted).toBeNull();
  await run("rollback");
  expect(await live()).toEqual({ ...STABLE, green: "v1.0.0" });
});

test("it is promoted, and the prior config takes it all back in one up", async () => {
  commitConfig();
  await run("promotion");
  expect(await live()).toEqual({ stable: "green", weight: 0, blue: "v0.9.9", green: "v1.0.0" });
  commitConfig();
  // Of anything else: the config's last change is further back.
  git("commit", "--quiet", "--allow-empty", "-m", "another change");
  await run("prior-config");
  expect(await live()).toEqual({ ...STABLE, green: "v1.0.0" });
});
