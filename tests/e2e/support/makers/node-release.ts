import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

import { run } from "../../../../sandbox/command";
import { repositoryRoot } from "../../../../sandbox/repository";

/** The npm that goes with the Node of this repository. */
const NPM = "npm@11.21.2";

/** An archive as Node's makers publish it. */
export interface NodeRelease {
  /** Without a leading "v". */
  readonly version: string;
  /** Name of the file that {@link buildNodeRelease} made. */
  readonly file: string;
}

/** Packs the Node of this repository, and an npm of the registry, as `node-v<version>-linux-<architecture>.tar.xz`. */
export async function buildNodeRelease(directory: string): Promise<NodeRelease> {
  const program = path.join(repositoryRoot(), "node_modules", "node", "bin", "node");
  const version = execFileSync(program, ["--version"], { encoding: "utf8" }).trim().slice(1);
  const name = `node-v${version}-linux-${process.arch}`;
  const root = path.join(directory, name);
  const npm = path.join(root, "lib/node_modules/npm");
  for (const folder of [path.join(root, "bin"), npm]) fs.mkdirSync(folder, { recursive: true });
  fs.copyFileSync(program, path.join(root, "bin/node"));
  const { stdout: archive } = await run(["npm", "pack", "--silent", NPM], { cwd: directory });
  await run(["tar", "-xf", archive.trim(), "-C", npm, "--strip-components=1"], { cwd: directory });
  for (const [link, script] of [
    ["npm", "npm-cli.js"],
    ["npx", "npx-cli.js"],
  ] as const) {
    fs.chmodSync(path.join(npm, "bin", script), 0o755);
    fs.symlinkSync(`../lib/node_modules/npm/bin/${script}`, path.join(root, "bin", link));
  }
  const file = path.join(directory, `${name}.tar.xz`);
  // Compressed for its format, not for its size: the makers' takes a minute.
  const quick = "--lzma2=preset=0,dict=64KiB,mf=hc3,mode=fast,nice=3,depth=1";
  const env = { ...process.env, XZ_OPT: `${quick} --threads=0` };
  await run(["tar", "--create", "--xz", `--file=${file}`, "-C", directory, name], { env });
  return { version, file };
}
