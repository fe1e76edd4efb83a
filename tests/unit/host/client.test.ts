import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { join } from "node:path";
import { Failed, Refused } from "../../../host/conductor/faults";
import type { Conductor } from "../../../host/conductor/conductor";
import { createConductorServer } from "../../../host/conductor/server";
import { removeDirectories, SETTINGS, temporaryDirectory } from "./support/fixtures";
import { UnixServers } from "./support/unix-server";

const servers = new UnixServers();
afterEach(() => servers.close());
afterAll(removeDirectories);

const SOURCE = join(__dirname, "../../../host/bin/conductor");

/** The client as it is installed, but with its socket in a directory of the test's own, and with limits of the test's own. */
function install({ patience = 60, tries = 2 } = {}): { script: string; socket: string } {
  const directory = temporaryDirectory();
  const socket = join(directory, "c.sock");
  const text = readFileSync(SOURCE, "utf8");
  expect(text).toContain("$socket = '/run/@APP@/conductor.sock';");
  const script = join(directory, "shop-conductor");
  const local = text.replace("/run/@APP@/conductor.sock", socket).replaceAll("@APP@", "shop");
  expect(local).toMatch(/\$tries = 10;\n(#.*\n)*my \$patience = 15;\n/);
  writeFileSync(
    script,
    local
      .replace("$patience = 15", `$patience = ${String(patience)}`)
      .replace("$tries = 10", `$tries = ${String(tries)}`),
  );
  chmodSync(script, 0o755);
  return { script, socket };
}

interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(script: string, args: readonly string[], input = ""): Promise<Run> {
  const child = spawn(script, args);
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => (stdout += chunk));
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => (stderr += chunk));
  // A client that refuses its arguments does not read.
  child.stdin.on("error", () => undefined).end(input);
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout, stderr };
}

const conducting = (take: (...args: Parameters<Conductor["take"]>) => Promise<unknown>): Server =>
  createConductorServer({ take } as unknown as Conductor, () => undefined);

const ACT = '{"act":"traffic","stable":"blue","weight":5}';

