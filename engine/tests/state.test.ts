import fc from "fast-check";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileBackend } from "../state/backend";
import {
  checkpointPieces,
  hasEncryptedValues,
  parseCheckpoint,
  readCheckpoint,
  writeCheckpoint,
  WrittenState,
  type CheckpointFile,
} from "../state/checkpoint";
import { Crypter } from "../state/crypter";
import type { ResourceState } from "../state/resource";
import { Snapshot, verifyResources } from "../state/snapshot";
import { makeUrn, parseProviderReference, parseUrn } from "../state/urn";
import { secret, type PropertyMap, type PropertyValue } from "../values/property";

const urn = (name: string): string => `urn:pulumi:dev::p::t:m:R::${name}`;
const resource = (name: string, more: Partial<ResourceState> = {}): ResourceState => ({
  urn: urn(name),
  custom: true,
  type: "t:m:R",
  ...more,
});
const names = (resources: readonly ResourceState[]): string[] =>
  resources.map(
    (each) => `${parseUrn(each.urn).name}${each.delete ? "!" : ""}${each.id ? `=${each.id}` : ""}`,
  );

let crypter: Crypter;
beforeAll(async () => {
  crypter = await Crypter.create("correct horse");
});

describe("the key of a passphrase", () => {
  it("decrypts what it encrypted, whatever it is", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(crypter.decrypt(crypter.encrypt(text))).toBe(text);
      }),
    );
  });

  it("opens with the right passphrase only", async () => {
    const ciphertext = crypter.encrypt("hush");
    expect((await Crypter.open(crypter.salt, "correct horse")).decrypt(ciphertext)).toBe("hush");
    await expect(Crypter.open(crypter.salt, "wrong horse")).rejects.toThrow(
      "the passphrase does not fit this stack",
    );
  });

  // A salt and a secret that the Pulumi CLI 3.270 wrote with this passphrase.
  it("reads what the CLI wrote", async () => {
    const cli = await Crypter.open(
      "v1:0Gl6RlOlqcM=:v1:koX3aKaEj67XSdGW:0bkCcHsD8CxmuseihnOyv9yTAHhzug==",
      "pw",
    );
    expect(cli.decrypt("v1:4+5zUvnbLq21wUfz:wJrG1+wGM5MkjXCUPQypxUreBgWw2nuDhCVuK8+CTnI=")).toBe(
      '"hunter2hunter2"',
    );
  });

  it("gives an unchanged secret its ciphertext back, and every secret another one", () => {
    expect(crypter.encrypt("same")).toBe(crypter.encrypt("same"));
    expect(crypter.encrypt("same")).not.toBe(crypter.encrypt("other"));
  });

  it.each(["", "v2:a:b", "v1:AAAA", "v1:AAAAAAAAAAAAAAAA:AAAA:AAAA"])("refuses %j as a secret", (text) => {
    expect(() => crypter.decrypt(text)).toThrow("a secret is not of the form");
  });

  it("notices a changed ciphertext", () => {
    const [version, nonce, text = ""] = crypter.encrypt("hush, hush").split(":");
    const bytes = Buffer.from(text, "base64");
    bytes[0]! ^= 1;
    expect(() => crypter.decrypt(`${version ?? ""}:${nonce ?? ""}:${bytes.toString("base64")}`)).toThrow(
      "a secret cannot be decrypted",
    );
  });
});

