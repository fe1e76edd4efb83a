/**
 * What does the front door's split cost a request? Our configuration with njs against a plain weighted upstream, both
 * with TLS and with backends that do nothing, on one host in one run, in turns. The measure is the CPU time of Nginx's
 * workers: unlike requests a second it does not depend on what else the machine does.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathsOf } from "../host/conductor/paths";
import type { SiteSettings } from "../host/conductor/protocol";
import { renderSiteConfiguration } from "../host/conductor/front-door/site-configuration";
import { renderHeaders, renderLimit, siteFiles } from "../host/conductor/front-door/site-policy";
import { requestUnix } from "../host/conductor/system/unix-http";
import { makeCertificates } from "../sandbox/certificates";
import { run } from "../sandbox/command";
import { bootHost, type SandboxHost } from "../sandbox/hosts/host";
import { waitFor } from "../sandbox/processes";
import { repositoryRoot } from "../sandbox/repository";
import { guarded } from "./guarded";
import { renderPlainSite } from "./plain-site";
import { type BenchResult, progress, runBench } from "./result";
import { median } from "./statistics";

const ROUNDS = 7;
const SECONDS = 5;
const CONNECTIONS = 64;
const PLAIN_PORT = 8443;
const GUARDED_PORT = 9443;
const DOMAIN = "vehicleservice.test";
const TLS = { certificate: "/etc/ssl/bench/fullchain.pem", key: "/etc/ssl/bench/privkey.pem" };

const SETTINGS: SiteSettings = {
  domains: [DOMAIN],
  ports: { blue: 3001, green: 3002 },
  instances: 2,
  tls: TLS,
  health: {
    path: "/api/health",
    passes: 3,
    failures: 3,
    intervalMs: 250,
    timeoutMs: 2000,
    deadlineSeconds: 60,
  },
  drainSeconds: 30,
  readTimeoutSeconds: 60,
  keepaliveRequests: 1_000_000,
  keepaliveSeconds: 75,
  idCookie: "vs_id",
  testers: { name: "x-vs-tester", secret: "no-tester-uses-this-one" },
  stablePaths: ["/api/business/wallet/webhook"],
  maxBodyMegabytes: 10,
  releasesKept: 3,
  apiPaths: ["/api"],
  maintenance: { page: null, passPaths: ["/api/health"], retryAfterSeconds: 120 },
  hsts: { maxAgeSeconds: 31_536_000, includeSubdomains: true, preload: false },
  headers: {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "strict-origin-when-cross-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
  },
  // On, and so high that none of the requests is refused: counting them is part of the cost.
  rateLimit: {
    requestsPerMinute: 10_000_000,
    burst: 1_000_000,
    exemptPaths: ["/api/health", "/api/business/wallet/webhook"],
    exemptNetworks: [],
  },
  nginxSnippet: null,
  assetsPath: "/_next/static",
  builds: { assets: ".next/static", cache: [], minFreeMegabytes: 0, timeoutSeconds: 1800 },
  smokeTests: [],
};

const NJS_MODULES = ["control.js", "front-door.js", "metrics.js", "refusal.js", "split.js"];

/** Half of the users on each colour, both admitted: every request's bucket is worked out. */
const ROUTE = "blue 5000 7 1 1 0";

/** Backends that answer at once, in an Nginx of their own so that their CPU time is not the front door's. */
const BACKENDS = `worker_processes 1;
pid /run/nginx-backends.pid;
error_log /var/log/nginx/backends.log;
events { worker_connections 4096; }
http {
    access_log off;
    keepalive_requests 1000000;
    server { listen 127.0.0.1:3001; return 200 blue; }
    server { listen 127.0.0.1:3002; return 200 green; }
}
`;

/** What is there before the host boots. */
async function seed(): Promise<Record<string, { content: string | Buffer; mode?: number }>> {
  const paths = pathsOf("vehicleservice");
  const directory = mkdtempSync(join(tmpdir(), "bench-front-door-"));
  const certificates = await makeCertificates(directory, [DOMAIN]);
  const nginx = (name: string): Buffer => readFileSync(join(repositoryRoot(), "host", "nginx", name));
  const files = {
    [TLS.certificate]: { content: readFileSync(certificates.chain) },
    [TLS.key]: { content: readFileSync(certificates.key), mode: 0o600 },
    "/etc/nginx/nginx.conf": { content: nginx("nginx.conf") },
    ...Object.fromEntries(NJS_MODULES.map((name) => [`${paths.njs}/${name}`, { content: nginx(name) }])),
    ...Object.fromEntries(siteFiles(SETTINGS, paths).map(({ path, text }) => [path, { content: text }])),
    [paths.siteConfiguration]: {
      content: renderSiteConfiguration({ settings: SETTINGS, paths, probeKey: "0123456789abcdef" }),
    },
    [paths.trafficFallback]: { content: `default "${ROUTE}";\n` },
    "/etc/nginx/conf.d/plain.conf": {
      content: renderPlainSite({ port: PLAIN_PORT, domain: DOMAIN, ...TLS, weight: 50 }),
    },
    // With the limits and headers that a site has whatever splits its users; their variables are our site's.
    "/etc/nginx/conf.d/plain-guarded.conf": {
      content: renderPlainSite({
        ...{ port: GUARDED_PORT, domain: DOMAIN, ...TLS, weight: 50, name: "guarded" },
        directives: `${renderLimit(SETTINGS)}${renderHeaders(SETTINGS)}\n`,
      }),
    },
    "/etc/nginx/backends.conf": { content: BACKENDS },
  };
  rmSync(directory, { recursive: true });
  return files;
}

