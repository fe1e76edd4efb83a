import { execFileSync } from "node:child_process";
import type { ProviderContext } from "../providers/provider";
import { bcrypt } from "../providers/random/bcrypt";
import { RandomProvider } from "../providers/random/provider";
import { randomText, shuffle } from "../providers/random/text";
import { isSecret, secret, UNKNOWN, unwrapMap, type PropertyMap } from "../values/property";
import { EngineBundle, Workspace, type Row } from "./harness";

jest.setTimeout(600_000);

const provider = new RandomProvider();
const context = (name: string, dryRun = false): ProviderContext => ({
  urn: `urn:pulumi:dev::table::random:index/r${name.slice(1)}:${name}::x`,
  type: `random:index/r${name.slice(1)}:${name}`,
  name: "x",
  directory: "/",
  dryRun,
  ignoreChanges: [],
  signal: new AbortController().signal,
  log: () => undefined,
});
const create = async (name: string, inputs: PropertyMap): Promise<{ id: string; outputs: PropertyMap }> =>
  provider.create(context(name), inputs);

/** What the C library makes of a password and the settings in front of a hash. */
function systemHash(password: string, settings: string): string {
  return execFileSync("perl", ["-e", "print crypt($ARGV[0], $ARGV[1])", "--", password, settings]).toString();
}

describe("bcrypt", () => {
  it.each(["", "U*U", "pässwörd", "x".repeat(71), "x".repeat(72), `${"x".repeat(72)}cut off`])(
    "agrees with the C library on %p",
    (password) => {
      const hash = bcrypt(password, 5);
      expect(hash).toMatch(/^\$2a\$05\$[./A-Za-z0-9]{53}$/);
      // Longer passwords are refused by some libraries; the bytes that count are the first 72.
      expect(systemHash(password.slice(0, 72), hash.slice(0, 29))).toBe(hash);
    },
  );

  it("has a salt of its own each time, and the real provider's cost", () => {
    const [first, second] = [bcrypt("same"), bcrypt("same")];
    expect(first.slice(0, 7)).toBe("$2a$10$");
    expect(second).not.toBe(first);
  });
});

describe("a random text", () => {
  const options = {
    length: 40,
    ...{ lower: true, upper: true, numeric: true, special: true },
    ...{ minLower: 0, minUpper: 0, minNumeric: 0, minSpecial: 0 },
  };
  const count = (text: string, characters: RegExp): number => text.match(characters)?.length ?? 0;

  it("has the length, the classes and the minima that are asked for", () => {
    const text = randomText({ ...options, minUpper: 10, minNumeric: 10, minSpecial: 10, special: false });
    expect(text).toHaveLength(40);
    expect(count(text, /[A-Z]/g)).toBeGreaterThanOrEqual(10);
    expect(count(text, /[0-9]/g)).toBeGreaterThanOrEqual(10);
    expect(count(text, /[^A-Za-z0-9]/g)).toBe(10);
  });

  it("uses the given special characters, and no class that is off", () => {
    const only = { ...options, lower: false, upper: false, numeric: false };
    expect(randomText({ ...only, overrideSpecial: "~^" })).toMatch(/^[~^]{40}$/);
    expect(randomText({ ...options, special: false, upper: false, numeric: false })).toMatch(/^[a-z]{40}$/);
  });

  it("puts every element at every place", () => {
    const first = new Set(Array.from({ length: 200 }, () => shuffle(["a", "b", "c"])[0]));
    expect(first.size).toBe(3);
    expect(shuffle([1, 2, 3, 4]).sort()).toEqual([1, 2, 3, 4]);
  });
});