describe("a checkpoint", () => {
  const write = (resources: ResourceState[]): CheckpointFile =>
    writeCheckpoint(
      "organization/p/dev",
      { resources, pendingOperations: [], salt: crypter.salt },
      crypter,
      new Date(0),
    );

  it("gives back every resource that was written", () => {
    const value = fc.jsonValue() as fc.Arbitrary<PropertyValue>;
    const properties = fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), fc.oneof(value, value.map(secret)), {
      minKeys: 1,
    }) as fc.Arbitrary<PropertyMap>;
    fc.assert(
      fc.property(properties, properties, (inputs, outputs) => {
        const state = resource("r", {
          id: "1",
          inputs,
          outputs,
          dependencies: [urn("d")],
          carried: { taint: true },
        });
        const text = JSON.stringify(write([state]));
        expect(readCheckpoint(parseCheckpoint(text, "f"), crypter).resources).toEqual([
          JSON.parse(JSON.stringify(state)),
        ]);
      }),
    );
  });

  it("holds no secret in clear", () => {
    const file = write([
      resource("r", { inputs: { a: secret({ deep: "canary-1" }) }, outputs: { list: [secret("canary-2")] } }),
    ]);
    expect(hasEncryptedValues(file)).toBe(true);
    expect(JSON.stringify(file)).not.toMatch(/canary/);
  });

  it("does not change where nothing did", () => {
    const state = [resource("r", { inputs: { a: secret("x") } })];
    expect(write(state)).toEqual(write(state));
  });

  it("leaves out what has nothing to say", () => {
    expect(
      write([resource("r", { inputs: {}, dependencies: [], protect: false, id: "" })]).checkpoint.latest,
    ).toMatchObject({
      resources: [{ urn: urn("r"), custom: true, type: "t:m:R" }],
    });
    expect(
      Object.keys(write([resource("r", { inputs: {} })]).checkpoint.latest?.resources?.[0] ?? {}),
    ).toEqual(["urn", "custom", "type"]);
  });

  it.each([
    ["{", "is not JSON"],
    ['{"version":5,"checkpoint":{}}', "has version 5"],
    ['{"version":4,"features":["hooks"],"checkpoint":{}}', "uses hooks"],
  ])("is refused as %s", (text, reason) => {
    expect(() => parseCheckpoint(text, "dev.json")).toThrow(reason);
  });

  it("of another secrets provider is refused", () => {
    const file = write([]);
    file.checkpoint.latest!.secrets_providers!.type = "cloud";
    expect(() => readCheckpoint(file, undefined)).toThrow('secrets provider is "cloud"');
  });
});

