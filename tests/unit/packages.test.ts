import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";

/*
 * host/bootstrap/packages beside stubs of the package manager: which source is taken when. And node-release, which needs
 * no package manager, as it is.
 */

const BOOTSTRAP = path.join(__dirname, "..", "..", "host", "bootstrap");

let directory: string;
const at = (...names: string[]): string => path.join(directory, ...names);

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(tmpdir(), "packages-"));
  for (const name of ["bin", "bootstrap", "pm2", "candidates", "installed", "prefix/usr/local/lib/pm2"]) {
    fs.mkdirSync(at(name), { recursive: true });
  }
  fs.writeFileSync(at("calls"), "");
  for (const tool of TOOLS) {
    fs.symlinkSync(
      execFileSync("sh", ["-c", `command -v ${tool}`], { encoding: "utf8" }).trim(),
      at("bin", tool),
    );
  }
});

afterEach(() => fs.rmSync(directory, { recursive: true }));

/** What the scripts call and have as it is; nothing else is on their PATH. */
const TOOLS = [
  ...["awk", "bash", "cat", "chmod", "cut", "dirname", "install", "ln", "md5sum", "mkdir", "mv", "rm"],
  ...["sed", "sh", "sha256sum", "tail", "tar", "tee", "touch", "tr", "xz", "curl"],
];

function script(name: string, text: string): void {
  fs.writeFileSync(at(name), `#!/usr/bin/env bash\nset -eu\ncd ${directory}\n${text}\n`, { mode: 0o755 });
}

/** What there is to be had, and what is there, in a stubbed host. */
interface StubbedHost {
  /** Versions that the distribution has, by package. */
  readonly distribution: Readonly<Record<string, string>>;
  /** Whether the distribution's packages can be installed together; true by default. */
  readonly installable?: boolean;
  /** What is installed. */
  readonly installed?: readonly string[];
  /** Version of the Nginx that is installed. */
  readonly nginx?: string;
  /** Version of the Node that is on the PATH. */
  readonly node?: string;
  /** Version of the one that is there once the makers' is installed; 24.0.0 by default. */
  readonly nodeOfMakers?: string;
}

/** Runs `packages` on a host, and returns what it called in order. */
function packages(host: StubbedHost): { status: number | null; stderr: string; calls: string[] } {
  for (const [name, version] of Object.entries(host.distribution)) {
    fs.writeFileSync(at("candidates", name), version);
  }
  for (const name of host.installed ?? []) fs.writeFileSync(at("installed", name), "");

  // Puts a program there that says its version as the real one does.
  script(
    "bin/provide",
    `case $1 in
       nginx) printf '#!/bin/sh\\necho "nginx version: nginx/%s" >&2\\n' "$2" >bin/nginx ;;
       node) printf '#!/bin/sh\\necho "v%s"\\n' "$2" | tee bin/node >bin/npm ;;
     esac
     chmod 755 bin/*`,
  );
  script("bin/id", "echo 0");
  script("bin/dpkg", `case $1 in --audit) ;; *) exec ${which("dpkg")} "$@" ;; esac`);
  script(
    "bin/dpkg-query",
    `[[ -e installed/\${!#} ]] || exit 1; [[ $* == *Conffiles* ]] || printf installed`,
  );
  script("bin/apt-cache", `echo "  Candidate: $(cat "candidates/$2" 2>/dev/null || echo '(none)')"`);
  script(
    "bin/apt-get",
    `names=()
     while (($# > 0)); do
       case $1 in --simulate) exit ${host.installable === false ? "100" : "0"} ;; -o) shift ;; -*) ;; *) names+=("$1") ;; esac
       shift
     done
     echo "apt-get \${names[*]}" >>calls
     for name in "\${names[@]:1}"; do
       touch "installed/$name"
       version=$(cat "candidates/$name" 2>/dev/null || true)
       case $name in nginx) provide nginx "\${version%-*}" ;; nodejs) provide node "\${version%-*}" ;; esac
     done`,
  );
  script("bootstrap/nginx-source", `echo "nginx-source $1" >>calls; echo 1.30.9-1 >candidates/nginx`);
  script(
    "bootstrap/node-release",
    `echo node-release >>calls; provide node ${host.nodeOfMakers ?? "24.0.0"}`,
  );
  script("bootstrap/security-updates", "echo security-updates >>calls");
  const stubs = { PATH: at("bin") };
  if (host.nginx !== undefined) execFileSync(at("bin/provide"), ["nginx", host.nginx], { env: stubs });
  if (host.node !== undefined) execFileSync(at("bin/provide"), ["node", host.node], { env: stubs });
  fs.copyFileSync(path.join(BOOTSTRAP, "packages"), at("bootstrap/packages"));
  fs.writeFileSync(at("pm2/package-lock.json"), "{}");
  fs.writeFileSync(
    at("prefix/usr/local/lib/pm2/lock.sha256"),
    createHash("sha256").update("{}").digest("hex"),
  );
  const env = { PATH: at("bin"), PREFIX: at("prefix") };
  const { status, stderr } = spawnSync(at("bootstrap/packages"), { env, encoding: "utf8" });
  const calls = fs.readFileSync(at("calls"), "utf8").split("\n").filter(Boolean);
  return { status, stderr, calls };
}

