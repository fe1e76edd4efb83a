import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot } from "../../repository";

/* Each stand-in says what it follows and what it does not do: whoever trusts a test has to know where it ends. */

const page = (name: string) => join(repositoryRoot(), "sandbox", name, "README.md");

test.each(["aws", "stripe", "supabase"])(
  "the stand-in for %s says what it follows, and what it does not do",
  (name) => {
    expect(existsSync(page(name))).toBe(true);
    const text = readFileSync(page(name), "utf8");
    expect(text).toMatch(/^# A stand-in for /);
    expect(text).toMatch(/https:\/\/\S+/);
    expect(text.split("What it does not do:\n")[1]).toMatch(/^- .{20,}/m);
  },
);
