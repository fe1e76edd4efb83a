import * as fs from "node:fs";
import * as path from "node:path";

import type { CommandResult } from "../../sandbox/command";
import { bootHost, type SandboxHost } from "../../sandbox/hosts/host";
import { waitFor } from "../../sandbox/processes";
import { repositoryRoot } from "../../sandbox/repository";
import { Makers, OLD_VERSION, UNASKED, type SourceOverrides } from "./support/makers/makers";
import { SLOW_MS, TestWorld } from "./support/world";

/*
 * Where a host's Nginx and Node come from: the distribution, where it has them new enough (forky), or else their makers
 * (trixie), who are a web server of this machine here.
 */

jest.setTimeout(SLOW_MS);

/** Where the host software lies on the host while only its packages are looked at. */
const TREE = "/opt/host";
/** Begins the name of every unit that runs bootstrap/packages: each has one of its own, for a killed one lingers. */
const UNIT = "bootstrap-packages";
let runs = 0;

/** Puts the host software on a host. */
async function unpackSoftware(host: SandboxHost): Promise<void> {
  const archive = fs.readFileSync(path.join(repositoryRoot(), "dist", "host.tar"));
  const script = `mkdir -p ${TREE} && base64 --decode | tar --extract --directory=${TREE}`;
  await host.exec(["sh", "-c", script], { stdin: archive.toString("base64") });
}

/** Runs bootstrap/packages as a unit, which has a service's environment and can be killed with all that it started. */
async function runPackages(host: SandboxHost, properties: readonly string[] = []): Promise<CommandResult> {
  runs += 1;
  const unit = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", `--unit=${UNIT}-${runs}`];
  const argv = [...unit, ...properties.map((property) => `--property=${property}`)];
  return host.exec([...argv, `${TREE}/bootstrap/packages`], { check: false });
}

/** Does it again where there is no network at all. */
const runOffline = (host: SandboxHost): Promise<CommandResult> => runPackages(host, ["PrivateNetwork=yes"]);

async function lines(host: SandboxHost, argv: readonly string[]): Promise<string[]> {
  const { stdout } = await host.exec(argv);
  return stdout.split("\n").filter((line) => line !== "");
}

/** Files that the makers' sources leave on a host; and Nginx, where it is installed. */
async function traces(host: SandboxHost): Promise<string[]> {
  const script = `find /etc/apt -name '*nginx*'; find /usr/local/lib /usr/local/bin -maxdepth 1 -name 'node*'
    dpkg-query --show --showformat='\${db:Status-Status} \${Package}\\n' 'nginx*' | grep ^installed`;
  return (await host.exec(["sh", "-c", script], { check: false })).stdout.split("\n").filter(Boolean);
}

describe("a distribution that is new enough", () => {
  let host: SandboxHost;
  beforeAll(async () => {
    host = await bootHost({ name: "sources-forky" });
    await unpackSoftware(host);
  }, SLOW_MS);
  afterAll(() => host.remove());

  it("has given everything: nothing is missing, and nothing is the makers'", async () => {
    expect(await runOffline(host)).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    expect(await traces(host)).toEqual(["installed nginx", "installed nginx-common"]);
    const owners = await lines(host, [
      "dpkg-query",
      "--search",
      "/usr/sbin/nginx",
      "/usr/bin/node",
      "/usr/bin/npm",
    ]);
    expect(owners).toEqual(["nginx: /usr/sbin/nginx", "nodejs: /usr/bin/node", "npm: /usr/bin/npm"]);
    expect(await lines(host, ["bash", "-c", "type -P node npm"])).toEqual(["/usr/bin/node", "/usr/bin/npm"]);
  });

  it("leaves what serves to no update of its own accord", async () => {
    const held = await lines(host, ["apt-mark", "showhold"]);
    expect(held).toEqual(expect.arrayContaining(["libnginx-mod-http-js", "nginx", "nodejs", "npm"]));
    expect(held.every((name) => /^(lib)?(nginx|node|npm)/.test(name))).toBe(true);
  });
});