describe("the types", () => {
  it("makes each with the real provider's id and outputs", async () => {
    const bytes = await create("RandomBytes", { length: 16 });
    expect(Object.keys(bytes.outputs).sort()).toEqual(["base64", "hex", "length"]);
    expect([isSecret(bytes.outputs["base64"]), isSecret(bytes.outputs["hex"])]).toEqual([true, true]);
    const bare = unwrapMap(bytes.outputs);
    expect(bare["base64"]).toBe(bytes.id);
    expect(Buffer.from(bytes.id, "base64").toString("hex")).toBe(bare["hex"]);

    const id = await create("RandomId", { byteLength: 8, prefix: "p-" });
    expect(Buffer.from(id.id, "base64url")).toHaveLength(8);
    const hex = Buffer.from(id.id, "base64url").toString("hex");
    expect(id.outputs).toEqual({
      ...{ byteLength: 8, prefix: "p-", id: id.id, b64Url: `p-${id.id}`, hex: `p-${hex}` },
      b64Std: `p-${Buffer.from(hex, "hex").toString("base64")}`,
      dec: `p-${String(BigInt(`0x${hex}`))}`,
    });

    const integer = await create("RandomInteger", { min: 7, max: 7 });
    expect(integer).toEqual({ id: "7", outputs: { id: "7", min: 7, max: 7, result: 7 } });

    const uuid = await create("RandomUuid", { keepers: { a: "1" } });
    expect(uuid.id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(uuid.outputs).toEqual({ keepers: { a: "1" }, id: uuid.id, result: uuid.id });
    expect((await create("RandomUuid4", {})).id).toMatch(/^.{14}4/);
  });

  it("shuffles as many as are asked for, again where there are too few", async () => {
    const inputs = ["a", "b", "c"];
    const results = async (more: PropertyMap): Promise<string[]> =>
      (await create("RandomShuffle", { inputs, ...more })).outputs["results"] as string[];
    expect((await results({})).sort()).toEqual(inputs);
    expect(await results({ resultCount: 2 })).toHaveLength(2);
    const repeated = await results({ resultCount: 7 });
    expect(repeated.slice(0, 3).sort()).toEqual(inputs);
    expect(repeated.slice(3, 6).sort()).toEqual(inputs);
    expect(repeated).toHaveLength(7);
  });

  it("hides a password and its hash, and says what its defaults were", async () => {
    const { id, outputs } = await create("RandomPassword", { length: 20, number: false });
    expect(id).toBe("none");
    const { result, bcryptHash, ...open } = outputs;
    expect([isSecret(result), isSecret(bcryptHash)]).toEqual([true, true]);
    expect(open).toEqual({
      ...{ __meta: '{"schema_version":"3"}', id: "none", length: 20 },
      ...{ lower: true, upper: true, special: true, number: false, numeric: false },
      ...{ minLower: 0, minUpper: 0, minNumeric: 0, minSpecial: 0 },
    });
    const bare = unwrapMap(outputs) as { result: string; bcryptHash: string };
    expect(bare.result).toMatch(/^[^0-9]{20}$/);
    expect(systemHash(bare.result, bare.bcryptHash.slice(0, 29))).toBe(bare.bcryptHash);
  });

  it("knows nothing of the result in a preview, but that it is secret", async () => {
    expect(await provider.create(context("RandomBytes", true), { length: UNKNOWN })).toEqual({
      id: "",
      outputs: { length: UNKNOWN, base64: secret(UNKNOWN), hex: secret(UNKNOWN) },
    });
  });
});

describe("what a change does", () => {
  const replaced = async (
    name: string,
    before: PropertyMap,
    after: PropertyMap,
  ): Promise<readonly string[]> => {
    const old = { id: "x", inputs: before, outputs: {} };
    return (await provider.diff(context(name), old, after)).replaceKeys;
  };

  it.each<[string, PropertyMap, PropertyMap, string[]]>([
    ["a keeper changes", { length: 8, keepers: { a: "1" } }, { length: 8, keepers: { a: "2" } }, ["keepers"]],
    [
      "a keeper is not known yet",
      { length: 8, keepers: { a: "1" } },
      { length: 8, keepers: { a: UNKNOWN } },
      ["keepers"],
    ],
    ["keepers come", { length: 8 }, { length: 8, keepers: { a: "1" } }, ["keepers"]],
    ["the length changes", { length: 8 }, { length: 9 }, ["length"]],
    ["a default is written out", { length: 8 }, { length: 8, special: true, minLower: 0, keepers: {} }, []],
    ["the digits' other name is used", { length: 8, number: false }, { length: 8, numeric: false }, []],
    ["digits go", { length: 8 }, { length: 8, numeric: false }, ["numeric", "number"]],
    [
      "a value becomes secret",
      { length: 8, keepers: { a: "1" } },
      { length: 8, keepers: secret({ a: "1" }) },
      [],
    ],
  ])("%s", async (_what, before, after, keys) => {
    expect(new Set(await replaced("RandomPassword", before, after))).toEqual(new Set(keys));
  });
});

describe("what it refuses", () => {
  it.each<[string, PropertyMap, string]>([
    ["RandomBytes", { length: 0 }, "length: has to be at least 1"],
    ["RandomBytes", {}, "length: missing"],
    ["RandomBytes", { length: 8, size: 8 }, "size: unknown input"],
    ["RandomPassword", { length: 8, special: "no" }, "special: has to be true or false"],
    [
      "RandomPassword",
      { length: 3, minUpper: 2, minLower: 2 },
      "length: has to be at least 4, the sum of the minima",
    ],
    [
      "RandomString",
      { length: 3, upper: false, lower: false, numeric: false, special: false },
      "special: one of upper, lower, numeric and special has to be on",
    ],
    [
      "RandomString",
      { length: 3, number: true, numeric: false },
      "number: is another name of numeric, and says something else",
    ],
    ["RandomInteger", { min: 2, max: 1 }, "max: has to be at least min"],
    ["RandomInteger", { min: 0.5, max: 1 }, "min: has to be a whole number"],
    [
      "RandomInteger",
      { min: 1, max: 2, seed: "s" },
      "seed: not supported by the embedded engine. Use the Pulumi CLI",
    ],
    ["RandomShuffle", { inputs: "abc" }, "inputs: has to be a list of strings"],
    ["RandomUuid", { keepers: { a: 1 } }, "keepers: has to be a map of strings"],
  ])("%s with %j", async (name, inputs, fault) => {
    const { failures } = await provider.check(context(name), undefined, inputs);
    expect(failures.map(({ property, reason }) => `${property}: ${reason}`)).toEqual([fault]);
  });

  it("waits with what is not known yet", async () => {
    const inputs = { length: UNKNOWN, minUpper: 9, keepers: { a: UNKNOWN } };
    expect((await provider.check(context("RandomPassword"), undefined, inputs)).failures).toEqual([]);
  });

  it.each(["RandomPet", "RandomUuid7", "constructor"])("the type %s", async (name) => {
    await expect(provider.check(context(name), undefined, {})).rejects.toThrow(
      /does not have the resource type .*Use the Pulumi CLI/,
    );
  });
});

it("keeps what it made until a keeper changes, and no secret in clear", async () => {
  const engine = await EngineBundle.build();
  const workspace = new Workspace(engine, "table");
  const rows = (keeper: string): Row[] => [
    { name: "password", type: "RandomPassword", args: { length: 24, keepers: { keeper } } },
    { name: "id", type: "RandomId", args: { byteLength: 4 } },
  ];
  const outputs = { password: { $output: "password.result" }, id: { $output: "id.hex" } };
  try {
    await workspace.succeed("stack init dev");
    workspace.table(rows("1"), outputs);
    await workspace.succeed("up --yes");
    const [password, id] = [
      await workspace.succeed("stack output password --show-secrets"),
      await workspace.succeed("stack output id"),
    ];
    expect(password).toHaveLength(25);
    expect(await workspace.succeed("up --yes --expect-no-changes")).toContain("3 unchanged");
    for (const text of workspace.files(".pulumi").values()) expect(text).not.toContain(password.trim());
    expect(workspace.checkpoint().resources).toContainEqual(
      expect.objectContaining({
        ...{ type: "random:index/randomPassword:RandomPassword", id: "none" },
        additionalSecretOutputs: ["bcryptHash", "result"],
        inputs: { length: 24, keepers: { keeper: "1" } },
      }),
    );
    workspace.table(rows("2"), outputs);
    expect(await workspace.succeed("up --yes --skip-preview")).toContain("+- 1 replaced, 2 unchanged");
    expect(await workspace.succeed("stack output password --show-secrets")).not.toBe(password);
    expect(await workspace.succeed("stack output id")).toBe(id);
    await workspace.succeed("destroy --yes");
  } finally {
    workspace.remove();
    engine.remove();
  }
});
