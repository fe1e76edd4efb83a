import {
  dependentsToReplace,
  planDeletes,
  planStep,
  refuseProtected,
  scheduleDeletes,
  type PlanOptions,
} from "../deployment/planner";
import type { ResourceState } from "../state/resource";
import { NO_DIFF, type DiffResult } from "../values/diff";

const resource = (name: string, more: Partial<ResourceState> = {}): ResourceState => ({
  urn: urn(name),
  custom: true,
  type: "t:m:R",
  ...more,
});
const urn = (name: string): string => `urn:pulumi:dev::p::t:m:R::${name}`;
const uses = (...names: string[]): Partial<ResourceState> => ({ dependencies: names.map(urn) });

const update: DiffResult = { changed: true, changedKeys: ["a"], replaceKeys: [], detailed: { a: "update" } };
const replacing: DiffResult = { changed: true, changedKeys: ["a"], replaceKeys: ["a"] };
const replacingFirst: DiffResult = { ...replacing, deleteBeforeReplace: true };

const plan = (
  old: ResourceState | undefined,
  diff: DiffResult,
  options: Partial<PlanOptions> = {},
  next = resource("r"),
): string[] =>
  planStep(old, next, diff, {
    deleteBeforeReplace: undefined,
    replaceOnChanges: [],
    deletedForDependency: false,
    dependents: [],
    ...options,
  }).map(
    ({ op, urn: each, pendingReplacement }) =>
      `${op} ${each.split("::").at(-1) ?? ""}${pendingReplacement ? " (pending)" : ""}`,
  );

describe("a resource is planned as", () => {
  const afterwards = ["create-replacement r", "replace r"];
  const before = ["delete-replaced r (pending)", "replace r", "create-replacement r"];
  it.each<[string, ResourceState | undefined, DiffResult, Partial<PlanOptions>, string[]]>([
    ["new", undefined, NO_DIFF, {}, ["create r"]],
    ["unchanged", resource("r"), NO_DIFF, {}, ["same r"]],
    ["changed", resource("r"), update, {}, ["update r"]],
    [
      "unchanged, but its last operation failed half-way",
      resource("r", { initErrors: ["broken"] }),
      NO_DIFF,
      {},
      ["update r"],
    ],
    ["changed in what replaces", resource("r"), replacing, {}, afterwards],
    [
      "changed in what the option says replaces",
      resource("r"),
      update,
      { replaceOnChanges: ["a"] },
      afterwards,
    ],
    [
      "changed elsewhere than the option says",
      resource("r"),
      update,
      { replaceOnChanges: ["b"] },
      ["update r"],
    ],
    ["replaced, by its provider's wish deleted first", resource("r"), replacingFirst, {}, before],
    [
      "replaced, by its option deleted first",
      resource("r"),
      replacing,
      { deleteBeforeReplace: true },
      before,
    ],
    [
      "replaced, by its option not deleted first",
      resource("r"),
      replacingFirst,
      { deleteBeforeReplace: false },
      afterwards,
    ],
    [
      "replaced first, with a dependent",
      resource("r"),
      replacingFirst,
      { dependents: [resource("d")] },
      ["delete-replaced d (pending)", ...before],
    ],
    [
      "replaced first, with a dependent that is gone already",
      resource("r"),
      replacingFirst,
      { dependents: [resource("d", { pendingReplacement: true })] },
      before,
    ],
    [
      "deleted already for what it depends on",
      resource("r", { pendingReplacement: true }),
      NO_DIFF,
      { deletedForDependency: true },
      ["replace r", "create-replacement r"],
    ],
    [
      "deleted in an earlier run that did not end",
      resource("r", { pendingReplacement: true }),
      NO_DIFF,
      {},
      ["replace r", "create-replacement r"],
    ],
  ])("%s", (_what, old, diff, options, steps) => {
    expect(plan(old, diff, options)).toEqual(steps);
  });
});

describe("a protected resource", () => {
  const guarded = resource("r", { protect: true });
  it("is not replaced", () => {
    expect(() => plan(guarded, replacing, {}, guarded)).toThrow("unable to replace resource");
  });
  it("is replaced once the program no longer protects it", () => {
    expect(plan(guarded, replacing)).toEqual(["create-replacement r", "replace r"]);
  });
  it("is updated", () => {
    expect(plan(guarded, update, {}, guarded)).toEqual(["update r"]);
  });
  it("is not deleted for another's replacement", () => {
    expect(() =>
      plan(resource("r"), replacingFirst, { dependents: [resource("d", { protect: true })] }),
    ).toThrow(/as part of replacing/);
  });
  it("is not deleted, and neither is anything else", () => {
    const steps = planDeletes(
      [resource("a"), resource("b", { protect: true }), resource("c", { protect: true })],
      () => false,
    );
    expect(() => refuseProtected(steps)).toThrow(
      /::b" cannot be deleted\n.*::c" cannot be deleted\nbecause it is protected/,
    );
  });
});

describe("dependents of what is deleted first", () => {
  const state = [
    resource("root"),
    resource("near", uses("root")),
    resource("far", uses("near")),
    resource("other"),
    resource("indifferent", uses("root")),
    resource("group", { ...uses("root"), custom: false }),
    resource("settled", uses("root")),
  ];
  it("are found through each other and deleted from the far end", async () => {
    const found = await dependentsToReplace(
      state[0]!,
      state,
      (each) => each === urn("settled"),
      (each) => Promise.resolve(each.urn !== urn("indifferent")),
    );
    expect(found.map((each) => each.urn)).toEqual([urn("far"), urn("near")]);
  });
  it("stay where nothing in between is replaced", async () => {
    const found = await dependentsToReplace(
      state[0]!,
      state,
      () => false,
      (each) => Promise.resolve(each.urn === urn("far")),
    );
    expect(found).toEqual([]);
  });
});

describe("deletions", () => {
  it("are of what was not registered, and of old halves", () => {
    const steps = planDeletes(
      [
        resource("kept"),
        resource("gone"),
        resource("kept", { delete: true }),
        resource("lost", { pendingReplacement: true }),
      ],
      (each) => each === urn("kept"),
    );
    expect(steps.map(({ op }) => op)).toEqual(["delete", "delete-replaced", "remove-pending-replace"]);
  });

  it("go against the direction of references of every kind", () => {
    const provider = resource("provider", { id: "1" });
    const parent = resource("parent", { custom: false });
    const base = resource("base", { provider: `${urn("provider")}::1`, parent: urn("parent") });
    const user = resource("user", { propertyDependencies: { a: [urn("base")] } });
    const last = resource("last", { deletedWith: urn("user") });
    const groups = scheduleDeletes(planDeletes([provider, parent, base, user, last], () => false));
    expect(groups.map((group) => group.map(({ urn: each }) => each.split("::").at(-1)))).toEqual([
      ["last"],
      ["user"],
      ["base"],
      ["provider", "parent"],
    ]);
  });

  it("end even in a state with a cycle", () => {
    const groups = scheduleDeletes(
      planDeletes([resource("a", uses("b")), resource("b", uses("a"))], () => false),
    );
    expect(groups.flat()).toHaveLength(2);
  });
});
