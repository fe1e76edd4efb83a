import * as https from "node:https";

/** How to reach a site whose name resolves nowhere. */
export interface SiteAddress {
  /** IP address to connect to. */
  readonly address: string;
  /** The site's name. */
  readonly domain: string;
  /** The certificate authority to trust, in PEM. */
  readonly authority: string;
}

/** Who answered a request. */
export interface Answer {
  readonly status: number;
  /** Version that answered, e.g. `v1.0.0`; undefined where the answer names none. */
  readonly version: string | undefined;
}

/** Longest wait for an answer, in milliseconds. */
const TIMEOUT_MS = 60_000;

/** Visits the site once, with no cookie, on a connection of its own, and tells who answered. */
export function visit(site: SiteAddress, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = https.get({
      host: site.address,
      servername: site.domain,
      ca: site.authority,
      path: "/api/whoami",
      headers: { host: site.domain, ...headers },
      agent: false,
      timeout: TIMEOUT_MS,
    });
    request.on("timeout", () =>
      request.destroy(new Error(`${site.domain} did not answer within ${TIMEOUT_MS} ms`)),
    );
    request.on("error", reject);
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const status = response.statusCode ?? 0;
        resolve({ status, version: versionIn(Buffer.concat(chunks).toString()) });
      });
    });
  });
}

function versionIn(body: string): string | undefined {
  try {
    const { version } = JSON.parse(body) as { version?: unknown };
    return typeof version === "string" ? version : undefined;
  } catch {
    return undefined;
  }
}
