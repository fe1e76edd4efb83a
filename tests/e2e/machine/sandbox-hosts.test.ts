import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as path from "node:path";

import { takeDown } from "../../../sandbox/down";
import { bootHost, findHost, releaseNetwork, type SandboxHost } from "../../../sandbox/hosts/host";
import { closeOutbound, openOutbound } from "../../../sandbox/hosts/network";
import { recordedHosts, writeRecord } from "../../../sandbox/hosts/registry";
import { identify, isAlive, waitFor } from "../../../sandbox/processes";
import { sshGreets } from "../../../sandbox/reachable";
import { worldNamed } from "../../../sandbox/world";
import { forwarding, NO_TRACES, tracesOf } from "../support/machine";
import { SLOW_MS } from "../support/world";

jest.setTimeout(SLOW_MS);

const world = worldNamed("vssb-hosts");
let one: SandboxHost;
let two: SandboxHost;
let forwardingBefore: string;

beforeAll(async () => {
  // What a killed run left.
  await takeDown(world);
  forwardingBefore = forwarding();
  const files = {
    "/etc/ssl/example/key.pem": { content: "key\n", mode: 0o600 },
    "/root/note": { content: "hello" },
  };
  [one, two] = await Promise.all([bootHost({ name: "one", world, files }), bootHost({ name: "two", world })]);
});

afterAll(async () => {
  await Promise.all([one.remove(), two.remove()]);
  expect(tracesOf(world)).toEqual(NO_TRACES);
  expect(forwarding()).toBe(forwardingBefore);
});

const output = async (host: SandboxHost, ...argv: string[]): Promise<string> =>
  (await host.exec(argv)).stdout.trim();

it("is a whole Debian with systemd, and nothing failed", async () => {
  expect((await one.exec(["systemctl", "is-system-running", "--wait"], { check: false })).stdout.trim()).toBe(
    "running",
  );
  expect(await output(one, "systemctl", "--failed", "--no-legend")).toBe("");
  expect(await output(one, "hostname")).toBe("one");
});

it("has Nginx 1.30 with njs, and Node 22 or newer", async () => {
  const { stderr } = await one.exec(["nginx", "-v"]);
  expect(Number(/nginx\/1\.(\d+)/.exec(stderr)?.[1])).toBeGreaterThanOrEqual(30);
  expect(await output(one, "find", "/usr/lib/nginx/modules", "-name", "ngx_http_js_module.so")).not.toBe("");
  expect(Number(/^v(\d+)/.exec(await output(one, "node", "--version"))?.[1])).toBeGreaterThanOrEqual(22);
});

it("has its files from the first boot on, and leaves directories of the image as they are", async () => {
  expect(
    await output(one, "stat", "--format=%a %U", "/etc/ssl/example/key.pem", "/root/note", "/root", "/etc"),
  ).toBe("600 root\n644 root\n700 root\n755 root");
  expect(await output(one, "cat", "/root/note")).toBe("hello");
  expect((await two.exec(["cat", "/root/note"], { check: false })).exitCode).toBe(1);
});

it("is reached by SSH with its own key, pinned, and no other", () => {
  const ssh = (host: SandboxHost, ...options: string[]): number | null =>
    spawnSync("ssh", [...options, ...host.sshOptions(), `root@${host.address}`, "true"]).status;
  expect(ssh(one)).toBe(0);
  expect(one.hostKey).not.toBe(two.hostKey);
  // The key of another host is refused, and so is the client's key of another host.
  const knownHosts = path.join(world.stateDirectory, "wrong-known-hosts");
  fs.writeFileSync(knownHosts, `${one.address} ${two.hostKey}\n`);
  expect(ssh(one, "-o", `UserKnownHostsFile=${knownHosts}`)).toBe(255);
  fs.rmSync(knownHosts);
  const wrongKey = one.sshOptions().map((word) => (word === one.privateKeyFile ? two.privateKeyFile : word));
  expect(spawnSync("ssh", ["-o", "BatchMode=yes", ...wrongKey, `root@${one.address}`, "true"]).status).toBe(
    255,
  );
});

it("runs argument lists as they are, with input, and tells how they ended", async () => {
  const words = ["a b", "", "$(id)", "'", '"', "--", "\n"];
  const { stdout } = await one.exec(["printf", "%s\\0", ...words]);
  expect(stdout.split("\0").slice(0, -1)).toEqual(words);
  expect((await one.exec(["cat"], { stdin: "in\n" })).stdout).toBe("in\n");
  expect((await one.exec(["sh", "-c", "exit 7"], { check: false })).exitCode).toBe(7);
  await expect(one.exec(["sh", "-c", "echo reason >&2; exit 7"])).rejects.toThrow(
    /exit status 7[\s\S]*reason/,
  );
});

it("keeps what it wrote over a reboot", async () => {
  const boot = await output(one, "cat", "/proc/1/stat");
  await one.exec(["tee", "/root/kept"], { stdin: "kept" });
  await one.reboot();
  expect(await output(one, "cat", "/proc/1/stat")).not.toBe(boot);
  expect(await output(one, "cat", "/root/kept")).toBe("kept");
});

