import { once } from "node:events";
import * as fs from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import * as os from "node:os";
import * as path from "node:path";

import { ensureImage } from "../../../../sandbox/image/image";
import { buildNginxPackages, buildPackage } from "./nginx-packages";
import { buildNodeRelease, type NodeRelease } from "./node-release";
import { packageRepository, sha256, SigningKey, type Files } from "./package-repository";

/** What a test sets in place of what `sources` has. */
export interface SourceOverrides {
  /** Which of the Nginx sources, see {@link Makers}. */
  readonly nginx?: "good" | "stranger" | "tampered" | "old" | "newer";
  /** Which file holds the keys. */
  readonly keys?: string;
  /** SHA-256 that Node's archive has to have. */
  readonly nodeSha256?: string;
}

/** The version of Nginx in the source that is too old. */
export const OLD_VERSION = "1.28.0";

/** A package in every source that nobody asked for, newer than the distribution's. */
export const UNASKED = { name: "sudo", version: "99.0" };

/**
 * The makers of Nginx and Node, on a web server of this machine: Nginx's packages signed with a key of the test's own, in
 * a good source, one that a stranger signed, one that was changed after it was signed, one whose Nginx is too old, and one
 * with a newer build; and a release of Node.
 */
export class Makers {
  /** Paths that were asked for since the last {@link Makers.forgetRequests}. */
  readonly requests: string[] = [];
  /** Called with each path before it is answered: a test may kill who asks. */
  onRequest: (path: string) => Promise<void> = () => Promise.resolve();

  private constructor(
    private readonly directory: string,
    private readonly files: Files,
    /** Fingerprint of the key that signs the good source. */
    private readonly fingerprint: string,
    readonly node: NodeRelease,
    private readonly server: Server,
    private readonly url: string,
  ) {
    server.on("request", (request, response) => {
      // apt encodes what stands for itself: "~" and "+".
      const name = decodeURIComponent(request.url ?? "");
      this.requests.push(name);
      void this.onRequest(name).then(() => {
        const content = files.get(name);
        response.statusCode = content === undefined ? 404 : 200;
        response.end(content);
      });
    });
  }

  /** Makes them for hosts of `suite` that reach this machine at `address`. Call {@link Makers.close} in the end. */
  static async create(suite: string, address: string): Promise<Makers> {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "makers-"));
    const key = await SigningKey.create(path.join(directory, "key"));
    const stranger = await SigningKey.create(path.join(directory, "stranger"));
    const image = await ensureImage();
    // It is compressed beside the rest.
    const compressed = buildNodeRelease(directory);
    const unasked = await buildPackage(path.join(directory, "unasked"), UNASKED.name, UNASKED.version);
    const packages = [unasked, ...(await buildNginxPackages(directory, { image, suite }))];
    const newer = await buildNginxPackages(directory, { image, suite, build: 2 });
    const old = await buildNginxPackages(directory, { image, suite, version: OLD_VERSION });
    const tampered = new Map(await packageRepository("/tampered/debian", suite, packages, key));
    for (const [name, content] of tampered) {
      if (name.endsWith("/Packages"))
        tampered.set(name, String(content).replace("Section: httpd", "Section: httpx"));
    }
    const node = await compressed;
    const files = new Map([
      ...(await packageRepository("/good/debian", suite, packages, key)),
      ...(await packageRepository("/stranger/debian", suite, packages, stranger)),
      ...(await packageRepository("/newer/debian", suite, [...packages, ...newer], key)),
      ...(await packageRepository("/old/debian", suite, old, key)),
      ...tampered,
      ["/key", key.publicKey],
      ["/stranger-key", stranger.publicKey],
      ["/nonsense", "<h1>Welcome</h1>\n"],
      // As the makers' file: more than one key, not all of them known here.
      ["/keys", stranger.publicKey + key.publicKey],
      [`/dist/v${node.version}/${path.basename(node.file)}`, fs.readFileSync(node.file)],
    ] as const);
    // All is signed: nothing of GnuPG's is left to be ended by a test that may be killed.
    await Promise.all([key.close(), stranger.close()]);
    const server = createServer().listen(0, address);
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    return new Makers(directory, files, key.fingerprint, node, server, `http://${address}:${port}`);
  }

  /** Text of a `sources` that names these makers. */
  sources({ nginx = "good", keys = "/keys", nodeSha256 }: SourceOverrides = {}): string {
    const hash = nodeSha256 ?? sha256(fs.readFileSync(this.node.file));
    return [
      `nginx_packages=${this.url}/${nginx}`,
      `nginx_keys=${this.url}${keys}`,
      `nginx_key_fingerprints=(${this.fingerprint})`,
      `node_releases=${this.url}/dist`,
      `node_version=${this.node.version}`,
      `node_sha256_x64=${hash}`,
      `node_sha256_arm64=${hash}`,
      "",
    ].join("\n");
  }

  forgetRequests(): void {
    this.requests.length = 0;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    fs.rmSync(this.directory, { recursive: true });
  }
}
