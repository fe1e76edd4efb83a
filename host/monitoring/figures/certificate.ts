import { servedCertificate } from "../../conductor/certificates/served";
import { METRICS } from "../protocol";
import { figure, type Figure } from "./figure";

const DAY_MS = 24 * 3600 * 1000;

/**
 * When the certificate ends that users are shown, whoever renews it: one that is renewed on the disk, and not in Nginx, is not renewed.
 * @returns null where none is shown
 */
export async function certificateEnd(domain: string, port: number): Promise<Date | null> {
  const certificate = await servedCertificate(domain, port);
  return certificate === null ? null : new Date(certificate.validTo);
}

/**
 * What is published of it.
 * @param at End of the interval, in milliseconds since 1970.
 */
export function certificateFigure(end: Date, at: number): Figure {
  return figure(METRICS.certificateDays, (end.getTime() - at) / DAY_MS);
}
