import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls, createSecureContext, type SecureContext, type TLSSocket } from "node:tls";
import type { LoadPlan } from "./options";

/** Makes a connection to the plan's address; rejects after `timeoutMs`, or with what the network or TLS says. */
export type Dial = () => Promise<Socket>;

function connectSecurely(plan: LoadPlan, context: SecureContext, protocol: string): TLSSocket {
  const socket = connectTls({
    host: plan.address,
    port: plan.port,
    secureContext: context,
    // TLS has no server name for an address; then the certificate has to carry the address itself.
    ...(isIP(plan.host) === 0 ? { servername: plan.host } : {}),
    ALPNProtocols: [protocol],
  });
  return socket;
}

/** A server that does not take part in ALPN speaks HTTP/1.1. */
function requireProtocol(socket: TLSSocket, protocol: string): void {
  const agreed = socket.alpnProtocol === false ? "http/1.1" : socket.alpnProtocol;
  if (agreed !== protocol) throw new Error(`the server speaks ${agreed} in TLS, not ${protocol}`);
}

/** Prepares connecting: the certificate authority is parsed once, not for each connection. */
export function dialer(plan: LoadPlan): Dial {
  const protocol = plan.protocol === "http2" ? "h2" : "http/1.1";
  const context = plan.tls ? createSecureContext({ ca: plan.tls.ca }) : null;
  return () =>
    new Promise((resolve, reject) => {
      const socket = context
        ? connectSecurely(plan, context, protocol)
        : connect({ host: plan.address, port: plan.port });
      const give = (error: Error): void => {
        clearTimeout(timer);
        socket.destroy();
        reject(error);
      };
      const timer = setTimeout(
        () => give(new Error(`no connection within ${plan.timeoutMs} ms`)),
        plan.timeoutMs,
      );
      socket.setNoDelay(true);
      socket.once("error", give);
      socket.once(context ? "secureConnect" : "connect", () => {
        try {
          if (context) requireProtocol(socket as TLSSocket, protocol);
        } catch (error) {
          give(error as Error);
          return;
        }
        clearTimeout(timer);
        socket.off("error", give);
        resolve(socket);
      });
    });
}
