import { UPSTREAM_IDLE_SECONDS } from "../../launcher/connection-times";
import { currentFiles } from "../certificates/store";
import { COLOURS, otherColour, type Colour, type SiteSettings } from "../protocol";
import type { Paths } from "../paths";
import { renderHeaders, renderLimit, renderPathMap, renderPolicyVariables, siteFiles } from "./site-policy";

/** How long a client's connection that has just been used outlives a reload, in seconds. */
const KEPT_AT_RELOAD_SECONDS = 10;

/** What the site's Nginx configuration is a function of. */
export interface SiteConfigurationInput {
  readonly settings: SiteSettings;
  readonly paths: Paths;
  /** Secret of the conductor's own probes: a request that carries it is told which colour served it. */
  readonly probeKey: string;
}

/**
 * Renders the site's configuration. Pure: equal input gives equal text. The values come from
 * acts that were validated (`acts.ts`), so that none of them holds a character that Nginx gives a meaning to.
 */
export function renderSiteConfiguration(input: SiteConfigurationInput): string {
  const { settings, paths } = input;
  return [
    "# Written by the conductor. Edits are found as drift and put back.",
    renderVariables(input),
    renderPolicyVariables(settings, paths),
    ...COLOURS.map((colour) => renderUpstreams(colour, settings)),
    renderControl(paths),
    renderRedirect(settings, paths),
    renderSite(settings, paths),
  ].join("\n\n");
}

function renderVariables({ settings, paths, probeKey }: SiteConfigurationInput): string {
  const { testers, idCookie } = settings;
  const header = testers.name.replaceAll("-", "_");
  const testerRoutes =
    testers.secret === "" ? [] : COLOURS.map((c) => `    "~^${c}:${testers.secret}$" ${c};`);
  return `js_path ${paths.njs};
js_import front_door from front-door.js;
# The traffic state and the counts, by their key; some 6,500 are possible. Kept over a reload, not over a restart.
js_shared_dict_zone zone=app_counters:2m type=number;
# Who was here in the last 5 minutes: some 60,000 users, then the oldest go. No address, and half of an id.
js_shared_dict_zone zone=app_users:8m type=number timeout=5m evict;
js_set $app_pool front_door.pool;
js_set $app_ended front_door.ended;
# The key that a request is counted as open under; empty for one that has no pool.
js_var $app_open "";

# What holds until the conductor has spoken: Nginx has just started and the dictionary is empty.
map "" $app_traffic_fallback {
    include ${paths.trafficFallback};
}

# A user's id: the cookie where there is a sound one, otherwise the id that this answer sets.
map $cookie_${idCookie} $app_id {
    "~^[0-9a-f]{32}$" $cookie_${idCookie};
    default $request_id;
}
map $cookie_${idCookie} $app_set_id {
    "~^[0-9a-f]{32}$" "";
    default "${idCookie}=$request_id; Path=/; Max-Age=31536000; HttpOnly; Secure; SameSite=Lax";
}

# Testers reach a colour by header or by cookie, at any weight. Patterns, for plain values are compared without case.
map $cookie_${header} $app_tester_cookie {
    default "";
${testerRoutes.join("\n")}
}
map $http_${header} $app_tester {
    default $app_tester_cookie;
${testerRoutes.join("\n")}
}

# Paths whose callers have no cookie stay on the stable colour.
${renderPathMap("$app_pinned", settings.stablePaths)}

# The conductor's probes are told which colour served them.
map $http_x_conductor_probe $app_probe {
    default "";
    "~^${probeKey}$" 1;
}
map $app_open $app_colour {
    default "";
    "~^open.app_blue" blue;
    "~^open.app_green" green;
}
map $app_probe $app_probed_colour {
    default "";
    1 $app_colour;
}
map $http_upgrade $app_connection {
    default upgrade;
    "" "";
}

# What is signed as Stripe does it, few requests: the host counts what becomes of them without a look at all others.
map $http_stripe_signature $app_signed {
    default 1;
    "" "";
}
log_format app_signed escape=json '{"time":"$time_iso8601","method":"$request_method","uri":"$uri","status":$status,'
    '"request":"$request_id"}';

log_format app_requests escape=json '{"time":"$time_iso8601","colour":"$app_ended","method":"$request_method",'
    '"uri":"$uri","status":$status,"seconds":$request_time,"bytes":$bytes_sent,"protocol":"$server_protocol",'
    '"upstream":"$upstream_addr","upstream_status":"$upstream_status","upstream_seconds":"$upstream_response_time",'
    '"client":"$remote_addr","request":"$request_id","connection":$connection,"requests":$connection_requests}';`;
}

/**
 * Two upstreams a colour: one alone, one with the other colour behind it. `max_fails=0`: with Nginx's default of 1, one
 * 502 would send the requests of the next ten seconds to the other colour.
 */
function renderUpstreams(colour: Colour, settings: SiteSettings): string {
  const server = `server 127.0.0.1:${settings.ports[colour]} max_fails=0`;
  const backup = `server 127.0.0.1:${settings.ports[otherColour(colour)]} max_fails=0 backup`;
  // Idle connections end here before they end at the instances.
  const keepalive = `    keepalive 128;\n    keepalive_timeout ${UPSTREAM_IDLE_SECONDS}s;\n    keepalive_requests 1000000;`;
  return `upstream app_${colour} {
    ${server};
${keepalive}
}
upstream app_${colour}_or_${otherColour(colour)} {
    ${server};
    ${backup};
${keepalive}
}`;
}

