import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { removeDirectories, temporaryDirectory } from "./support/fixtures";

/* `<app>-pm2`: what shows a colour's processes, and changes nothing. */

afterAll(removeDirectories);

const SOURCE = readFileSync(join(__dirname, "../../../host/bin/pm2"), "utf8");

/** Runs the command on a host whose colours run, or do not, and tells what it would have run. */
function pm2(words: readonly string[], isActive = true) {
  const prefix = temporaryDirectory();
  const program = (name: string, text: string): void =>
    writeFileSync(join(prefix, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  writeFileSync(join(prefix, "garage-pm2"), SOURCE.replaceAll("@APP@", "garage"));
  program("systemctl", isActive ? "exit 0" : "exit 3");
  program("setpriv", 'printf "%s\\n" "$@"');
  const home = join(prefix, "var/lib/garage/pm2/green");
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "rpc.sock"), "");
  const { status, stdout, stderr } = spawnSync("bash", [join(prefix, "garage-pm2"), ...words], {
    env: { PATH: `${prefix}:${String(process.env["PATH"])}`, PREFIX: prefix, SECRET: "of the caller" },
    encoding: "utf8",
  });
  return { status, ran: stdout.split("\n").slice(0, -1), stderr, home, prefix };
}

it("asks the PM2 of the colour, as the user of the releases, with nothing of the caller's environment", () => {
  const { status, ran, stderr, home, prefix } = pm2(["green", "logs", "--lines", "5"]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(ran).toEqual([
    ...["--reuid=www-data", "--regid=www-data", "--clear-groups", "--", "env", "-i"],
    ...["PATH=/usr/local/bin:/usr/bin:/bin", "TERM=dumb", `HOME=${home}`, `PM2_HOME=${home}`],
    ...["node", `${prefix}/usr/local/lib/pm2/node_modules/pm2/bin/pm2`, "logs", "--lines", "5"],
  ]);
});

it.each([
  ["stop", /garage-conductor abort/],
  ["delete", /garage-conductor abort/],
  ["kill", /garage-conductor abort/],
  ["restart", /systemctl restart garage@green/],
  ["reload", /systemctl restart garage@green/],
  ["start", /systemctl restart garage@green/],
  ["scale", /systemctl restart garage@green/],
  ["flush", /logrotate/],
  ["save", /pulumi up/],
  ["install", /pulumi up/],
  ["--silent", /pulumi up/],
])("refuses %s, and names what to do in its place", (word, way) => {
  const { status, ran, stderr } = pm2(["green", word, "0"]);
  expect({ status, ran }).toEqual({ status: 3, ran: [] });
  expect(stderr).toMatch(way);
});

it.each([[[]], [["green"]], [["list"]], [["red", "list"]]])("wants a colour and a word, not %j", (words) => {
  expect(pm2(words)).toMatchObject({
    status: 4,
    ran: [],
    stderr: expect.stringMatching(/^usage: /) as string,
  });
});

it.each([
  ["a retired colour", "blue", true],
  ["a colour that systemd does not run", "green", false],
])("starts no PM2 of its own for %s", (_, colour, isActive) => {
  expect(pm2([colour, "list"], isActive)).toMatchObject({
    status: 5,
    ran: [],
    stderr: expect.stringMatching(`systemctl status garage@${colour}`) as string,
  });
});
