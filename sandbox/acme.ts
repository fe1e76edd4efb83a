import * as fs from "node:fs";
import * as https from "node:https";
import * as path from "node:path";

import { certificatesIn, makeCertificates } from "./certificates";
import { waitFor } from "./processes";
import { freePorts, listens } from "./reachable";
import { serviceLog, startService, stopService } from "./services";
import type { World } from "./world";

/** Longest wait for the server to listen, in seconds. */
const LISTEN_SECONDS = 60;

/** How an ACME server behaves. */
export interface AcmeOptions {
  /** Life of its certificates, in seconds; five years by default, as Pebble has it. */
  readonly validitySeconds?: number;
  /** Names that it refuses to certify, with all below them. */
  readonly blocked?: readonly string[];
  /** How many of its nonces, in percent, it does not know any more when they come back; 3 by default: of 5, as Pebble has it, a client meets six in a row too often. */
  readonly nonceRejectPercent?: number;
  /** Takes up to 3 seconds over each name, at random; off by default. */
  readonly slow?: boolean;
}

/** TCP ports of an ACME server's parts. */
interface Ports {
  readonly directory: number;
  readonly management: number;
  readonly dns: number;
  readonly dnsManagement: number;
}

/**
 * An ACME server for one host: Pebble, which asks the host's port 80 as a public one would, with a name server of its own
 * that answers every name with the host's address. Nobody trusts it but those who are given {@link AcmeServer.authorityFile}.
 */
export class AcmeServer {
  private constructor(
    private readonly world: World,
    private readonly directory: string,
    private readonly address: string,
    private readonly host: string,
    private readonly ports: Ports,
  ) {}

  /**
   * Starts one at `address`, an address of this machine's that the host reaches, on ports that are free there.
   * @param directory For its configuration and keys; made, and removed by {@link AcmeServer.remove}.
   * @param host Address of the host that every name stands for.
   */
  static async start(
    world: World,
    { directory, address, host }: { directory: string; address: string; host: string },
    options: AcmeOptions = {},
  ): Promise<AcmeServer> {
    await makeCertificates(directory, [address]);
    const [one = 0, two = 0, three = 0, four = 0] = await freePorts(address, 4);
    const ports = { directory: one, management: two, dns: three, dnsManagement: four };
    const server = new AcmeServer(world, directory, address, host, ports);
    // What a killed run left: their names are those of the address.
    await server.stop();
    await server.resume(options);
    return server;
  }

  /** URL of its directory, for `site.tls.acme.directory`. */
  get url(): string {
    return `https://${this.address}:${this.ports.directory}/dir`;
  }

  /** File with the authority behind its own TLS certificate, in PEM, for `site.tls.acme.authority`. */
  get authorityFile(): string {
    return certificatesIn(this.directory).authority;
  }

  /** The authority behind the certificates that it issues, in PEM; another one after each start. */
  issuingAuthority(): Promise<string> {
    return this.ask(this.ports.management, "/roots/0");
  }

  /** Lets a name stand for another address than the host's. */
  async setAddress(domain: string, address: string): Promise<void> {
    const host = `${domain}.`;
    // Otherwise the name would have both addresses, and the ACME server would ask either.
    await this.tellNameServer("clear-a", { host });
    await this.tellNameServer("add-a", { host, addresses: [address] });
  }

  private async tellNameServer(
    command: "add-a" | "clear-a",
    content: { readonly host: string; readonly addresses?: readonly string[] },
  ): Promise<void> {
    const url = `http://${this.address}:${this.ports.dnsManagement}/${command}`;
    const answer = await fetch(url, { method: "POST", body: JSON.stringify(content) });
    if (!answer.ok) throw new Error(`the name server refused ${content.host}: status ${answer.status}`);
  }

  /** Starts it again after {@link AcmeServer.stop}, under the same URL. It remembers nothing, its accounts neither. */
  async resume(options: AcmeOptions = {}): Promise<void> {
    const { address, ports, world } = this;
    startService(world, this.dnsService, [
      ...["pebble-challtestsrv", "-defaultIPv4", this.host, "-defaultIPv6", ""],
      ...["-dns01", `${address}:${ports.dns}`, "-management", `${address}:${ports.dnsManagement}`],
      ...["-http01", "", "-https01", "", "-tlsalpn01", ""],
    ]);
    startService(world, this.service, [
      ...["/usr/bin/env", `PEBBLE_VA_NOSLEEP=${options.slow === true ? 0 : 1}`, "PEBBLE_AUTHZREUSE=0"],
      // It draws whole seconds below this.
      "PEBBLE_VA_SLEEPTIME=4",
      `PEBBLE_WFE_NONCEREJECT=${options.nonceRejectPercent ?? 3}`,
      ...["pebble", "-config", this.writeConfiguration(options), "-dnsserver", `${address}:${ports.dns}`],
    ]);
    await waitFor(`Pebble (see ${serviceLog(world, this.service)})`, LISTEN_SECONDS, async () => {
      const up = await Promise.all(Object.values(ports).map((port: number) => listens(address, port)));
      return up.every(Boolean) ? true : undefined;
    });
  }

  /** Ends it; the URL then refuses connections. */
  async stop(): Promise<void> {
    await stopService(this.world, this.service);
    await stopService(this.world, this.dnsService);
  }

  /** Ends it, and removes what it had. */
  async remove(): Promise<void> {
    await this.stop();
    fs.rmSync(this.directory, { recursive: true, force: true });
  }

  private get service(): string {
    return `acme-${this.address}`;
  }

  private get dnsService(): string {
    return `acme-dns-${this.address}`;
  }

  private writeConfiguration({ validitySeconds, blocked = [] }: AcmeOptions): string {
    const { chain, key } = certificatesIn(this.directory);
    const { address, ports } = this;
    const pebble = {
      listenAddress: `${address}:${ports.directory}`,
      managementListenAddress: `${address}:${ports.management}`,
      certificate: chain,
      privateKey: key,
      httpPort: 80,
      tlsPort: 443,
      ocspResponderURL: "",
      externalAccountBindingRequired: false,
      domainBlocklist: blocked,
      ...(validitySeconds === undefined ? {} : { certificateValidityPeriod: validitySeconds }),
    };
    const file = path.join(this.directory, "pebble.json");
    fs.writeFileSync(file, JSON.stringify({ pebble }));
    return file;
  }

  private ask(port: number, where: string): Promise<string> {
    const ca = fs.readFileSync(this.authorityFile);
    return new Promise((resolve, reject) => {
      const outgoing = https.get({ host: this.address, port, path: where, ca, agent: false }, (incoming) => {
        let body = "";
        incoming.setEncoding("utf8");
        incoming.on("data", (chunk: string) => (body += chunk));
        incoming.on("end", () => resolve(body));
        incoming.on("error", reject);
      });
      outgoing.on("error", reject);
    });
  }
}
