import { mkdir, rm } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { writeDurably } from "../conductor/system/durable-file";
import type { ChallengeDoor } from "./order";

/** What an ACME server calls a challenge: 128 bits or more in base64url. It becomes a file's name. */
const TOKEN = /^[A-Za-z0-9_-]{16,256}$/;

/** Longest wait for the front door's answer, in milliseconds. */
const TIMEOUT_MS = 5000;

/**
 * Shows answers as files that Nginx serves. Each is asked for first, as the server will, so that a fault of this host costs
 * none of the few failures that a server forgives in an hour.
 * @param directory What Nginx shows below `/.well-known/acme-challenge/`.
 * @param port The front door's port for plain HTTP, on this machine.
 */
export function nginxChallengeDoor(directory: string, port = 80): ChallengeDoor {
  const file = (token: string): string => {
    if (!TOKEN.test(token)) {
      throw new Error("the server's challenge has a token that is none");
    }
    return join(directory, token);
  };
  return {
    async show(domain, token, answer) {
      await mkdir(directory, { recursive: true, mode: 0o755 });
      await writeDurably(file(token), answer, 0o644);
      const shown = await ask(port, domain, `/.well-known/acme-challenge/${token}`);
      if (shown.status !== 200 || shown.body !== answer) {
        throw new Error(
          `this host's own front door answers status ${shown.status} on port 80 where the challenge should be; ` +
            "see /var/log/nginx/error.log",
        );
      }
    },
    async hide(token) {
      if (TOKEN.test(token)) {
        await rm(join(directory, token), { force: true });
      }
    },
  };
}

function ask(port: number, domain: string, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: "127.0.0.1", port, path, headers: { host: domain }, agent: false },
      (incoming) => {
        let body = "";
        incoming.setEncoding("utf8");
        incoming.on("data", (chunk: string) => (body += chunk));
        incoming.on("end", () => resolve({ status: incoming.statusCode ?? 0, body }));
        incoming.on("error", reject);
      },
    );
    outgoing.setTimeout(TIMEOUT_MS, () => outgoing.destroy(new Error(`no answer in ${TIMEOUT_MS / 1000} s`)));
    outgoing.on("error", (error) =>
      reject(new Error(`this host's own front door does not answer on port 80: ${error.message}`)),
    );
    outgoing.end();
  });
}
