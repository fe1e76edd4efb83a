import { waitUntil } from "../../host/conductor/system/wait";
import { editConfig, editLevers } from "./support/config-file";
import { inventoryAtRest, type Inventory } from "./support/inventory";
import type { Wanted } from "./support/site-model";
import { lossesIn, Users } from "./support/users";
import { SLOW_MS, TestWorld } from "./support/world";

/* Once green is stable the next version goes on blue, and so on, for ever: nothing piles up on the host, and no request fails. */

// A test of many `up`s: one that is slow on a busy machine is none the worse.
jest.setTimeout(4 * SLOW_MS);

const KEPT = 1;
/** Rounds until the host holds all that it keeps, two colours and the releases beside them, and the first one is gone. */
const FIRST_ROUNDS = KEPT + 2;
const ROUNDS = 10;

let world: TestWorld;
let users: Users | undefined;

beforeAll(async () => {
  world = await TestWorld.create("cycle");
  editConfig(world.project, {
    "application.releasesKept": KEPT,
    "application.health": { path: "/api/health", intervalMs: 100 },
  });
}, SLOW_MS);

afterAll(async () => {
  await users?.stop();
  await world.remove();
});

/** A new version on the colour that is not stable, first beside the other one and then, stable, alone. */
async function round(number: number, live: Wanted): Promise<Wanted> {
  const version = `v1.1.${number}`;
  await world.source.addTag(version);
  const candidate = live.stable === "blue" ? "green" : "blue";
  const canary: Wanted = { ...live, weight: 50, versions: { ...live.versions, [candidate]: version } };
  const promoted: Wanted = { ...canary, stable: candidate, weight: 0 };
  for (const state of [canary, promoted]) {
    editLevers(world.project, state);
    await world.up();
  }
  return promoted;
}

test(`the cycle, ${ROUNDS} times after the first ${FIRST_ROUNDS}: the host holds as much as before`, async () => {
  let live: Wanted = { stable: "blue", weight: 0, versions: { blue: "v1.0.0", green: "" } };
  editLevers(world.project, live);
  await world.up();
  // What piles up does so by rounds, not by requests: a third of the load, for rounds that are not much longer than without.
  users = await Users.start(world.loadTarget(), { http1: 280, http2: 50 });
  for (let number = 0; number < FIRST_ROUNDS; number++) live = await round(number, live);
  const before = await inventoryAtRest(world);
  for (let number = FIRST_ROUNDS; number < FIRST_ROUNDS + ROUNDS; number++) live = await round(number, live);
  let after = before;
  // What piles up is there at every look; what a machine that stood still had open for a moment is not.
  await waitUntil(30_000, 3000, async () => {
    after = await inventoryAtRest(world);
    return grown(before, after).length === 0;
  });
  expect(after.counts).toEqual(before.counts);
  expect(before.counts).toMatchObject({ "release directories": KEPT + 2, "release records": KEPT + 2 });
  expect(after.failedUnits).toEqual([]);
  expect(grown(before, after)).toEqual([]);
  const { colours, underWay } = await world.status();
  expect({ blue: colours.blue.version, green: colours.green.version, underWay }).toEqual({
    ...live.versions,
    underWay: null,
  });
  for (const { total } of await users.stop()) {
    expect(lossesIn(total)).toEqual([]);
    expect(total.ok).toBe(total.sent);
    expect(total.connections.goaways).toEqual({});
    expect(Object.keys(total.answers.byColour).sort()).toEqual(["blue", "green"]);
  }
});

/** Sizes vary with what happened last, but not with how often it happened: those that do. */
function grown(before: Inventory, after: Inventory): { what: string; before: number; after: number }[] {
  return Object.entries(after.sizes)
    .map(([what, size]) => ({ what, before: before.sizes[what] ?? 0, after: size }))
    .filter((size) => size.after > 1.5 * size.before);
}
