import * as fs from "node:fs";
import * as path from "node:path";
import { run } from "../../sandbox/command";
import { withLock } from "../../sandbox/lock";
import { installPython } from "../../sandbox/python";
import { cacheDirectory } from "../../sandbox/world";

/** What cloud-init takes of the Python package index; Debian's packages of them would be the whole machine's. */
const PACKAGES = [
  ...["configobj==5.0.9", "Jinja2==3.1.4", "jsonpatch==1.33", "jsonschema==4.23.0", "oauthlib==3.2.2"],
  ...["PyYAML==6.0.2", "requests==2.32.3"],
];

/** Where cloud-init is, and what runs it. */
export interface CloudInit {
  readonly python: string;
  readonly modules: string;
}

/**
 * Fetches the cloud-init of this machine's Debian, unless it is there, and unpacks it into the machine's cache: were it installed, it would
 * set the machine up anew when that boots.
 */
export async function installCloudInit(): Promise<CloudInit> {
  const python = path.join(await installPython("cloud-init-python", PACKAGES), "bin", "python");
  const directory = path.join(cacheDirectory(), "cloud-init");
  fs.mkdirSync(directory, { recursive: true });
  await withLock(directory, () => unpack(directory));
  return { python, modules: path.join(directory, "usr", "lib", "python3", "dist-packages") };
}

async function unpack(directory: string): Promise<void> {
  const stamp = path.join(directory, ".unpacked");
  if (fs.existsSync(stamp)) return;
  const download = () => run(["apt-get", "download", "-q", "cloud-init"], { cwd: directory });
  // Lists that are old, or not there yet, name no file that can be had.
  await download().catch(async () => {
    await run(["apt-get", "update", "-q"]);
    await download();
  });
  const [file = ""] = fs.readdirSync(directory).filter((name) => name.endsWith(".deb"));
  await run(["dpkg-deb", "--extract", path.join(directory, file), directory]);
  fs.writeFileSync(stamp, "");
}

/** What cloud-init's own check says of user data; an empty text where it finds nothing. */
export async function checkUserData({ python, modules }: CloudInit, file: string): Promise<string> {
  const command = [python, "-m", "cloudinit.cmd.main", "schema", "--config-file", file];
  const env = { ...process.env, PYTHONPATH: modules };
  const { stdout, stderr, exitCode } = await run(command, { env, check: false });
  if (exitCode === 0 && /^Valid (?:cloud-config|schema)/m.test(stdout)) return "";
  if (/Cloud config schema|Invalid|is not valid/.test(stdout + stderr)) return stdout + stderr;
  throw new Error(`cloud-init schema ended with ${String(exitCode)} and no answer: ${stdout}${stderr}`);
}
