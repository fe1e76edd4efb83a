/** What a plain weighted site is a function of. */
export interface PlainSite {
  /** TCP port that it listens on, with TLS. */
  readonly port: number;
  readonly domain: string;
  /** Paths on the host. */
  readonly certificate: string;
  readonly key: string;
  /** Share of green, in percent. */
  readonly weight: number;
  /** What its upstream and its log are called; `plain` by default. */
  readonly name?: string;
  /** Directives of the one location, beside the proxy's; none by default. */
  readonly directives?: string;
}

/** Nginx rejects a weight of 0: a server without a share is `down`. */
function share(weight: number): string {
  return weight === 0 ? "down" : `weight=${weight}`;
}

/**
 * Nginx configuration of a site that splits by an upstream's weights, as one writes it by hand: what our front door is
 * compared with. All that has nothing to do with the split is set as the front door sets it.
 */
export function renderPlainSite(site: PlainSite): string {
  const { port, domain, certificate, key, weight, name = "plain", directives = "" } = site;
  return `upstream ${name} {
    server 127.0.0.1:3001 max_fails=0 ${share(100 - weight)};
    server 127.0.0.1:3002 max_fails=0 ${share(weight)};
    keepalive 128;
    keepalive_timeout 60s;
    keepalive_requests 1000000;
}
log_format ${name} escape=json '{"time":"$time_iso8601","method":"$request_method","uri":"$uri","status":$status,'
    '"seconds":$request_time,"bytes":$bytes_sent,"protocol":"$server_protocol","upstream":"$upstream_addr",'
    '"upstream_status":"$upstream_status","upstream_seconds":"$upstream_response_time","client":"$remote_addr",'
    '"request":"$request_id","connection":$connection,"requests":$connection_requests}';
server {
    listen ${port} ssl;
    http2 on;
    server_name ${domain};
    ssl_certificate ${certificate};
    ssl_certificate_key ${key};
    access_log /var/log/nginx/${name}.json ${name} buffer=64k flush=1s;
    keepalive_timeout 75s;
    keepalive_requests 1000000;
    keepalive_min_timeout 1s;
    location / {
${directives}        proxy_pass http://${name};
        proxy_http_version 1.1;
        proxy_set_header Host $host;
        proxy_set_header Connection "";
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Forwarded-Host $host;
        proxy_set_header X-Real-IP $remote_addr;
        proxy_set_header X-Request-Id $request_id;
        proxy_connect_timeout 5s;
        proxy_next_upstream error timeout http_502 http_503;
        proxy_next_upstream_tries 2;
    }
}
`;
}
