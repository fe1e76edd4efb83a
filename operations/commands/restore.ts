import { InvalidArgumentError, Option } from "commander";
import { InvalidAct } from "../../host/conductor/faults";
import { parseAct } from "../../host/conductor/acts";
import type { RestoreResult } from "../../host/database/protocol";
import { restoreResult } from "../answers";
import type { OpsCommand, OpsOptions, Outcome, Session } from "../command";
import { OpsError, OpsExit } from "../faults";
import { aligned, bytes, count, printable, span } from "../text";

/** A word that confirms, whatever the database's name is. */
const WORD = "restore";

/** `ops restore`. */
export const restore: OpsCommand = {
  name: "restore",
  summary: "put a backup in the place of the database",
  touches:
    "First it only asks what would be lost, shows that, and wants it confirmed. Confirmed, the host gets the backup, closes " +
    "the site (users see the maintenance page), backs up what is there, restores into a new database, compares it with the " +
    "backup's manifest, swaps the two (or restores in place, in one transaction), and opens the site again. Until then nothing is lost: a restore that fails leaves " +
    "the database that was there. Where nobody can be asked it is refused, but for both --yes and --i-accept-data-loss.",
  examples: [
    ["bin/ops restore --backup latest", "asks, then restores the newest backup"],
    [
      "bin/ops restore --backup 20260131/vehicleservice-20260131T020000Z",
      "a backup by its name, as `ops db` lists it",
    ],
    [
      "bin/ops restore --backup latest --json </dev/null",
      "what would be lost, and nothing else: exits with 3",
    ],
    ["bin/ops restore --backup latest --yes --i-accept-data-loss", "asks nobody, for scripts"],
  ],
  options: [
    new Option("--backup <name>", "which one: its name, or `latest`")
      .makeOptionMandatory()
      .argParser(backupName),
    new Option("--yes", "do not ask; only together with --i-accept-data-loss"),
    new Option("--i-accept-data-loss", "what is newer than the backup may go; only together with --yes"),
  ],
  async run(session, options) {
    const host = await session.host();
    session.progress(`${host.app} on ${host.where}: what would be lost?`);
    const ask = { act: "restore", backup: options.backup ?? "" } as const;
    const plan = await host.take({ ...ask, confirmed: false }, restoreResult, session.progress);
    for (const line of lossText(plan).split("\n")) session.progress(line);
    if (!(await isConfirmed(plan, session, options))) return notConfirmed(plan, session);
    // What was shown is what is restored: by now `latest` may be another one.
    const act = { ...ask, backup: plan.backup.name, confirmed: true };
    const done = await host.take(act, restoreResult, session.progress);
    return {
      document: { confirmed: true, ...done, next: NEXT },
      text: doneText(done),
    };
  },
};

/** What is left to do after a restore. */
const NEXT = [
  "set database.epoch to another number: pulumi config set --path database.epoch <number>",
  "pulumi up: applies the migrations that came after the backup, and checks",
] as const;

/** Takes what the host takes. */
function backupName(name: string): string {
  try {
    parseAct(JSON.stringify({ act: "restore", backup: name, confirmed: false }));
    return name;
  } catch (error) {
    if (!(error instanceof InvalidAct)) throw error;
    throw new InvalidArgumentError("It has to be `latest`, or a name as `ops db` lists it.");
  }
}

async function isConfirmed(plan: RestoreResult, { ask }: Session, options: OpsOptions): Promise<boolean> {
  if (options.yes === true && options.iAcceptDataLoss === true) return true;
  if (ask === null) return false;
  const { database, name } = plan.backup;
  const question = `Type ${printable(database)} (or ${WORD}) to put ${printable(name)} in its place:`;
  const typed = (await ask(question)).trim();
  return typed !== "" && (typed === database || typed === WORD);
}

function notConfirmed(plan: RestoreResult, { ask }: Session): Outcome {
  const wayOut =
    ask === null
      ? "nobody is here to be asked: run it in a terminal, or give both --yes and --i-accept-data-loss"
      : `the word was neither the database's name nor ${WORD}`;
  return {
    document: { confirmed: false, ...plan, next: [] },
    text: "",
    fault: new OpsError(`nothing was restored, and nothing was changed: ${wayOut}`, OpsExit.refused),
  };
}

function lossText({ backup, loss }: RestoreResult): string {
  const tables = Object.entries(loss.tables);
  const lines = [
    `backup ${printable(backup.name)}: taken ${backup.takenAt}, ${bytes(backup.bytes)}, schema ${backup.schemaVersion ?? "empty"}`,
    `All that was written since its snapshot is lost: the last ${span(loss.minutes * 60)}.`,
  ];
  if (tables.length === 0) return [...lines, "No table has another number of rows than then."].join("\n");
  const rows = tables.map(([table, { now, then }]) => [
    printable(table),
    count(now),
    count(then),
    now > then ? `${count(now - then)} fewer` : `${count(then - now)} more`,
  ]);
  return [...lines, aligned([["TABLE", "ROWS NOW", "ROWS THEN", "AFTERWARDS"], ...rows])].join("\n");
}

function doneText({ backup, restored }: RestoreResult): string {
  if (restored === null) {
    throw new OpsError(
      "the host was told to restore, and says that it did not; look at `ops db`",
      OpsExit.failed,
    );
  }
  const how = restored.how === "swap" ? "another database took the name" : "in place, in one transaction";
  const facts = [
    ["restored", printable(backup.name)],
    ["how", how],
    ["site closed for", span(restored.closedSeconds)],
    ["what was there", `backup ${printable(restored.safety.name)}`],
  ];
  return [aligned(facts), "", "Next:", ...NEXT.map((step, index) => `  ${String(index + 1)}. ${step}`)].join(
    "\n",
  );
}
