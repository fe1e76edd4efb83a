/**
 * What a migration says of itself, in comments before its first statement: `-- phase: contract`.
 */

/** The marks of a migration. */
export interface Marks {
  /** It takes away what an older release may need. */
  readonly contract: boolean;
  /** It is run statement by statement, for it holds what Postgres runs in no transaction. */
  readonly alone: boolean;
  /** Its text holds what nobody may read in Pulumi's state. */
  readonly secret: boolean;
}

/** The values that each mark takes. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  phase: ["expand", "contract"],
  transaction: ["none"],
  secret: ["true"],
};

const MARK = /^--[ \t]*(phase|transaction|secret)[ \t]*:[ \t]*(.*?)[ \t]*$/i;

/** A mark that is none, or stands where it is not looked for. */
export interface MarkFault {
  /** Number of the line, from 1. */
  readonly line: number;
  /** The line as it is. */
  readonly text: string;
  /** What it has to be, as the end of "it has to be ...". */
  readonly rule: string;
}

/** Reads the marks of a migration. A byte order mark and empty lines count for nothing. */
export function readMarks(sql: string): Marks & { readonly faults: readonly MarkFault[] } {
  const lines = sql.replace(/^\uFEFF/, "").split(/\r?\n/);
  const rest = lines.findIndex((line) => line.trim() !== "" && !line.startsWith("--"));
  const head = rest === -1 ? lines : lines.slice(0, rest);
  const found = new Map<string, string>();
  const faults: MarkFault[] = [];
  for (const [index, text] of head.entries()) {
    const [, key = "", value = ""] = MARK.exec(text) ?? [];
    if (key === "") continue;
    const values = VALUES[key.toLowerCase()] ?? [];
    if (values.includes(value)) found.set(key.toLowerCase(), value);
    else {
      const known = values.map((one) => `\`-- ${key.toLowerCase()}: ${one}\``).join(" or ");
      faults.push({ line: index + 1, text, rule: `${known}, or a comment that begins with other words` });
    }
  }
  for (const [index, text] of lines.slice(head.length).entries()) {
    const [, key = "", value = ""] = MARK.exec(text) ?? [];
    if (VALUES[key.toLowerCase()]?.includes(value) === true) {
      const rule = "before the first statement of the file: further down it says nothing";
      faults.push({ line: head.length + index + 1, text, rule });
    }
  }
  return {
    contract: found.get("phase") === "contract",
    alone: found.has("transaction"),
    secret: found.has("secret"),
    faults,
  };
}
