import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { repositoryRoot } from "../../sandbox/repository";

/* docs/coverage.md: nothing of the guide is left out, and what it points at is there. */

const read = (file: string) => readFileSync(join(repositoryRoot(), file), "utf8");

/** How an item can be covered. */
const STATUSES = ["code", "runbook", "later: cloud", "later: gate", "later: ops", "later: reports"];

type Counts = Readonly<Partial<Record<"c" | "n" | "b" | "i", number>>> & { readonly title: string };

interface Row {
  readonly items: readonly string[];
  readonly what: string;
  readonly how: string;
  readonly where: readonly string[];
}

const sections = parse(read("docs/guide-items.yaml")) as Readonly<Record<string, Counts>>;

/** All items of a section, its heading first: `4.1`, `4.1 c1`, ... */
function itemsOf(section: string): string[] {
  const counts = sections[section];
  if (counts === undefined) throw new Error(`the guide has no section ${section}`);
  const kinds = (["c", "n", "b", "i"] as const).flatMap((kind) =>
    Array.from({ length: counts[kind] ?? 0 }, (_, index) => `${section} ${kind}${String(index + 1)}`),
  );
  return [section, ...kinds];
}

/** Reads a cell such as `4.2 all; 4.3 c1-c3 b1`. */
function itemsIn(cell: string): string[] {
  return cell.split("; ").flatMap((part) => {
    const [section = "", ...words] = part.split(" ");
    if (words.length === 0) return [section];
    if (words.join() === "all") return itemsOf(section);
    return words.flatMap((word) => {
      const [, kind = "", from = "", to = from] = /^([cnbi])(\d+)(?:-[cnbi](\d+))?$/.exec(word) ?? [];
      if (kind === "") throw new Error(`${cell}: ${JSON.stringify(word)} names no item`);
      const length = Number(to) - Number(from) + 1;
      return Array.from({ length }, (_, index) => `${section} ${kind}${String(Number(from) + index)}`);
    });
  });
}

function rowsIn(text: string): Row[] {
  return text
    .split("\n")
    .filter((line) => /^\| \d/.test(line))
    .map((line) => {
      const [items = "", what = "", how = "", where = ""] = line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim());
      return {
        items: itemsIn(items),
        what,
        how,
        where: [...where.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name),
      };
    });
}

const rows = rowsIn(read("docs/coverage.md"));
const all = Object.keys(sections).flatMap(itemsOf);

/** What is wrong with the mapping of the guide's items. */
function faultsOf(mapped: readonly Row[]): string[] {
  const named = mapped.flatMap(({ items }) => items);
  return [
    ...all.filter((item) => !named.includes(item)).map((item) => `${item} is not mapped`),
    ...named.filter((item) => !all.includes(item)).map((item) => `the guide has no ${item}`),
    ...named.filter((item, index) => named.indexOf(item) !== index).map((item) => `${item} is mapped twice`),
  ];
}

test("every item of the guide is mapped, once", () => {
  expect(all.length).toBe(307);
  expect(faultsOf(rows)).toEqual([]);
});

test("an item that is left out, or is there twice, or is none, would be found", () => {
  expect(faultsOf(rows.slice(1))).toEqual(["0 is not mapped"]);
  expect(faultsOf([...rows, ...rowsIn("| 4.1 c2 c9 | x | code | |")])).toEqual([
    "the guide has no 4.1 c9",
    "4.1 c2 is mapped twice",
  ]);
  expect(() => rowsIn("| 99 all | x | code | |")).toThrow("no section 99");
  expect(() => rowsIn("| 4.1 x2 | x | code | |")).toThrow("names no item");
});

test.each(rows.map((row) => [row.items.join(", "), row] as const))("%s", (_items, { what, how, where }) => {
  expect(STATUSES).toContain(how);
  expect(what).not.toBe("");
  for (const name of where) expect([name, isThere(name)]).toEqual([name, true]);
  const isTest = (name: string) => name.endsWith(".test.ts");
  if (how === "code") {
    expect({ where, test: where.some(isTest) }).toEqual({ where, test: true });
    expect({ where, other: where.some((name) => !isTest(name)) }).toEqual({ where, other: true });
  } else if (how === "runbook") {
    expect({
      where,
      page: where.length > 0 && where.every((name) => /^docs\/[\w-]+\.md#/.test(name)),
    }).toEqual({
      where,
      page: true,
    });
  } else {
    expect(where).toEqual([]);
  }
});

const { config } = parse(read("Pulumi.yaml")) as {
  config: Record<string, { description: string; default?: unknown }>;
};

/** Is it there: a file, a heading of a page, a command of `bin/ops`, or a key of the config? */
function isThere(name: string): boolean {
  const [, command] = /^bin\/ops (\w+)$/.exec(name) ?? [];
  if (command !== undefined)
    return existsSync(join(repositoryRoot(), "operations", "commands", `${command}.ts`));
  const [path = "", anchor] = name.split("#");
  if (anchor !== undefined)
    return existsSync(join(repositoryRoot(), path)) && anchorsOf(path).includes(anchor);
  if (/[/]|\.(ts|md|yaml)$/.test(name)) return existsSync(join(repositoryRoot(), name));
  const [group = "", key] = name.split(".");
  const known = config[group];
  if (known === undefined || key === undefined) return known !== undefined;
  const inDefault = typeof known.default === "object" && known.default !== null && key in known.default;
  return inDefault || new RegExp(`\\b${key}\\b`).test(known.description);
}

/** Anchors of a page's headings, as GitHub makes them. */
function anchorsOf(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );
}

test("what is not there would be found", () => {
  for (const name of [
    "docs/production.md#nothing",
    "bin/ops fly",
    "host/nothing.ts",
    "site.nothing",
    "nothing",
  ]) {
    expect([name, isThere(name)]).toEqual([name, false]);
  }
  for (const name of ["docs/production.md#the-way-back", "bin/ops db", "index.ts", "site.tls", "stable"]) {
    expect([name, isThere(name)]).toEqual([name, true]);
  }
});
