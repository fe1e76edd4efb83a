import fc from "fast-check";
import { applyReplaceOnChanges, changesBetween, diffOf, isReplacement, sameValue } from "../values/diff";
import { formatPath, parsePath, pathContains, resetPath } from "../values/path";
import {
  containsSecret,
  fromProgram,
  maskStrings,
  redact,
  secret,
  secretStrings,
  Signature,
  SIGNATURE_KEY,
  UNKNOWN,
  unwrapSecrets,
  type PropertyValue,
} from "../values/property";

const json = fc.jsonValue() as fc.Arbitrary<PropertyValue>;

describe("property paths", () => {
  it.each([
    ["root", ["root"]],
    ["root.nested.deep", ["root", "nested", "deep"]],
    ["list[0].key", ["list", 0, "key"]],
    ["list[*]", ["list", "*"]],
    ['root["a key.with dots"].x', ["root", "a key.with dots", "x"]],
    ['["quoted \\" quote"]', ['quoted " quote']],
  ])("%s is %j", (text, path) => {
    expect(parsePath(text)).toEqual(path);
  });

  it.each(["a[", "a[b]", 'a["b', "a..b"])("%s is refused", (text) => {
    expect(() => parsePath(text)).toThrow(`"${text}" is not a property path`);
  });

  it("reads back what it writes", () => {
    const element = fc.oneof(
      fc.string({ minLength: 1 }).filter((text) => text !== "*"),
      fc.nat(),
    );
    fc.assert(
      fc.property(
        fc.string({ minLength: 1 }).filter((text) => text !== "*"),
        fc.array(element),
        (head, rest) => {
          expect(parsePath(formatPath([head, ...rest]))).toEqual([head, ...rest]);
        },
      ),
    );
  });

  it.each([
    ["triggers", "triggers[0]", true],
    ["triggers[*]", "triggers[3].deep", true],
    ["triggers[*]", "triggers", false],
    ["triggers[1]", "triggers[0]", false],
    ["*", "anything", true],
  ])("%s contains %s: %p", (outer, inner, contains) => {
    expect(pathContains(parsePath(outer), parsePath(inner))).toBe(contains);
  });

  it.each([
    ["a key", { a: 1, b: 2 }, { a: 9, b: 9 }, "a", { a: 9, b: 2 }],
    ["a key that the old one lacks", { a: 1, b: 2 }, { b: 9 }, "a", { b: 2 }],
    ["a key that the new one lacks", { b: 2 }, { a: 9 }, "a", { a: 9, b: 2 }],
    ["a nested key", { a: { x: 1, y: 2 } }, { a: { x: 9 } }, "a.x", { a: { x: 9, y: 2 } }],
    ["an index", { a: [1, 2] }, { a: [9, 9] }, "a[1]", { a: [1, 9] }],
    [
      "every index",
      { a: [{ x: 1 }, { x: 2 }] },
      { a: [{ x: 8 }, { x: 9 }] },
      "a[*].x",
      { a: [{ x: 8 }, { x: 9 }] },
    ],
    ["a way that is not there", { a: 1 }, { a: { x: 1 } }, "a.x", undefined],
    ["lists of other lengths", { a: [1] }, { a: [1, 2] }, "a[*]", undefined],
  ])("resets %s", (_what, target, source, path, result) => {
    expect(resetPath(target, source, parsePath(path))).toEqual(result);
  });
});

describe("secrets", () => {
  it("are taken off and stay one layer deep", () => {
    fc.assert(
      fc.property(json, (value) => {
        const wrapped = secret({ inner: secret(value), list: [secret(value)] });
        expect(unwrapSecrets(wrapped)).toEqual({ inner: value, list: [value] });
        expect(containsSecret(wrapped["value"])).toBe(false);
      }),
    );
  });

  it("never show once redacted", () => {
    fc.assert(
      fc.property(fc.uuid(), json, (canary, value) => {
        const properties = {
          public: value,
          hidden: secret({ deep: [canary] }),
          list: [{ x: secret(canary) }],
        };
        expect(JSON.stringify(redact(properties))).not.toContain(canary);
        expect(redact(properties)).toMatchObject({ hidden: "[secret]", list: [{ x: "[secret]" }] });
      }),
    );
  });

  it("come from a program in any of its forms", () => {
    const output = (content: object): PropertyValue => ({ [SIGNATURE_KEY]: Signature.output, ...content });
    expect(
      fromProgram({
        a: output({ value: 1 }),
        b: output({}),
        c: output({ value: secret("s"), secret: true }),
      }),
    ).toEqual({
      a: 1,
      b: UNKNOWN,
      c: secret("s"),
    });
  });

  it("are found line by line, but not where a connection leads", () => {
    const key = "-----BEGIN-----\nabcdef\nghijkl\n-----END-----";
    const found = secretStrings({
      connection: secret({ host: "db.example", user: "deploy", privateKey: key }),
      plain: "open",
    });
    expect([...found].sort()).toEqual([key, "-----BEGIN-----", "-----END-----", "abcdef", "ghijkl"].sort());
  });

  it("are masked, the longest first", () => {
    expect(maskStrings("abcdef abc x", ["abc", "abcdef"])).toBe("[secret] [secret] x");
  });
});

describe("diffs", () => {
  it("see the same value in two forms as no change", () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(sameValue(secret(value), value)).toBe(true);
        expect(diffOf({ a: secret(value) }, { a: value })).toMatchObject({ changed: false });
      }),
    );
  });

  it("name every changed leaf", () => {
    const diff = diffOf(
      { a: 1, b: [1, 2], c: { x: 1 } },
      { b: [1, 3, 4], c: { x: 1, y: secret("s") }, d: 1 },
    );
    expect(diff).toEqual({
      changed: true,
      changedKeys: ["a", "b", "c", "d"],
      replaceKeys: [],
      detailed: { a: "delete", "b[1]": "update", "b[2]": "add", "c.y": "add", d: "add" },
    });
  });

  it("take an asset as one leaf", () => {
    const asset = (hash: string): PropertyValue => ({ [SIGNATURE_KEY]: Signature.asset, path: "f", hash });
    expect(changesBetween({ s: asset("1") }, { s: asset("2") })).toHaveLength(1);
  });

  it.each([
    ["a changed trigger", { triggers: ["a"] }, { triggers: ["b"] }, ["triggers[*]"], true],
    ["another number of triggers", { triggers: ["a"] }, { triggers: ["a", "b"] }, ["triggers[*]"], true],
    ["triggers that appear, by their elements", {}, { triggers: ["a"] }, ["triggers[*]"], false],
    ["triggers that appear, as a whole", {}, { triggers: ["a"] }, ["triggers"], true],
    ["another key", { create: "a" }, { create: "b" }, ["triggers[*]"], false],
    ["nothing", { create: "a" }, { create: "a" }, ["create"], false],
  ])("replaceOnChanges and %s", (_what, before, after, paths, replaces) => {
    expect(isReplacement(applyReplaceOnChanges(diffOf(before, after), paths))).toBe(replaces);
  });
});
