import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { monotonicNow } from "../../clock";
import { formatReport, unannouncedCloses } from "../../report";
import { type LoadRun, startLoad } from "../../run";
import { answer, rawServer, type RawServer } from "./raw-server";

let server: RawServer | undefined;
let run: LoadRun | undefined;

afterEach(async () => {
  await run?.stop();
  await server?.close();
  run = server = undefined;
});

async function start(behave: Parameters<typeof rawServer>[0], rate = 500): Promise<LoadRun> {
  server = await rawServer(behave);
  run = await startLoad({ protocol: "http1", address: "127.0.0.1", port: server.port, rate, connections: 5 });
  return run;
}

function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test("segments, the moment of a change and the report, from a process of its own", async () => {
  let colour = "blue";
  const load = await start((socket) => socket.write(answer(colour, colour === "blue" ? "v1" : "v2")));
  await load.mark("before");
  await load.afterRequests(100);
  const changedMs = monotonicNow();
  colour = "green";
  await load.mark("after");
  await load.afterRequests(100);
  expect(await load.snapshot()).toMatchObject({ label: "after", failed: 0 });

  const last = (await load.lastSentTo("v1", changedMs)) ?? changedMs;
  expect(last - changedMs).toBeLessThan(100);
  expect(await load.lastSentTo("green", changedMs)).toBeGreaterThan(last);

  const report = await load.stop();
  expect(report.segments.map(({ label }) => label)).toEqual(["start", "before", "after"]);
  expect(report.segments[1]?.answers.byColour.blue).toBeGreaterThanOrEqual(95);
  expect(report.segments[2]?.answers.byVersion.v2).toBeGreaterThanOrEqual(95);
  expect(report.total.sent).toBe(server?.requests.length);
  expect(report.total.ok).toBe(report.total.sent);
  expect(unannouncedCloses(report.total)).toBe(0);
  expect(alive(load.pid)).toBe(false);
  expect(await load.stop()).toBe(report);
  await expect(load.snapshot()).rejects.toThrow("its process ended");
});

test("requests are sent and answered in time while the caller is blocked", async () => {
  const directory = mkdtempSync(join(tmpdir(), "load-blocked-"));
  const answered = join(directory, "answered");
  writeFileSync(answered, "");
  // Tells by GET how long it stood still at most, which is not the load's fault.
  const script = `let [last, longest] = [performance.now(), 0];
  setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 10);
  require("node:http").createServer((request, response) => request.resume().on("end", () => {
    if (request.method === "GET") return response.end(String(longest));
    require("node:fs").appendFileSync(process.argv[1], "x");
    response.end('{"colour":"blue","version":"v1"}');
  })).listen(0, "127.0.0.1", function () { console.log(this.address().port) })`;
  const child = spawn(process.execPath, ["-e", script, answered], { stdio: ["ignore", "pipe", "inherit"] });
  const [port] = (await once(child.stdout, "data")) as [Buffer];
  try {
    run = await startLoad({
      protocol: "http1",
      address: "127.0.0.1",
      port: Number(port),
      rate: 100,
      connections: 5,
    });
    const before = await run.snapshot();
    // Blocked until 200 more are answered: for ever, if the load waited for the caller.
    const wait = 'until [ "$(wc -c <"$1")" -ge "$2" ]; do sleep 0.05; done';
    const enough = String(statSync(answered).size + 200);
    execFileSync("sh", ["-c", wait, "sh", answered, enough], { timeout: 100_000 });
    const after = await run.snapshot();
    // The last ones may not have been read yet, one on each connection.
    expect(after.ok - before.ok).toBeGreaterThanOrEqual(195);
    const stoodStillMs = Number(await (await fetch(`http://127.0.0.1:${Number(port)}/`)).text());
    // What waited for the caller would be late by up to the whole of that time.
    expect(after.latencyMs.p95).toBeLessThan((after.endedAtMs - before.endedAtMs) / 2 + stoodStillMs);
  } finally {
    child.kill("SIGKILL");
    await once(child, "exit");
    rmSync(directory, { recursive: true });
  }
});

test("where the load process dies, every call says so", async () => {
  const load = await start((socket) => socket.write(answer()));
  const pending = load.afterRequests(1_000_000);
  process.kill(load.pid, "SIGKILL");
  await expect(pending).rejects.toThrow("its process ended (SIGKILL)");
  await expect(load.mark("x")).rejects.toThrow("its process ended (SIGKILL)");
  run = undefined;
});