describe("a distribution that is too old", () => {
  let world: TestWorld;
  let makers: Makers;
  beforeAll(async () => {
    world = await TestWorld.create("sources-trixie", { suite: "trixie" });
    // A kill leaves to the disk what was written: only a power cut would lose what dpkg did not wait for.
    await world.host.exec(["tee", "/etc/dpkg/dpkg.cfg.d/unsafe-io"], { stdin: "force-unsafe-io\n" });
    makers = await Makers.create("trixie", world.host.gateway);
    await unpackSoftware(world.host);
  }, SLOW_MS);
  afterAll(async () => {
    await makers.close();
    await world.remove();
  });

  /** Takes away the Nginx that came from the makers. */
  async function withoutNginx(): Promise<void> {
    const script = `set -e
      if dpkg-query --show nginx-module-njs >/dev/null 2>&1; then
        apt-get purge -y -qq --allow-change-held-packages nginx nginx-module-njs
      fi
      apt-get clean
      rm -rf /etc/nginx /etc/apt/*/nginx-makers*`;
    await world.host.exec(["sh", "-c", script]);
  }

  /** Takes away all that came from the makers. */
  async function bareAgain(): Promise<void> {
    await withoutNginx();
    await world.host.exec(["sh", "-c", "rm -rf /usr/local/lib/node-* /usr/local/bin/*"]);
  }

  async function bootstrap(overrides: SourceOverrides = {}): Promise<CommandResult> {
    await world.host.exec(["tee", `${TREE}/bootstrap/sources`], { stdin: makers.sources(overrides) });
    return runPackages(world.host);
  }

  async function ready(): Promise<void> {
    const { exitCode, stdout, stderr } = await bootstrap();
    if (exitCode !== 0) throw new Error(`bootstrap/packages ended with ${exitCode}:\n${stdout}\n${stderr}`);
  }

  describe("and makers who are not to be trusted", () => {
    beforeAll(bareAgain, SLOW_MS);

    it.each<[string, SourceOverrides, RegExp]>([
      ["packages that a stranger signed", { nginx: "stranger" }, /not signed[^]*cannot be had from/],
      [
        "packages that were changed after they were signed",
        { nginx: "tampered" },
        /Hash Sum[^]*cannot be had from/,
      ],
      [
        "a file of keys without the trusted one",
        { keys: "/stranger-key" },
        /holds no key that is trusted; found: [0-9A-F]{40}\./,
      ],
      ["keys that are none", { keys: "/nonsense" }, /is no file of keys/],
      ["keys that are not there", { keys: "/missing" }, /keys of Nginx's packages cannot be fetched/],
      [
        "packages that are too old",
        { nginx: "old" },
        new RegExp(`has Nginx ${OLD_VERSION}-.* and 1\\.30 is needed`),
      ],
    ])("refuses %s, and leaves nothing of theirs", async (_, overrides, reason) => {
      const { exitCode, stderr } = await bootstrap(overrides);
      expect(stderr).toMatch(reason);
      expect(exitCode).toBe(1);
      expect(await traces(world.host)).toEqual([]);
      // A source that is left behind broken would stop every update of the host.
      await world.host.exec(["apt-get", "update", "--error-on=any"]);
    });

    it("refuses a release of Node with another hash", async () => {
      const { exitCode, stderr } = await bootstrap({ nodeSha256: "0".repeat(64) });
      expect(stderr).toMatch(
        /is not the release that bootstrap\/sources pins: its SHA-256 is [0-9a-f]{64}, not 0{64}\./,
      );
      expect(exitCode).toBe(1);
      expect((await traces(world.host)).filter((file) => file.startsWith("/usr/local"))).toEqual([]);
    });
  });

  describe("and a bootstrap that is killed", () => {
    const kill = `systemctl kill --kill-whom=all --signal=KILL '${UNIT}-*.service'`;

    it.each([
      ["while it fetches Nginx", /\/pool\/.*nginx_/],
      ["while it fetches Node", /\/dist\//],
    ])("%s, goes on from there", async (_, request) => {
      await bareAgain();
      makers.onRequest = async (name) => {
        if (request.test(name)) await world.host.exec(["sh", "-c", kill], { check: false });
      };
      const killed = await bootstrap();
      makers.onRequest = () => Promise.resolve();
      expect(killed.exitCode).not.toBe(0);
      await ready();
      expect(await runOffline(world.host)).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    });

    describe("while dpkg is at work", () => {
      beforeEach(withoutNginx);

      /** Kills the bootstrap as soon as dpkg tells that Nginx gets into a state: something is left unfinished. */
      async function killedAt(state: string): Promise<void> {
        // dpkg tells a logger each state that a package gets into, and does not wait for it: no process is started to kill.
        const logger = `#!/bin/sh
        group=$(grep ^0:: /proc/self/cgroup)
        while read -r line; do
          case $line in "status: nginx: ${state}"*) echo 1 >"/sys/fs/cgroup\${group#0::}/cgroup.kill" ;; esac
        done\n`;
        await world.host.exec(["sh", "-c", `cat >${TREE}/logger && chmod 755 ${TREE}/logger`], {
          stdin: logger,
        });
        const configuration = "/etc/dpkg/dpkg.cfg.d/logger";
        await world.host.exec(["tee", configuration], { stdin: `status-logger=${TREE}/logger\n` });
        const killed = await bootstrap();
        await world.host.exec(["rm", configuration]);
        expect(killed.exitCode).not.toBe(0);
        expect(await audit()).not.toEqual([]);
      }

      const audit = (): Promise<string[]> => lines(world.host, ["dpkg", "--audit"]);

      async function stateOfNginx(): Promise<string> {
        const format = "--showformat=${db:Status-Status} ${db:Status-Eflag}";
        return (await world.host.exec(["dpkg-query", "--show", format, "nginx"])).stdout;
      }

      it.each(["unpacked", "half-configured"])("which has Nginx %s, goes on from there", async (state) => {
        await killedAt(state);
        await ready();
        expect(await audit()).toEqual([]);
      });

      /** Kills it when dpkg has unpacked Nginx, and not yet recorded that all of it is there. */
      async function killedBeforeTheRecord(): Promise<void> {
        await killedAt("unpacked");
        // For a millisecond dpkg's record has this line, which no signal hits for sure.
        const record = "/^Package: nginx$/,/^$/ s/^Status: .*/Status: install reinstreq unpacked/";
        const files = ["/var/lib/dpkg/status", "/var/lib/dpkg/updates", "-type", "f"];
        await world.host.exec(["find", ...files, "-exec", "sed", "-i", record, "{}", "+"]);
        expect(await stateOfNginx()).toBe("unpacked reinstreq");
      }

      it("which has not yet recorded all of Nginx, goes on from there", async () => {
        await killedBeforeTheRecord();
        await ready();
        expect(await audit()).toEqual([]);
      });

      it("which has not yet recorded all of an Nginx of no source now, takes it away unless it serves", async () => {
        await killedBeforeTheRecord();
        await world.host.exec(["rm", "/etc/apt/sources.list.d/nginx-makers.sources"]);
        const unit = "/run/systemd/system/nginx.service";
        await world.host.exec(["mkdir", "-p", "/run/systemd/system"]);
        await world.host.exec(["tee", unit], { stdin: "[Service]\nExecStart=/bin/sleep infinity\n" });
        await world.host.exec(["sh", "-c", "systemctl daemon-reload && systemctl start nginx"]);
        const { exitCode, stderr } = await bootstrap();
        expect(stderr).toMatch(/of no source that is known: nginx\. Nginx serves, so nothing is removed/);
        expect(exitCode).toBe(1);
        expect(await stateOfNginx()).toBe("unpacked reinstreq");
        await world.host.exec(["sh", "-c", `systemctl stop nginx && rm ${unit} && systemctl daemon-reload`]);
        await ready();
        expect(await audit()).toEqual([]);
      });
    });
  });

  describe("and good makers", () => {
    beforeAll(ready, SLOW_MS);

    it("gets Nginx with njs and Node with npm from them, and nothing else", async () => {
      const { host } = world;
      const versions = ["dpkg-query", "--show", "--showformat=${Version}\\n", "nginx", "nginx-module-njs"];
      expect(await lines(host, versions)).toEqual([
        expect.stringMatching(/^1\.\d+\.\d+-1~trixie$/),
        expect.stringMatching(/^1\.\d+\.\d+\+\d+\.\d+\.\d+-1~trixie$/),
      ]);
      expect(await lines(host, ["bash", "-c", "type -P node npm npx"])).toEqual([
        "/usr/local/bin/node",
        "/usr/local/bin/npm",
        "/usr/local/bin/npx",
      ]);
      expect(await lines(host, ["node", "--version"])).toEqual([`v${makers.node.version}`]);
      const policy = (await lines(host, ["apt-cache", "policy", UNASKED.name])).join("\n");
      // It is there, and not taken.
      expect(policy).toContain(UNASKED.version);
      expect(policy).not.toMatch(new RegExp(`Candidate: ${UNASKED.version}`));
    });

    it("takes the site away that comes with the package, unless someone edited it", async () => {
      const site = "/etc/nginx/conf.d/default.conf";
      expect((await world.host.exec(["test", "-e", site], { check: false })).exitCode).toBe(1);
      await world.host.exec(["tee", site], { stdin: "# Mine.\n" });
      await ready();
      expect(await lines(world.host, ["cat", site])).toEqual(["# Mine."]);
      await world.host.exec(["rm", site]);
    });

    it("needs no network the next time, and changes nothing", async () => {
      expect(await runOffline(world.host)).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    });

    it("gets no newer Nginx by itself", async () => {
      const { host } = world;
      await host.exec(["sed", "-i", "s,/good/,/newer/,", "/etc/apt/sources.list.d/nginx-makers.sources"]);
      await host.exec(["apt-get", "update"]);
      expect((await lines(host, ["apt-cache", "policy", "nginx"])).join("\n")).toContain("-2~trixie");
      const { stdout: upgrade } = await host.exec(["apt-get", "--simulate", "dist-upgrade"]);
      expect(upgrade).not.toMatch(/^Inst nginx/m);
      const unattended = await host.exec(["unattended-upgrade", "--dry-run", "--debug"]);
      const said = unattended.stdout + unattended.stderr;
      expect(said).toMatch(/Allowed origins are: origin=Debian,codename=trixie-security,/);
      expect(/^pkgs that look like they should be upgraded:(.*)$/m.exec(said)?.[1]).not.toMatch(/nginx/);
      // What holds it back is our doing, and not another reason.
      await host.exec(["apt-mark", "unhold", "nginx", "nginx-module-njs"]);
      expect((await host.exec(["apt-get", "--simulate", "dist-upgrade"])).stdout).toMatch(/^Inst nginx /m);
      await host.exec(["sed", "-i", "s,/newer/,/good/,", "/etc/apt/sources.list.d/nginx-makers.sources"]);
      await ready();
    });

    it(
      "serves a site on them, and does so again after a reboot",
      async () => {
        await world.up({ blueVersion: "v0.9.9" });
        const ask = [
          "curl",
          "--silent",
          "--fail",
          "--insecure",
          "--retry",
          "120",
          "--retry-all-errors",
          "--retry-delay",
          "1",
        ];
        const url = [`--resolve`, `${world.domain}:443:127.0.0.1`, `https://${world.domain}/api/whoami`];
        const whoAnswers = async (): Promise<string> => {
          const answer = JSON.parse((await world.host.exec([...ask, ...url])).stdout) as Record<
            string,
            string
          >;
          return `${String(answer["colour"])} ${String(answer["version"])}`;
        };
        expect(await whoAnswers()).toBe("blue v0.9.9");
        await world.up({ greenVersion: "v1.0.0", canaryWeight: 100 });
        expect(await whoAnswers()).toBe("green v1.0.0");
        await world.host.reboot();
        // Whoever is up first answers everybody: users of green go to blue until green is up.
        await waitFor("green to answer again", 120, async () =>
          (await whoAnswers()) === "green v1.0.0" ? true : undefined,
        );
      },
      2 * SLOW_MS,
    );
  });
});
