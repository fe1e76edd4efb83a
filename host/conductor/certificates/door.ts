import { connect } from "node:tls";
import { Failed } from "../faults";
import { testAndReloadNginx } from "../front-door/site-files";
import { waitUntil } from "../system/wait";

/** Handshakes in a row that must show the new certificate: an old worker may still hold the socket for a moment. */
const HANDSHAKES_IN_A_ROW = 5;
const EFFECTIVE_DEADLINE_MS = 15_000;
const HANDSHAKE_TIMEOUT_MS = 5000;

/** The front door as a certificate sees it. */
export interface CertificateDoor {
  /** SHA-256 of the certificate that the front door shows for a domain; null where nobody listens. */
  served(domain: string): Promise<string | null>;
  /**
   * Lets the front door read its certificate again, and waits until it shows the one with this SHA-256.
   * @throws Failed
   */
  reload(domain: string, fingerprint: string): Promise<void>;
}

/** Nginx on this host. */
export const nginxCertificateDoor: CertificateDoor = {
  served: (domain) => servedCertificate(domain, 443),
  async reload(domain, fingerprint) {
    await testAndReloadNginx();
    let inARow = 0;
    const taken = await waitUntil(EFFECTIVE_DEADLINE_MS, 10, async () => {
      inARow = (await servedCertificate(domain, 443)) === fingerprint ? inARow + 1 : 0;
      return inARow >= HANDSHAKES_IN_A_ROW;
    });
    if (!taken) {
      throw new Failed(
        `Nginx took the reload and shows another certificate for ${domain} after ${EFFECTIVE_DEADLINE_MS / 1000} s; ` +
          "see /var/log/nginx/error.log",
      );
    }
  },
};

/** Asks a TLS server on this machine for its certificate; null where nobody listens or no handshake comes about. */
export function servedCertificate(domain: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const servername = domain.replace(/^\*\./, "probe.");
    // Whether it is trusted is the clients' question; here it is which one it is.
    const socket = connect({ host: "127.0.0.1", port, servername, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? null);
      socket.destroy();
    });
    socket.setTimeout(HANDSHAKE_TIMEOUT_MS, () => socket.destroy(new Error("no handshake")));
    socket.on("error", () => resolve(null));
  });
}
