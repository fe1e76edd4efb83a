import { median, percentile } from "../../statistics";

test.each([
  [[5], 95, 5],
  [[3, 1, 2], 50, 2],
  [[4, 1, 3, 2], 50, 2],
  [Array.from({ length: 20 }, (_, index) => index + 1), 95, 19],
  [Array.from({ length: 30 }, (_, index) => index + 1), 95, 29],
  [[10, 9, 100], 100, 100],
  [[10, 9, 100], 0, 9],
])("of %j, %i percent are at most %i", (values, percent, expected) => {
  expect(percentile(values, percent)).toBe(expected);
});

test.each([
  [[7], 7],
  [[10, 9, 100], 10],
  [[4, 1, 3, 2], 2.5],
])("the median of %j is %d", (values, expected) => {
  expect(median(values)).toBe(expected);
});

test("no values have neither", () => {
  expect(() => median([])).toThrow("no values");
  expect(() => percentile([], 95)).toThrow("no values");
});
