import type { CertificateStatus } from "../../host/conductor/protocol";
import type { DatabaseStatusResult } from "../../host/database/protocol";
import { databaseStatus, siteStatus } from "../answers";
import type { OpsCommand, Paint } from "../command";
import { OpsError } from "../faults";
import { siteText } from "../site-text";
import { ago, aligned, bytes, printable, span } from "../text";

/** Days left of a certificate from which on it is pointed out. */
const FEW_DAYS = 14;

const DAY_MS = 86_400_000;

/** `ops status`. */
export const status: OpsCommand = {
  name: "status",
  summary: "what is live, on one screen: releases, shares, health, certificate, schema, backup",
  touches:
    "Touches nothing, and waits for nobody. Asks the conductor on the host, not Pulumi's state: what is live may be another " +
    "than what the last `up` left, after an abort for example.",
  examples: [
    ["bin/ops status", "first thing to look at, at any hour"],
    ["bin/ops status -C .sandbox", "of the sandbox"],
    ["bin/ops status --json | jq .site.effectiveWeight", "the share that the candidate has at this moment"],
    ["bin/ops status --json | jq .database.backup.takenAt", "how old the last backup is"],
  ],
  async run({ host, now, paint }) {
    const at = await host();
    const [site, database] = await Promise.all([
      at.take({ act: "status" }, siteStatus),
      at.take({ act: "database-status", details: false }, databaseStatus).catch(asFault),
    ]);
    const fault = database instanceof OpsError ? database : null;
    const known = database instanceof OpsError ? null : database;
    const screen = [
      siteText(at, site, paint),
      aligned([...certificateRows(site.certificate, now(), paint), ...databaseRows(known, now(), paint)]),
    ];
    return {
      document: { app: at.app, host: at.where, site, database: known, fault: fault?.message ?? null },
      text: screen.join("\n\n"),
      ...(fault === null ? {} : { fault }),
    };
  },
};

/** What is known of the site is shown, whatever is wrong with the database. */
function asFault(error: unknown): OpsError {
  if (error instanceof OpsError) return error;
  throw error;
}

function certificateRows(certificate: CertificateStatus | null, now: Date, paint: Paint): string[][] {
  if (certificate === null) return [["certificate", "the site has no settings yet"]];
  const { source, notAfter, domains, lastFailure } = certificate;
  const rows = [
    ["certificate", `${source}, ${lifeText(notAfter, now, paint)}, ${printable(domains.join(" "))}`],
  ];
  if (lastFailure === null) return rows;
  const tries = `${String(lastFailure.tries)} failed, last ${ago(lastFailure.at, now)}`;
  return [...rows, ["", paint("red", `tries: ${tries}: ${printable(lastFailure.reason)}`)]];
}

function lifeText(notAfter: string | null, now: Date, paint: Paint): string {
  if (notAfter === null) return paint("red", "none is served");
  const days = Math.floor((Date.parse(notAfter) - now.getTime()) / DAY_MS);
  if (days < 0) return paint("red", `ENDED on ${notAfter}`);
  const text = `${String(days)} days left`;
  return days < FEW_DAYS ? paint("red", text) : text;
}

function databaseRows(database: DatabaseStatusResult | null, now: Date, paint: Paint): string[][] {
  if (database === null) return [["database", paint("yellow", "unknown, see below")]];
  if (!database.configured) return [["database", "none: databaseUrl is not set"]];
  const { unreachable, server, schemaVersion, backup, rehearsal } = database;
  return [
    [
      "database",
      unreachable === null
        ? `Postgres ${server ?? "unknown"}`
        : paint("red", `does not answer: ${printable(unreachable)}`),
    ],
    ["schema", `${schemaVersion ?? "empty"}${queueText(database, paint)}`],
    [
      "last backup",
      backup === null
        ? paint("yellow", "none was made by this host")
        : `${printable(backup.name)}, ${ago(backup.takenAt, now)}, ${bytes(backup.bytes)}`,
    ],
    [
      "last rehearsal",
      rehearsal === null
        ? "none"
        : `${ago(rehearsal.at, now)}: restored in ${span(rehearsal.restoreSeconds)} (RTO), migrated in ${span(rehearsal.migrateSeconds)}`,
    ],
  ];
}

function queueText({ pending, waiting }: DatabaseStatusResult, paint: Paint): string {
  const some = (versions: readonly string[], word: string): string =>
    versions.length === 0
      ? ""
      : `, ${paint("yellow", `${String(versions.length)} ${word} (${printable(versions.join(" "))})`)}`;
  const text = some(pending, "pending") + some(waiting, "waiting for an older release to go");
  return text === "" ? ", nothing pending" : text;
}
