import type { MigrationName } from "../protocol";
import { fileName } from "./script";

/** Returns what is wrong with the names of files that are to be applied in this order; empty if nothing. */
export function orderFaults(files: readonly MigrationName[]): string[] {
  const faults = files
    .filter(({ version }) => !/^\d+$/.test(version))
    .map((file) => `${fileName(file)} does not begin with digits: name it <14 digits>_<name>.sql`);
  if (faults.length > 0) return faults;
  files.slice(1).forEach((file, index) => {
    const before = files[index];
    if (before === undefined) return;
    if (before.version === file.version) {
      faults.push(`${fileName(before)} and ${fileName(file)} have one version: give the later one another`);
    } else if (before.version < file.version !== BigInt(before.version) < BigInt(file.version)) {
      faults.push(
        `${fileName(before)} and ${fileName(file)} sort differently as text and as numbers: give all versions one length`,
      );
    } else if (before.version > file.version) {
      faults.push(
        `${fileName(file)} comes after ${fileName(before)}, but its version is lower: send them in order`,
      );
    }
  });
  return faults;
}
