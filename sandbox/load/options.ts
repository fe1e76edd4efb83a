import { BlockList, isIP } from "node:net";

/** What load to make. Everything in it can cross a process boundary. */
export interface LoadOptions {
  /** `http1`: keep-alive connections, one request at a time on each. `http2`: multiplexed sessions. */
  readonly protocol: "http1" | "http2";
  /** IP address to connect to: loopback or the sandbox's network, anything else is refused. */
  readonly address: string;
  /** TCP port; default 443 with {@link LoadOptions.tls}, else 80. */
  readonly port?: number;
  /** Name of the site: `Host` or `:authority`, and the server name of TLS. Default: the address. */
  readonly host?: string;
  /** Absent: plain HTTP. */
  readonly tls?: {
    /** The certificate authority that must have signed the server's certificate, in PEM. */
    readonly ca: string;
  };
  /** Requests a second, at a constant rate whatever the server does (open loop). Default 100. */
  readonly rate?: number;
  /** Connections that are kept open. Default 100. */
  readonly connections?: number;
  /** Virtual users; user `n` is bound to connection `n % connections`. Default: one a connection. */
  readonly users?: number;
  /** `keep`: each user keeps the cookies it is given, as a browser does. `none`: sends none. Default `keep`. */
  readonly cookies?: "keep" | "none";
  /** Default `POST`. */
  readonly method?: string;
  /** Path with query. Default `/api/orders`. */
  readonly path?: string;
  /** Further request headers, lower case. Default none. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Length of the request's body, at most 1 MiB. Default 256 for `POST`, `PUT` and `PATCH`, else 0. */
  readonly bodyBytes?: number;
  /**
   * `identity`: an answer must be JSON with `version` and `colour`, and `bytes` (if present) must be the length of
   * the body that was sent. `any`: the body is not looked at. Default `identity`.
   */
  readonly answer?: "identity" | "any";
  /** Longest wait for a connection, and for an answer from the moment its request was sent. Default 10 000 ms. */
  readonly timeoutMs?: number;
  /** Answers whose sending time is remembered for `lastSentTo`; older ones are forgotten. Default 1 048 576. */
  readonly remember?: number;
}

/** {@link LoadOptions} with every default in place. */
export interface LoadPlan extends Required<Omit<LoadOptions, "tls">> {
  readonly tls: LoadOptions["tls"] | null;
}

/** Requests that may be under way on one HTTP/2 session; servers commonly allow 100 or 128. */
const LARGEST_CONCURRENCY = 100;

/**
 * The only places that load may be sent to: this machine, and the sandbox's hosts.
 * @throws Error where the address is anything else, a name included: a name can resolve to anything
 */
export function requireLocalTarget(address: string): void {
  const allowed = new BlockList();
  allowed.addSubnet("127.0.0.0", 8, "ipv4");
  allowed.addSubnet("10.77.0.0", 16, "ipv4");
  allowed.addAddress("::1", "ipv6");
  const family = isIP(address);
  if (family === 0 || !allowed.check(address, family === 6 ? "ipv6" : "ipv4")) {
    throw new Error(
      `load options: address ${JSON.stringify(address)} is refused: load goes only to an IP address of this machine ` +
        `(127.0.0.0/8, ::1) or of the sandbox (10.77.0.0/16); put the site's name into "host"`,
    );
  }
}

function requireWhole(name: string, value: number, smallest: number, largest: number): void {
  if (!Number.isInteger(value) || value < smallest || value > largest) {
    throw new Error(
      `load options: ${name} is ${value}; it has to be a whole number from ${smallest} to ${largest}`,
    );
  }
}

/** Header lines are put together by hand for HTTP/1.1, so nothing in them may begin another line. */
function requireText(name: string, value: string, pattern: RegExp): void {
  if (!pattern.test(value)) {
    throw new Error(
      `load options: ${name} ${JSON.stringify(value)} has characters that a request cannot carry there`,
    );
  }
}

function validate(plan: LoadPlan): void {
  requireLocalTarget(plan.address);
  requireWhole("port", plan.port, 1, 65_535);
  requireWhole("connections", plan.connections, 1, 10_000);
  requireWhole("users", plan.users, plan.connections, 1_000_000);
  requireWhole("bodyBytes", plan.bodyBytes, 0, 1024 * 1024);
  requireWhole("timeoutMs", plan.timeoutMs, 1, 600_000);
  requireWhole("remember", plan.remember, 1, 1 << 26);
  if (!(plan.rate > 0 && plan.rate <= 100_000)) {
    throw new Error(
      `load options: rate is ${plan.rate}; it has to be above 0 and at most 100000 requests a second`,
    );
  }
  requireText("method", plan.method, /^[A-Z]+$/);
  requireText("path", plan.path, /^\/[\x21-\x7e]*$/);
  requireText("host", plan.host, /^[\w.:[\]-]+$/);
  for (const [name, value] of Object.entries(plan.headers)) {
    requireText("header name", name, /^[a-z0-9!#$%&'*+.^_`|~-]+$/);
    requireText(`header ${name}`, value, /^[\x20-\x7e]*$/);
  }
  if (plan.protocol === "http2" && Math.ceil(plan.users / plan.connections) > LARGEST_CONCURRENCY) {
    throw new Error(
      `load options: ${plan.users} users on ${plan.connections} HTTP/2 connections are more than ` +
        `${LARGEST_CONCURRENCY} a connection; raise connections`,
    );
  }
}

/**
 * Puts the defaults in place and checks every option.
 * @throws Error naming the option, its value and its rule
 */
export function planLoad(options: LoadOptions): LoadPlan {
  const method = options.method ?? "POST";
  const connections = options.connections ?? 100;
  const plan: LoadPlan = {
    protocol: options.protocol,
    address: options.address,
    port: options.port ?? (options.tls ? 443 : 80),
    host: options.host ?? options.address,
    tls: options.tls ?? null,
    rate: options.rate ?? 100,
    connections,
    users: options.users ?? connections,
    cookies: options.cookies ?? "keep",
    method,
    path: options.path ?? "/api/orders",
    headers: options.headers ?? {},
    bodyBytes: options.bodyBytes ?? (["POST", "PUT", "PATCH"].includes(method) ? 256 : 0),
    answer: options.answer ?? "identity",
    timeoutMs: options.timeoutMs ?? 10_000,
    remember: options.remember ?? 1 << 20,
  };
  validate(plan);
  return plan;
}