/** The conductor's own door: a socket in a directory that only root can enter. */
function renderControl(paths: Paths): string {
  return `server {
    listen unix:${paths.frontDoor};
    access_log off;
    client_body_buffer_size 4k;
    client_max_body_size 4k;
    # Here and not above: what is imported there runs for every request.
    js_import control from control.js;
    location = /traffic {
        js_content control.traffic;
    }
    location = /counters {
        js_content control.counters;
    }
    location = /metrics {
        js_content control.prometheus;
    }
    location = /configuration {
        default_type text/plain;
        return 200 "@CONFIGURATION@";
    }
}`;
}

function renderRedirect(settings: SiteSettings, paths: Paths): string {
  // An ACME server asks by plain HTTP, under every name.
  const challenges = `    location ^~ /.well-known/acme-challenge/ {
        alias ${paths.challenges}/;
        default_type text/plain;
    }
`;
  return `server {
    listen 80;
    listen [::]:80;
    server_name ${settings.domains.join(" ")};
    access_log off;
${"acme" in settings.tls ? challenges : ""}    location / {
        return 308 https://$host$request_uri;
    }
}`;
}

function renderSite(settings: SiteSettings, paths: Paths): string {
  const { certificate, key } = "acme" in settings.tls ? currentFiles(paths.certificates) : settings.tls;
  return `server {
    listen 443 ssl;
    listen [::]:443 ssl;
    http2 on;
    server_name ${settings.domains.join(" ")};
    ssl_certificate ${certificate};
    ssl_certificate_key ${key};
    access_log /var/log/nginx/access.json app_requests buffer=64k flush=1s;
    access_log ${paths.signedRequests} app_signed buffer=4k flush=1s if=$app_signed;

    keepalive_timeout ${settings.keepaliveSeconds}s;
    keepalive_requests ${settings.keepaliveRequests};
    # At a reload the old workers let connections live that were idle for no longer than this, so that a request on its way is not lost: longer
    # than a busy machine stalls, and short enough that idle connections can be had back when connections run out.
    keepalive_min_timeout ${Math.min(KEPT_AT_RELOAD_SECONDS, settings.keepaliveSeconds)}s;
    client_max_body_size ${settings.maxBodyMegabytes}m;

    add_header Set-Cookie $app_set_id always;
    add_header X-Conductor-Colour $app_probed_colour always;
${renderHeaders(settings)}

    # Holds with the conductor dead, too.
    set $app_closed_by_file "";
    if (-f ${paths.maintenanceFile}) {
        set $app_closed_by_file 1;
    }
    # Nginx's own answers only: the application's are passed on as they are.
    error_page 429 503 @refused;
    limit_req_status 429;
    limit_req_log_level notice;
    location @refused {
        js_import refusal from refusal.js;
        js_content refusal.refuse;
    }

${renderProxySettings(settings)}

    location / {
${renderProxied(settings)}    }
${renderAssets(settings, paths)}${renderSnippet(settings, paths)}}`;
}

function renderProxySettings(settings: SiteSettings): string {
  return `    proxy_http_version 1.1;
    proxy_set_header Host $host;
    proxy_set_header Connection $app_connection;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $host;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Request-Id $request_id;
    # Secrets of the front door are not the application's business.
    proxy_set_header X-Conductor-Probe "";
    proxy_set_header ${settings.testers.name} "";
    proxy_connect_timeout 5s;
    proxy_read_timeout ${settings.readTimeoutSeconds}s;
    proxy_send_timeout ${settings.readTimeoutSeconds}s;
    # What was sent and may not be repeated is never sent twice: no \`non_idempotent\`.
    proxy_next_upstream error timeout http_502 http_503;
    proxy_next_upstream_tries 2;`;
}

/** Directives of a location that hands its requests to the application. */
function renderProxied(settings: SiteSettings): string {
  return `        if ($app_pool = closed) {
            return 503;
        }
${renderLimit(settings)}        proxy_pass http://$app_pool;
`;
}

/** Files of the last releases, which a page of any of them may ask for; what is not there the application may know. */
function renderAssets(settings: SiteSettings, paths: Paths): string {
  const { assetsPath } = settings;
  if (assetsPath === null) {
    return "";
  }
  return `    location ${assetsPath.replace(/\/?$/, "/")} {
        root ${paths.assets};
        try_files $uri @application;
        add_header Cache-Control "public, max-age=31536000, immutable";
        # Not the user's id: caches may keep this answer for everyone.
${renderHeaders(settings).replace(/^/gm, "    ")}
    }
    location @application {
${renderProxied(settings)}    }
`;
}

/** A file of its own, so that it cannot end the server block, and Nginx's line numbers are the operator's. */
function renderSnippet(settings: SiteSettings, paths: Paths): string {
  return siteFiles(settings, paths)
    .filter(({ path }) => path.endsWith(".conf"))
    .map(({ path }) => `    include ${path};\n`)
    .join("");
}
