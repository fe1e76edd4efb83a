import { hkdfSync } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
import { RandomPassword } from "@pulumi/random";

/** How one generated variable is written, and which of its values it has. */
export interface GeneratedSecret {
  /** 32 bytes: in base64 (44 characters), or in hexadecimal (64). */
  readonly form: "base64-32" | "hex-32";
  /** From 1. Another number is another value, and the same number the same one again. */
  readonly generation: number;
}

/** The application's secrets that the stack makes. */
export interface SecretsSpec {
  /** By the variable's name. One that the config gives itself is not here. */
  readonly generated: Readonly<Record<string, GeneratedSecret>>;
}

/** Letters and digits of the root: 381 bits, more than any value that comes of it. */
const ROOT_LENGTH = 64;

/** Bytes of a value. */
const BYTES = 32;

/**
 * Returns a variable's value: HKDF (RFC 5869, SHA-256, without salt) of the stack's root, with the variable's name and its
 * generation as info. So no value tells another one, and a generation that comes back is the value that it was. Pure, and
 * never to be changed: another value could read nothing that was encrypted before.
 */
export function derivedSecret(root: string, variable: string, { form, generation }: GeneratedSecret): string {
  const info = `${variable} ${String(generation)}`;
  const bytes = Buffer.from(hkdfSync("sha256", root, "", info, BYTES));
  return bytes.toString(form === "hex-32" ? "hex" : "base64");
}

/**
 * The application's own keys: made once for a stack, from one protected random root, and the same in every `up` after
 * that. A key that had a resource of its own could not be rotated and kept from deletion at once; derived, each rotates by its
 * number, and goes back by it, while the root stays.
 */
export class AppSecrets extends pulumi.ComponentResource {
  /** Values by name; empty for none. Secrets. */
  readonly variables: Readonly<Record<string, pulumi.Output<string>>>;

  /** @param secrets Null for a stack that makes none: nothing is there. */
  constructor(name: string, secrets: SecretsSpec | null, opts?: pulumi.ComponentResourceOptions) {
    super("vehicleservice:host:AppSecrets", name, {}, opts);
    this.variables = secrets === null ? {} : derivedFrom(this.root(name), secrets);
    this.registerOutputs({});
  }

  /** Not RandomBytes, whose id is the secret itself, in clear in the state. */
  private root(name: string): pulumi.Output<string> {
    const args = { length: ROOT_LENGTH, special: false };
    return new RandomPassword(`${name}-root`, args, { parent: this, protect: true }).result;
  }
}

function derivedFrom(root: pulumi.Output<string>, { generated }: SecretsSpec): AppSecrets["variables"] {
  const secretRoot = pulumi.secret(root);
  return Object.fromEntries(
    Object.entries(generated).map(([variable, secret]) => [
      variable,
      secretRoot.apply((text) => derivedSecret(text, variable, secret)),
    ]),
  );
}