/** Process ids of the workers of the Nginx whose master's command line matches. */
function workersOf(host: SandboxHost, master: RegExp): number[] {
  const [parent] = host.pidsOf(master);
  if (parent === undefined) throw new Error(`no process of the host matches ${String(master)}`);
  return host
    .pidsOf(/^nginx: worker process/)
    .filter((pid) =>
      new RegExp(`^PPid:\\t${parent}$`, "m").test(readFileSync(`/proc/${pid}/status`, "utf8")),
    );
}

/** All workers of the front door's Nginx: right after its start some are not there yet, and what they do would not be counted. */
async function allWorkers(host: SandboxHost): Promise<number[]> {
  const { stdout } = await host.exec(["getconf", "_NPROCESSORS_ONLN"]);
  return waitFor("Nginx's workers", 30, () => {
    const workers = workersOf(host, /^nginx: master process (?!.*backends)/);
    return workers.length === Number(stdout) ? workers : undefined;
  });
}

/** Tells the front door its route, as the conductor does as soon as an Nginx runs. */
async function setRoute(worker: number): Promise<void> {
  const socket = `/proc/${worker}/root${pathsOf("vehicleservice").frontDoor}`;
  const request = { socket, path: "/traffic", method: "PUT", body: ROUTE, timeoutMs: 5000 } as const;
  const { body } = await requestUnix(request);
  if (body !== ROUTE) throw new Error(`the front door did not take its route: ${body}`);
}

/** CPU time that processes of one thread have used so far, in microseconds. */
function cpuTime(pids: readonly number[]): number {
  // The scheduler's own account, in nanoseconds: that in ticks is an estimate, and a poor one on a virtual machine.
  const used = pids.map((pid) => Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[0]));
  return used.reduce((sum, value) => sum + value, 0) / 1000;
}

interface Measurement {
  readonly requestsPerSecond: number;
  /** CPU time of the front door's workers. */
  readonly microsecondsPerRequest: number;
}

async function measure(workers: readonly number[], port: number): Promise<Measurement> {
  const namespace = `--net=/proc/${workers[0] ?? 0}/ns/net`;
  const user = ["-H", `Host: ${DOMAIN}`, "-H", "Cookie: vs_id=5a17c0de5a17c0de5a17c0de5a17c0de"];
  const wrk = ["wrk", "-t", "1", "-c", String(CONNECTIONS), "-d", `${SECONDS}s`, ...user];
  const before = cpuTime(workers);
  const { stdout } = await run(["nsenter", namespace, ...wrk, `https://127.0.0.1:${port}/api/orders`]);
  const used = cpuTime(workers) - before;
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1]);
  const perSecond = Number(/Requests\/sec: +([\d.]+)/.exec(stdout)?.[1]);
  if (!(requests > 0) || /Non-2xx|Socket errors/.test(stdout))
    throw new Error(`wrk did not get its answers:\n${stdout}`);
  return { requestsPerSecond: perSecond, microsecondsPerRequest: used / requests };
}

const SITES = {
  "njs front door": 443,
  "plain weighted upstream": PLAIN_PORT,
  "plain, with the limits and headers": GUARDED_PORT,
} as const;

async function measureAll(host: SandboxHost): Promise<Map<string, Measurement[]>> {
  await host.exec(["mkdir", "-p", "/run/vehicleservice/front-door"]);
  await host.exec(["nginx", "-t", "-q"]);
  await host.exec(["nginx", "-c", "/etc/nginx/backends.conf"]);
  await host.exec(["systemctl", "restart", "nginx"]);
  const workers = await allWorkers(host);
  await setRoute(workers[0] ?? 0);
  const measured = new Map<string, Measurement[]>(Object.keys(SITES).map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round += 1) {
    progress(`round ${round + 1} of ${ROUNDS}`);
    for (const [name, port] of Object.entries(SITES)) measured.get(name)?.push(await measure(workers, port));
  }
  return measured;
}

async function main(): Promise<BenchResult> {
  progress("booting host bench-door");
  const host = await bootHost({ name: "bench-door", files: await seed(), onProgress: progress });
  const measured = await guarded(host, measureAll);
  const medians = [...measured].map(([name, measurements]) => ({
    name,
    cpu: median(measurements.map(({ microsecondsPerRequest }) => microsecondsPerRequest)),
    perSecond: median(measurements.map(({ requestsPerSecond }) => requestsPerSecond)),
  }));
  type Medians = (typeof medians)[number];
  const [ours, plain, limited] = medians as [Medians, Medians, Medians];
  return {
    name: "front-door",
    headings: ["front door", "runs", "CPU µs a request, median", "requests/s, median"],
    rows: medians.map(({ name, cpu, perSecond }) => [
      name,
      String(ROUNDS),
      cpu.toFixed(1),
      perSecond.toFixed(0),
    ]),
    targets: [
      { what: "CPU time, njs / plain", ratio: ours.cpu / plain.cpu, atMost: null },
      {
        what: "CPU microseconds that the front door adds to a request",
        ratio: ours.cpu - plain.cpu,
        atMost: 25,
      },
      {
        what: "the same over a plain one with the limits and headers",
        ratio: ours.cpu - limited.cpu,
        atMost: null,
      },
    ],
    measured: Object.fromEntries(measured),
  };
}

void runBench(main);
