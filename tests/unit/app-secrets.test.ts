import * as pulumi from "@pulumi/pulumi";
import {
  AppSecrets,
  derivedSecret,
  type GeneratedSecret,
  type SecretsSpec,
} from "../../components/app-secrets";
import { VARIABLES } from "../../config/variable-table";
import { registrationsOf } from "./support/registrations";

/* The keys that a stack makes itself: what they look like, that they stay, and that they rotate when told to. */

const base64: GeneratedSecret = { form: "base64-32", generation: 1 };
const hex: GeneratedSecret = { form: "hex-32", generation: 1 };

/** What the tests' provider makes of every root. */
const ROOT = "A".repeat(43);

describe("a value", () => {
  it("is the same in every version of this program: what was encrypted by it has to stay readable", () => {
    // RFC 5869 by another hand: openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt key:AAA... -kdfopt info:... HKDF
    expect(derivedSecret(ROOT, "STATE_SECRET", hex)).toBe(KNOWN.hex);
    expect(derivedSecret(ROOT, "STATE_SECRET", base64)).toBe(
      Buffer.from(KNOWN.hex, "hex").toString("base64"),
    );
    expect(derivedSecret(ROOT, "STATE_SECRET", { ...hex, generation: 2 })).toBe(KNOWN.second);
  });

  it("is another one for each stack, variable and generation, and the old one for the old generation", () => {
    const values = ["A", "B"].flatMap((root) =>
      ["ENCRYPTION_KEY", "STATE_SECRET"].flatMap((name) =>
        [1, 2, 11].map((generation) => derivedSecret(root.repeat(64), name, { ...hex, generation })),
      ),
    );
    expect(new Set(values).size).toBe(12);
    expect(derivedSecret("A".repeat(64), "ENCRYPTION_KEY", hex)).toBe(values[0]);
  });

  it("is what the guide's variables have to be", () => {
    for (const { name, form, givenBy } of VARIABLES.filter((variable) => variable.givenBy === "stack")) {
      const value = derivedSecret(ROOT, name, name === "STATE_SECRET" ? hex : base64);
      expect([name, givenBy, form(value)]).toEqual([name, "stack", undefined]);
    }
  });
});

/** Made by OpenSSL 3 from {@link ROOT}: a known answer, and no one's key. */
const KNOWN = {
  hex: "1d69e622f15b38308f4ace14d8d2f92618c56f09b05b6983666bba0ccc2115a6",
  second: "d65337dd00d1127adac77df43a617aa0c5660a4139bc9fce39888f7f958e0e04",
};

describe("AppSecrets", () => {
  const made = (spec: SecretsSpec | null) => registrationsOf(() => new AppSecrets("secrets", spec).variables);
  const valueOf = (output: pulumi.Output<string> | undefined) =>
    new Promise((resolve) => output?.apply(resolve));

  it("has one root, protected, from which nothing in the config makes another one", async () => {
    const { registrations } = await made({ generated: { ENCRYPTION_KEY: base64, STATE_SECRET: hex } });
    const later = { ENCRYPTION_KEY: { ...base64, generation: 7 }, TOKEN: hex };
    const [component, root] = registrations;
    expect(registrations).toHaveLength(2);
    expect(component).toMatchObject({ type: "vehicleservice:host:AppSecrets", name: "secrets" });
    expect(root).toMatchObject({ name: "secrets-root", parent: "secrets", protected: true });
    expect(root?.type).toBe("random:index/randomPassword:RandomPassword");
    expect(root?.inputs).toMatchObject({ length: 64, special: false });
    for (const generated of [later, {}])
      expect((await made({ generated })).registrations).toEqual(registrations);
  });

  it("gives each variable its value, as a secret", async () => {
    const { result } = await made({ generated: { ENCRYPTION_KEY: base64, STATE_SECRET: hex } });
    expect(Object.keys(result)).toEqual(["ENCRYPTION_KEY", "STATE_SECRET"]);
    expect(await valueOf(result["STATE_SECRET"])).toBe(KNOWN.hex);
    for (const output of Object.values(result)) expect(await pulumi.isSecret(output)).toBe(true);
  });

  it("makes nothing for a stack that wants none", async () => {
    const { registrations, result } = await made(null);
    expect(registrations.map(({ type }) => type)).toEqual(["vehicleservice:host:AppSecrets"]);
    expect(result).toEqual({});
  });
});
