import { parseDocument } from "yaml";
import { z } from "zod";
import { type Fault, shown } from "../config/faults";
import { version as versionRule } from "../config/rules/release";
import type { SchemaRange } from "../host/conductor/protocol";
import type { FoundFile } from "./migrations-folder";

/** What is written down of a release: one file `<version>.yaml` for each. */
export interface ReleaseRecord {
  /** Version of the release. */
  readonly version: string;
  readonly schema: SchemaRange & {
    /** `table`, `table.column` or `schema.table.column` that the release cannot be without. */
    readonly needs: readonly string[];
  };
}

/** A folder of release records, read. */
export interface ReleaseRecords {
  readonly records: ReadonlyMap<string, ReleaseRecord>;
  readonly faults: readonly Fault[];
}

const MIGRATION_RULE = "the digits that a migration's file begins with";
const NEED_RULE = "a list of names: table, table.column or schema.table.column";

const migration = z.string(MIGRATION_RULE).regex(/^[0-9]{1,20}$/, MIGRATION_RULE);

/** All scalars are texts here: a version's digits are no number, and may begin with 0. */
const nothing = (value: unknown) => (value === "null" || value === "~" || value === "" ? null : value);

const SCHEMA_RULE = "a group of the keys first, last and needs";

/** Strict, so that a mistyped key is told. Another part of the record is another key here. */
const recordSchema = z.strictObject(
  {
    schema: z.strictObject(
      {
        first: migration,
        last: z.preprocess(nothing, migration.nullable().default(null)),
        needs: z
          .array(
            z.string(NEED_RULE).regex(/^[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*){0,2}$|^\w+\.\w+\.\*$/, NEED_RULE),
            NEED_RULE,
          )
          .default([]),
      },
      SCHEMA_RULE,
    ),
  },
  "a group of the key schema",
);

/**
 * Reads the records of releases. Pure.
 * @param folder How the folder is called in the configuration, for the messages.
 */
export function readReleaseRecords(folder: string, files: readonly FoundFile[]): ReleaseRecords {
  const faults: Fault[] = [];
  const records = files
    .filter(({ name }) => /\.ya?ml$/i.test(name))
    .flatMap((file) => readRecord(folder, file, faults));
  return { records: new Map(records.map((record) => [record.version, record])), faults };
}

function readRecord(folder: string, { name, bytes }: FoundFile, faults: Fault[]): ReleaseRecord[] {
  const key = `${folder}/${name}`;
  const version = name.replace(/\.yaml$/, "");
  if (!name.endsWith(".yaml") || !versionRule().safeParse(version).success) {
    const rule = "named <version>.yaml, such as v1.0.0.yaml";
    faults.push({ key, value: shown(name, false), rule, remedy: "rename the file" });
    return [];
  }
  const document = parseDocument(bytes.toString("utf8"), { schema: "failsafe" });
  const [error] = document.errors;
  if (error !== undefined) {
    const rule = `YAML: ${error.message.split("\n")[0] ?? ""}`;
    faults.push({ key, value: "a text that is none", rule, remedy: "put it right" });
    return [];
  }
  const record: unknown = document.toJS();
  const parsed = recordSchema.safeParse(record);
  if (!parsed.success) {
    faults.push(...parsed.error.issues.map((issue) => issueFault(key, record, issue)));
    return [];
  }
  return [{ version, schema: parsed.data.schema }];
}

function issueFault(key: string, record: unknown, issue: z.core.$ZodIssue): Fault {
  const path = issue.path.map(String);
  if (issue.code === "unrecognized_keys") {
    const known = path.length === 0 ? "schema" : "first, last, needs";
    return {
      key: [key, ...path].join(" "),
      value: shown(issue.keys, false),
      rule: `of these keys alone: ${known}`,
      remedy: "take the others out, or write them as they are meant",
    };
  }
  const value = path.reduce<unknown>(
    (at, step) => (typeof at === "object" && at !== null ? (at as Record<string, unknown>)[step] : undefined),
    record,
  );
  return {
    key: [key, path.join(".")].join(" ").trim(),
    value: shown(value, false),
    rule: issue.message,
    remedy: "write `schema: { first: <version>, last: <version or null>, needs: [table.column] }`",
  };
}
