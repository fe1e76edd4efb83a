import * as fc from "fast-check";
import { inspect } from "node:util";
import { scrub } from "../../../host/conductor/processes/scrub";

it("puts the name in a value's place, everywhere", () => {
  expect(scrub("a hunter2-x b hunter2-x", { PASSWORD: "hunter2-x" })).toBe("a [PASSWORD] b [PASSWORD]");
});

it("leaves short values, which are words that occur anywhere", () => {
  expect(scrub("true on 3001", { FLAG: "true", PORT_OF: "3001", EMPTY: "" })).toBe("true on 3001");
});

it("takes a value that holds another one as a whole", () => {
  const variables = { HOST: "db.example.com", URL: "postgres://u:p@db.example.com/x" };
  expect(scrub("cannot reach postgres://u:p@db.example.com/x", variables)).toBe("cannot reach [URL]");
});

it("finds single lines of a value, and what JSON makes of it", () => {
  const KEY = "-----begin-----\nabcdefgh\n-----end-----";
  expect(scrub("line abcdefgh", { KEY })).toBe("line [KEY]");
  expect(scrub(JSON.stringify({ KEY }), { KEY })).toBe('{"KEY":"[KEY]"}');
});

it.each<[string, (value: string) => string]>([
  ["Node's errors", (value) => inspect({ KEY: value }, { breakLength: Infinity })],
  ["a URL", (value) => `?key=${encodeURIComponent(value)}`],
  ["Authorization: Basic", (value) => Buffer.from(`${value}:`).toString("base64")],
])("finds it in %s, whatever characters it has", (_, show) => {
  for (const quotes of ["", `"`, `'`, `"'`, "\"'`", "$", "\\", "\\\"'`$%é"]) {
    const KEY = `abcdef${quotes}0123456789`;
    expect([quotes, scrub(show(KEY), { KEY })]).toEqual([quotes, expect.stringContaining("[KEY]")]);
    expect(scrub(show(KEY), { KEY })).not.toContain("0123456");
  }
});

it("gives a value's own characters no meaning", () => {
  expect(scrub("x $&.*(1)x", { A: "$&.*(1)" })).toBe("x [A]x");
  expect(scrub("secret-value", { $1$2: "secret-value" })).toBe("[$1$2]");
});

it("never leaves a value in the text", () => {
  const value = fc
    .string({ unit: "grapheme", minLength: 6, maxLength: 40 })
    .filter((text) => text.trim().length >= 6);
  fc.assert(
    fc.property(fc.string(), value, fc.string(), (before, secret, after) => {
      expect(scrub(before + secret + after, { N: secret }).replaceAll("[N]", "")).not.toContain(
        secret.trim(),
      );
    }),
  );
});
