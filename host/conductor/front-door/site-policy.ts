import { createHash } from "node:crypto";
import { join } from "node:path";
import type { KeptFile } from "../drift/kept-file";
import { MAINTENANCE_PAGE } from "./maintenance-page";
import { quoted } from "./nginx-values";
import type { Paths } from "../paths";
import type { SiteSettings } from "../protocol";
import { patternBelow } from "./url-path";

/*
 * What the front door does of its own: headers, limits, maintenance. Rendered as parts of the site's configuration.
 */

/**
 * The files beside the site's configuration. Their names hold the hash of their text, so that a new one never takes the
 * place of one that is in force.
 */
export function siteFiles(settings: SiteSettings, paths: Paths): KeptFile[] {
  return [pageFile(settings, paths), ...snippetFiles(settings, paths)];
}

/** Is it the name of a file that {@link siteFiles} gives, of this configuration or of another? */
export function isSiteFileName(name: string): boolean {
  return /^(maintenance-[0-9a-f]{16}\.html|nginxSnippet-[0-9a-f]{16}\.conf)$/.test(name);
}

function pageFile({ maintenance }: SiteSettings, paths: Paths): KeptFile {
  const text = maintenance.page ?? MAINTENANCE_PAGE;
  // Nginx's workers read it.
  return { path: join(paths.nginxFiles, `maintenance-${shortHash(text)}.html`), text, mode: 0o644 };
}

function snippetFiles({ nginxSnippet: text }: SiteSettings, paths: Paths): KeptFile[] {
  if (text === null) {
    return [];
  }
  return [{ path: join(paths.nginxFiles, `nginxSnippet-${shortHash(text)}.conf`), text, mode: 0o600 }];
}

function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/** Renders a map to `1` for the URLs at and below these paths, and to nothing for all others. */
export function renderPathMap(variable: string, paths: readonly string[]): string {
  const patterns = paths.map((path) => `    "${patternBelow(path)}" 1;\n`);
  return `map $uri ${variable} {\n    default "";\n${patterns.join("")}}`;
}

/** Variables of this part. */
export function renderPolicyVariables(settings: SiteSettings, paths: Paths): string {
  const { maintenance, apiPaths } = settings;
  return [
    "# Whom a closed site lets pass, and what all others get.",
    renderPathMap("$app_passes", maintenance.passPaths),
    renderPathMap("$app_api", apiPaths),
    renderConstant("$app_closed_page", pageFile(settings, paths).path),
    renderConstant("$app_closed_retry", String(maintenance.retryAfterSeconds)),
    ...renderHeaderMaps(settings),
    ...renderLimitVariables(settings),
  ].join("\n");
}

function renderConstant(variable: string, value: string): string {
  return `map "" ${variable} {\n    default ${quoted(value)};\n}`;
}

/** Headers by name, Strict-Transport-Security among them. */
function headersOf({ headers, hsts }: SiteSettings): [string, string][] {
  const { maxAgeSeconds, includeSubdomains, preload } = hsts;
  const value = [
    `max-age=${maxAgeSeconds}`,
    ...(includeSubdomains ? ["includeSubDomains"] : []),
    ...(preload ? ["preload"] : []),
  ].join("; ");
  return [
    ...(maxAgeSeconds === 0 ? [] : ([["Strict-Transport-Security", value]] as [string, string][])),
    ...Object.entries(headers),
  ];
}

function variableOf(header: string): string {
  return header.toLowerCase().replaceAll("-", "_");
}

/** A header is the application's where it sets one of that name: Nginx sends none whose value is empty. */
function renderHeaderMaps(settings: SiteSettings): string[] {
  return headersOf(settings).map(
    ([name, value]) =>
      `map $upstream_http_${variableOf(name)} $app_header_${variableOf(name)} {\n` +
      `    default "";\n    "" ${quoted(value)};\n}`,
  );
}

/** Directives of the server block that add the headers. */
export function renderHeaders(settings: SiteSettings): string {
  return headersOf(settings)
    .map(([name]) => `    add_header ${name} $app_header_${variableOf(name)} always;`)
    .join("\n");
}

/** What a client is counted by is empty for those who are not limited. */
function renderLimitVariables({ rateLimit }: SiteSettings): string[] {
  const { requestsPerMinute, exemptPaths, exemptNetworks } = rateLimit;
  if (requestsPerMinute === 0) {
    return [];
  }
  const networks = exemptNetworks.map((network) => `    ${network} 1;\n`).join("");
  return [
    "# Limits count by client: an IPv4 address, or an IPv6 /64, which is what one subscriber has.",
    `geo $app_exempt_network {\n    default "";\n${networks}}`,
    renderPathMap("$app_exempt_path", exemptPaths),
    `map $binary_remote_addr $app_client {
    default $binary_remote_addr;
    "~(?s)^(?<app_client_network>.{8}).{8}$" $app_client_network;
}`,
    `map "$app_exempt_network$app_exempt_path$app_probe" $app_limited_client {
    default "";
    "" $app_client;
}`,
    renderConstant("$app_limit_retry", String(Math.ceil(60 / requestsPerMinute))),
    `limit_req_zone $app_limited_client zone=app_clients:10m rate=${requestsPerMinute}r/m;`,
  ];
}

/** The directive of a location whose requests are limited; empty for no limit. */
export function renderLimit({ rateLimit }: SiteSettings): string {
  const { requestsPerMinute, burst } = rateLimit;
  // Nginx takes no burst of 0: that is what it does without one.
  const atOnce = burst === 0 ? "" : ` burst=${burst} nodelay`;
  return requestsPerMinute === 0 ? "" : `        limit_req zone=app_clients${atOnce};\n`;
}
