import type { LoadPlan } from "./options";
import type { Identity } from "./recorder";
import type { Failure } from "./report";

/** What a complete answer is worth. */
export type Verdict =
  | { readonly ok: true; readonly identity: Identity | null }
  | { readonly ok: false; readonly failure: Failure; readonly detail: string };

/** A complete answer, as far as it is judged. */
export interface JudgedAnswer {
  readonly status: number;
  readonly body: string;
  /** The header Retry-After; undefined where there is none. */
  readonly retryAfter?: string | undefined;
}

const LONGEST_EXCERPT = 120;

function excerpt(body: string): string {
  return JSON.stringify(body.length > LONGEST_EXCERPT ? `${body.slice(0, LONGEST_EXCERPT)}...` : body);
}

function statusFailure(status: number): Failure {
  if (status >= 500) return "status5xx";
  if (status >= 400) return "status4xx";
  return status >= 300 ? "status3xx" : "malformed";
}

function parse(body: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** Is it what callers get while the site is closed, and are told when to come back by? */
function isMaintenance(
  { answer }: Pick<LoadPlan, "answer">,
  { status, body, retryAfter }: JudgedAnswer,
): boolean {
  if (status !== 503 || !/^\d+$/.test(retryAfter ?? "")) return false;
  return answer === "any" || parse(body)?.["error"] === "maintenance";
}

/** Judges a complete answer by its status and, where the plan asks for it, by who it says it is from. */
export function judge(plan: Pick<LoadPlan, "answer" | "bodyBytes">, answer: JudgedAnswer): Verdict {
  const { status, body } = answer;
  if (status < 200 || status > 299) {
    const failure = isMaintenance(plan, answer) ? "maintenance" : statusFailure(status);
    return { ok: false, failure, detail: `status ${status}: ${excerpt(body)}` };
  }
  if (plan.answer === "any") return { ok: true, identity: null };
  const { colour, version, bytes } = parse(body) ?? {};
  if (typeof colour !== "string" || typeof version !== "string") {
    return { ok: false, failure: "badBody", detail: `no version and colour in ${excerpt(body)}` };
  }
  if (bytes !== undefined && bytes !== plan.bodyBytes) {
    return {
      ok: false,
      failure: "badBody",
      detail: `${plan.bodyBytes} bytes sent, answer says ${excerpt(body)}`,
    };
  }
  return { ok: true, identity: { colour, version } };
}
