import { planSteps } from "../../../host/conductor/plan";
import type { ReleaseAct } from "../../../host/conductor/protocol";
import { isClosed, type Site } from "../../../host/conductor/site";
import { dieAt, FakeHost, failAt, outline } from "./support/fake-host";
import { intentOf, removeDirectories, serving, siteOf } from "./support/fixtures";

afterAll(removeDirectories);

const silent = (): void => undefined;
const alone = siteOf({ blue: serving("v1") });
const canary = siteOf({ blue: serving("v1"), green: serving("v2") }, { stable: "blue", weight: 25 });
const inPlace: ReleaseAct = { act: "release", colour: "blue", release: intentOf("v2"), inPlace: true };

/** When the site was closed, among the steps of an act. */
async function closedDuring(host: FakeHost, act: ReleaseAct, site: Site): Promise<string[]> {
  const { conductor, store } = await host.become(site);
  const { hook } = host;
  const closed: string[] = [];
  host.hook = (step) => {
    if (isClosed(store.site)) closed.push(step);
    return hook(step);
  };
  await conductor.take(act, silent).catch(silent);
  expect(isClosed(store.site)).toBe(false);
  return outline(closed);
}

it("closes the site from before the drain until the new version is well, and not while it builds", async () => {
  const steps = await closedDuring(new FakeHost(), inPlace, alone);
  expect(steps[0]).toBe("route blue 100 green 0");
  expect(steps).toEqual(expect.arrayContaining(["drain blue", "swap blue v2", "probe blue v2"]));
  expect(steps).not.toContain("prepare v2");
});

it("goes back to the version before, and opens the site, where the new one does not become well", async () => {
  const host = new FakeHost();
  host.hook = failAt("probe blue v2");
  const steps = await closedDuring(host, inPlace, alone);
  expect(steps).toEqual(expect.arrayContaining(["swap blue v2", "swap blue v1", "probe blue v1"]));
  expect(host.running.blue).toBe("v1");
});

it("closes nothing where the other colour can take the users over", async () => {
  expect(await closedDuring(new FakeHost(), inPlace, canary)).toEqual([]);
});

it("changes an environment in place, too, for there is no other colour to bring it by", async () => {
  const act = { ...inPlace, release: intentOf("v1", { environment: "f".repeat(16) }) };
  expect(await closedDuring(new FakeHost(), act, alone)).toContain("swap blue v1");
});

it("never stays closed after a conductor that died, at whatever step", async () => {
  const clean = new FakeHost();
  const { conductor } = await clean.become(alone);
  await conductor.take(inPlace, silent);
  for (let step = 0; step < clean.events.length; step++) {
    const host = new FakeHost();
    const { conductor: dying } = await host.become(alone);
    const { hook, dead } = dieAt(step);
    host.hook = hook;
    void dying.take(inPlace, silent);
    await dead;
    host.hook = () => undefined;
    const { conductor: next, store } = await host.start();
    await next.recover(silent);
    expect({ step, closed: isClosed(store.site), runs: host.running.blue }).toEqual({
      step,
      closed: false,
      runs: "v2",
    });
  }
});

it("is said in the plan, and refuses to retire what serves everyone all the same", () => {
  const plan = { act: "plan", inPlace: true, traffic: { stable: "blue", weight: 0 } } as const;
  expect(planSteps(alone, { ...plan, releases: { blue: intentOf("v2"), green: null } })).toEqual([
    "blue: in place, users see the maintenance page meanwhile; v1 -> v2",
  ]);
  const other = { ...plan, traffic: { stable: "green", weight: 0 } } as const;
  expect(() => planSteps(alone, { ...other, releases: { blue: null, green: intentOf("v2") } })).toThrow(
    "blue serves everyone",
  );
});
