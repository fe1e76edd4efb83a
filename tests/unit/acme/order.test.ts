import { obtain, type AcmeServer, type Authorization, type Order } from "../../../host/acme/order";

const ORDER: Order = {
  domains: ["a.test", "b.test"],
  directory: "https://acme.test/dir",
  email: "operations@a.test",
  authority: null,
  accountKey: "/var/lib/shop/certificates/account.pem",
  challenges: "/var/lib/shop/acme",
};

const authorization = (domain: string, change: Partial<Authorization> = {}): Authorization => ({
  identifier: { value: domain },
  status: "pending",
  challenges: [
    { type: "dns-01", url: `https://acme.test/dns/${domain}`, token: `dns-${domain}` },
    { type: "http-01", url: `https://acme.test/http/${domain}`, token: `http-${domain}` },
  ],
  ...change,
});

/** A server that certifies everybody, and a front door that shows everything; what happened, in order. */
class Scene {
  readonly events: string[] = [];
  readonly told: string[] = [];
  readonly shown = new Map<string, string>();
  authorizations: readonly Authorization[] = [authorization("a.test"), authorization("b.test")];

  readonly server: AcmeServer<string> = {
    hello: () => this.step("hello"),
    account: (email) => this.step(`account ${email}`),
    order: async (domains) => {
      await this.step(`order ${domains.join(" ")}`);
      return "placed";
    },
    authorizations: () => Promise.resolve(this.authorizations),
    answerTo: ({ token }) => Promise.resolve(`${token}.thumbprint`),
    verify: async ({ token }) => {
      await this.step(`verify ${token}`);
      expect(this.shown.get(token)).toBe(`${token}.thumbprint`);
    },
    certificate: async (placed, request) => {
      await this.step(`certificate for ${request} of ${placed}`);
      return "chain";
    },
  };

  readonly door = {
    show: async (domain: string, token: string, answer: string) => {
      await this.step(`show ${domain}`);
      this.shown.set(token, answer);
    },
    hide: (token: string) => {
      this.shown.delete(token);
      return Promise.resolve();
    },
  };

  /** Where it fails, and with what. */
  failing: readonly [string, Error] | null = null;

  private step(name: string): Promise<void> {
    this.events.push(name);
    return this.failing !== null && name.startsWith(this.failing[0])
      ? Promise.reject(this.failing[1])
      : Promise.resolve();
  }

  run(): Promise<string> {
    return obtain(ORDER, this.server, this.door, "request", (line) => this.told.push(line));
  }
}

it("proves every name by HTTP and returns the chain", async () => {
  const scene = new Scene();
  await expect(scene.run()).resolves.toBe("chain");
  expect(scene.events.slice(0, 3)).toEqual(["hello", "account operations@a.test", "order a.test b.test"]);
  expect(scene.events).toEqual(expect.arrayContaining(["verify http-a.test", "verify http-b.test"]));
  expect(scene.events.at(-1)).toBe("certificate for request of placed");
  expect(scene.told).toEqual(expect.arrayContaining(["a.test: proven", "b.test: proven"]));
  expect(scene.shown.size).toBe(0);
});

it("does not prove again what the server holds for proven", async () => {
  const scene = new Scene();
  scene.authorizations = [authorization("a.test", { status: "valid" }), authorization("b.test")];
  await scene.run();
  expect(scene.events.filter((event) => event.startsWith("verify"))).toEqual(["verify http-b.test"]);
});

const refused = Object.assign(new Error(""), { code: "ECONNREFUSED" });

it.each([
  [
    "hello",
    refused,
    "could not reach the ACME server: ECONNREFUSED\nway out: see that https://acme.test/dir",
  ],
  [
    "account",
    new Error("invalid contact"),
    "could not open the account: invalid contact\nway out: see site.tls.acme.email",
  ],
  [
    "order",
    new Error("too many certificates"),
    "could not place the order: too many certificates\nway out: see what",
  ],
  ["certificate", new Error("badCSR"), "could not fetch the certificate: badCSR\nway out: "],
])("a fault at %s: step, reason and way out", async (at, error, message) => {
  const scene = new Scene();
  scene.failing = [at, error];
  await expect(scene.run()).rejects.toThrow(message);
});

it("names each name that is not proven, with why, and hides every answer", async () => {
  const scene = new Scene();
  scene.failing = ["verify", new Error("Connection refused")];
  await expect(scene.run()).rejects.toThrow(
    "could not prove that a.test is this host: Connection refused\n" +
      "could not prove that b.test is this host: Connection refused\n" +
      "way out: the DNS records A and AAAA of a.test, b.test have to point to this host",
  );
  expect(scene.shown.size).toBe(0);
  expect(scene.events).not.toContain("certificate for request of placed");
});

it("spares the server a challenge that the front door does not show", async () => {
  const scene = new Scene();
  scene.failing = ["show a.test", new Error("this host's own front door answers status 404")];
  await expect(scene.run()).rejects.toThrow(
    "could not prove that a.test is this host: this host's own front door",
  );
  expect(scene.events).not.toContain("verify http-a.test");
});

it("says so where no challenge by HTTP is offered", async () => {
  const scene = new Scene();
  const [dns] = authorization("a.test").challenges;
  scene.authorizations = [authorization("a.test", { challenges: [dns!] })];
  await expect(scene.run()).rejects.toThrow("the server offers no challenge by HTTP, only dns-01");
});