function which(command: string): string {
  return execFileSync("sh", ["-c", `command -v ${command}`], { encoding: "utf8" }).trim();
}

const NEEDED = ["git", "ca-certificates", "curl", "logrotate", "unattended-upgrades", "postgresql"];
const NEW_NGINX = { nginx: "1.30.6-2", "libnginx-mod-http-js": "1.0.2-2" };
const OLD_NGINX = { nginx: "1.26.3-3", "libnginx-mod-http-js": "0.8.9-1" };
const NEW_NODE = { nodejs: "24.21.0-1", npm: "12" };
const OLD_NODE = { nodejs: "20.19.2-1", npm: "9" };
const NGINX_OF_MAKERS = ["nginx-source 1.30", "apt-get install nginx nginx-module-njs"];

it.each<[string, StubbedHost, string[]]>([
  [
    "all from the distribution, in one go",
    { distribution: { ...NEW_NGINX, ...NEW_NODE } },
    [`apt-get install ${NEEDED.join(" ")} nginx libnginx-mod-http-js nodejs npm`],
  ],
  [
    "both from their makers",
    { distribution: { ...OLD_NGINX, ...OLD_NODE }, installed: NEEDED },
    ["apt-get install gpg xz-utils", ...NGINX_OF_MAKERS, "node-release"],
  ],
  [
    "Nginx alone from its makers",
    { distribution: { ...OLD_NGINX, ...NEW_NODE }, installed: [...NEEDED, "gpg"] },
    ["apt-get install nodejs npm", ...NGINX_OF_MAKERS],
  ],
  [
    "Node alone from its makers",
    { distribution: { ...NEW_NGINX, ...OLD_NODE }, installed: [...NEEDED, "xz-utils"] },
    ["apt-get install nginx libnginx-mod-http-js", "node-release"],
  ],
  [
    "both from their makers where the distribution has none",
    { distribution: {}, installed: [...NEEDED, "gpg", "xz-utils"] },
    [...NGINX_OF_MAKERS, "node-release"],
  ],
  [
    "Nginx from its makers where the distribution's module is for another one",
    { distribution: { ...NEW_NGINX }, installable: false, installed: [...NEEDED, "gpg"], node: "22.0.0" },
    NGINX_OF_MAKERS,
  ],
])("takes %s", (_, host, calls) => {
  const result = packages(host);
  expect(result.stderr).not.toMatch(/^packages: (?!installing)/m);
  expect(result.calls).toEqual(["apt-get update", ...calls, "security-updates"]);
  expect(result.status).toBe(0);
});

it.each(["libnginx-mod-http-js", "nginx-module-njs"])(
  "leaves what is there alone, be it with %s",
  (module) => {
    const host = {
      distribution: {},
      installed: [...NEEDED, "nginx", module],
      nginx: "1.30.0",
      node: "22.1.0",
    };
    expect(packages(host)).toEqual({ status: 0, stderr: "", calls: ["security-updates"] });
  },
);

it("takes a Node without npm for none", () => {
  const host = {
    distribution: NEW_NODE,
    installed: [...NEEDED, "nginx", "nginx-module-njs"],
    nginx: "1.30.0",
  };
  script("bin/node", "echo v24.0.0");
  expect(packages(host).calls).toContain("apt-get install nodejs npm");
});

it("touches nothing where a Nginx is installed that is too old, and says what to do", () => {
  const host = { distribution: OLD_NGINX, installed: ["nginx", "libnginx-mod-http-js"], nginx: "1.26.3" };
  const { status, stderr, calls } = packages(host);
  expect({ status, calls }).toEqual({ status: 1, calls: [] });
  expect(stderr).toMatch(/Nginx 1\.26\.3 is installed here and too old: 1\.30 is needed.*apt-get purge/);
});

it("refuses an old Node that is found before the one that it installed", () => {
  const installed = [...NEEDED, "nginx", "nginx-module-njs"];
  const host = { distribution: OLD_NODE, installed, nginx: "1.30.0", nodeOfMakers: "20.0.0" };
  const { status, stderr } = packages(host);
  expect(status).toBe(1);
  expect(stderr).toMatch(/bin\/node is too old \(v20\.0\.0\), or without npm: 22 is needed/);
});

it("has njs loaded by Nginx where its makers' package does not see to it", () => {
  packages({
    distribution: {},
    installed: [...NEEDED, "nginx", "nginx-module-njs"],
    nginx: "1.30.0",
    node: "22.0.0",
  });
  expect(fs.readFileSync(at("prefix/etc/nginx/modules-enabled/50-njs.conf"), "utf8")).toBe(
    "load_module /usr/lib/nginx/modules/ngx_http_js_module.so;\n",
  );
});

