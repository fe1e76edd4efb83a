import { validate } from "../../config";
import { ConfigError } from "../../config/faults";
import {
  changed,
  faultsOf,
  hostKey,
  machineWith,
  newHostKey,
  newPrivateKey,
  privateKey,
  rawConfig,
  settings,
} from "./support/configuration";
import { existingMachine } from "./support/existing-host";

const load = (values: Record<string, unknown>) => validate(rawConfig(values), machineWith());

describe("keys for SSH", () => {
  const withKnownHosts = (text: string, address = "10.77.1.2", port = 22) => {
    const host = { address, port, privateKeyFile: "keys/id", knownHostsFile: "~/.ssh/known_hosts" };
    const files = { "/home/me/.ssh/known_hosts": text };
    return existingMachine(validate(rawConfig({ ...settings(), host }), machineWith(files))).hostKey;
  };

  it("finds the host in a known_hosts file", () => {
    const other = newHostKey();
    expect(withKnownHosts(`# mine\n10.77.1.9 ${other}\nweb,10.77.1.2 ${hostKey} me@here\n`)).toBe(hostKey);
  });

  it("prefers Ed25519 to ECDSA", () => {
    const ecdsa = newHostKey("ecdsa-sha2-nistp256");
    expect(withKnownHosts(`10.77.1.2 ${ecdsa}\n10.77.1.2 ${hostKey}\n`)).toBe(hostKey);
  });

  it("finds a host by address and port", () => {
    expect(
      withKnownHosts(`10.77.1.2 ${newHostKey()}\n[10.77.1.2]:2222 ${hostKey}\n`, "10.77.1.2", 2222),
    ).toBe(hostKey);
  });

  it("says so when the host is not in the file", () => {
    expect(() => withKnownHosts(`10.77.1.9 ${hostKey}\n`)).toThrow(
      /ssh-keyscan -t ed25519 -p 22 10\.77\.1\.2/,
    );
  });

  it("does not take another host's revoked or certified key", () => {
    expect(() => withKnownHosts(`@revoked 10.77.1.2 ${hostKey}\n`)).toThrow(ConfigError);
  });

  it("takes the key itself from the secret, with the line ends that SSH expects", () => {
    const values = changed(settings(), ["host", "privateKeyFile"], undefined);
    const { host } = load({ ...values, hostPrivateKey: privateKey.trim().replaceAll("\n", "\r\n") });
    expect(host.privateKey).toBe(privateKey);
  });

  it.each<[string, Record<string, string>, RegExp]>([
    [
      "is not there",
      { "/project/keys/id": undefined as unknown as string },
      /exists; looked for \/project\/keys\/id/,
    ],
    ["is a public key", { "/project/keys/id": hostKey }, /this is a public key/],
    ["needs a passphrase", { "/project/keys/id": newPrivateKey("aes256-ctr") }, /passphrase/],
    ["is no key", { "/project/keys/id": "hello" }, /an unencrypted private SSH key/],
  ])("refuses a private key that %s", (_, files, rule) => {
    expect(faultsOf(settings(), machineWith(files))).toEqual([
      expect.objectContaining({
        key: "vehicleservice:host.privateKeyFile",
        rule: expect.stringMatching(rule),
      }),
    ]);
  });

  it.each<[string, string, RegExp]>([
    ["of a type that the provider cannot pin", newHostKey("ssh-rsa"), /ssh-rsa key cannot be pinned/],
    [
      "whose type is not what it says",
      newHostKey("ecdsa-sha2-nistp256").replace("nistp256", "nistp384"),
      /public key/,
    ],
    ["that is cut short", hostKey.slice(0, 40), /public key/],
    ["with an address before it", `10.77.1.2 ${hostKey}`, /public key/],
    ["with a second line", `${hostKey}\n${hostKey}`, /public key/],
  ])("refuses a host key %s", (_, key, rule) => {
    expect(faultsOf(changed(settings(), ["host", "hostKey"], key))).toEqual([
      expect.objectContaining({ key: "vehicleservice:host.hostKey", rule: expect.stringMatching(rule) }),
    ]);
  });

  it("drops a host key's comment", () => {
    const values = changed(settings(), ["host", "hostKey"], `${hostKey} root@$(id)`);
    expect(existingMachine(load(values)).hostKey).toBe(hostKey);
  });
});
