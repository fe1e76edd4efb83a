import type { BackupManifest, DatabaseStatusResult } from "../../host/database/protocol";
import { databaseStatus } from "../answers";
import type { OpsCommand, Paint } from "../command";
import { OpsError, OpsExit } from "../faults";
import { ago, aligned, bytes, counted, printable, span } from "../text";

/** Share of the connections in use from which on it is pointed out, in percent. */
const MANY_CONNECTIONS = 80;

/** Longest text of a query that is shown. */
const QUERY_LENGTH = 100;

/** `ops db`. */
export const db: OpsCommand = {
  name: "db",
  summary: "how the database is: size, connections, long queries, locks, backups",
  touches:
    "Touches nothing, and waits for nobody. Reads the database's statistics, and the list of backups in the bucket.",
  examples: [
    ["bin/ops db", "what is slow, what is stuck, what can be restored"],
    ["bin/ops db --json | jq '.database.details.blocked'", "sessions that wait for a lock, and for whom"],
    ["bin/ops db --json | jq -r '.database.details.backups[].name'", "names for `ops restore --backup`"],
  ],
  async run({ host, now, paint }) {
    const at = await host();
    const database = await at.take({ act: "database-status", details: true }, databaseStatus);
    const title = paint("bold", `database of ${at.app} on ${at.where}`);
    const outcome = {
      document: { app: at.app, host: at.where, database },
      text: `${title}\n${bodyText(database, now(), paint)}`,
    };
    if (database.unreachable === null) return outcome;
    const reason = `the database does not answer: ${printable(database.unreachable)}`;
    return { ...outcome, fault: new OpsError(reason, OpsExit.failed) };
  },
};

function bodyText(database: DatabaseStatusResult, now: Date, paint: Paint): string {
  const { details } = database;
  if (!database.configured) return "this stack has no database: databaseUrl is not set";
  if (details === null) return "";
  const { used, limit } = details.connections;
  const connections = `${String(used)} of ${String(limit)}`;
  const facts = aligned([
    ["server", `Postgres ${database.server ?? "unknown"}`],
    ["size", bytes(details.sizeBytes)],
    [
      "connections",
      used * 100 >= limit * MANY_CONNECTIONS ? paint("red", `${connections}, MANY`) : connections,
    ],
    ["long queries", attention(details.longQueries.length, paint)],
    ["blocked sessions", attention(details.blocked.length, paint)],
    [
      "backups",
      details.bucketUnreachable === null
        ? `${String(details.backups.length)}${damagedText(details.damagedBackups, paint)}`
        : paint("red", `the bucket does not answer: ${details.bucketUnreachable}`),
    ],
  ]);
  return [
    facts,
    queriesText(details.longQueries),
    blockedText(details.blocked),
    backupsText(details.backups, now),
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

function damagedText(names: readonly string[], paint: Paint): string {
  return names.length === 0 ? "" : `, ${paint("red", `DAMAGED: ${names.map(printable).join(", ")}`)}`;
}

function attention(number: number, paint: Paint): string {
  return number === 0 ? "none" : paint("yellow", String(number));
}

type Details = NonNullable<DatabaseStatusResult["details"]>;

function queriesText(queries: Details["longQueries"]): string {
  if (queries.length === 0) return "";
  const rows = queries.map(({ pid, seconds, query }) => [String(pid), span(seconds), shortened(query)]);
  return aligned([["PID", "RUNS FOR", "QUERY"], ...rows]);
}

function shortened(query: string): string {
  const line = printable(query.replace(/\s+/g, " ").trim());
  return line.length <= QUERY_LENGTH ? line : `${line.slice(0, QUERY_LENGTH)}...`;
}

function blockedText(blocked: Details["blocked"]): string {
  if (blocked.length === 0) return "";
  const rows = blocked.map(({ pid, by, seconds }) => [String(pid), span(seconds), by.join(", ")]);
  return aligned([["PID", "WAITS FOR", "HELD UP BY PID"], ...rows]);
}

function backupsText(backups: readonly BackupManifest[], now: Date): string {
  if (backups.length === 0) return "";
  const rows = backups.map((one) => [
    printable(one.name),
    ago(one.takenAt, now),
    bytes(one.bytes),
    counted(
      Object.values(one.rows).reduce((sum, number) => sum + number, 0),
      "row",
    ),
    one.schemaVersion ?? "none",
    one.reason,
  ]);
  return aligned([["BACKUP", "TAKEN", "SIZE", "ROWS", "SCHEMA", "REASON"], ...rows]);
}
