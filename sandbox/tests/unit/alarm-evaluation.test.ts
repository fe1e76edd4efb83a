import { decide, rangeOf, type AlarmRule } from "../../aws/alarms/decide";

const rule: AlarmRule = {
  comparison: "GreaterThanThreshold",
  threshold: 5,
  evaluationPeriods: 3,
  datapointsToAlarm: 3,
  treatMissingData: "missing",
};

const state = (
  change: Partial<AlarmRule>,
  points: readonly (number | null)[],
  before = "OK" as const,
): string => decide({ ...rule, ...change }, points, before).state;

it("looks back over two periods more than it judges", () => {
  expect(rangeOf(rule)).toBe(5);
});

// The examples of CloudWatch's documentation, "How alarm state is evaluated when data is missing", for 3 of 3 from OK:
// - is nothing, x breaches, 0 does not.
it.each([
  ["0-x-x", ["OK", "OK", "OK", "OK"]],
  ["0----", ["OK", "OK", "OK", "OK"]],
  ["-----", ["INSUFFICIENT_DATA", "OK", "ALARM", "OK"]],
  ["0xx-x", ["ALARM", "ALARM", "ALARM", "ALARM"]],
  ["--x--", ["ALARM", "OK", "ALARM", "OK"]],
])("%s is %p where missing is missing, ignored, breaching, not breaching", (pattern, expected) => {
  const points = Array.from(pattern, (one) => ({ "-": null, x: 9, "0": 1 })[one] ?? null);
  const treatments = ["missing", "ignore", "breaching", "notBreaching"] as const;
  expect(treatments.map((treatMissingData) => state({ treatMissingData }, points))).toEqual(expected);
});

it("what breached only now is not enough", () => {
  expect(state({}, [null, null, null, null, 9])).toBe("OK");
});

it.each([
  [2, [1, 9, 9, 1, 9], "ALARM"],
  [2, [9, 9, 9, 1, 1], "OK"],
  [3, [9, 9, 9, 1, 9], "OK"],
])("%i of 3 with %p is %s", (datapointsToAlarm, points, expected) => {
  expect(state({ datapointsToAlarm }, points)).toBe(expected);
});

it("silence breaches where it is told to", () => {
  const silence = { treatMissingData: "breaching", comparison: "LessThanThreshold", threshold: 1 } as const;
  expect(decide({ ...rule, ...silence }, [null, null, null, null, null], "OK")).toEqual({
    state: "ALARM",
    reason: expect.stringContaining("no datapoints were received and 3 missing; 3 of 3 needed") as string,
  });
});

it.each([
  ["GreaterThanOrEqualToThreshold", 5],
  ["GreaterThanThreshold", 5.1],
  ["LessThanThreshold", 4.9],
  ["LessThanOrEqualToThreshold", 5],
])("%s breaches at %d", (comparison, value) => {
  expect(state({ comparison }, [value, value, value])).toBe("ALARM");
});

it("refuses what it cannot compare", () => {
  expect(() => state({ comparison: "GreaterThanUpperThreshold" }, [1, 1, 1])).toThrow(
    "GreaterThanUpperThreshold",
  );
});
