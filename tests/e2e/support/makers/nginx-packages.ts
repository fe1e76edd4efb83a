import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { run } from "../../../../sandbox/command";
import type { Image } from "../../../../sandbox/image/image";

/** A Debian package as a file, and what a package list says of it. */
export interface DebianPackage {
  readonly file: string;
  /** The fields of its control file. */
  readonly control: string;
}

/** Which packages to build. */
export interface NginxPackagesOptions {
  /** Image whose Nginx, njs and libraries go in. */
  readonly image: Image;
  /** Suite that they are for; its name is part of their version. */
  readonly suite: string;
  /** Version of Nginx that they claim; by default the one that they have. */
  readonly version?: string;
  /** The makers' count of builds of a version; 1 by default. */
  readonly build?: number;
}

/** Where the libraries go that the suite has too old or not at all. */
const LIBRARIES = "/usr/lib/nginx/lib";

/**
 * Builds `nginx` and `nginx-module-njs` as Nginx's makers lay theirs out (names, dependencies, files, user, unit, a site
 * on port 80, no module loaded), around the programs of an image: a real Nginx with a real njs. What differs is what
 * was compiled in: the directory of temporary files, and the prefix of relative paths.
 */
export async function buildNginxPackages(
  directory: string,
  options: NginxPackagesOptions,
): Promise<DebianPackage[]> {
  const nginx = options.version ?? upstreamVersion(options.image, "nginx");
  const njs = upstreamVersion(options.image, "libnginx-mod-http-js");
  const end = `${options.build ?? 1}~${options.suite}`;
  const tree = path.join(directory, `trees-${nginx}-${end}`);
  await fillNginx(path.join(tree, "nginx"), options.image);
  await fillModule(path.join(tree, "njs"), options.image);
  return [
    await buildPackage(path.join(tree, "nginx"), "nginx", `${nginx}-${end}`, [
      "Depends: libc6, libcrypt1, libssl3t64, zlib1g",
      `Provides: httpd, nginx-r${nginx}`,
      "Conflicts: nginx-common, nginx-core",
      "Replaces: nginx-common, nginx-core",
    ]),
    await buildPackage(path.join(tree, "njs"), "nginx-module-njs", `${nginx}+${njs}-${end}`, [
      `Depends: libc6, zlib1g, nginx-r${nginx}`,
    ]),
  ];
}

/** A version as its makers count, of a package that is installed in an image. */
function upstreamVersion({ layers }: Image, name: string): string {
  const administration = path.join(layers[0] ?? "", "var/lib/dpkg");
  const argv = [`--admindir=${administration}`, "--show", "--showformat=${source:Upstream-Version}", name];
  return execFileSync("dpkg-query", argv, { encoding: "utf8" });
}

async function fillNginx(root: string, image: Image): Promise<void> {
  const program = copy(image, "usr/sbin/nginx", root);
  await bundle(image, root, program, ["libpcre2-8.so.0"]);
  for (const directory of ["usr/lib/nginx/modules", "var/cache/nginx", "var/log/nginx", "var/lib/nginx"]) {
    fs.mkdirSync(path.join(root, directory), { recursive: true });
  }
  copy(image, "etc/nginx/mime.types", root);
  write(root, "etc/nginx/nginx.conf", NGINX_CONF);
  write(root, "etc/nginx/conf.d/default.conf", DEFAULT_SITE);
  write(root, "usr/lib/systemd/system/nginx.service", UNIT);
  write(root, "usr/share/nginx/html/index.html", "<h1>Welcome to nginx!</h1>\n");
  fs.symlinkSync("/usr/lib/nginx/modules", path.join(root, "etc/nginx/modules"));
  write(root, "DEBIAN/conffiles", CONFFILES.map((file) => `${file}\n`).join(""));
  for (const [name, script] of Object.entries(SCRIPTS)) write(root, `DEBIAN/${name}`, script, 0o755);
}

