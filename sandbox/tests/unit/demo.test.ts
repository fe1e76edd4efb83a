import { execFileSync } from "node:child_process";
import * as fc from "fast-check";

import type { SiteStatus } from "../../../host/conductor/protocol";
import { summaryLines } from "../../demo/demo";
import { faultsOf, FIRST_STEP, formatShares, NEXT_STEPS, type Step } from "../../demo/story";
import { observationOf } from "../../demo/traffic";
import { shellLine } from "../../demo/typing";
import { Recorder } from "../../load/recorder";
import type { LoadReport, LoadSegment } from "../../load/report";
import { statusLines } from "../../status";

describe("what a step must show", () => {
  const step = (shares: Step["shares"]): Step => ({ title: "", levers: {}, shares });
  const seen = (shares: Record<string, number>): Parameters<typeof faultsOf>[1] => ({
    sent: 1,
    lost: 0,
    closed: 0,
    shares,
  });

  it.each([
    [{ a: 100 }, { a: 100 }, 0],
    [{ a: 100 }, { a: 99.9, b: 0.1 }, 2],
    [{ a: 100 }, { a: 99.9 }, 1],
    [{ a: 100 }, {}, 1],
    [{ a: 95, b: 5 }, { a: 94.2, b: 5.8 }, 0],
    [{ a: 95, b: 5 }, { a: 92.4, b: 7.6 }, 2],
    [{ a: 95, b: 5 }, { a: 100 }, 2],
    [{ a: 95, b: 5 }, { a: 95, c: 5 }, 2],
  ])("%j, seen %j: %i faults", (want, got, faults) => {
    expect(faultsOf(step(want), seen(got))).toHaveLength(faults);
  });

  it("tells the whole of the story: live, testers only, 5, 100, back", () => {
    expect([FIRST_STEP, ...NEXT_STEPS].map(({ shares, testers }) => [shares, testers])).toEqual([
      [{ "v0.9.9": 100 }, undefined],
      [{ "v0.9.9": 100 }, "v1.0.0"],
      [{ "v0.9.9": 95, "v1.0.0": 5 }, "v1.0.0"],
      [{ "v1.0.0": 100 }, "v1.0.0"],
      [{ "v0.9.9": 100 }, "v1.0.0"],
    ]);
  });
});

it("adds up the loads, and counts every closed connection and GOAWAY", () => {
  const segment = (byVersion: Record<string, number>, failed: number): LoadSegment =>
    ({
      sent: 10,
      failed,
      connections: { closedIdle: 1, closedInFlight: 2, closedAnnounced: 4, goaways: { NO_ERROR: 8 } },
      answers: { byVersion },
    }) as unknown as LoadSegment;
  expect(observationOf([segment({ a: 6, b: 2 }, 2), segment({ a: 3, b: 1 }, 0)])).toEqual({
    sent: 20,
    lost: 2,
    closed: 22,
    shares: { a: 75, b: 25 },
  });
});

describe("what became of all requests", () => {
  const seen = (failed: boolean): { total: ReturnType<typeof observationOf>; reports: LoadReport[] } => {
    const recorder = new Recorder(1, 16, () => 0);
    recorder.mark("up: canary at 5 %");
    const exchange = recorder.begin({ user: 0, dueMs: 0 });
    if (failed) recorder.failed(exchange, "timeout", "no answer within 10000 ms");
    else recorder.answered(exchange, { colour: "blue", version: "v1.0.0" });
    const report = { ...recorder.report(), unsent: 0, client: { cores: 0.5, latestMs: 7 } };
    return { total: observationOf([report.total]), reports: [report] };
  };

  it("is one line where none was lost", () => {
    expect(summaryLines(seen(false))).toEqual([
      "In all: 1 requests, 0 lost, no connection closed by the server.",
    ]);
  });

  it("says in which step one was lost, why, and how late the load itself was", () => {
    const text = summaryLines(seen(true)).join("\n");
    expect(text).toMatch(/^In all: 1 requests, 1 lost/);
    expect(text).toMatch(/^up: canary at 5 % .* 1 +1 /m);
    expect(text).toMatch(/timeout: no answer within 10000 ms$/m);
    expect(text).toMatch(/at most 7\.0 ms late$/);
  });
});

it.each([
  [{ "v1.0.0": 4.84, "v0.9.9": 95.16 }, "v0.9.9 95.2 %, v1.0.0 4.8 %"],
  [{ "v0.9.9": 100 }, "v0.9.9 100 %"],
  [{}, "nobody answers"],
])("%j reads %s", (shares, text) => {
  expect(formatShares(shares)).toBe(text);
});

it("writes commands that a shell reads back word by word", () => {
  const word = fc.string({ unit: "grapheme", minLength: 0 }).filter((text) => !text.includes("\0"));
  fc.assert(
    fc.property(fc.array(word, { maxLength: 4 }), (words) => {
      const read = execFileSync("sh", ["-c", `printf '%s\\0' ${shellLine(["x", ...words])}`], {
        encoding: "utf8",
      });
      expect(read.split("\0").slice(1, -1)).toEqual(words);
    }),
    { numRuns: 50 },
  );
});

it("shows who serves what", () => {
  const environments = { environment: "e", pendingEnvironment: null };
  const colour = { ...environments, commit: "c", directory: "/d", healthy: true, admitted: true };
  const status: SiteStatus = {
    generation: 3,
    traffic: { stable: "blue", weight: 5, salt: "v1.0.0" },
    effectiveWeight: 5,
    aborted: null,
    maintenance: false,
    closed: false,
    colours: { blue: { ...colour, version: "v0.9.9" }, green: { ...colour, version: "v1.0.0" } },
    certificate: null,
    underWay: null,
  };
  const abort = { colour: "green", reason: "payments fail", at: "2026-01-01T00:00:00.000Z" } as const;
  expect(statusLines({ ...status, effectiveWeight: 0, aborted: abort })).toContain(
    "green: v1.0.0, 0 % of users, candidate, healthy, ABORTED: payments fail",
  );
  const retired = {
    ...{ ...environments, version: null, commit: null, directory: null },
    ...{ healthy: false, admitted: false },
  };
  expect(statusLines(status)).toEqual([
    "blue: v0.9.9, 95 % of users, stable, healthy",
    "green: v1.0.0, 5 % of users, candidate, healthy",
  ]);
  expect(
    statusLines({ ...status, underWay: "release green", colours: { ...status.colours, green: retired } }),
  ).toEqual(["blue: v0.9.9, 95 % of users, stable, healthy", "green: retired", "under way: release green"]);
});
