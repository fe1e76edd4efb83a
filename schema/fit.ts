import { type Fault, pathText, shown } from "../config/faults";
import { compareVersions, type Migration } from "./migrations-folder";
import type { ReleaseRecord } from "./release-records";
import { type Taking, takesNeed } from "./takes-away";

/** Releases and migrations, which have to fit together. */
export interface FitArgs {
  /** How the two folders are called in the configuration. */
  readonly folders: { readonly migrations: string; readonly releases: string };
  /** In order. */
  readonly migrations: readonly Migration[];
  /** What each file takes away, by its version. */
  readonly takings: ReadonlyMap<string, readonly Taking[]>;
  readonly records: ReadonlyMap<string, ReleaseRecord>;
  /** Versions of the releases in use, by the key of the configuration that names them. */
  readonly inUse: Readonly<Record<string, string>>;
  /** Is a file, by its version, older than this way of working, so that it need not be marked? */
  readonly isOld: (version: string) => boolean;
}

/** Checks that no migration takes away what a release in use needs, and that the records say so. Returns every fault. */
export function checkFit(args: FitArgs): Fault[] {
  return [
    ...unmarkedFaults(args),
    ...missingRecords(args),
    ...[...args.records.values()].flatMap((record) => rangeFaults(args, record)),
    ...[...args.records.values()].flatMap((record) => untrueFaults(args, record)),
    ...Object.entries(args.inUse).flatMap(([key, version]) => usedFaults(args, key, version)),
  ];
}

/** A file that takes something away says so, for it has to wait until nobody needs that any more. */
function unmarkedFaults({ folders, migrations, takings, isOld }: FitArgs): Fault[] {
  return migrations.flatMap(({ file, version, contract }) => {
    const [taking] = takings.get(version) ?? [];
    if (contract || taking === undefined || isOld(version)) return [];
    return [
      {
        key: `${folders.migrations}/${file}:${String(taking.line)}`,
        value: taking.words,
        rule: "marked as a file that takes something away, which waits until no other release is on the host",
        remedy:
          "put `-- phase: contract` above the first statement, with nothing else in the file: what is added belongs " +
          "into a file before it",
      },
    ];
  });
}

function missingRecords({ folders, records, inUse, migrations }: FitArgs): Fault[] {
  return Object.entries(inUse)
    .filter(([, version]) => !records.has(version))
    .map(([key, version]) => ({
      key,
      value: shown(version, false),
      rule: "a release whose record says which migrations it runs on, for there is a database",
      remedy:
        `write ${folders.releases}/${version}.yaml with ` +
        `\`schema: { first: ${migrations.at(-1)?.version ?? "<version>"}, last: null, needs: [table.column] }\``,
    }));
}

/** The ends of a range are migrations, and the first one comes first. */
function rangeFaults({ folders, migrations }: FitArgs, { version, schema }: ReleaseRecord): Fault[] {
  const fault = (end: "first" | "last", rule: string, remedy: string): Fault => ({
    key: `${folders.releases}/${version}.yaml ${pathText(["schema", end])}`,
    value: shown(schema[end], false),
    rule,
    remedy,
  });
  const unknown = (["first", "last"] as const).filter(
    (end) => schema[end] !== null && !migrations.some((migration) => migration.version === schema[end]),
  );
  if (unknown.length > 0) {
    const newest = migrations.at(-1)?.version ?? "none";
    return unknown.map((end) =>
      fault(
        end,
        `the version of a migration in ${folders.migrations}`,
        `write one of its versions; the newest is ${newest}`,
      ),
    );
  }
  if (schema.last === null || compareVersions(schema.first, schema.last) <= 0) return [];
  return [fault("last", `${schema.first}, which is \`first\`, or later, or null`, "exchange the two")];
}

/** What a file takes away of a release's needs, once the release is there. */
function takenFrom(
  { takings }: FitArgs,
  { schema }: ReleaseRecord,
  migration: Migration,
): Taking | undefined {
  if (compareVersions(migration.version, schema.first) <= 0) return undefined;
  return takings
    .get(migration.version)
    ?.find((taking) => schema.needs.some((need) => takesNeed(taking, need)));
}

/** A record that needs what a file takes away ends before that file. */
function untrueFaults(args: FitArgs, record: ReleaseRecord): Fault[] {
  const { folders, migrations } = args;
  const { last } = record.schema;
  const index = migrations.findIndex((migration) => takenFrom(args, record, migration) !== undefined);
  const migration = migrations[index];
  if (migration === undefined || (last !== null && compareVersions(last, migration.version) < 0)) return [];
  const words = takenFrom(args, record, migration)?.words ?? "";
  return [
    {
      key: `${folders.releases}/${record.version}.yaml schema.last`,
      value: shown(last, false),
      rule: `a version before ${migration.version}: ${migration.file} ${words}, which ${record.version} needs`,
      remedy: `write \`last: ${migrations[index - 1]?.version ?? ""}\``,
    },
  ];
}

/** A release in use has no migration behind its range, and none that takes away what it needs. */
function usedFaults(args: FitArgs, key: string, version: string): Fault[] {
  const record = args.records.get(version);
  if (record === undefined) return [];
  const { last } = record.schema;
  const beyond = args.migrations.find(
    (migration) => last !== null && compareVersions(migration.version, last) > 0,
  );
  return args.migrations.flatMap((migration) => {
    const taking = takenFrom(args, record, migration);
    if (taking === undefined && migration !== beyond) return [];
    const why = taking === undefined ? `it runs on migrations up to ${String(last)}` : "it needs that";
    const name = key.split(":").at(-1) ?? key;
    return [
      {
        key: `${args.folders.migrations}/${migration.file} ${name}`,
        value: taking?.words ?? shown(migration.version, false),
        rule: `a file that ${version}, which ${name} has in use, can do without: ${why}`,
        remedy:
          `add the file once ${version} is out of use: ship a release that does without, then set ${name} to that or to ` +
          "nothing",
      },
    ];
  });
}
