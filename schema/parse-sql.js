/**
 * Parses SQL by Postgres' own parser, in a process of its own: the parser has to be waited for, and a Pulumi program reads
 * its configuration without waiting.
 *
 * Standard input: `{ "kinds", "texts" }`. Standard output: for each text a list of its statements, or `{ "error", "at" }`. A
 * statement is `{ "node", "start" }` if it is of one of the kinds, else null. `start` and `at` count characters.
 */
const { readFileSync } = require("node:fs");
const { loadModule, parseSync } = require("libpg-query");

/** Postgres counts bytes. */
const characters = (bytes, offset) => bytes.subarray(0, offset).toString("utf8").length;

function parse(sql, kinds) {
  // The parser takes no text without a statement in it for one.
  if (sql.trim() === "") return [];
  const bytes = Buffer.from(sql);
  try {
    const { stmts = [] } = parseSync(sql);
    return stmts.map(({ stmt, stmt_location: offset = 0 }) =>
      kinds.some((kind) => kind in stmt) ? { node: stmt, start: characters(bytes, offset) } : null,
    );
  } catch (error) {
    const { cursorPosition = 0 } = error.sqlDetails ?? {};
    return { error: error.message, at: Math.max(0, cursorPosition) };
  }
}

async function main() {
  const { kinds, texts } = JSON.parse(readFileSync(0, "utf8"));
  await loadModule();
  process.stdout.write(JSON.stringify(texts.map((text) => parse(text, kinds))));
}

main().catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
