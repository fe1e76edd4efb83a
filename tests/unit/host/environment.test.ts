import { mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { environmentFile, environmentsOnDisk } from "../../../host/conductor/releases/environments";
import { planSteps } from "../../../host/conductor/plan";
import type { Colour, ReleaseAct } from "../../../host/conductor/protocol";
import { isAdmitted, type Site } from "../../../host/conductor/site";
import { forBuild } from "../../../host/conductor/releases/variables";
import { FakeHost, outline } from "./support/fake-host";
import {
  ENVIRONMENT,
  intentOf,
  pathsUnder,
  released,
  removeDirectories,
  serving,
  siteOf,
  temporaryDirectory,
} from "./support/fixtures";

afterAll(removeDirectories);

const silent = (): void => undefined;
const NEW = "f".repeat(16);
const renewed = (colour: Colour, version: string): ReleaseAct => ({
  act: "release",
  colour,
  release: intentOf(version, { environment: NEW }),
});

const alone = siteOf({ blue: serving("v1") });
const canary = siteOf({ blue: serving("v1"), green: serving("v2") }, { stable: "blue", weight: 25 });
const tested = siteOf({ blue: serving("v1"), green: released("v2") });

describe("a changed environment alone", () => {
  it.each<[string, Site, Colour, string]>([
    ["serves everyone", alone, "blue", "v1"],
    ["serves some users", canary, "green", "v2"],
    ["serves most users, though the other one could take them", canary, "blue", "v1"],
  ])("is pending on a colour that %s: nothing of it is touched", async (_, site, colour, version) => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(site);
    expect(await conductor.take(renewed(colour, version), silent)).toMatchObject({
      version,
      environment: ENVIRONMENT,
      pending: true,
    });
    expect(outline(host.events).filter((event) => !event.startsWith("route"))).toEqual([]);
    expect(store.site.colours[colour].pendingEnvironment).toBe(NEW);
    expect(isAdmitted(store.site, colour)).toBe(true);
  });

  it("is a release like any other on a colour without users", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(tested);
    expect(await conductor.take(renewed("green", "v2"), silent)).toMatchObject({
      environment: NEW,
      pending: false,
    });
    expect(outline(host.events)).toContain("swap green v2");
    expect(store.site.colours.green.release?.intent.environment).toBe(NEW);
  });

  it("is no longer pending once the environment is what it was", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(alone);
    await conductor.take(renewed("blue", "v1"), silent);
    host.events.length = 0;
    const back = await conductor.take({ act: "release", colour: "blue", release: intentOf("v1") }, silent);
    expect(back).toMatchObject({ environment: ENVIRONMENT, pending: false });
    expect(outline(host.events).filter((event) => !event.startsWith("route"))).toEqual([]);
    expect(store.site.colours.blue.pendingEnvironment).toBeNull();
  });

  it("comes with the colour's next release", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    await conductor.take(renewed("green", "v2"), silent);
    await conductor.take(renewed("green", "v3"), silent);
    expect(store.site.colours.green).toMatchObject({ pendingEnvironment: null });
    expect(store.site.colours.green.release?.intent).toMatchObject({ version: "v3", environment: NEW });
  });

  it("is told by the plan, with the way to the users, and refuses nothing", () => {
    const releases = {
      blue: intentOf("v1", { environment: NEW }),
      green: intentOf("v2", { environment: NEW }),
    };
    const traffic = { stable: "blue", weight: 0 } as const;
    expect(planSteps(tested, { act: "plan", releases, traffic })).toEqual([
      "green: v2 -> v2, made anew",
      "blue: serves users and keeps its environment until its next release; " +
        "to bring the new one to them, set greenVersion v1 and move the traffic to green",
    ]);
  });
});

