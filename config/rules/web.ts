import { isIPv4 } from "node:net";
import { z } from "zod";
import { isAnswerHeader, isHeaderValue, isNetwork } from "../../host/conductor/front-door/nginx-values";
import { hasOddSegment, placeholderIn, ruled, text, wholeNumber, ONE_LINE } from "./rule";

/** What the web knows: domains, URLs, headers, networks. */

const LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
const DOMAIN = new RegExp(`^(?:${LABEL}\\.)+(?=[a-z])${LABEL}$`);

/** A name in the DNS, which may be one without a dot; lower case. */
export const HOST_NAME = new RegExp(`^(?:${LABEL}\\.)*(?=[a-z])${LABEL}$`);

/** A fully qualified domain name, in lower case. */
export const domain = () =>
  text(
    253,
    (value) => DOMAIN.test(value) && placeholderIn(value) === undefined,
    "a domain name in lower case, without scheme, port or wildcard",
    "www.example.com",
  );

const HTTPS_URL = /^https:\/\/([A-Za-z0-9.-]+)(?::\d{1,5})?(?:\/([A-Za-z0-9._~/-]*))?$/;

/** An HTTPS URL without user, query and fragment. */
export const httpsUrl = (example: string) =>
  text(
    255,
    (value) => {
      const [, host = "", path = ""] = HTTPS_URL.exec(value) ?? [];
      const below = path.replace(/\/$/, "");
      return (
        (isIPv4(host) || HOST_NAME.test(host.toLowerCase())) &&
        (below === "" || !hasOddSegment(below)) &&
        !/(^|\/)-/.test(below) &&
        placeholderIn(value) === undefined
      );
    },
    "an https:// URL without user and query, no part of its path .. or with a dash first",
    example,
  );

const MAILBOX = /^([A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*)@([a-z0-9.-]{1,253})$/;

/** Mail address, or nothing. */
export const mailOrNone = () =>
  text(
    320,
    (value) => {
      const [, user = "", domain = ""] = MAILBOX.exec(value) ?? [];
      const isMail = user.length <= 64 && DOMAIN.test(domain) && placeholderIn(value) === undefined;
      return value === "" || isMail;
    },
    "a mail address with its domain in lower case, or empty for none",
    "operations@example.com",
  );

/** Path of a URL, without a query. Stands in Nginx's configuration. */
export const urlPath = (example: string) =>
  text(
    255,
    (value) => /^\/[A-Za-z0-9._~/-]*$/.test(value) && (value === "/" || !hasOddSegment(value.slice(1))),
    "a path of a URL that begins with /, of A-Z, a-z, 0-9, '.', '_', '~', '-' and '/', without .. in it",
    example,
  );

/** Paths of URLs, each with all that is below it. */
export const urlPaths = (example: string) =>
  ruled(z.array(urlPath(example)).max(100), "a list of at most 100 paths", `[${example}]`);

/** Path of a URL that is not the root, or nothing. */
export const urlPathOrNone = (example: string) =>
  text(
    255,
    (value) => value === "" || (/^\/[A-Za-z0-9._~/-]+$/.test(value) && !hasOddSegment(value.slice(1))),
    "a path of a URL that begins with /, of A-Z, a-z, 0-9, '.', '_', '~', '-' and '/', without .. in it, and not the root; or empty for none",
    example,
  );

/** Name of a header that answers may be given. */
export const answerHeader = () =>
  ruled(
    z.string().refine(isAnswerHeader),
    "the name of a header, of A-Z, a-z, 0-9 and -, and none that HTTP, Nginx or site.hsts sets",
    "X-Frame-Options",
  );

/** Value of a header that answers may be given. */
export const headerValue = () =>
  ruled(
    z.string().refine(isHeaderValue),
    'a text of 1 to 4096 printable ASCII characters but ", \\ and $, without blanks around it',
    "SAMEORIGIN",
  );

/** A network, IPv4 or IPv6. */
export const network = () =>
  text(
    64,
    isNetwork,
    "a network in CIDR notation, such as 203.0.113.0/24 or 2001:db8::/32",
    "203.0.113.0/24",
  );

/** An HTTP status, or a list of them. */
export const statuses = (example: string) =>
  ruled(
    z.preprocess(
      (value) => (Array.isArray(value) ? value : [value]).map((one: unknown) => wholeNumber(one)),
      z.array(z.int().min(100).max(599)).min(1).max(20),
    ),
    "an HTTP status, or a list of 1 to 20 of them",
    example,
  );

/** Text that is looked for in an answer, and nowhere else. */
export const bodyText = (example: string) =>
  text(
    4096,
    (value) => ONE_LINE.test(value),
    "a text of 1 to 4096 characters, without control characters",
    example,
  );

/** Name of a cookie that Nginx can read as a variable. */
export const cookieName = (example: string) =>
  text(64, (value) => /^[a-z][a-z0-9_]*$/.test(value), "1 to 64 of a-z, 0-9 and _, a letter first", example);

/** Headers whose meaning is taken; a testers' header of that name would break every request. */
const TAKEN_HEADERS = /^(host|cookie|connection|authorization|content-.*|transfer-encoding|upgrade|te|via)$/;

/** Name of a header that is a cookie's name at the same time. */
export const headerName = (example: string) =>
  text(
    64,
    (value) => /^[a-z][a-z0-9-]*$/.test(value) && !TAKEN_HEADERS.test(value),
    "1 to 64 of a-z, 0-9 and -, a letter first, and no header that HTTP itself uses",
    example,
  );

/** Secret that testers send; no character of it needs quoting in a header or a cookie. */
export const testerSecret = () =>
  text(
    128,
    (value) => value === "" || /^[A-Za-z0-9_-]{16,}$/.test(value),
    "16 to 128 of A-Z, a-z, 0-9, _ and -, or empty to close the testers' route",
    '"$(openssl rand -hex 16)"',
  );
