import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot } from "../../sandbox/repository";

/* No file of the repository holds what looks like a key: tests make theirs when they run, and examples have placeholders. */

const KEYS: Readonly<Record<string, RegExp>> = {
  "an access key of AWS'": /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/,
  "a key of Stripe's": /\b[spr]k_(?:live|test)_[0-9A-Za-z]{16,}/,
  "a signing secret of Stripe's": /\bwhsec_[0-9A-Za-z]{20,}/,
  "a key of Supabase's": /\b(?:sbp_[0-9a-f]{40}|sb_secret_[0-9A-Za-z_-]{20,})/,
  "a JSON Web Token": /\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}/,
  "a private key": /PRIVATE KEY-----\s+[0-9A-Za-z+/=]{40}/,
};

const keysIn = (text: string): string[] =>
  Object.entries(KEYS).flatMap(([name, pattern]) => {
    const [found] = pattern.exec(text) ?? [];
    // One that nobody could have.
    return found === undefined || /0{16}/.test(found) ? [] : [name];
  });

test("no file holds one", () => {
  const files = execFileSync("git", ["ls-files", "-z"], { cwd: repositoryRoot(), encoding: "utf8" }).split(
    "\0",
  );
  expect(files.length).toBeGreaterThan(500);
  const found = files
    .filter((file) => file !== "")
    .map((file) => [file, keysIn(readFileSync(join(repositoryRoot(), file), "latin1"))] as const);
  expect(found.filter(([, keys]) => keys.length > 0)).toEqual([]);
});

test.each([
  ["an access key of AWS'", `AKIA${"Q".repeat(16)}`],
  ["a key of Stripe's", ["sk", "live", "a1".repeat(20)].join("_")],
  ["a signing secret of Stripe's", `whsec_${"a1".repeat(16)}`],
  ["a key of Supabase's", `sbp_${"0a".repeat(20)}`],
  ["a JSON Web Token", [`eyJ${"a".repeat(12)}`, `eyJ${"b".repeat(12)}`, "c".repeat(12)].join(".")],
  ["a private key", ["-----BEGIN PRIVATE KEY-----", "A".repeat(64)].join("\n")],
])("%s would be found", (name, text) => {
  expect(keysIn(`key: ${text}\n`)).toEqual([name]);
});