describe("another way to build or start the same source", () => {
  const settings = { args: ["--verbose"], build: ["npm", "run", "build:fast"] };

  it("is pending on both colours that serve users: no `up` could bring it to both, and nothing of them is touched", async () => {
    const releases = { blue: intentOf("v1", settings), green: intentOf("v2", settings) };
    const plan = { act: "plan", releases, traffic: { stable: "blue", weight: 25 } } as const;
    expect(planSteps(canary, plan)).toEqual([
      expect.stringContaining(
        "blue: serves users and keeps the way it was built and started until its next release",
      ),
      expect.stringContaining("green: serves users and keeps the way it was built and started until"),
    ]);
    const host = new FakeHost();
    const { conductor, store } = await host.become(canary);
    for (const colour of ["blue", "green"] as const) {
      const act = { act: "release", colour, release: releases[colour] } as const;
      expect(await conductor.take(act, silent)).toMatchObject({ environment: ENVIRONMENT, pending: true });
      expect(isAdmitted(store.site, colour)).toBe(true);
    }
    expect(outline(host.events).filter((event) => !event.startsWith("route"))).toEqual([]);
    await conductor.take({ act: "release", colour: "green", release: intentOf("v2") }, silent);
    expect(store.site.colours.green.pendingEnvironment).toBeNull();
  });

  it("comes at once to a colour without users, and is no way to bring another source", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(tested);
    await conductor.take({ act: "release", colour: "green", release: intentOf("v2", settings) }, silent);
    expect(store.site.colours.green.release?.intent).toMatchObject(settings);
    const releases = {
      blue: intentOf("v1", { ...settings, tag: "another" }),
      green: intentOf("v2", settings),
    };
    expect(() =>
      planSteps(tested, { act: "plan", releases, traffic: { stable: "blue", weight: 0 } }),
    ).toThrow("blue serves everyone");
  });
});

describe("the act", () => {
  it("keeps the environment, and remembers it as the next releases'; the journal never holds it", async () => {
    const host = new FakeHost();
    const { conductor, store } = await host.become(alone);
    await conductor.take({ act: "environment", hash: NEW, variables: { A: "b" } }, silent);
    expect(host.events).toEqual([`environment ${NEW}`, "saved"]);
    expect(store.site.environment).toBe(NEW);
  });

  it("keeps it from being removed before its release comes", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become(canary);
    await conductor.take({ act: "environment", hash: NEW, variables: {} }, silent);
    await conductor.take({ act: "release", colour: "green", release: intentOf("v3") }, silent);
    expect(host.events).toContain(`prune environments but ${ENVIRONMENT} ${NEW}`);
  });
});

describe("on the disk", () => {
  const account = { uid: process.getuid!(), gid: process.getgid!() };
  const paths = pathsUnder(temporaryDirectory());
  const environments = environmentsOnDisk(paths, account);
  mkdirSync(paths.records, { recursive: true });

  it("a file of mode 600 holds every text as it is", async () => {
    const variables = { QUOTES: `"'\\ $A #\n`, UNICODE: "é🙂\u2028", EMPTY: "" };
    await environments.write("a", variables);
    expect(statSync(environmentFile(paths, "a")).mode & 0o777).toBe(0o600);
    expect(await environments.read("a")).toEqual(variables);
  });

  it("what is gone or damaged is told without its content", async () => {
    await expect(environments.read("none")).rejects.toThrow(
      "environment none is not on this host; `pulumi up` sends it",
    );
    writeFileSync(environmentFile(paths, "damaged"), '{"SECRET": "abc');
    await expect(environments.read("damaged")).rejects.toThrow(/^(?!.*abc).*is damaged/);
  });

  it("all go but those in use and those of releases that are kept", async () => {
    for (const hash of ["used", "kept", "old"]) await environments.write(hash, {});
    const record = { intent: intentOf("v1", { environment: "kept" }) };
    writeFileSync(join(paths.records, "v1.json"), JSON.stringify(record));
    await environments.prune(["used"]);
    expect(readdirSync(paths.environments).sort()).toEqual(["kept.json", "used.json"]);
  });
});

it("a build sees the public variables and those that are named", () => {
  const all = { NEXT_PUBLIC_URL: "u", DATABASE_URL: "d", SIGNING_KEY: "s" };
  expect(forBuild(all, ["SIGNING_KEY", "MISSING"])).toEqual({ NEXT_PUBLIC_URL: "u", SIGNING_KEY: "s" });
});