describe("the client", () => {
  it("waits as long as there are signs of life, and no longer", async () => {
    // Longer than a busy machine keeps a sign of life back, and shorter than the act.
    const alive = install({ patience: 3 });
    const slow = (): Promise<unknown> =>
      new Promise((resolve) => setTimeout(() => resolve({ slow: true }), 7000));
    await servers.listen(
      createConductorServer({ take: slow } as unknown as Conductor, () => undefined, 200),
      alive.socket,
    );
    const dead = install({ patience: 1 });
    let tries = 0;
    await servers.listen(
      createServer(() => void (tries += 1)),
      dead.socket,
    );
    const [answered, unanswered] = await Promise.all([
      run(alive.script, ["act"], ACT),
      run(dead.script, ["act"], ACT),
    ]);
    expect(answered).toMatchObject({ code: 0, stdout: '{"slow":true}\n' });
    expect(unanswered).toMatchObject({ code: 5, stdout: "" });
    expect(unanswered.stderr).toContain("The conductor does not answer");
    expect(tries).toBe(2);
  });

  it.each([
    [["status"], { act: "status" }],
    [["ack"], { act: "ack" }],
    [["drift"], { act: "drift" }],
    [["abort", 'the "wallet"', "is \\ empty"], { act: "abort", reason: 'the "wallet" is \\ empty' }],
    [["maintenance", "on"], { act: "maintenance", on: true }],
    [["maintenance", "off"], { act: "maintenance", on: false }],
    [["backup"], { act: "backup", reason: "asked", generation: 0 }],
    [["backup", "daily"], { act: "backup", reason: "daily", generation: 0 }],
    [["database"], { act: "database-status", details: false }],
    [["database", "details"], { act: "database-status", details: true }],
  ])("makes an act of the words %j", async (words, act) => {
    const { script, socket } = install();
    await servers.listen(
      conducting((taken) => Promise.resolve({ taken })),
      socket,
    );
    const { code, stdout } = await run(script, words);
    expect({ code, answer: JSON.parse(stdout) as unknown }).toEqual({ code: 0, answer: { taken: act } });
  });

  it("prints the result, and nothing else, on standard output; progress on standard error", async () => {
    const { script, socket } = install();
    const server = conducting((act, progress) => {
      progress("first\nsecond \\n third %s $(id)");
      return Promise.resolve({ act, text: 'a\\b"c' });
    });
    await servers.listen(server, socket);
    const { code, stdout, stderr } = await run(script, ["act"], ACT);
    expect(stderr).toBe("first\nsecond \\n third %s $(id)\n");
    expect(JSON.parse(stdout)).toEqual({ act: JSON.parse(ACT) as unknown, text: 'a\\b"c' });
    expect(stdout.endsWith("}\n")).toBe(true);
    expect(code).toBe(0);
  });

  it.each<[string, Error, number, string]>([
    ["a failure", new Failed("it broke\n  so"), 1, "traffic: it broke\n  so\n"],
    ["a refusal", new Refused("not now"), 3, "traffic: not now\n"],
  ])("ends with the exit code of %s, its reason on standard error", async (_, error, code, stderr) => {
    const { script, socket } = install();
    await servers.listen(
      conducting(() => Promise.reject(error)),
      socket,
    );
    expect(await run(script, ["act"], ACT)).toEqual({ code, stdout: "", stderr });
  });

  it("ends with 4 for what is no act", async () => {
    const { script, socket } = install();
    await servers.listen(
      conducting(() => Promise.resolve({})),
      socket,
    );
    expect(await run(script, ["act"], "nonsense")).toMatchObject({ code: 4, stdout: "" });
    expect(await run(script, ["act"], `{"act":"${"x".repeat(35_000_000)}"}`)).toMatchObject({
      code: 4,
      stderr: expect.stringContaining("longer than") as string,
    });
  });

  it("asks for the status without standard input", async () => {
    const { script, socket } = install();
    await servers.listen(
      conducting((act) => Promise.resolve(act)),
      socket,
    );
    expect(await run(script, ["status"])).toEqual({ code: 0, stdout: '{"act":"status"}\n', stderr: "" });
  });

  it.each([
    [true, 0],
    [false, 1],
  ])("ends with the verdict of the smoke tests: passed %p", async (passed, code) => {
    const { script, socket } = install();
    await servers.listen(
      conducting((act) => Promise.resolve({ passed, act })),
      socket,
    );
    const answered = await run(script, ["smoke", "blue"]);
    expect(answered).toMatchObject({ code, stderr: "" });
    expect(JSON.parse(answered.stdout)).toEqual({ passed, act: { act: "smoke", target: "blue" } });
  });

  it.each([
    ...[[[]], [["stop"]], [["--help"]], [["abort"]], [["maintenance"]], [["maintenance", "of"]]],
    ...[[["backup", "hourly"]], [["database", "all"]], [["smoke"]], [["smoke", "red"]]],
  ])("tells its usage for %j", async (args) => {
    expect(await run(install().script, args)).toMatchObject({
      code: 4,
      stdout: "",
      stderr: expect.stringContaining("usage:") as string,
    });
  });

  it("fails at once where there is no conductor, and says where to look", async () => {
    // One that waited, or tried again, would be at it for longer than a test may take.
    const { script, socket } = install({ patience: 600, tries: 1000 });
    const { code, stderr } = await run(script, ["act"], ACT);
    expect(code).toBe(5);
    expect(stderr).toContain(
      `The conductor does not answer at ${socket}; see: systemctl status shop-conductor`,
    );
  });

  it("sends the act again to a conductor that was killed in the middle of it", async () => {
    const { script, socket } = install();
    const bodies: string[] = [];
    const killed: RequestListener = (request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      request.on("end", () => {
        bodies.push(body);
        if (bodies.length === 1) {
          response.write("progress begun\n", () => request.socket.destroy());
        } else {
          response.end('progress went on\nresult {"weight":5}\n');
        }
      });
    };
    await servers.listen(createServer(killed), socket);
    const { code, stdout, stderr } = await run(script, ["act"], ACT);
    expect(bodies).toEqual([ACT, ACT]);
    expect(code).toBe(0);
    expect(stdout).toBe('{"weight":5}\n');
    expect(stderr).toMatch(/begun\n[^]*went on\n$/);
  });

  it("sends a restore that was confirmed once: what users write after it is not to be replaced unasked", async () => {
    const { script, socket } = install();
    let asked = 0;
    const killed: RequestListener = (request, response) => {
      request.resume().on("end", () => {
        asked++;
        response.write("progress restoring\n", () => request.socket.destroy());
      });
    };
    await servers.listen(createServer(killed), socket);
    const restore = '{"act":"restore","backup":"latest","confirmed":true}';
    const { code, stderr } = await run(script, ["act"], restore);
    expect({ asked, code }).toEqual({ asked: 1, code: 5 });
    expect(stderr).toContain("not sent again by itself");
  });

  it("takes an answer that was cut for none", async () => {
    const { script, socket } = install();
    let asked = 0;
    const cut: RequestListener = (request, response) => {
      request.resume().on("end", () => {
        asked++;
        if (asked === 1) {
          response.write('result {"wei', () => request.socket.destroy());
        } else {
          response.end('result {"weight":5}\n');
        }
      });
    };
    await servers.listen(createServer(cut), socket);
    expect(await run(script, ["act"], ACT)).toMatchObject({ code: 0, stdout: '{"weight":5}\n' });
  });

  it("has the act in no argument list and no environment", async () => {
    const { script, socket } = install();
    const secret = SETTINGS.testers.secret;
    const found: string[] = [];
    let looked = 0;
    const server = conducting(() => {
      for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
        for (const file of ["cmdline", "environ"]) {
          const text = readProcess(pid, file);
          looked += text.includes(script) ? 1 : 0;
          if (text.includes(secret)) {
            found.push(text);
          }
        }
      }
      return Promise.resolve({});
    });
    await servers.listen(server, socket);
    expect((await run(script, ["act"], JSON.stringify({ act: "configure", site: SETTINGS }))).code).toBe(0);
    expect(looked).toBeGreaterThan(0);
    expect(found).toEqual([]);
  });
});

/** Empty for a process that ended meanwhile, or is another user's. */
function readProcess(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
