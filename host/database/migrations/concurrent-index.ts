import { escapeIdentifier } from "pg";
import type { Workplace } from "./gate";
import type { Statement } from "./script";

/** An index, as it is in the catalog. */
interface FoundIndex {
  readonly name: string;
  readonly valid: boolean;
  /** Whether a session makes it at this moment. */
  readonly underway: boolean;
}

/** Whether a statement makes, rebuilds or drops an index while others write: it waits for them, and they never for it. */
export function isConcurrent({ node }: Statement): boolean {
  if ("IndexStmt" in node) return node.IndexStmt.concurrent === true;
  if ("DropStmt" in node) return node.DropStmt.concurrent === true;
  return (
    "ReindexStmt" in node &&
    (node.ReindexStmt.params ?? []).some(
      (each) => "DefElem" in each && each.DefElem.defname === "concurrently",
    )
  );
}

/** Makes and drops indexes concurrently: what died in the middle leaves an invalid index, which nothing uses. */
export class IndexMaker {
  constructor(private readonly place: Workplace) {}

  /** Whether a statement whose run died was at its end already. */
  async endedWell(statement: Statement): Promise<boolean> {
    const made = madeBy(statement);
    if (made !== null) return (await this.find(made))?.valid === true;
    const dropped = droppedBy(statement);
    return (
      dropped.length > 0 &&
      (await Promise.all(dropped.map((each) => this.find(each)))).every((each) => each === null)
    );
  }

  /** Runs the statement, outside of a transaction. An invalid index in its place goes first, and never stays. */
  async run(statement: Statement): Promise<void> {
    const { session, limits } = this.place;
    const [before] = await session.queryLast<{ limit: string }>(
      `select current_setting('lock_timeout') as limit`,
    );
    const made = madeBy(statement);
    // It waits for older transactions while everybody goes on writing: the short limit is not for it.
    await session.query(`set lock_timeout = '${Math.max(limits.lockWaitSeconds, 1)}s'`);
    try {
      if (made !== null) await this.dropInvalid(made);
      await session.run(statement.text);
    } catch (error) {
      if (made !== null) await this.dropInvalid(made).catch(() => undefined);
      throw error;
    } finally {
      await session.query(`set lock_timeout = '${before?.limit ?? "0"}'`).catch(() => undefined);
    }
  }

  private async dropInvalid(made: Named): Promise<void> {
    const found = await this.find(made);
    if (found === null || found.valid || found.underway) return;
    this.place.progress(`the index ${found.name} was left unfinished; dropping it`);
    await this.place.session.query(`drop index concurrently ${found.name}`);
  }

  private async find({ index, table }: Named): Promise<FoundIndex | null> {
    const [row] = (
      await this.place.session.query<FoundIndex>(
        `select format('%I.%I', space.nspname, class.relname) as name, indisvalid as valid,
           exists (select from pg_catalog.pg_stat_progress_create_index where index_relid = class.oid) as underway
         from pg_catalog.pg_index join pg_catalog.pg_class as class on class.oid = indexrelid
         join pg_catalog.pg_namespace as space on space.oid = class.relnamespace
         where case when $2::text is null then class.oid = to_regclass($1)::oid
           else indrelid = to_regclass($2)::oid and class.relname = $3 end`,
        [index.map(escapeIdentifier).join("."), table?.map(escapeIdentifier).join(".") ?? null, index.at(-1)],
      )
    ).rows;
    return row ?? null;
  }
}

/** An index by the names in a statement, each in parts. */
interface Named {
  readonly index: readonly string[];
  /** The table that it is on; null where the statement does not say. */
  readonly table: readonly string[] | null;
}

function madeBy({ node }: Statement): Named | null {
  if (!("IndexStmt" in node)) return null;
  const { idxname, relation } = node.IndexStmt;
  if (idxname === undefined || relation?.relname === undefined) return null;
  const table = [...(relation.schemaname === undefined ? [] : [relation.schemaname]), relation.relname];
  return { index: [idxname], table };
}

function droppedBy({ node }: Statement): Named[] {
  if (!("DropStmt" in node)) return [];
  return (node.DropStmt.objects ?? []).flatMap((each) => {
    if (!("List" in each)) return [];
    const index = (each.List.items ?? []).flatMap((part) =>
      "String" in part ? [part.String.sval ?? ""] : [],
    );
    return index.length === 0 ? [] : [{ index, table: null }];
  });
}
