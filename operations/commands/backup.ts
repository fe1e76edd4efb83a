import { backupResult } from "../answers";
import type { OpsCommand } from "../command";
import { OpsError, OpsExit } from "../faults";
import { aligned, bytes, count, counted, printable, span } from "../text";
import type { BackupManifest } from "../../host/database/protocol";

/** `ops backup`. */
export const backup: OpsCommand = {
  name: "backup",
  summary: "dump the database into the bucket, now",
  touches:
    "Reads the database in one snapshot; users notice nothing. Writes one dump and its manifest into the bucket. A backup " +
    "that is under way already is waited for, not made twice. Ctrl-C ends the waiting, not the backup.",
  examples: [
    ["bin/ops backup", "before something risky, by hand"],
    ["bin/ops backup --json | jq -r .backup.name", "the name that `ops restore --backup` takes"],
  ],
  async run({ host, progress }) {
    const at = await host();
    progress(`${at.app} on ${at.where}: a backup is asked for`);
    const { backup: made } = await at.take(
      { act: "backup", reason: "asked", generation: 0 },
      backupResult,
      progress,
    );
    if (made === null) {
      throw new OpsError("the host made no backup; see what it has: `ops db`", OpsExit.failed);
    }
    return { document: { backup: made }, text: manifestText(made) };
  },
};

/** A backup, a line a fact. */
export function manifestText(made: BackupManifest): string {
  const tables = Object.values(made.rows);
  const rows = tables.reduce((sum, number) => sum + number, 0);
  return aligned(
    [
      ["name", made.name],
      ["key", made.key],
      ["taken", `${made.takenAt}, in ${span(made.seconds)}`],
      ["size", `${bytes(made.bytes)} (${counted(made.bytes, "byte")})`],
      ["SHA-256", made.sha256],
      ["rows", `${count(rows)} in ${counted(tables.length, "table")}`],
      ["schema", made.schemaVersion ?? "no migration"],
      ["database", `${made.database}, Postgres ${made.server}`],
    ].map((cells) => cells.map(printable)),
  );
}
