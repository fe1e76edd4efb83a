import { readFileSync } from "node:fs";
import { join } from "node:path";
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

const SCRIPT = join(__dirname, "count-inventory");

/** Counts what the host holds, by the script beside this file. */
export async function inventoryOf(world: TestWorld): Promise<Inventory> {
  const script = readFileSync(SCRIPT, "utf8");
  const { stdout } = await world.host.exec(["bash", "-s", "--", "vehicleservice"], { stdin: script });
  const lines = stdout.trimEnd().split("\n");
  const of = (kind: string): Record<string, number> =>
    Object.fromEntries(
      lines
        .filter((line) => line.startsWith(`${kind} `))
        .map((line) => line.slice(kind.length + 1).split("\t"))
        .map(([what = "", number]) => [what, Number(number)]),
    );
  return { counts: of("count"), sizes: of("size"), failedUnits: Object.keys(of("failed")) };
}
