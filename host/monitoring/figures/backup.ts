import type { DatabaseStore } from "../../database/state";
import type { Complaints } from "../complaints";
import { METRICS } from "../protocol";
import { figure, type Figure } from "./figure";

const HOUR_MS = 3600 * 1000;

/**
 * The moment that could be brought back: of the last backup's snapshot; or when the host was told of the database last, before there is one
 * that it knows of, so that one that never comes is late, too. A backup is noted only once it is whole: uploaded, compared and with its manifest.
 * @returns null for a site without a database
 */
export async function lastBackup(
  store: Pick<DatabaseStore, "settingsSince" | "state">,
  complaints: Complaints,
): Promise<Date | null> {
  const since = await store.settingsSince();
  if (since === null) return null;
  try {
    const { backup } = await store.state();
    complaints.end("the backups' notes");
    return backup === null ? since : new Date(backup.takenAt);
  } catch (error) {
    // Whoever cannot tell of any backup has none: that is an alarm's to tell, and no reason to keep quiet.
    complaints.begin("the backups' notes", (error as Error).message);
    return since;
  }
}

/**
 * What is published of it.
 * @param at End of the interval, in milliseconds since 1970.
 */
export function backupFigure(last: Date, at: number): Figure {
  return figure(METRICS.backupAge, (at - last.getTime()) / HOUR_MS);
}