async function fillModule(root: string, image: Image): Promise<void> {
  const module = copy(image, "usr/lib/nginx/modules/ngx_http_js_module.so", root);
  await bundle(image, root, module, ["libqjs.so.0", "libxml2.so.16"]);
}

/** Puts libraries beside a program, and tells it where they are. */
async function bundle(
  image: Image,
  root: string,
  program: string,
  libraries: readonly string[],
): Promise<void> {
  const triplet = `${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`;
  for (const library of libraries) {
    const from = find(image, `usr/lib/${triplet}/${library}`);
    const to = path.join(root, LIBRARIES, library);
    fs.mkdirSync(path.dirname(to), { recursive: true });
    fs.copyFileSync(from, to);
  }
  await run(["patchelf", "--set-rpath", LIBRARIES, program]);
}

/** A file of the image, whichever layer has it; links are followed. */
function find({ layers }: Image, file: string): string {
  const found = layers.map((layer) => path.join(layer, file)).find((candidate) => fs.existsSync(candidate));
  if (found === undefined) throw new Error(`the image has no ${file}`);
  return fs.realpathSync(found);
}

function copy(image: Image, file: string, root: string): string {
  const target = path.join(root, file);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.copyFileSync(find(image, file), target);
  return target;
}

function write(root: string, file: string, content: string, mode = 0o644): void {
  const target = path.join(root, file);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.writeFileSync(target, content, { mode });
}

/** Builds a package of what is in `root`. */
export async function buildPackage(
  root: string,
  name: string,
  version: string,
  relations: readonly string[] = [],
): Promise<DebianPackage> {
  const architecture = execFileSync("dpkg", ["--print-architecture"], { encoding: "utf8" }).trim();
  const control = [
    `Package: ${name}`,
    `Version: ${version}`,
    `Architecture: ${architecture}`,
    "Section: httpd",
    "Maintainer: the tests <tests@example.com>",
    ...relations,
    `Description: ${name}, laid out as by its makers`,
  ].join("\n");
  write(root, "DEBIAN/control", `${control}\n`);
  const file = path.join(path.dirname(root), `${name}_${version}_${architecture}.deb`);
  await run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", root, file]);
  return { file, control };
}

const CONFFILES = ["/etc/nginx/nginx.conf", "/etc/nginx/mime.types", "/etc/nginx/conf.d/default.conf"];

const NGINX_CONF = `user nginx;
worker_processes auto;
error_log /var/log/nginx/error.log notice;
pid /run/nginx.pid;
events { worker_connections 1024; }
http {
    include /etc/nginx/mime.types;
    include /etc/nginx/conf.d/*.conf;
}
`;

const DEFAULT_SITE = `server {
    listen 80;
    server_name localhost;
    location / { root /usr/share/nginx/html; }
}
`;

const UNIT = `[Unit]
Description=nginx - high performance web server
After=network-online.target
Wants=network-online.target

[Service]
Type=forking
PIDFile=/run/nginx.pid
ExecStart=/usr/sbin/nginx -c /etc/nginx/nginx.conf
ExecReload=/bin/sh -c "/bin/kill -s HUP $(/bin/cat /run/nginx.pid)"
ExecStop=/bin/sh -c "/bin/kill -s TERM $(/bin/cat /run/nginx.pid)"

[Install]
WantedBy=multi-user.target
`;

/** It is started when it is installed, replaced while it runs when it is upgraded, and stopped when it is removed. */
const SCRIPTS = {
  preinst: `#!/bin/sh
set -e
getent group nginx >/dev/null || groupadd --system nginx
getent passwd nginx >/dev/null || useradd --system --gid nginx --no-create-home --home /nonexistent nginx
`,
  postinst: `#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
systemctl daemon-reload
systemctl enable nginx
if [ -f /run/nginx.pid ] && kill -0 "$(cat /run/nginx.pid)"; then
  kill -s USR2 "$(cat /run/nginx.pid)"
else
  systemctl start nginx
fi
`,
  prerm: `#!/bin/sh
set -e
[ "$1" != remove ] || systemctl stop nginx
`,
};
