import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { Failed } from "../../../host/conductor/acts";
import type { Paths } from "../../../host/conductor/paths";
import type { SiteSettings } from "../../../host/conductor/protocol";
import { renderSiteConfiguration } from "../../../host/conductor/site-configuration";
import { applySiteConfiguration } from "../../../host/conductor/site-files";
import { pathsUnder, removeDirectories, SETTINGS, temporaryDirectory } from "./support/fixtures";
import { UnixServers } from "./support/unix-server";

const servers = new UnixServers();
const searchPath = process.env["PATH"] ?? "";
afterEach(async () => {
  process.env["PATH"] = searchPath;
  await servers.close();
});
afterAll(removeDirectories);

/** Stand-ins for `nginx` and `systemctl`: each notes its arguments, and runs `script`. */
class Nginx {
  readonly root = temporaryDirectory();
  readonly paths: Paths = pathsUnder(this.root);
  private readonly notes = join(this.root, "calls");
  private serving = "";

  async start(): Promise<this> {
    for (const path of [this.paths.siteConfiguration, this.paths.frontDoor]) {
      mkdirSync(dirname(path), { recursive: true });
    }
    writeFileSync(this.notes, "");
    this.program("nginx", "exit 0");
    this.program("systemctl", 'touch "$root/reloaded"');
    process.env["PATH"] = `${join(this.root, "bin")}:${searchPath}`;
    // Like Nginx: what serves changes at a reload, not when the file is written.
    const control = createServer((_, response) => {
      if (existsSync(join(this.root, "reloaded"))) {
        this.serving = /return 200 "([0-9a-f]+)"/.exec(this.file() ?? "")?.[1] ?? "";
      }
      response.end(this.serving);
    });
    await servers.listen(control, this.paths.frontDoor);
    return this;
  }

  program(name: string, script: string): void {
    mkdirSync(join(this.root, "bin"), { recursive: true });
    const path = join(this.root, "bin", name);
    writeFileSync(path, `#!/bin/sh\nroot='${this.root}'\necho "${name} $*" >>"$root/calls"\n${script}\n`);
    chmodSync(path, 0o755);
  }

  apply(change: Partial<SiteSettings> = {}): Promise<string> {
    return applySiteConfiguration({ settings: { ...SETTINGS, ...change }, paths: this.paths, probeKey: "k" });
  }

  file(): string | null {
    const { siteConfiguration } = this.paths;
    return existsSync(siteConfiguration) ? readFileSync(siteConfiguration, "utf8") : null;
  }

  /** The programs that ran since the last call. */
  calls(): string[] {
    const lines = readFileSync(this.notes, "utf8").split("\n").filter(Boolean);
    writeFileSync(this.notes, "");
    return lines;
  }
}

const TAKEN = ["nginx -t -q", "systemctl reload-or-restart nginx"];

it("writes, tests, reloads, and returns the hash of what serves", async () => {
  const nginx = await new Nginx().start();
  const hash = await nginx.apply();
  const template = renderSiteConfiguration({ settings: SETTINGS, paths: nginx.paths, probeKey: "k" });
  expect(hash).toBe(createHash("sha256").update(template).digest("hex"));
  expect(nginx.file()).toBe(`${template.replace("@CONFIGURATION@", hash)}\n`);
  expect(nginx.calls()).toEqual(TAKEN);
  expect(statSync(nginx.paths.siteConfiguration).mode & 0o777).toBe(0o600);
});

it("touches nothing where it serves already", async () => {
  const nginx = await new Nginx().start();
  const hash = await nginx.apply();
  nginx.calls();
  expect(await nginx.apply()).toBe(hash);
  expect(nginx.calls()).toEqual([]);
});

it("writes an edited file again, and reloads where another configuration serves", async () => {
  const nginx = await new Nginx().start();
  await nginx.apply();
  const sound = nginx.file();
  nginx.calls();
  writeFileSync(nginx.paths.siteConfiguration, "# edited\n");
  await nginx.apply();
  expect(nginx.file()).toBe(sound);
  expect(nginx.calls()).toEqual(TAKEN);
});

it("gives Nginx a traffic state to start with, and leaves one that is there", async () => {
  const nginx = await new Nginx().start();
  await nginx.apply();
  expect(readFileSync(nginx.paths.trafficFallback, "utf8")).toBe('default "blue 0 0 0 0";\n');
  writeFileSync(nginx.paths.trafficFallback, 'default "green 500 7 1 1";\n');
  await nginx.apply({ maxBodyMegabytes: 20 });
  expect(readFileSync(nginx.paths.trafficFallback, "utf8")).toBe('default "green 500 7 1 1";\n');
});

it("puts the previous one back where Nginx refuses, and tells what Nginx said", async () => {
  const nginx = await new Nginx().start();
  await nginx.apply();
  const sound = nginx.file();
  nginx.program("nginx", 'echo "[emerg] no such certificate" >&2; exit 1');
  const refused = nginx.apply({ maxBodyMegabytes: 20 });
  await expect(refused).rejects.toThrow(Failed);
  await expect(refused).rejects.toThrow(/the previous one serves on: .*\[emerg\] no such certificate/s);
  expect(nginx.file()).toBe(sound);
});

it("leaves none where there was none before", async () => {
  const nginx = await new Nginx().start();
  nginx.program("nginx", "exit 1");
  await expect(nginx.apply()).rejects.toThrow("was not taken");
  expect(nginx.file()).toBeNull();
});

it("tells both faults where the reload fails for the previous one, too", async () => {
  const nginx = await new Nginx().start();
  await nginx.apply();
  const sound = nginx.file();
  nginx.program("systemctl", 'echo "unit is masked"; exit 1');
  await expect(nginx.apply({ maxBodyMegabytes: 20 })).rejects.toThrow(
    /^the site's configuration was not taken, and neither was the previous one \(.*unit is masked.*\): .*unit is masked/s,
  );
  expect(nginx.file()).toBe(sound);
});
