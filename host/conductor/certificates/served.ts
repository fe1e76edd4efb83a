import type { X509Certificate } from "node:crypto";
import { connect } from "node:tls";

/** Where users' TLS connections come in. */
export const HTTPS_PORT = 443;

const HANDSHAKE_TIMEOUT_MS = 5000;

/** Asks a TLS server on this machine for its certificate; null where nobody listens or no handshake comes about. */
export function servedCertificate(domain: string, port: number): Promise<X509Certificate | null> {
  return new Promise((resolve) => {
    const servername = domain.replace(/^\*\./, "probe.");
    // Whether it is trusted is the clients' question; here it is which one it is.
    const socket = connect({ host: "127.0.0.1", port, servername, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate() ?? null);
      socket.destroy();
    });
    socket.setTimeout(HANDSHAKE_TIMEOUT_MS, () => socket.destroy(new Error("no handshake")));
    socket.on("error", () => resolve(null));
  });
}
