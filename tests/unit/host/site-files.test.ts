import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import { dirname, join } from "node:path";
import { Failed } from "../../../host/conductor/faults";
import type { Paths } from "../../../host/conductor/paths";
import type { SiteSettings } from "../../../host/conductor/protocol";
import { renderSiteConfiguration } from "../../../host/conductor/front-door/site-configuration";
import { applySiteConfiguration } from "../../../host/conductor/front-door/site-files";
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
    const { siteConfiguration, nginxMain, frontDoor, njs } = this.paths;
    for (const path of [siteConfiguration, nginxMain, frontDoor, join(njs, "nginx.conf")]) {
      mkdirSync(dirname(path), { recursive: true });
    }
    writeFileSync(this.notes, "");
    const main = `# of @APP@\nhttp {\n    include ${dirname(siteConfiguration)}/*.conf;\n}\n`;
    writeFileSync(join(njs, "nginx.conf"), main);
    writeFileSync(nginxMain, main.replace("@APP@", "shop"));
    // Keeps what it was asked to test, and what was in its place at that moment.
    this.program(
      "nginx",
      'cat "$4" >"$root/tested"; grep -o "[^ ]*candidate[^ ;]*" "$4" | xargs cat >>"$root/tested"\n' +
        `cat '${this.paths.siteConfiguration}' >"$root/meanwhile" 2>/dev/null; exit 0`,
    );
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

  /** What Nginx was told to test, main file and site together; and the live file at that moment. */
  tested(): { text: string; live: string } {
    const read = (name: string): string => readFileSync(join(this.root, name), "utf8");
    return { text: read("tested"), live: read("meanwhile") };
  }

  /** Names of the files beside the site's configuration. */
  files(): string[] {
    return readdirSync(this.paths.nginxFiles).sort();
  }

  /** The programs that ran since the last call. */
  calls(): string[] {
    const notes = readFileSync(this.notes, "utf8").replaceAll(this.paths.nginxFiles, "FILES");
    const lines = notes.split("\n").filter(Boolean);
    writeFileSync(this.notes, "");
    return lines;
  }
}

const TAKEN = ["nginx -t -q -c FILES/candidate/nginx.conf", "systemctl reload-or-restart nginx"];

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
  expect(readFileSync(nginx.paths.trafficFallback, "utf8")).toBe('default "blue 0 0 0 0 0";\n');
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

it("tests a candidate aside, with all else that is served, so that what lies in its place was always tested", async () => {
  const nginx = await new Nginx().start();
  await nginx.apply();
  const [before, other] = [nginx.file(), join(dirname(nginx.paths.siteConfiguration), "other.conf")];
  writeFileSync(other, "# other\n");
  await nginx.apply({ maxBodyMegabytes: 20 });
  const { text, live } = nginx.tested();
  expect(text).toContain(`include ${other};`);
  expect(text).toContain("client_max_body_size 20m;");
  expect(text).not.toContain("*.conf");
  expect(text).not.toContain(nginx.paths.siteConfiguration);
  expect(live).toBe(before);
  expect(nginx.files()).not.toContain("candidate");
});

it("puts the host software's main file back, whatever became of it", async () => {
  const nginx = await new Nginx().start();
  await nginx.apply();
  const main = readFileSync(nginx.paths.nginxMain, "utf8");
  nginx.calls();
  writeFileSync(nginx.paths.nginxMain, "http {}\n");
  await nginx.apply();
  expect(readFileSync(nginx.paths.nginxMain, "utf8")).toBe(main);
  expect(main).toMatch(/^# of shop\n/);
  expect(nginx.calls()).toEqual(TAKEN);
});

it("makes the site's file unreadable again for all but root", async () => {
  const nginx = await new Nginx().start();
  await nginx.apply();
  chmodSync(nginx.paths.siteConfiguration, 0o644);
  await nginx.apply();
  expect(statSync(nginx.paths.siteConfiguration).mode & 0o777).toBe(0o600);
});

describe("the operator's own texts", () => {
  const nginxSnippet = "location = /x {\n    return 204;\n}\n";

  it("lie beside the configuration, by the hash of their text, and go when they are no longer used", async () => {
    const nginx = await new Nginx().start();
    await nginx.apply({ nginxSnippet });
    const [page, snippet] = nginx.files();
    expect(page).toMatch(/^maintenance-[0-9a-f]{16}\.html$/);
    expect(snippet).toMatch(/^nginxSnippet-[0-9a-f]{16}\.conf$/);
    expect(readFileSync(join(nginx.paths.nginxFiles, snippet!), "utf8")).toBe(nginxSnippet);
    expect(nginx.file()).toContain(`    include ${join(nginx.paths.nginxFiles, snippet!)};\n}`);
    expect(statSync(join(nginx.paths.nginxFiles, page!)).mode & 0o777).toBe(0o644);
    await nginx.apply({ maintenance: { ...SETTINGS.maintenance, page: "<h1>Back soon</h1>" } });
    const [own, ...others] = nginx.files();
    expect(readFileSync(join(nginx.paths.nginxFiles, own!), "utf8")).toBe("<h1>Back soon</h1>");
    expect(others).toEqual(["traffic-fallback"]);
  });

  it("are written again where somebody edited them", async () => {
    const nginx = await new Nginx().start();
    await nginx.apply({ nginxSnippet });
    nginx.calls();
    const file = join(
      nginx.paths.nginxFiles,
      nginx.files().find((name) => name.startsWith("nginxSnippet"))!,
    );
    writeFileSync(file, "# edited\n");
    await nginx.apply({ nginxSnippet });
    expect(readFileSync(file, "utf8")).toBe(nginxSnippet);
    expect(nginx.calls()).toEqual(TAKEN);
  });

  it("of the configuration in force stay where others are refused", async () => {
    const nginx = await new Nginx().start();
    await nginx.apply({ nginxSnippet });
    const before = nginx.files();
    nginx.program("nginx", 'echo "[emerg] unknown directive" >&2; exit 1');
    await expect(nginx.apply({ nginxSnippet: "nonsense\n" })).rejects.toThrow("unknown directive");
    expect(nginx.files()).toEqual(expect.arrayContaining(before));
    expect(nginx.file()).toContain(before.find((name) => name.startsWith("nginxSnippet")));
  });
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
