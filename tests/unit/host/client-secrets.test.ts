import { randomBytes } from "node:crypto";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Failed } from "../../../host/conductor/faults";
import { requireNoSecrets } from "../../../host/conductor/releases/client-secrets";
import { removeDirectories, temporaryDirectory } from "./support/fixtures";

/* What browsers load holds nothing that only the server may know: values of the environment, in whatever way they are written. */

afterAll(removeDirectories);

const ASSETS = ".next/static";
const SECRET = `${randomBytes(12).toString("hex")}/+"\n${randomBytes(12).toString("hex")}`;

/** A release with these files below its assets. */
function release(files: Readonly<Record<string, string | Buffer>>): string {
  const directory = temporaryDirectory();
  for (const [file, content] of Object.entries(files)) {
    const path = join(directory, ASSETS, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
  return directory;
}

const check = (
  files: Readonly<Record<string, string | Buffer>>,
  variables: Readonly<Record<string, string>>,
) => requireNoSecrets({ version: "v1.0.0", directory: release(files), assets: ASSETS }, variables);

it.each<[string, string]>([
  ["as it is", SECRET],
  ["as a text of JavaScript", JSON.stringify({ key: SECRET })],
  ["in a URL", `?key=${encodeURIComponent(SECRET)}`],
  ["in base64", Buffer.from(SECRET).toString("base64")],
  ["in base64 for URLs", Buffer.from(SECRET).toString("base64url")],
])("finds a value %s, and tells variable and file, and nothing of it", async (_, text) => {
  const failure = check(
    { "chunks/a.js": "a", "chunks/b/c.js": `x${text}y` },
    { A: "1", SIGNING_SECRET: SECRET },
  );
  await expect(failure).rejects.toThrow(Failed);
  await expect(failure).rejects.toThrow("SIGNING_SECRET in .next/static/chunks/b/c.js\nWay out: ");
  const { message } = await failure.catch((error: unknown) => error as Error).then((error) => error as Error);
  expect(message.split(/\s/).filter((word) => word.length > 5 && text.includes(word))).toEqual([]);
});

it("finds a value wherever it stands in a large file, also where two pieces of it meet", async () => {
  const megabyte = 1024 * 1024;
  for (const at of [0, megabyte - 20, megabyte, 2 * megabyte - 1, 3 * megabyte - SECRET.length]) {
    const content = Buffer.alloc(3 * megabyte, "x");
    content.write(SECRET, at);
    await expect(check({ "a.js": content }, { S: SECRET })).rejects.toThrow("S in .next/static/a.js");
  }
  await expect(check({ "a.js": Buffer.alloc(3 * megabyte, "x") }, { S: SECRET })).resolves.toBeUndefined();
});

it("names all of them, the first ten by name", async () => {
  const files = Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`${String(index)}.js`, SECRET]));
  await expect(check(files, { S: SECRET })).rejects.toThrow(/(S in [^,]*, ){9}S in [^,]*, and 2 more\n/);
});

it.each<[string, string, Readonly<Record<string, string>>]>([
  ["a public variable's value", SECRET, { NEXT_PUBLIC_KEY: SECRET }],
  ["a value that a public variable has as well", SECRET, { NEXT_PUBLIC_KEY: `a${SECRET}`, KEY: SECRET }],
  ["a value too short to be there on purpose", "production", { STAGE: "production" }],
  ["an empty value", "", { STAGE: "", OTHER: " ".repeat(20) }],
  [
    "a DSN",
    `https://${"ab12".repeat(8)}@o1.ingest.sentry.io/1`,
    { DSN: `https://${"ab12".repeat(8)}@o1.ingest.sentry.io/1` },
  ],
])("lets browsers have %s", async (_, text, variables) => {
  await expect(check({ "a.js": text }, variables)).resolves.toBeUndefined();
});

it("looks at nothing beside these files: not behind a link, and not where there are none", async () => {
  const directory = release({});
  mkdirSync(join(directory, ASSETS), { recursive: true });
  writeFileSync(join(directory, "server.js"), SECRET);
  symlinkSync(join(directory, "server.js"), join(directory, ASSETS, "link.js"));
  const look = (assets: string) => requireNoSecrets({ version: "v1.0.0", directory, assets }, { S: SECRET });
  await expect(look(ASSETS)).resolves.toBeUndefined();
  await expect(look("no/such/directory")).resolves.toBeUndefined();
});
