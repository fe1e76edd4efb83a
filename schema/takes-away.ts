import type { Statement } from "./statements";

/** A table, or a column of one, that a statement takes away from those who know it by its name. */
export interface Taking {
  /** `schema.table`, or `schema.*` for all of a schema. */
  readonly table: string;
  /** Null for the whole table. */
  readonly column: string | null;
  /** In words, e.g. `drops public.profiles.full_name`. */
  readonly words: string;
  /** Number of the line, from 1. */
  readonly line: number;
}

/** Comments, texts, quoted names and bodies of functions: nothing in them is a statement. */
const NO_STATEMENT =
  /--[^\n]*|\/\*[\s\S]*?\*\/|\be'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|(?<![\w$])\$(\w*)\$[\s\S]*?\$\1\$/gi;

/** May a text hold a statement that takes something away? Where none of these words is, there is none. */
export function mayTakeAway(sql: string): boolean {
  return /\b(drop|rename)\b|\bset\s+schema\b/i.test(sql.replace(NO_STATEMENT, " "));
}

type Node = Statement["node"];

/**
 * Finds what statements take away: columns and tables that are dropped, renamed or moved into another schema, and schemas
 * that are dropped. Not what the same text made before. What a function or a DO block does is not seen.
 */
export function takingsOf(statements: readonly (Statement | null)[]): Taking[] {
  const made = new Set<string>();
  return statements.flatMap((statement) => {
    if (statement === null) return [];
    const { node, line } = statement;
    for (const table of madeBy(node)) made.add(table);
    return [...dropped(node), ...altered(node), ...renamed(node), ...moved(node)]
      .filter(({ table }) => !made.has(table))
      .map((taking) => ({ ...taking, line }));
  });
}

interface Relation {
  readonly schemaname?: string | undefined;
  readonly relname: string;
}

function tableOf({ schemaname = "public", relname }: Relation): string {
  return `${schemaname}.${relname}`;
}

function madeBy({ CreateStmt, CreateTableAsStmt }: Node): string[] {
  return [CreateStmt?.relation, CreateTableAsStmt?.into.rel].flatMap((relation) =>
    relation === undefined ? [] : [tableOf(relation)],
  );
}

type Found = Omit<Taking, "line">;

function takesTable(verb: string, table: string): Found {
  return { table, column: null, words: `${verb} ${table}` };
}

function takesColumn(verb: string, table: string, column: string): Found {
  return { table, column, words: `${verb} ${table}.${column}` };
}

function dropped({ DropStmt }: Node): Found[] {
  if (DropStmt === undefined || !["OBJECT_TABLE", "OBJECT_SCHEMA"].includes(DropStmt.removeType)) return [];
  return (DropStmt.objects ?? []).flatMap((object) => {
    const names = namesIn(object);
    const [relname = "", schemaname = "public"] = names.toReversed();
    if (names.length === 0) return [];
    return DropStmt.removeType === "OBJECT_SCHEMA"
      ? [{ table: `${relname}.*`, column: null, words: `drops the schema ${relname}` }]
      : [takesTable("drops", tableOf({ schemaname, relname }))];
  });
}

interface Text {
  readonly String: { readonly sval: string };
}

/** A name's parts: a schema is one text, a table a list of one or more. */
function namesIn(object: unknown): string[] {
  const { List, String: one } = object as Partial<Text> & {
    readonly List?: { readonly items: readonly Text[] };
  };
  return one === undefined ? (List?.items ?? []).map((item) => item.String.sval) : [one.sval];
}

function altered({ AlterTableStmt }: Node): Found[] {
  if (AlterTableStmt?.objtype !== "OBJECT_TABLE") return [];
  return AlterTableStmt.cmds.flatMap(({ AlterTableCmd: { subtype, name } }) =>
    subtype === "AT_DropColumn" && name !== undefined
      ? [takesColumn("drops", tableOf(AlterTableStmt.relation), name)]
      : [],
  );
}

function renamed({ RenameStmt }: Node): Found[] {
  if (RenameStmt?.relation === undefined) return [];
  const { renameType, relationType, relation, subname } = RenameStmt;
  if (renameType === "OBJECT_TABLE") return [takesTable("renames", tableOf(relation))];
  if (renameType === "OBJECT_COLUMN" && relationType === "OBJECT_TABLE" && subname !== undefined) {
    return [takesColumn("renames", tableOf(relation), subname)];
  }
  return [];
}

function moved({ AlterObjectSchemaStmt }: Node): Found[] {
  const { objectType, relation } = AlterObjectSchemaStmt ?? {};
  if (objectType !== "OBJECT_TABLE" || relation === undefined) return [];
  return [takesTable("moves to another schema", tableOf(relation))];
}

/**
 * Does something that is taken away hold a need of a release? A need is `table`, `table.column` or `schema.table.column`,
 * without a schema one of `public`; `schema.table.*` is a table of another schema.
 */
export function takesNeed({ table, column }: Taking, need: string): boolean {
  const parts = need.split(".");
  const [schema = "", name = "", wanted = "*"] = parts.length === 3 ? parts : ["public", ...parts];
  const sameTable = table === `${schema}.${name}` || table === `${schema}.*`;
  return sameTable && (column === null || wanted === "*" || column === wanted);
}