test("Ctrl-C, which reaches the whole group, does not cost the report", async () => {
  const load = await start((socket) => socket.write(answer()));
  process.kill(load.pid, "SIGINT");
  await load.afterRequests(10);
  expect((await load.stop()).total.ok).toBeGreaterThanOrEqual(10);
});

test("no server: refused at the start, by address and reason", async () => {
  server = await rawServer(() => undefined);
  const { port } = server;
  await server.close();
  await expect(startLoad({ protocol: "http1", address: "127.0.0.1", port })).rejects.toThrow(
    `cannot connect to 127.0.0.1 port ${port}: Error: connect ECONNREFUSED`,
  );
});

test("another target than this machine and the sandbox is refused before anything is started", async () => {
  await expect(startLoad({ protocol: "http1", address: "192.0.2.1" })).rejects.toThrow("is refused");
});

test("a report shows what was lost, how, and by whom users were answered", async () => {
  const load = await start((socket, number) => {
    if (number % 10 === 0) socket.destroy();
    else socket.write(answer(number % 2 === 0 ? "green" : "blue"));
  });
  await load.mark("weight 50");
  await load.afterRequests(100);
  const report = await load.stop();
  const text = formatReport(report);
  // How many more are sent until the load hears that it is enough is nobody's to say.
  const { sent, failed } = report.segments[1]!;
  expect(sent).toBeGreaterThanOrEqual(100);
  expect(failed).toBeGreaterThanOrEqual(10);
  expect(text).toMatch(new RegExp(`^weight 50 +\\d+\\.\\d +${sent} +${failed} `, "m"));
  expect(text).toMatch(/blue 5\d\.\d% green 4\d\.\d%|green 4\d\.\d% blue 5\d\.\d%/);
  expect(text).toContain(`failed: closed ${report.total.failed}`);
  expect(text).toContain("closedInFlight: the server closed the connection");
  expect(text).toMatch(/load client: \d+% of a core/);
});

describe("over TLS", () => {
  let directory: string;
  let certificate: string;
  let port: number;
  const sockets: TLSSocket[] = [];
  const names: unknown[] = [];
  let tlsServer: ReturnType<typeof createSecureServer>;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "load-tls-"));
    const [key, cert] = [join(directory, "key.pem"), join(directory, "cert.pem")];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
    const subject = ["-subj", "/CN=site.test", "-addext", "subjectAltName=DNS:site.test"];
    execFileSync("openssl", ["req", "-x509", ...curve, ...subject, "-keyout", key, "-out", cert], {
      stdio: "ignore",
    });
    certificate = readFileSync(cert, "utf8");
    tlsServer = createSecureServer(
      { allowHTTP1: true, key: readFileSync(key), cert: certificate },
      (request, response) => {
        request.resume().on("end", () => {
          response.setHeader("content-type", "application/json");
          response.end(JSON.stringify({ colour: "blue", version: request.httpVersion }));
        });
      },
    );
    tlsServer.on("secureConnection", (socket: TLSSocket) => {
      sockets.push(socket);
      names.push(socket.servername);
    });
    tlsServer.listen(0, "127.0.0.1");
    await once(tlsServer, "listening");
    port = (tlsServer.address() as AddressInfo).port;
  });

  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    tlsServer.close();
    await once(tlsServer, "close");
    rmSync(directory, { recursive: true });
  });

  test.each([
    ["http1", "1.1"],
    ["http2", "2.0"],
  ] as const)(
    "%s is agreed on, the site's name is sent, the certificate is checked",
    async (protocol, version) => {
      names.length = 0;
      const options = {
        protocol,
        address: "127.0.0.1",
        port,
        connections: 2,
        rate: 500,
        tls: { ca: certificate },
      };
      run = await startLoad({ ...options, host: "site.test" });
      await run.afterRequests(50);
      const report = await run.stop();
      expect(report.total.answers.byVersion).toEqual({ [version]: report.total.sent });
      expect(report.total.failed).toBe(0);
      // The server may hear of a client that refused it as late as in the next test.
      expect(names.filter((name) => name !== "other.test")).toEqual(["site.test", "site.test"]);
      await expect(startLoad({ ...options, host: "other.test" })).rejects.toThrow("other.test");
    },
  );

  test("a certificate of another authority is refused", async () => {
    const { rootCertificates } = await import("node:tls");
    const tls = { ca: rootCertificates[0] as string };
    await expect(
      startLoad({ protocol: "http1", address: "127.0.0.1", port, host: "site.test", tls }),
    ).rejects.toThrow(/self-signed|unable to/);
  });
});