describe("a release of Node's makers", () => {
  const VERSION = "24.0.1";
  const NAME = `node-v${VERSION}-linux-x64`;

  /** Publishes a release whose node says `version`, and returns its hash. */
  function publish(version = VERSION): string {
    fs.mkdirSync(at("release", NAME, "bin"), { recursive: true });
    fs.mkdirSync(at("dist", `v${VERSION}`), { recursive: true });
    fs.writeFileSync(at("release", NAME, "bin/node"), `#!/bin/sh\necho v${version}\n`, { mode: 0o755 });
    const archive = at("dist", `v${VERSION}`, `${NAME}.tar.xz`);
    execFileSync("tar", ["--create", "--xz", `--file=${archive}`, "-C", at("release"), NAME]);
    return createHash("sha256").update(fs.readFileSync(archive)).digest("hex");
  }

  function install(sha256: string): { status: number | null; stderr: string } {
    script("bin/dpkg", "echo amd64");
    const sources = `node_releases=file://${at("dist")}\nnode_version=${VERSION}\nnode_sha256_x64=${sha256}\n`;
    fs.writeFileSync(at("bootstrap/sources"), sources);
    fs.copyFileSync(path.join(BOOTSTRAP, "node-release"), at("bootstrap/node-release"));
    const env = { PATH: at("bin"), PREFIX: at("prefix") };
    return spawnSync(at("bootstrap/node-release"), { env, encoding: "utf8" });
  }

  const library = (): string[] => fs.readdirSync(at("prefix/usr/local/lib")).filter((name) => name !== "pm2");

  it("is installed beside what is there, with links on every PATH", () => {
    expect(install(publish())).toMatchObject({ status: 0 });
    expect(library()).toEqual([`node-v${VERSION}`]);
    const links = ["node", "npm", "npx"].map((name) => fs.readlinkSync(at("prefix/usr/local/bin", name)));
    expect(links).toEqual(
      ["node", "npm", "npx"].map((name) => `/usr/local/lib/node-v${VERSION}/bin/${name}`),
    );
  });

  it("starts over where it was killed", () => {
    fs.mkdirSync(at("prefix/usr/local/lib", `node-v${VERSION}.new`, "half"), { recursive: true });
    fs.mkdirSync(at("prefix/usr/local/lib", `node-v${VERSION}`));
    expect(install(publish())).toMatchObject({ status: 0 });
    expect(library()).toEqual([`node-v${VERSION}`]);
    expect(fs.readdirSync(at("prefix/usr/local/lib", `node-v${VERSION}`))).toEqual(["bin"]);
  });

  it.each<[string, () => string, RegExp]>([
    ["another hash", () => `${publish().slice(1)}0`, /is not the release that bootstrap\/sources pins/],
    ["nothing to fetch", () => "0".repeat(64), /Node cannot be fetched from file:/],
    ["a node that does not run here", () => publish("1"), /Node 24\.0\.1 does not run on this system/],
  ])("is refused with %s, and leaves nothing", (_, prepare, reason) => {
    const { status, stderr } = install(prepare());
    expect(status).toBe(1);
    expect(stderr).toMatch(reason);
    expect(library()).toEqual([]);
    expect(fs.existsSync(at("prefix/usr/local/bin"))).toBe(false);
  });

  it("does not replace a node that someone put there", () => {
    fs.mkdirSync(at("prefix/usr/local/bin"), { recursive: true });
    fs.writeFileSync(at("prefix/usr/local/bin/node"), "mine");
    const { status, stderr } = install(publish());
    expect(status).toBe(1);
    expect(stderr).toMatch(/usr\/local\/bin\/node is in the way/);
    expect(fs.readFileSync(at("prefix/usr/local/bin/node"), "utf8")).toBe("mine");
  });
});

it("pins sources over HTTPS, by whole fingerprints and hashes", () => {
  const print =
    'printf \'%s\\n\' "$nginx_packages" "$nginx_keys" "$node_releases" "$node_version" "$node_sha256_x64" "$node_sha256_arm64" "${nginx_key_fingerprints[@]}"';
  const sources = execFileSync("bash", ["-c", `. ${path.join(BOOTSTRAP, "sources")}; ${print}`], {
    encoding: "utf8",
  });
  const [packagesUrl, keys, releases, version, x64, arm64, ...fingerprints] = sources.trim().split("\n");
  for (const url of [packagesUrl, keys, releases]) expect(url).toMatch(/^https:\/\/[a-z.]+\/\S+[^/]$/);
  expect(Number(version?.split(".")[0])).toBeGreaterThanOrEqual(22);
  for (const hash of [x64, arm64]) expect(hash).toMatch(/^[0-9a-f]{64}$/);
  expect(x64).not.toBe(arm64);
  expect(fingerprints.length).toBeGreaterThan(0);
  for (const fingerprint of fingerprints) expect(fingerprint).toMatch(/^[0-9A-F]{40}$/);
});
