import { z } from "zod";
import { areDifferentHeaders } from "../../host/conductor/front-door/nginx-values";
import { hostFile, localFile } from "../rules/host";
import { flag, integer, ruled } from "../rules/rule";
import {
  answerHeader,
  cookieName,
  domain,
  headerName,
  headerValue,
  httpsUrl,
  mailOrNone,
  network,
  urlPaths,
} from "../rules/web";

/** The group `site`: what the front door answers to, and how. */

/** Directory of the authority whose certificates cost nothing. */
const LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory";

const maintenance = z.strictObject({
  /** File with the page for people while the site is closed, HTML; default a built-in one. */
  page: localFile("maintenance.html").optional(),
  /** Paths, as prefixes, that pass while the site is closed; default the health path. */
  passPaths: urlPaths("/api/health").optional(),
  /** When callers are told to come back, in seconds. */
  retryAfterSeconds: integer(1, 86_400, "seconds", 120).default(120),
});

const hsts = z.strictObject({
  /** How long browsers come by HTTPS only, in seconds; 0 sends no such header. */
  maxAgeSeconds: integer(0, 1_000_000_000, "seconds", 31_536_000).default(31_536_000),
  /** Whether that holds for all names below, too. */
  includeSubdomains: flag(true).default(true),
  /** Whether the domain may be put on the browsers' own lists. */
  preload: flag(false).default(false),
});

const rateLimit = z.strictObject({
  /** Requests that one client (an IPv4 address, an IPv6 /64) may send a minute; 0 is no limit. */
  requestsPerMinute: integer(0, 10_000_000, "requests a minute", 100).default(100),
  /** Requests above that which it may send at once. */
  burst: integer(0, 1_000_000, "requests", 200).default(200),
  /** Paths, as prefixes, that do not count; default the health path and `stablePaths`. */
  exemptPaths: urlPaths("/api/health").optional(),
  /** Networks whose clients are not limited. */
  exemptNetworks: ruled(
    z.array(network()).max(1000),
    "a list of at most 1000 networks",
    "[203.0.113.0/24]",
  ).default([]),
});

const headers = ruled(
  z
    .record(answerHeader(), headerValue())
    .refine((all) => areDifferentHeaders(Object.keys(all)) && Object.keys(all).length <= 50),
  "at most 50 headers, value by name, each name once",
  "{ X-Frame-Options: SAMEORIGIN }",
);

/** Every key of the group `site`. */
export const site = z.strictObject({
  /** Names that the front door answers to; the first one is canonical. */
  domains: ruled(
    z
      .array(domain())
      .min(1)
      .max(100)
      .refine((domains) => new Set(domains).size === domains.length),
    "a list of 1 to 100 domain names, each of them once",
    "[www.example.com]",
  ),
  tls: z
    .strictObject({
      /** Certificate chain in PEM, a path on the host; default `/etc/ssl/<name>/fullchain.pem`. */
      certificate: hostFile("/etc/ssl/vehicleservice/fullchain.pem").optional(),
      /** Private key in PEM, a path on the host; default `/etc/ssl/<name>/privkey.pem`. */
      key: hostFile("/etc/ssl/vehicleservice/privkey.pem").optional(),
      /** Lets the host get one certificate for all domains, and renew it. Whoever sets it agrees to the server's terms. */
      acme: z
        .strictObject({
          /** URL of the ACME server's directory. */
          directory: httpsUrl(LETS_ENCRYPT).default(LETS_ENCRYPT),
          /** Where the server may write to about the account; empty for nowhere. */
          email: mailOrNone().default(""),
          /** Local file with the authority, in PEM, that signed the server's own TLS certificate, if it is no public one. */
          authority: localFile("acme-authority.pem").optional(),
          /** Days before its end that a certificate is renewed. */
          renewBeforeDays: integer(1, 365, "days", 30).default(30),
        })
        .optional(),
    })
    .prefault({}),
  /** Longest wait for a withdrawn colour's requests and streams to end, in seconds. */
  drainSeconds: integer(0, 3600, "seconds", 30).default(30),
  /** Longest silence of the application, or of a WebSocket, before a request is given up, in seconds. */
  readTimeoutSeconds: integer(1, 86_400, "seconds", 60).default(60),
  /** Requests that one client connection may carry before Nginx closes it. */
  keepaliveRequests: integer(1000, 1_000_000_000, "requests", 1_000_000).default(1_000_000),
  /** How long an idle client connection stays open, in seconds. */
  keepaliveSeconds: integer(1, 3600, "seconds", 75).default(75),
  /** Paths, as prefixes, that stay on the stable colour at any weight. */
  stablePaths: urlPaths("/api/business/wallet/webhook").default(["/api/business/wallet/webhook"]),
  /** Paths, as prefixes, where what the front door answers itself (maintenance, limits) is JSON. */
  apiPaths: urlPaths("/api").default(["/api"]),
  maintenance: maintenance.prefault({}),
  hsts: hsts.prefault({}),
  /** Headers of every answer that the application gives no header of that name. */
  headers: headers.default({
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
  }),
  rateLimit: rateLimit.prefault({}),
  /** File with Nginx directives for the site's server block. */
  nginxSnippet: localFile("nginx-snippet.conf").optional(),
  /** Largest request body, in megabytes. */
  maxBodyMegabytes: integer(1, 10_240, "megabytes", 10).default(10),
  /** Name of the first-party cookie that keeps a user on one colour. */
  idCookie: cookieName("vs_id").default("vs_id"),
  /** Name of the header, and of the cookie, that takes a tester to a colour. */
  testerName: headerName("x-vs-tester").default("x-vs-tester"),
});
