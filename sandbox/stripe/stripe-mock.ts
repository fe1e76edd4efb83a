import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import { request } from "node:http";
import * as path from "node:path";

import { run } from "../command";
import { installOnce } from "../install";
import { waitFor } from "../processes";
import { cacheDirectory } from "../world";

/** Stripe's own mock of its API, from the Go module proxy. */
const MODULE = "github.com/stripe/stripe-mock@v0.203.0";

/** What it is compiled with where the machine's Go is older than the module wants (Debian bookworm's), from the same proxy. */
const TOOLCHAIN = "v0.0.1-go1.22.12";

/** First Go that gets a newer one for a module by itself. */
const FIRST_SELF_UPDATING = [1, 21] as const;

/** Longest wait for it to listen, in seconds. */
const LISTEN_SECONDS = 60;

/** A key as it takes any; of no account, and put together so that it is no key in a text. */
const KEY = ["sk", "test", "0123456789abcdef"].join("_");

/** API version in its document that is nearest to those of newer SDKs. */
const NEWEST_VERSION = "2026-08-26.dahlia";

/**
 * Installs it into the machine's cache, unless it is there. Needs `go`, Debian's package `golang-go`.
 * @returns the program
 */
export async function installStripeMock(): Promise<string> {
  const directory = path.join(cacheDirectory(), "stripe-mock");
  await installOnce(directory, MODULE, async () => {
    const env = { ...process.env, GOBIN: directory };
    await run([await goProgram(), "install", MODULE], { env });
  });
  return path.join(directory, "stripe-mock");
}

/** A Go that is new enough: the machine's own, or one that it gets as a module. */
export async function goProgram(go = "go"): Promise<string> {
  const { stdout } = await run([go, "env", "GOVERSION", "GOARCH"]);
  const [version = "", architecture = ""] = stdout.trim().split("\n");
  const [, major = "0", minor = "0"] = /^go(\d+)\.(\d+)/.exec(version) ?? [];
  const [firstMajor, firstMinor] = FIRST_SELF_UPDATING;
  if (Number(major) > firstMajor || (Number(major) === firstMajor && Number(minor) >= firstMinor)) return go;
  const module = `golang.org/toolchain@${TOOLCHAIN}.linux-${architecture}`;
  const downloaded = await run([go, "mod", "download", "-json", module]);
  const { Dir: root } = JSON.parse(downloaded.stdout) as { Dir: string };
  // A module's files are not executable; those of the module cache may not be written, but by root.
  for (const folder of ["bin", path.join("pkg", "tool", `linux_${architecture}`)]) {
    for (const file of fs.readdirSync(path.join(root, folder)))
      fs.chmodSync(path.join(root, folder, file), 0o755);
  }
  return path.join(root, "bin", "go");
}

/** What it answers. */
export interface MockAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** A running stripe-mock: it knows Stripe's OpenAPI document, and nothing of what it was asked before. */
export class StripeMock {
  private constructor(
    private readonly child: ChildProcess,
    private readonly socket: string,
  ) {}

  /**
   * Starts it on a socket of its own, so that it takes no port of the machine's.
   * @param program What {@link installStripeMock} gave.
   */
  static async start(program: string, socket: string): Promise<StripeMock> {
    fs.rmSync(socket, { force: true });
    const child = spawn(program, ["-http-unix", socket], { stdio: "ignore" });
    await waitFor("stripe-mock", LISTEN_SECONDS, () => {
      if (child.exitCode !== null)
        throw new Error(`stripe-mock ended at once, with ${String(child.exitCode)}`);
      return Promise.resolve(fs.existsSync(socket) ? true : undefined);
    });
    return new StripeMock(child, socket);
  }

  /** Has it check a call against Stripe's document, and answer as the document's example does. */
  async ask(method: string, url: string, body: string): Promise<MockAnswer> {
    const known = body.replace(
      /(^|&)api_version=\d{4}-\d{2}-\d{2}\.[a-z]+(?=&|$)/,
      `$1api_version=${NEWEST_VERSION}`,
    );
    const headers = {
      Authorization: `Bearer ${KEY}`,
      "Content-Type": "application/x-www-form-urlencoded",
      "Content-Length": String(Buffer.byteLength(known)),
    };
    const outgoing = request({ socketPath: this.socket, method, path: url, headers });
    outgoing.end(known);
    const [incoming] = (await once(outgoing, "response")) as [import("node:http").IncomingMessage];
    let text = "";
    for await (const chunk of incoming.setEncoding("utf8")) text += String(chunk);
    return { status: incoming.statusCode ?? 0, body: JSON.parse(text) as MockAnswer["body"] };
  }

  async stop(): Promise<void> {
    if (this.child.exitCode === null) {
      const ended = once(this.child, "exit");
      this.child.kill();
      await ended;
    }
    fs.rmSync(this.socket, { force: true });
  }
}
