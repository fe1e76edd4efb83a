import { readPlan } from "../../plan";
import { headline, planMarkdown } from "../../markdown";

const urn = (type: string, name: string) => `urn:pulumi:production::vehicleservice::${type}::${name}`;

/** One document as the engines print it. */
function document(change: object = {}): string {
  return JSON.stringify({
    config: {},
    steps: [
      { op: "same", urn: urn("pulumi:pulumi:Stack", "vehicleservice-production") },
      {
        op: "update",
        urn: urn("vehicleservice:site:Traffic$command:remote:Command", "traffic-act"),
        newState: { inputs: { stdin: "[secret]", triggers: ["a"] } },
        diffReasons: ["stdin"],
        detailedDiff: { "stdin.weight": { kind: "update" }, 'triggers["x"]': { kind: "add" } },
      },
      { op: "create", urn: urn("aws:s3/bucket:Bucket", "backups"), newState: { inputs: { b: 1, a: 2 } } },
      { op: "create-replacement", urn: urn("a:b:C", "again") },
      { op: "replace", urn: urn("a:b:C", "again"), replaceReasons: ["name"], detailedDiff: null },
      { op: "delete-replaced", urn: urn("a:b:C", "again") },
      { op: "read", urn: urn("a:b:C", "looked-at") },
      { op: "refresh", urn: urn("a:b:C", "as-it-was") },
      { op: "refresh", urn: urn("a:b:C", "drifted"), detailedDiff: { size: { kind: "update" } } },
    ],
    diagnostics: [
      { severity: "warning", message: "<{%fg 3%}>beware<{%reset%}>\n" },
      { severity: "debug", message: "noise" },
    ],
    ...change,
  });
}

const ended = (stdout: string, exitCode = 0, stderr = "") => readPlan({ stdout, stderr, exitCode });

test("a preview is what would change, by the names of the inputs", () => {
  expect(ended(document())).toEqual({
    changes: [
      { op: "update", type: "command:remote:Command", name: "traffic-act", keys: ["stdin", "triggers"] },
      { op: "create", type: "aws:s3/bucket:Bucket", name: "backups", keys: [] },
      { op: "replace", type: "a:b:C", name: "again", keys: ["name"] },
      { op: "refresh", type: "a:b:C", name: "drifted", keys: ["size"] },
    ],
    messages: [{ severity: "warning", text: "beware" }],
    failed: false,
    digest: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
});

describe("the digest", () => {
  const parsed = JSON.parse(document()) as { steps: Record<string, unknown>[] };
  const digest = (steps: unknown[]) => ended(document({ steps })).digest;

  test("does not depend on the order of steps or keys, nor on what was said", () => {
    const steps = structuredClone(parsed.steps).reverse();
    steps.find(({ op }) => op === "create")!["newState"] = { inputs: { a: 2, b: 1 } };
    expect(ended(document({ steps, diagnostics: [] })).digest).toBe(ended(document()).digest);
  });

  test.each([
    [
      "another input",
      (steps: Record<string, unknown>[]) => (steps[2]!["newState"] = { inputs: { b: 1, a: 3 } }),
    ],
    ["another operation", (steps: Record<string, unknown>[]) => (steps[2]!["op"] = "delete")],
    ["another resource", (steps: Record<string, unknown>[]) => (steps[2]!["urn"] = urn("a:b:C", "other"))],
    [
      "one change more",
      (steps: Record<string, unknown>[]) => steps.push({ op: "delete", urn: urn("a:b:C", "x") }),
    ],
    ["one change fewer", (steps: Record<string, unknown>[]) => steps.pop()],
    [
      "another secret, by the input that differs",
      (steps: Record<string, unknown>[]) => (steps[1]!["diffReasons"] = []),
    ],
  ])("tells %s", (what, change) => {
    const steps = structuredClone(parsed.steps);
    change(steps);
    const same = what.startsWith("another secret");
    if (same) (steps[1] as { detailedDiff: object }).detailedDiff = {};
    expect(digest(steps)).not.toBe(digest(parsed.steps));
  });
});

describe("a preview that fails", () => {
  test("is told with what it found so far", () => {
    const diagnostics = [{ severity: "error", message: "weight: the gate is closed" }];
    const plan = ended(document({ diagnostics }), 1, "error: preview failed");
    expect(plan.failed).toBe(true);
    expect(plan.messages.map(({ text }) => text)).toEqual([
      "weight: the gate is closed",
      "error: preview failed",
    ]);
  });

  test("before it begins is told by its standard error", () => {
    expect(ended("", 255, "\u001b[31merror:\u001b[0m no such stack")).toMatchObject({
      changes: [],
      failed: true,
      messages: [{ severity: "error", text: "error: no such stack" }],
    });
  });

  test("is not one that found changes where none were expected", () => {
    const stderr = "error: no changes were expected but changes were proposed";
    expect(ended(document(), 7, stderr)).toMatchObject({ failed: false, messages: [{ text: "beware" }] });
    expect(ended(document({ steps: [] }), 7, stderr)).toMatchObject({ failed: true });
  });

  test("is not one that ended well and said nothing that is a preview", () => {
    expect(() => ended("Logged in.")).toThrow("printed no preview");
  });
});

describe("the text for people", () => {
  test("holds names and no values", () => {
    const text = planMarkdown("production", ended(document()));
    expect(text).toBe(
      [
        "### Preview of `production`: 1 to update, 1 to create, 1 to replace, 1 to refresh",
        "",
        "| | type | name | inputs that differ |",
        "| --- | --- | --- | --- |",
        "| update | command:remote:Command | traffic-act | stdin, triggers |",
        "| create | aws:s3/bucket:Bucket | backups |  |",
        "| replace | a:b:C | again | name |",
        "| refresh | a:b:C | drifted | size |",
        "",
        "```text",
        "warning: beware",
        "```",
      ].join("\n"),
    );
  });

  test("says that there is nothing, or that it failed", () => {
    expect(planMarkdown("p", ended(document({ steps: [], diagnostics: [] })))).toBe(
      "### Preview of `p`: no changes",
    );
    expect(headline(ended("", 1, "error: x"))).toBe("**failed**");
    expect(headline(ended(document(), 1, "error: x"))).toMatch(/^\*\*failed\*\*, after 1 to update/);
  });

  test("cannot be broken out of, by a name or by a message", () => {
    const steps = [{ op: "create", urn: urn("a:b:C", "x | y`\n<b>") }];
    const diagnostics = [{ severity: "error", message: "```\n# big\n````" }];
    const lines = planMarkdown("p", ended(document({ steps, diagnostics }))).split("\n");
    expect(lines).toContain("| create | a:b:C | x \\| y\\` \\<b\\> |  |");
    expect(lines.at(-1)).toBe("`````");
    expect(lines.filter((line) => line.startsWith("`````"))).toEqual(["`````text", "`````"]);
  });

  test("fits into a comment, however much there is", () => {
    const steps = Array.from({ length: 5000 }, (_, index) => ({
      op: "create",
      urn: urn("a:b:C", `n${String(index)}`),
    }));
    const diagnostics = [{ severity: "error", message: "x".repeat(200_000) }];
    const text = planMarkdown("p", ended(document({ steps, diagnostics })));
    expect(text).toContain("and 4800 more");
    expect(text.length).toBeLessThan(65_000);
    const long = steps.map((step) => ({ ...step, diffReasons: ["k".repeat(1000)] }));
    expect(planMarkdown("p", ended(document({ steps: long, diagnostics }))).length).toBeLessThan(65_000);
  });
});
