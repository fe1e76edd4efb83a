/** Registrations that come at the same time, one of them being replaced with its old half, and what depends on it, deleted first. */
import { Deployment, type DeploymentOptions } from "../deployment/deployment";
import { Executor } from "../deployment/executor";
import type { Goal } from "../deployment/goal";
import type { Provider } from "../providers/provider";
import type { ResourceState } from "../state/resource";
import { Snapshot, verifyResources } from "../state/snapshot";
import { diffOf } from "../values/diff";
import { UNKNOWN, type PropertyMap } from "../values/property";

const TYPE = "test:index:Thing";
const PROVIDER = "urn:pulumi:dev::p::pulumi:providers:test::own";
const urn = (name: string): string => `urn:pulumi:dev::p::${TYPE}::${name}`;

const goal = (name: string, inputs: PropertyMap, dependency?: string, more: Partial<Goal> = {}): Goal => ({
  type: TYPE,
  name,
  parent: "",
  custom: true,
  inputs,
  provider: `${PROVIDER}::1`,
  version: "",
  dependencies: dependency === undefined ? [] : [urn(dependency)],
  propertyDependencies: dependency === undefined ? {} : { from: [urn(dependency)] },
  protect: undefined,
  retainOnDelete: undefined,
  deleteBeforeReplace: true,
  deletedWith: "",
  ignoreChanges: [],
  replaceOnChanges: [],
  additionalSecretOutputs: [],
  customTimeouts: {},
  aliases: [],
  sourcePosition: "",
  ...more,
});
const made = (name: string, inputs: PropertyMap, ...dependencies: string[]): ResourceState => ({
  urn: urn(name),
  custom: true,
  id: `old-${name}`,
  type: TYPE,
  inputs,
  outputs: inputs,
  provider: `${PROVIDER}::1`,
  dependencies: dependencies.map(urn),
  propertyDependencies: dependencies.length === 0 ? {} : { from: dependencies.map(urn) },
});

/** A deployment on a state, with a provider to which every change means a replacement. */
class World {
  /** What the provider did, in order: a deletion when it begins and when it has ended. */
  readonly log: string[] = [];
  /** What each resource's inputs were last checked beside: those of before, or none as it is made anew. */
  readonly checkedBeside = new Map<string, PropertyMap | undefined>();
  readonly deployment: Deployment;
  private readonly snapshot: Snapshot;
  private readonly gates = new Map<string, Promise<undefined>>();
  private readonly reached = new Map<string, () => void>();

  private constructor(resources: readonly ResourceState[]) {
    const own = { urn: PROVIDER, custom: true, id: "1", type: "pulumi:providers:test", inputs: {} };
    const state: ResourceState[] = [own, ...resources];
    this.snapshot = new Snapshot(state);
    const common = {
      snapshot: this.snapshot,
      resources: state,
      journal: { save: () => Promise.resolve() },
      events: {
        conceal: () => undefined,
        stepStarted: () => undefined,
        stepFinished: () => undefined,
        message: () => undefined,
        outputs: () => undefined,
      },
      directory: "/",
      dryRun: false,
      parallel: 10,
      signal: new AbortController().signal,
      now: () => new Date(0),
      provider: () => Promise.resolve(this.provider()),
    };
    const options: DeploymentOptions = {
      ...common,
      project: "p",
      stack: "dev",
      executor: new Executor(common),
      serving: () => Promise.resolve(this.provider()),
      providerConfig: () => ({}),
    };
    this.deployment = new Deployment(options);
  }

  /** Begins one on copies of resources, with their provider registered. */
  static async begin(...resources: readonly ResourceState[]): Promise<World> {
    const world = new World(resources.map((each) => ({ ...each })));
    await world.deployment.register({
      ...goal("own", {}),
      type: "pulumi:providers:test",
      provider: "",
    });
    return world;
  }

  /** Has the provider wait at a moment (`diff d`) until `open` is called; `reached` resolves when it is there. */
  hold(moment: string): {
    readonly reached: Promise<undefined>;
    readonly open: () => void;
    readonly fail: (error: Error) => void;
  } {
    const [gate, reached] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
    this.gates.set(moment, gate.promise);
    this.reached.set(moment, () => {
      reached.resolve(undefined);
    });
    return {
      reached: reached.promise,
      open: () => {
        gate.resolve(undefined);
      },
      fail: gate.reject,
    };
  }

  /** The ids of the state's resources by name; fails where the state is not consistent. */
  ids(): Record<string, string | undefined> {
    const { resources } = this.snapshot;
    verifyResources(resources);
    const things = resources.filter(({ type }) => type === TYPE);
    return Object.fromEntries(
      things.map((each) => [`${each.urn.split("::").at(-1) ?? ""}${each.delete ? "!" : ""}`, each.id]),
    );
  }

  private async at(moment: string): Promise<void> {
    this.reached.get(moment)?.();
    await this.gates.get(moment);
  }

