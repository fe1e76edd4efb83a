import { isIPv4, isIPv6 } from "node:net";

/*
 * Values of the configuration that stand in Nginx's, with more characters than a name or a path has. The stack's config
 * and the host both ask here, so that neither takes what the other one refuses.
 */

/** Largest text of an operator's own (a snippet, a page), in bytes. */
export const TEXT_BYTES = 64 * 1024;

/** Headers that Nginx or the front door sets itself, or that say how an answer is to be read. */
const TAKEN_HEADERS =
  /^(connection|content-(encoding|length|range|type)|date|location|server|set-cookie|strict-transport-security|trailer|transfer-encoding|upgrade|x-conductor-colour)$/;

/** May answers be given a header of this name? */
export function isAnswerHeader(name: string): boolean {
  return /^[A-Za-z][A-Za-z0-9-]{0,63}$/.test(name) && !TAKEN_HEADERS.test(name.toLowerCase());
}

/** Is it a header's value that Nginx takes for nothing else once it is {@link quoted}? There it has no way to write a `$`. */
export function isHeaderValue(value: string): boolean {
  return /^[\x21-\x7e]([\x20-\x7e]{0,4094}[\x21-\x7e])?$/.test(value) && !/["\\$]/.test(value);
}

/** Names that differ in more than their case: for Nginx these are two headers, for a browser one. */
export function areDifferentHeaders(names: readonly string[]): boolean {
  return new Set(names.map((name) => name.toLowerCase())).size === names.length;
}

/** Is it a network in CIDR notation, IPv4 or IPv6? */
export function isNetwork(text: string): boolean {
  const [, address = "", length = ""] = /^([0-9A-Fa-f:.]+)\/(0|[1-9]\d{0,2})$/.exec(text) ?? [];
  return (isIPv4(address) && Number(length) <= 32) || (isIPv6(address) && Number(length) <= 128);
}

/** Is it a text of at most {@link TEXT_BYTES} whose only control characters are line ends and tabs? */
export function isPlainText(text: string): boolean {
  return text.isWellFormed() && Buffer.byteLength(text) <= TEXT_BYTES && !/[^\P{Cc}\n\r\t]/u.test(text);
}

/** Writes a value, without `"`, `\` and `$`, so that Nginx takes all of it as one text. */
export function quoted(value: string): string {
  return `"${value}"`;
}
