import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { hostKeyFrom } from "../../components/host-key";
import { cloudConfig } from "../../components/user-data";
import { KeyFault, parseHostKey, parsePrivateKey, publicHalfOf } from "../../config/ssh-keys";
import { userDataFaults } from "../../sandbox/aws/instances/cloud-config";

/* Keys that the stack makes, and halves that it derives, as OpenSSH's own programs read them. */

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "host-key-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** What `ssh-keygen` says of a private key. */
function askOpenssh(privateKey: string): { readonly publicKey: string; readonly fingerprint: string } {
  const file = join(directory, "key");
  writeFileSync(file, privateKey, { mode: 0o600 });
  const publicKey = execFileSync("ssh-keygen", ["-y", "-f", file], { encoding: "utf8" }).trim();
  writeFileSync(`${file}.pub`, publicKey);
  const told = execFileSync("ssh-keygen", ["-l", "-f", `${file}.pub`], { encoding: "utf8" });
  return { publicKey: publicKey.split(" ").slice(0, 2).join(" "), fingerprint: told.split(" ")[1] ?? "" };
}

/** A secret of the length that the stack makes one of. */
const SECRET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ__";

test("a host's key is one that OpenSSH takes, and says of itself what OpenSSH says", () => {
  const { privateKey, publicKey, fingerprint } = hostKeyFrom(SECRET);
  expect(askOpenssh(privateKey)).toEqual({ publicKey, fingerprint });
  expect(parseHostKey(publicKey)).toEqual({ line: publicKey, fingerprint });
  expect(parsePrivateKey(privateKey)).toBe(privateKey);
});

test("a host's key is the same from the same secret, and another one from another", () => {
  expect(hostKeyFrom(SECRET)).toEqual(hostKeyFrom(SECRET));
  expect(hostKeyFrom(`${SECRET}.`).publicKey).not.toBe(hostKeyFrom(SECRET).publicKey);
  // What is derived may never change: a machine has its key from its first boot on, and the stack only what it is made from.
  expect(hostKeyFrom(SECRET).fingerprint).toBe("SHA256:z3beXMdy8nYAB/Btw2u7dGXsh1hPqEIEmmTQJ7EVF6A");
});

const pem = { type: "pkcs8", format: "pem" } as const;
const spki = { type: "spki", format: "der" } as const;
const ecdsa = (namedCurve: string) =>
  generateKeyPairSync("ec", { namedCurve, privateKeyEncoding: pem, publicKeyEncoding: spki }).privateKey;

test.each<[string, () => string]>([
  ["Ed25519 in OpenSSH's format", () => hostKeyFrom(SECRET).privateKey],
  [
    "RSA in OpenSSH's format",
    () => {
      const file = join(directory, "rsa");
      execFileSync("ssh-keygen", ["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", file]);
      return execFileSync("cat", [file], { encoding: "utf8" });
    },
  ],
  [
    "RSA in PEM",
    () =>
      generateKeyPairSync("rsa", { modulusLength: 2048, privateKeyEncoding: pem, publicKeyEncoding: spki })
        .privateKey,
  ],
  ["ECDSA in PEM", () => ecdsa("P-256")],
  ["a longer ECDSA in PEM", () => ecdsa("P-521")],
])("the public half of a private key is derived as OpenSSH does: %s", (_, make) => {
  const key = parsePrivateKey(make());
  expect(publicHalfOf(key)).toBe(askOpenssh(key).publicKey);
});

test("a private key that SSH does not take, or that is cut off, has no public half", () => {
  const odd = generateKeyPairSync("x25519", { privateKeyEncoding: pem, publicKeyEncoding: spki }).privateKey;
  const lines = hostKeyFrom(SECRET).privateKey.split("\n");
  const cut = [lines[0], lines[1]?.slice(0, 40), ...lines.slice(-2)].join("\n");
  for (const key of [odd, ecdsa("secp256k1"), cut]) {
    expect(() => publicHalfOf(key)).toThrow(KeyFault);
  }
});

test("user data lets SSH in, by one key and with one host key, and does nothing else", () => {
  const { privateKey: hostPrivateKey, publicKey: hostPublicKey } = hostKeyFrom(SECRET);
  const authorizedKey = hostKeyFrom("another").publicKey;
  const text = cloudConfig({ hostPrivateKey, hostPublicKey, user: "admin", authorizedKey });
  expect(userDataFaults(text)).toEqual([]);
  expect(parse(text)).toEqual({
    ssh_deletekeys: true,
    ssh_keys: { ed25519_private: hostPrivateKey, ed25519_public: hostPublicKey },
    ssh_pwauth: false,
    disable_root: true,
    users: [
      {
        name: "admin",
        shell: "/bin/bash",
        lock_passwd: true,
        sudo: "ALL=(ALL) NOPASSWD:ALL",
        ssh_authorized_keys: [authorizedKey],
      },
    ],
  });
});