  private provider(): Provider {
    return {
      check: ({ name }, old, inputs) => {
        this.checkedBeside.set(name, old);
        return Promise.resolve({ inputs, failures: [] });
      },
      diff: async ({ name }, { inputs: old }, inputs) => {
        await this.at(`${Object.values(inputs).includes(UNKNOWN) ? "look" : "diff"} ${name}`);
        const diff = diffOf(old, inputs);
        return { ...diff, replaceKeys: diff.changedKeys };
      },
      create: ({ name }, inputs) => {
        this.log.push(`create ${name}`);
        return Promise.resolve({ id: `new-${name}`, outputs: inputs });
      },
      update: (_context, _old, inputs) => Promise.resolve(inputs),
      read: (_context, { id, inputs }) => Promise.resolve({ id, outputs: inputs }),
      delete: async ({ name }) => {
        this.log.push(`delete ${name}`);
        await this.at(`delete ${name}`);
        this.log.push(`deleted ${name}`);
      },
      close: () => Promise.resolve(),
    };
  }
}

/** Lets everything go on that waits for nothing. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const before = [made("root", { v: "1" }), made("user", { from: "x" }, "root")] as const;
const root = goal("root", { v: "2" });
/** As it is, but that it no longer gets what it has from the root. */
const free = goal("user", { from: "x" });
const all = ["delete user", "deleted user", "delete root", "deleted root", "create root"];

it("a resource that waits for what is replaced is deleted before and created after it", async () => {
  const world = await World.begin(...before);
  await world.deployment.register(root);
  await world.deployment.register(goal("user", { from: "x" }, "root"));
  expect(world.log).toEqual([...all, "create user"]);
  expect(world.ids()).toEqual({ root: "new-root", user: "new-user" });
});

it("one that was registered beside it, and no longer depends on it, stays", async () => {
  const world = await World.begin(...before);
  const looking = world.hold("diff user");
  const user = world.deployment.register(free);
  await looking.reached;
  await world.deployment.register(root);
  looking.open();
  await user;
  await world.deployment.deleteUnregistered();
  expect(world.log).toEqual(all.slice(2));
  expect(world.ids()).toEqual({ root: "new-root", user: "old-user" });
});

it.each([
  ["while its dependents are looked at", "look user"] as const,
  ["while they are deleted", "delete user"] as const,
])("one that is registered %s comes anew, once its old half is gone", async (_when, moment) => {
  const world = await World.begin(...before);
  const [looking, deleting] = [world.hold("look user"), world.hold("delete user")];
  if (moment !== "look user") looking.open();
  const replaced = world.deployment.register(root);
  await (moment === "look user" ? looking : deleting).reached;
  const user = world.deployment.register(free);
  await settle();
  looking.open();
  await settle();
  expect(world.log).toEqual(["delete user"]);
  deleting.open();
  await Promise.all([replaced, user]);
  await world.deployment.deleteUnregistered();
  expect(world.log).toEqual([...all, "create user"]);
  expect(world.checkedBeside.get("user")).toBeUndefined();
  expect(world.ids()).toEqual({ root: "new-root", user: "new-user" });
});

it("one that waits for the end of its old half is not made where that fails", async () => {
  const world = await World.begin(...before);
  const deleting = world.hold("delete user");
  const replaced = world.deployment.register(root);
  await deleting.reached;
  const user = world.deployment.register(free);
  deleting.fail(new Error("in use"));
  const ends = await Promise.allSettled([replaced, user]);
  expect(ends.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(world.log).toEqual(["delete user"]);
  expect(world.ids()).toEqual({ root: "old-root", user: "old-user" });
});

it("one that is only read from now on is not deleted a second time", async () => {
  const world = await World.begin(...before);
  const looking = world.hold("look user");
  const replaced = world.deployment.register(root);
  await looking.reached;
  const read = world.deployment.read({ ...free, id: "another" });
  looking.open();
  await Promise.all([replaced, read]);
  await world.deployment.deleteUnregistered();
  expect(world.log).toEqual(all);
  expect(world.ids()).toEqual({ root: "new-root", user: "another" });
});

it("one that two of those that are replaced take with them is deleted once, before both", async () => {
  const world = await World.begin(
    ...[made("root", { v: "1" }), made("other", { v: "1" })],
    made("user", { from: "x" }, "root", "other"),
  );
  const deleting = world.hold("delete user");
  const replaced = [root, goal("other", { v: "2" })].map((each) => world.deployment.register(each));
  await deleting.reached;
  await settle();
  expect(world.log).toEqual(["delete user"]);
  deleting.open();
  await Promise.all(replaced);
  await world.deployment.register(goal("user", { from: "x" }, "root"));
  expect(world.log.filter((line) => line.endsWith("user"))).toEqual([
    "delete user",
    "deleted user",
    "create user",
  ]);
  expect(world.ids()).toEqual({ root: "new-root", other: "new-other", user: "new-user" });
});
