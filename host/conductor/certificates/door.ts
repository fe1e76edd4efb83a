import { Failed } from "../faults";
import { EFFECTIVE_DEADLINE_MS, testAndReloadNginx } from "../front-door/site-files";
import { waitUntil } from "../system/wait";
import { HTTPS_PORT, servedCertificate } from "./served";

/** Handshakes in a row that must show the new certificate: an old worker may still hold the socket for a moment. */
const HANDSHAKES_IN_A_ROW = 5;

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
  served: fingerprintOf,
  async reload(domain, fingerprint) {
    await testAndReloadNginx();
    let inARow = 0;
    const taken = await waitUntil(EFFECTIVE_DEADLINE_MS, 10, async () => {
      inARow = (await fingerprintOf(domain)) === fingerprint ? inARow + 1 : 0;
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

/** SHA-256 of what is shown; null where nobody listens. */
async function fingerprintOf(domain: string): Promise<string | null> {
  return (await servedCertificate(domain, HTTPS_PORT))?.fingerprint256 ?? null;
}
