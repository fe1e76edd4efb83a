import { DatabaseError, type Client, type Connection, type QueryResult, type QueryResultRow } from "pg";
import { Lane } from "../../conductor/system/lane";
import { Failed } from "../../conductor/faults";
import { connect, type Address } from "../connection";

/** SQLSTATEs by which a server ends a session. */
const SESSION_ENDS = new Set(["57P01", "57P02", "57P03", "57P05", "25P03", "25P04"]);

/** What a text of many statements did. */
export interface Ran {
  /** Statements that ended well. */
  readonly completed: number;
  /** Rows of all statements. */
  readonly rowCount: number;
  /** The first rows, as many as were asked for: values as text, by column. */
  readonly firstRows: readonly Readonly<Record<string, string | null>>[];
}

/** A statement failed. */
export class StatementError extends Error {
  constructor(
    override readonly cause: Error,
    /** Statements of the text that ended well before it. */
    readonly completed: number,
  ) {
    super(cause.message);
  }
}

/** Whether an error ended the session, so that nobody knows what became of the statement. */
export function endsSession(error: unknown): boolean {
  const cause = error instanceof StatementError ? error.cause : error;
  if (!(cause instanceof DatabaseError)) return true;
  return cause.code === undefined || cause.code.startsWith("08") || SESSION_ENDS.has(cause.code);
}

/**
 * One session of a database; a new one where the last one broke. One query at a time. Until {@link Session.hold} every
 * query stands for itself, and has to be one that may be sent twice.
 */
export class Session {
  private client: Client | null = null;
  private held = false;
  private readonly lane = new Lane();

  constructor(
    private readonly address: Address,
    /** What `pg_stat_activity` shows. */
    private readonly name: string,
  ) {}

  /**
   * Connects, unless it is connected.
   * @returns process id of the server's side
   * @throws Failed
   */
  async open(): Promise<number> {
    const client = this.client ?? (await connect(this.address, this.name));
    if (this.client !== client) {
      const forget = (): void => {
        if (this.client === client) this.client = null;
      };
      client.once("end", forget).once("error", forget);
      this.client = client;
    }
    return (client as unknown as { processID: number }).processID;
  }

  /** Runs one statement with values, or several without. */
  query<R extends QueryResultRow>(text: string, values?: readonly unknown[]): Promise<QueryResult<R>> {
    return this.lane.run(() =>
      this.guarded(async (client) =>
        values === undefined ? client.query<R>(text) : client.query<R>(text, [...values]),
      ),
    );
  }

  /** Runs several statements, and gives the rows of each that has columns. */
  async queryAll(text: string): Promise<QueryResultRow[][]> {
    const results = (await this.query(text)) as unknown as QueryResult | QueryResult[];
    return [results]
      .flat()
      .flatMap(({ fields, rows }) => (fields.length > 0 ? [rows as QueryResultRow[]] : []));
  }

  /** Runs several statements, and gives the rows of the last one that has columns. */
  async queryLast<R extends QueryResultRow>(text: string): Promise<R[]> {
    return ((await this.queryAll(text)).at(-1) ?? []) as R[];
  }

  /**
   * Runs a text of any length and any number of statements; keeps no rows but the first ones.
   * @throws StatementError
   */
  run(text: string, keepRows = 0): Promise<Ran> {
    return this.lane.run(() =>
      this.guarded(
        (client) =>
          new Promise<Ran>((resolve, reject) => {
            client.query(new TextRun(text, keepRows, resolve, reject));
          }),
      ),
    );
  }

  /** From here on no other session takes its place when it breaks: a transaction or a lock would be lost unseen. */
  hold(): void {
    this.held = true;
  }

  /** Leaves nothing of a file in the session: no setting, role, table, lock. Ends {@link Session.hold}. */
  async clean(): Promise<void> {
    this.held = false;
    if (this.client !== null) await this.query("discard all");
  }

  /** Leaves nothing of a transaction, either. Never throws: a session that broke has nothing. */
  async abandon(): Promise<void> {
    this.held = false;
    try {
      if (this.client !== null) await this.query("rollback");
      await this.clean();
    } catch {
      await this.close();
    }
  }

  /** Ends it. */
  async close(): Promise<void> {
    const { client } = this;
    this.client = null;
    await client?.end().catch(() => undefined);
  }

  private async guarded<T>(work: (client: Client) => Promise<T>): Promise<T> {
    try {
      return await this.once(work);
    } catch (error) {
      // A session that broke while nobody used it shows it now. What is no part of anything can be asked again.
      if (this.held || error instanceof Failed || !endsSession(error)) throw error;
      return await this.once(work);
    }
  }

  private async once<T>(work: (client: Client) => Promise<T>): Promise<T> {
    if (!this.held) await this.open();
    const { client } = this;
    if (client === null) throw new Error("the connection broke");
    try {
      return await work(client);
    } catch (error) {
      if (endsSession(error) && this.client === client) await this.close();
      throw error;
    }
  }
}

/** A text under way. The methods are those that `pg` calls, as it does those of a cursor. */
class TextRun {
  private completed = 0;
  private rowCount = 0;
  private columns: string[] = [];
  private readonly firstRows: Record<string, string | null>[] = [];

  constructor(
    private readonly text: string,
    private readonly keepRows: number,
    private readonly resolve: (ran: Ran) => void,
    private readonly reject: (error: Error) => void,
  ) {}

  submit(connection: Connection): void {
    connection.query(this.text);
  }

  handleRowDescription({ fields }: { fields: { name: string }[] }): void {
    this.columns = fields.map(({ name }) => name);
  }

  handleDataRow({ fields }: { fields: (string | null)[] }): void {
    this.rowCount += 1;
    if (this.firstRows.length < this.keepRows) {
      this.firstRows.push(
        Object.fromEntries(this.columns.map((name, index) => [name, fields[index] ?? null])),
      );
    }
  }

  handleCommandComplete(): void {
    this.completed += 1;
  }

  handleEmptyQuery(): void {
    // Nothing to count.
  }

  handleCopyInResponse(connection: { sendCopyFail(message: string): void }): void {
    connection.sendCopyFail("there are no rows to copy");
  }

  handleCopyData(): void {
    // Rows that COPY TO STDOUT sends are nobody's.
  }

  handleError(error: Error): void {
    this.reject(new StatementError(error, this.completed));
  }

  handleReadyForQuery(): void {
    this.resolve({ completed: this.completed, rowCount: this.rowCount, firstRows: this.firstRows });
  }
}
