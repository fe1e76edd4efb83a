import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as tls from "node:tls";

import { makeCertificates, type Certificates } from "../../certificates";
import { repositoryRoot } from "../../repository";

let directory: string;
let certificates: Certificates;

beforeAll(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "certificates-"));
  certificates = await makeCertificates(directory, ["one.test", "two.test", "10.77.9.1"]);
});

afterAll(() => fs.rmSync(directory, { recursive: true }));

const read = (file: string): string => fs.readFileSync(file, "utf8");

/** Connects to a TLS server with our certificate; returns the error, or null when the client trusts it. */
async function handshake(servername: string, ca: string): Promise<Error | null> {
  const server = tls.createServer({ cert: read(certificates.chain), key: read(certificates.key) });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  try {
    return await new Promise((resolve) => {
      const socket = tls.connect({ host: "127.0.0.1", port, servername, ca }, () => {
        socket.destroy();
        resolve(null);
      });
      socket.on("error", resolve);
    });
  } finally {
    server.close();
  }
}

it.each(["one.test", "two.test"])("a client that trusts the authority accepts %s", async (domain) => {
  await expect(handshake(domain, read(certificates.authority))).resolves.toBeNull();
});

it("is valid for an address", () => {
  const certificate = new X509Certificate(read(certificates.chain));
  expect([certificate.checkIP("10.77.9.1"), certificate.checkIP("10.77.9.2")]).toEqual([
    "10.77.9.1",
    undefined,
  ]);
});

it("is valid for no other name", async () => {
  await expect(handshake("three.test", read(certificates.authority))).resolves.toMatchObject({
    code: "ERR_TLS_CERT_ALTNAME_INVALID",
  });
});

it("uses P-256, keeps its key private and throws the authority's key away", () => {
  // The first one of the chain.
  expect(new X509Certificate(read(certificates.chain)).publicKey.asymmetricKeyDetails).toMatchObject({
    namedCurve: "prime256v1",
  });
  expect(fs.statSync(certificates.key).mode & 0o777).toBe(0o600);
  expect(fs.readdirSync(directory).sort()).toEqual(["authority.pem", "fullchain.pem", "server.key"]);
});

it("needs a domain", async () => {
  await expect(makeCertificates(directory, [])).rejects.toThrow("at least one domain");
});

describe("what a guest has to trust as the machine does", () => {
  const [leaf, authority] = ["leaf", "authority"];
  let bundle: Record<string, string>;

  beforeAll(() => {
    const blocks = read(certificates.chain).match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g)!;
    bundle = { leaf: blocks[0], authority: blocks[1]! };
  });

  /** Names of the certificates that the script writes for two bundles, in order; of one that is in neither, its file's. */
  function missing(machine: string | null, guest: string | null): string[] {
    const scratch = fs.mkdtempSync(path.join(directory, "bundles-"));
    const [one, other, out] = ["machine.pem", "guest.pem", "out"].map((name) => path.join(scratch, name));
    if (machine !== null) fs.writeFileSync(one!, machine);
    if (guest !== null) fs.writeFileSync(other!, guest);
    fs.mkdirSync(out!);
    execFileSync(path.join(repositoryRoot(), "sandbox/image/missing-certificates"), [one!, other!, out!]);
    return fs
      .readdirSync(out!)
      .map((file) => {
        expect(file).toMatch(/\.crt$/);
        const written = new X509Certificate(read(path.join(out!, file))).fingerprint256;
        const known = Object.entries(bundle).find(
          ([, block]) => new X509Certificate(block).fingerprint256 === written,
        );
        return known?.[0] ?? file;
      })
      .sort();
  }

  const pem = (names: readonly (string | undefined)[]): string =>
    names.map((name) => `# ${name!}\n${bundle[name!]!}\n`).join("");

  it.each([
    ["nothing, where both trust the same", [leaf, authority], [authority, leaf], []],
    ["what only the machine trusts", [leaf, authority], [leaf], [authority]],
    ["nothing that only the guest trusts", [leaf], [leaf, authority], []],
    ["everything, for a guest that trusts nobody", [leaf, authority], [], [authority, leaf]],
  ])("%s", (_, machine, guest, want) => {
    expect(missing(pem(machine), pem(guest))).toEqual(want);
  });

  it("is the same certificate in lines of another length, and nothing where there is no bundle", () => {
    const wide = pem([leaf, authority]).replace(/(?<=[\w+/=])\n(?=[\w+/=])/g, "");
    expect(wide).not.toBe(pem([leaf, authority]));
    expect(missing(wide, pem([leaf, authority]))).toEqual([]);
    expect(missing(null, pem([leaf]))).toEqual([]);
    expect(missing(pem([leaf]), null)).toEqual([leaf]);
  });
});
