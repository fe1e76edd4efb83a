import { guarded } from "../../guarded";
import { markdownTable, targetsMet } from "../../result";

test("a table is Markdown, padded for a terminal", () => {
  expect(
    markdownTable(
      ["way", "ms"],
      [
        ["a long name", "1"],
        ["b", "1000"],
      ],
    ),
  ).toBe(
    [
      "| way         | ms   |",
      "| ----------- | ---- |",
      "| a long name | 1    |",
      "| b           | 1000 |",
    ].join("\n"),
  );
});

test.each([
  [0.25, 0.25, true],
  [0.26, 0.25, false],
  [Number.NaN, 0.25, false],
  [9, null, true],
])("a ratio of %d where at most %p is allowed: met %p", (ratio, atMost, met) => {
  expect(
    targetsMet([
      { what: "x", ratio: 0, atMost: 1 },
      { what: "y", ratio, atMost },
    ]),
  ).toBe(met);
});

test.each([
  ["success", () => Promise.resolve("result")],
  ["an error", () => Promise.reject(new Error("broken"))],
])("what is guarded is removed once after %s", async (_, use) => {
  const remove = jest.fn(() => Promise.resolve());
  const outcome = await guarded({ remove }, use).catch((error: unknown) => (error as Error).message);
  expect(["result", "broken"]).toContain(outcome);
  expect(remove).toHaveBeenCalledTimes(1);
  expect(process.listeners("SIGINT").map(String)).not.toContainEqual(expect.stringContaining("remove"));
});
