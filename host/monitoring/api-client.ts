import { Agent } from "node:https";
import { rootCertificates } from "node:tls";
import type { MonitoringSettings } from "./protocol";

/** How long an API may take to connect, and to say something, in milliseconds. */
const CONNECT_TIMEOUT_MS = 5000;
const SILENCE_MS = 20_000;

/** What both APIs' clients are made with. */
export function clientConfig({ region, endpoint, authority, credentials }: MonitoringSettings): {
  region: string;
  endpoint?: string;
  credentials?: { accessKeyId: string; secretAccessKey: string };
  requestHandler: object;
} {
  return {
    region,
    ...(endpoint === null ? {} : { endpoint }),
    ...(credentials === null ? {} : { credentials }),
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: SILENCE_MS,
      throwOnRequestTimeout: true,
      httpsAgent: new Agent({
        keepAlive: true,
        maxSockets: 4,
        ...(authority === null ? {} : { ca: [...rootCertificates, authority] }),
      }),
    },
  };
}