it("keeps what it wrote over a power cut, of which no process sees anything coming", async () => {
  await one.exec(["tee", "/root/kept"], { stdin: "cut" });
  await one.exec([
    "systemd-run",
    "--unit=witness",
    "sh",
    "-c",
    "trap 'touch /root/warned' TERM; sleep 1000 & wait",
  ]);
  const identity = identify(await waitFor("the witness", 60, () => one.pidsOf(/^sleep 1000$/)[0]))!;
  await one.powerCut();
  expect(isAlive(identity)).toBe(false);
  expect(await output(one, "cat", "/root/kept")).toBe("cut");
  expect((await one.exec(["test", "-e", "/root/warned"], { check: false })).exitCode).toBe(1);
});

it("is not cut off when one is cleared that had its network before the machine went down", async () => {
  const { index } = one.network;
  writeRecord(world, { ...{ name: "gone", index, layers: [], hostKey: "" }, maker: null, supervisor: null });
  await releaseNetwork(world, "gone");
  expect(recordedHosts(world)).toEqual(["one", "two"]);
  expect(await sshGreets(one.address)).toBe(true);
});

it("shows its processes to this machine, and only its own", async () => {
  const [daemon, ...more] = one.pidsOf(/^sshd: .*listener/);
  expect(more).toEqual([]);
  expect(two.pidsOf(/^sshd: .*listener/)).not.toContain(daemon);
  const { stdout } = await one.exec(["systemctl", "show", "--property=NRestarts", "--value", "ssh"]);
  process.kill(daemon!, "SIGKILL");
  await waitFor("systemd to start sshd again", 60, async () =>
    (await output(one, "systemctl", "show", "--property=NRestarts", "--value", "ssh")) !== stdout.trim()
      ? true
      : undefined,
  );
});

describe("a neighbour of this machine that knows no way back to the hosts' networks", () => {
  const neighbour = "vssb-hosts-neighbour";
  const firewall = "vssb_test_firewall";
  const ip = (...args: string[]): Buffer => execFileSync("ip", args);
  let listening: ReturnType<typeof spawnServer>;

  beforeAll(async () => {
    ip("netns", "add", neighbour);
    ip("link", "add", "vssbneighbour", "type", "veth", "peer", "name", "eth0", "netns", neighbour);
    ip("address", "add", "198.51.100.1/30", "dev", "vssbneighbour");
    ip("link", "set", "vssbneighbour", "up");
    ip("-n", neighbour, "address", "add", "198.51.100.2/30", "dev", "eth0");
    ip("-n", neighbour, "link", "set", "eth0", "up");
    const server = `require("net").createServer((s) => s.end(s.remoteAddress)).listen(80, "198.51.100.2", () => console.log("up"))`;
    listening = spawnServer(["ip", "netns", "exec", neighbour, process.execPath, "-e", server]);
    await listening.ready;
  });

  afterAll(() => {
    listening.stop();
    ip("netns", "delete", neighbour);
  });

  /** Asks who it is that asks; an answer that does come may be late on a busy machine. */
  const ask = async (seconds = 60): Promise<string> => {
    const client = `require("net").connect(80, "198.51.100.2").on("error", () => process.exit(1)).pipe(process.stdout)`;
    return (await one.exec(["timeout", String(seconds), "node", "-e", client], { check: false })).stdout;
  };

  it("is reached under this machine's address", async () => {
    expect(await ask()).toBe("198.51.100.1");
  });

  it("is reached through a firewall that forwards nothing by default, whose own rules stay as they were", async () => {
    const list = (): string => execFileSync("nft", ["list", "table", "inet", firewall], { encoding: "utf8" });
    const chain = "chain forward {\n type filter hook forward priority 0; policy drop;\n }";
    execFileSync("nft", [`table inet ${firewall} {\n ${chain}\n }`]);
    try {
      const before = list();
      expect(await ask(2)).toBe(""); // It does keep the hosts in.
      const three = await bootHost({ name: "three", world });
      expect(await ask()).toBe("198.51.100.1");
      await three.remove();
      await closeOutbound(world);
      expect(list()).toBe(before);
    } finally {
      execFileSync("nft", ["delete", "table", "inet", firewall]);
      await openOutbound(world);
    }
  });
});

it("is refused a name, or a network, that is taken", async () => {
  await expect(bootHost({ name: "one", world })).rejects.toThrow("host one is up already");
  const index = Number(one.address.split(".")[2]);
  await expect(bootHost({ name: "three", world, index })).rejects.toThrow(
    `10.77.${index}.0/24 for host three is in use`,
  );
  // The refusals left the host as it was, and nothing of the other.
  expect(await output(one, "hostname")).toBe("one");
  expect(findHost("three", world)).toBeNull();
  expect(fs.existsSync(`${world.stateDirectory}/hosts/three`)).toBe(false);
});

it("says what its console said when it cannot boot", async () => {
  const broken = { "/usr/lib/systemd/systemd": { content: "no program", mode: 0o755 } };
  await expect(bootHost({ name: "broken", world, files: broken })).rejects.toThrow(
    /broken does not boot[\s\S]*xec/,
  );
  expect(fs.existsSync(`${world.stateDirectory}/hosts/broken`)).toBe(false);
});

function spawnServer([program, ...args]: string[]): { readonly ready: Promise<unknown>; stop(): void } {
  const child = spawn(program!, args, { stdio: ["ignore", "pipe", "inherit"] });
  return { ready: once(child.stdout, "data"), stop: () => child.kill("SIGKILL") };
}
