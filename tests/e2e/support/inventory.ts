import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { waitFor } from "../../../sandbox/processes";
import { conductorPid } from "./victims";
import type { TestWorld } from "./world";

/** What a host holds of the application. */
export interface Inventory {
  /** What has to be the same after any number of releases. */
  readonly counts: Readonly<Record<string, number>>;
  /** What may vary with the last release: bytes, or open files. */
  readonly sizes: Readonly<Record<string, number>>;
  /** Units of systemd that failed. */
  readonly failedUnits: readonly string[];
}

const REST_SECONDS = 120;

const scriptNamed = (name: string): string => readFileSync(join(__dirname, name), "utf8");

/**
 * Counts what the host holds when it is at rest: by two looks in succession that see the same. PM2, for one, has a `getconf`
 * run for a moment when it is asked for its instances for the first time.
 */
export async function inventoryAtRest(world: TestWorld): Promise<Inventory> {
  let before = await inventoryOf(world);
  return waitFor("a host at rest", REST_SECONDS, async () => {
    const now = await inventoryOf(world);
    if (isDeepStrictEqual(now.counts, before.counts)) return now;
    before = now;
    return undefined;
  });
}

/** Counts what the host holds, by the scripts beside this file. */
async function inventoryOf(world: TestWorld): Promise<Inventory> {
  const stdin = scriptNamed("count-inventory");
  const { stdout } = await world.host.exec(["bash", "-s", "--", "vehicleservice"], { stdin });
  const lines = stdout.trimEnd().split("\n");
  const of = (kind: string): Record<string, number> =>
    Object.fromEntries(
      lines
        .filter((line) => line.startsWith(`${kind} `))
        .map((line) => line.slice(kind.length + 1).split("\t"))
        .map(([what = "", number]) => [what, Number(number)]),
    );
  const sizes = { ...of("size"), "live memory of the conductor": await conductorHeap(world) };
  return { counts: of("count"), sizes, failedUnits: Object.keys(of("failed")) };
}

/** What the conductor holds on to, in bytes. */
async function conductorHeap({ host }: TestWorld): Promise<number> {
  const script = ["node", "--input-type=module", "-", await conductorPid(host)];
  return Number((await host.exec(script, { stdin: scriptNamed("live-heap.mjs") })).stdout);
}