describe("a state that is written again and again", () => {
  const NAMES = ["a", "b", "c", "d"];
  /** What a deployment does to a resource: every value that it gives one is a new one. */
  const changes: readonly ((state: ResourceState, number: number) => void)[] = [
    (state, number) =>
      (state.inputs = { number, text: `\u{1F511} "${String(number)}"`, key: secret(number) }),
    (state, number) => (state.outputs = { nested: [secret({ number })] }),
    (state, number) => (state.id = String(number)),
    (state) => (state.delete = !(state.delete ?? false)),
    (state, number) => (state.initErrors = [`error ${String(number)}`]),
    (state) => (state.dependencies = [urn("z")]),
    (state, number) => (state.carried = { taint: number }),
  ];
  const step = fc.record({
    name: fc.constantFrom(...NAMES),
    change: fc.constantFrom(...changes),
    number: fc.nat(9),
    there: fc.subarray(NAMES),
    pending: fc.option(fc.constantFrom(...NAMES)),
  });

  it("is as it would be if nothing of it had been written before", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const all = new Map(NAMES.map((name) => [name, resource(name)]));
        const written = new WrittenState();
        for (const { name, change, number, there, pending } of steps) {
          change(all.get(name)!, number);
          const state = {
            resources: there.map((each) => all.get(each)!),
            pendingOperations:
              pending === null ? [] : [{ resource: all.get(pending)!, type: "creating" as const }],
            salt: crypter.salt,
          };
          const file = writeCheckpoint("organization/p/dev", state, crypter, new Date(0), written);
          const fresh = writeCheckpoint("organization/p/dev", state, crypter, new Date(0));
          expect(file).toEqual(fresh);
          const text = Buffer.concat(checkpointPieces(file, written)).toString();
          expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(fresh)));
        }
      }),
    );
  });

  it("is on the disk whole, however many resources it has", async () => {
    const directory = mkdtempSync(join(tmpdir(), "state-"));
    try {
      const backend = FileBackend.at(`file://${directory}`, directory);
      const reference = { project: "p", stack: "dev" };
      const resources = Array.from({ length: 3000 }, (_, index) => resource(`r${String(index)}`));
      const file = writeCheckpoint(
        "organization/p/dev",
        { resources, pendingOperations: [], salt: undefined },
        undefined,
        new Date(0),
      );
      await backend.save(reference, file, checkpointPieces(file));
      expect(await backend.load(reference)).toEqual(JSON.parse(JSON.stringify(file)));
      await backend.save(reference, { ...file, version: 4 });
      expect((await backend.load(reference))?.version).toBe(4);
      expect(JSON.parse(readFileSync(`${backend.checkpointPath(reference)}.bak`, "utf8"))).toMatchObject({
        version: 3,
      });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe("a snapshot", () => {
  const [a, b, c] = [resource("a"), resource("b"), resource("c")];
  it.each<[string, (snapshot: Snapshot) => void, string[]]>([
    ["nothing", () => undefined, ["a", "b", "c"]],
    [
      "an unchanged resource",
      (s) => {
        s.put(resource("b"), b);
      },
      ["b", "a", "c"],
    ],
    [
      "an update",
      (s) => {
        s.put(resource("a", { id: "2" }), a);
      },
      ["a=2", "b", "c"],
    ],
    [
      "a creation",
      (s) => {
        s.put(resource("d"));
      },
      ["d", "a", "b", "c"],
    ],
    [
      "a deletion",
      (s) => {
        s.remove(b);
      },
      ["a", "c"],
    ],
    [
      "a deletion of something new",
      (s) => {
        const d = resource("d");
        s.put(d);
        s.remove(d);
      },
      ["a", "b", "c"],
    ],
  ])("after %s", (_what, act, left) => {
    const snapshot = new Snapshot([a, b, c]);
    act(snapshot);
    expect(names(snapshot.resources)).toEqual(left);
  });

  it("keeps an operation until it ends", () => {
    const snapshot = new Snapshot([a]);
    snapshot.begin(b, "creating");
    expect(snapshot.pendingOperations).toEqual([{ resource: b, type: "creating" }]);
    snapshot.end(b);
    expect(snapshot.pendingOperations).toEqual([]);
  });
});

describe("a state", () => {
  it.each<[string, ResourceState[], string | undefined]>([
    ["in order", [resource("a"), resource("b", { dependencies: [urn("a")] })], undefined],
    [
      "with a replaced resource beside its successor",
      [resource("a"), resource("a", { delete: true })],
      undefined,
    ],
    [
      "out of order",
      [resource("b", { dependencies: [urn("a")] }), resource("a")],
      "::b refers to .*::a, which is missing or comes after it",
    ],
    ["without a parent", [resource("b", { parent: urn("a") })], "missing or comes after"],
    ["without a provider", [resource("b", { provider: `${urn("p")}::1` })], "missing or comes after"],
    ["with a resource twice", [resource("a"), resource("a")], "::a is there twice"],
  ])("%s", (_what, resources, fault) => {
    const verify = (): void => {
      verifyResources(resources);
    };
    if (fault === undefined) expect(verify).not.toThrow();
    else expect(verify).toThrow(new RegExp(fault));
  });
});

describe("URNs", () => {
  const stack = "urn:pulumi:dev::p::pulumi:pulumi:Stack::p-dev";
  it.each([
    ["", "urn:pulumi:dev::p::t:m:R::n"],
    [stack, "urn:pulumi:dev::p::t:m:R::n"],
    ["urn:pulumi:dev::p::a:b:C::x", "urn:pulumi:dev::p::a:b:C$t:m:R::n"],
    ["urn:pulumi:dev::p::a:b:C$d:e:F::x", "urn:pulumi:dev::p::a:b:C$d:e:F$t:m:R::n"],
  ])("below %j", (parent, expected) => {
    expect(makeUrn("dev", "p", parent, "t:m:R", "n")).toBe(expected);
    expect(parseUrn(expected)).toMatchObject({ stack: "dev", project: "p", type: "t:m:R", name: "n" });
  });
  it("may hold a name with colons", () => {
    expect(parseUrn("urn:pulumi:dev::p::t:m:R::a::b").name).toBe("a::b");
  });
  it("are part of provider references", () => {
    expect(parseProviderReference(`${urn("p")}::12-34`)).toEqual({ urn: urn("p"), id: "12-34" });
    expect(() => parseProviderReference("nonsense")).toThrow("is not a provider reference");
  });
});
