import split from "../../../host/nginx/split.js";

const USERS = 40_000;

/** Random ids that are the same in every run: 32 hexadecimal digits each (mulberry32). */
function randomIds(count: number, seed: number): string[] {
  let state = seed;
  const next = (): string => {
    state = (state + 0x6d2b79f5) | 0;
    let h = Math.imul(state ^ (state >>> 15), state | 1);
    h ^= h + Math.imul(h ^ (h >>> 7), h | 61);
    return ((h ^ (h >>> 14)) >>> 0).toString(16).padStart(8, "0");
  };
  return Array.from({ length: count }, () => next() + next() + next() + next());
}

/** The users who go to the candidate at a weight in percent. */
function candidates(ids: readonly string[], weight: number, salt: string): Set<string> {
  const seed = split.seed(salt);
  const share = (weight / 100) * split.BUCKETS;
  return new Set(ids.filter((id) => split.bucket(id, seed) < share));
}

const ids = randomIds(USERS, 20_260_101);

describe("split", () => {
  it.each(
    ["v1.0.0", "v1.0.1", "v2.3.4-rc.1", ""].flatMap((salt) =>
      [5, 25, 50, 75].map((weight) => ({ weight, salt })),
    ),
  )(
    "gives the candidate $weight % of 40,000 users, within half a point, with salt '$salt'",
    ({ weight, salt }) => {
      const share = (candidates(ids, weight, salt).size / USERS) * 100;
      expect(Math.abs(share - weight)).toBeLessThanOrEqual(0.5);
    },
  );

  it("is exact at the ends: nobody at 0 %, everybody at 100 %", () => {
    expect(candidates(ids, 0, "v1.0.0").size).toBe(0);
    expect(candidates(ids, 100, "v1.0.0").size).toBe(USERS);
  });

  it("takes nobody back while the weight rises", () => {
    let before = new Set<string>();
    for (const weight of [0, 1, 2, 5, 10, 25, 26, 50, 75, 99, 100]) {
      const now = candidates(ids, weight, "v1.0.0");
      expect(before.isSubsetOf(now)).toBe(true);
      before = now;
    }
  });

  it.each([
    ["v1.0.0", "v1.0.1"],
    ["v1.0.1", "v1.0.2"],
    ["v1.0.0", "v1.1.0"],
    ["v9.9.9", "v10.0.0"],
  ])("lets other users go first with another release (%s, %s)", (one, other) => {
    const first = candidates(ids, 5, one);
    const second = candidates(ids, 5, other);
    // Independent choices of 5 % meet in 0.25 % of the users: 100 of 40,000, with a standard deviation of 10.
    const both = first.intersection(second).size;
    expect(both).toBeGreaterThan(60);
    expect(both).toBeLessThan(140);
  });

  it("fills the buckets evenly", () => {
    const seed = split.seed("v1.0.0");
    const counts = new Array<number>(100).fill(0);
    for (const id of ids) {
      const hundredth = Math.floor(split.bucket(id, seed) / (split.BUCKETS / 100));
      counts[hundredth] = (counts[hundredth] ?? 0) + 1;
    }
    const expected = USERS / 100;
    const chiSquared = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    // 99 degrees of freedom: above 149 in one of a thousand draws.
    expect(chiSquared).toBeLessThan(149);
  });

  it("spreads ids that were counted, not drawn", () => {
    const counted = Array.from({ length: USERS }, (_, i) => i.toString(16).padStart(8, "0").padEnd(32, "0"));
    const share = (candidates(counted, 25, "v1.0.0").size / USERS) * 100;
    expect(Math.abs(share - 25)).toBeLessThanOrEqual(0.5);
  });

  it("stays within its range, whole numbers only", () => {
    for (const id of [...ids.slice(0, 1000), "f".repeat(32), "0".repeat(32)]) {
      const bucket = split.bucket(id, 0xffffffff);
      expect(Number.isInteger(bucket) && bucket >= 0 && bucket < split.BUCKETS).toBe(true);
    }
  });

  it("does not change between releases of this program: users would change sides", () => {
    const id = "0123456789abcdef0123456789abcdef";
    expect(split.seed("v1.0.0")).toBe(3837134712);
    expect(split.bucket(id, split.seed("v1.0.0"))).toBe(3812);
  });
});
