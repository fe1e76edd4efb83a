import { METRICS } from "../protocol";
import { endOf, readOn, type FilePosition } from "../logs/log-file";
import { figure, type Figure } from "./figure";

/** How far the front door's log of signed requests was read, and what became of the last ones. */
export interface WebhookCounts {
  /** Where the log goes on. */
  readonly position: FilePosition | null;
  /** Signed requests that were refused since the last one that was accepted. */
  readonly refusedInARow: number;
}

/** What was found in the log, and where the next interval begins. */
export interface WebhookFigures {
  readonly figures: readonly Figure[];
  readonly counts: WebhookCounts;
}

/** A line of the log, as far as it is of interest (`conductor/front-door/site-configuration.ts`). */
interface SignedRequest {
  readonly method: string;
  readonly uri: string;
  readonly status: number;
}

/**
 * Counts what became of the events that came in on `path`, from the front door's log of requests with Stripe's signature header: a
 * probe of the internet has none, and says nothing of whether Stripe is heard. What is not answered by 2xx Stripe counts as not
 * delivered, whoever answered.
 * @param before Where to begin; null begins at the end of the log, and gives no count of an interval.
 * @throws Error where the front door writes no such log
 */
export async function webhookFigures(
  log: string,
  path: string,
  before: WebhookCounts | null,
): Promise<WebhookFigures> {
  if (before === null) {
    const position = await endOf(log);
    if (position === null) throw noLog(log);
    return { figures: [figure(METRICS.webhooksRefusedInARow, 0)], counts: { position, refusedInARow: 0 } };
  }
  let { position, refusedInARow } = before;
  let refused = 0;
  for (;;) {
    const chunk = await readOn(log, position);
    if (chunk === null) throw noLog(log);
    for (const { text } of chunk.lines) {
      const request = requestIn(text);
      if (request?.method !== "POST" || request.uri !== path) continue;
      const isAccepted = request.status >= 200 && request.status <= 299;
      refusedInARow = isAccepted ? 0 : refusedInARow + 1;
      if (!isAccepted) refused += 1;
    }
    ({ position } = chunk);
    if (!chunk.more) break;
  }
  return {
    figures: [figure(METRICS.webhooksRefused, refused), figure(METRICS.webhooksRefusedInARow, refusedInARow)],
    counts: { position, refusedInARow },
  };
}

/** Null for what is no line of this log: one that was cut by a full disk, say. */
function requestIn(line: string): SignedRequest | null {
  try {
    return JSON.parse(line) as SignedRequest;
  } catch {
    return null;
  }
}

function noLog(log: string): Error {
  return new Error(
    `${log} is not there: Nginx writes it as soon as it serves by this software's configuration; send \`configure\` again (\`pulumi up --refresh\`)`,
  );
}
