import type { Identity } from "./identity";
import type { Queryable } from "./event-log";

/** Longest wait for the database's answer, in milliseconds: shorter than what a prober waits for ours. */
const DATABASE_TIMEOUT_MS = 1500;

/** What a health check answers. */
export interface Health {
  readonly status: number;
  readonly body: Identity & {
    readonly status: "ok" | "error";
    readonly database: "ok" | "unreachable" | "none";
  };
}

/** Can this process serve? A site without a database can; one whose database does not answer cannot. */
export async function healthOf(identity: Identity, database: Queryable | null): Promise<Health> {
  if (database === null) return { status: 200, body: { status: "ok", database: "none", ...identity } };
  const answered = await answers(database);
  return answered
    ? { status: 200, body: { status: "ok", database: "ok", ...identity } }
    : { status: 503, body: { status: "error", database: "unreachable", ...identity } };
}

async function answers(database: Queryable): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), DATABASE_TIMEOUT_MS);
  });
  const asked = database.query("SELECT 1").then(
    () => true,
    () => false,
  );
  const answered = await Promise.race([asked, late]);
  clearTimeout(timer);
  return answered;
}
