import { enclosedArguments, processGroup, wallsOf } from "../../../host/conductor/releases/enclosure";
import { pathsOf } from "../../../host/conductor/paths";

const account = { uid: 33, gid: 34 };
const walls = {
  program: "/usr/local/lib/shop/bin/enclose",
  hidden: ["/var/lib/shop", "/run/shop"],
  kept: ["/var/lib/shop/build/home"],
  temporary: "/var/lib/shop/build-temporary",
};

/** The argument list, cut where one program hands over to the next. */
function stages(argv: readonly string[]): string[][] {
  return argv.reduce<string[][]>(
    (found, word) => {
      if (word === "--") {
        found.push([]);
      } else {
        found.at(-1)!.push(word);
      }
      return found;
    },
    [[]],
  );
}

const SCOPE = [
  ..."systemd-run --scope --quiet --collect --unit=shop-build.scope".split(" "),
  ..."-p KillSignal=SIGKILL -p CPUWeight=2 -p IOWeight=2".split(" "),
];
const LOW = "nice -n 19 ionice -c 3".split(" ");

describe("enclosedArguments", () => {
  it("runs a program in a scope of little weight, behind the walls, and the program itself at low priority", () => {
    const argv = ["npm", "ci"];
    const writes = "/var/www/shop-v1";
    expect(stages(enclosedArguments({ unit: "shop-build", account, argv, writes, walls }))).toEqual([
      SCOPE,
      [
        ...[walls.program, "--user", "33:34"],
        ...["--hide", "/var/lib/shop", "--hide", "/run/shop"],
        ...["--keep", "/var/lib/shop/build/home", "--keep", writes],
        ...["--temporary", "/var/lib/shop/build-temporary"],
      ],
      [...LOW, ...argv],
    ]);
  });

  it("keeps no release writable where none is made", () => {
    const argv = enclosedArguments({ unit: "shop-build", account, argv: ["true"], walls });
    expect(argv.filter((word) => word === "--keep")).toHaveLength(1);
    expect(argv.join(" ")).not.toContain("/var/www");
  });

  it("without walls only changes the user", () => {
    const argv = ["node", "pm2", "jlist"];
    expect(stages(enclosedArguments({ unit: "shop-build", account, argv }))).toEqual([
      SCOPE,
      ["setpriv", "--reuid=33", "--regid=34", "--clear-groups"],
      [...LOW, ...argv],
    ]);
  });
});

test("the walls hide all of the application's state, sockets and logs, and keep no more than the HOME of builds", () => {
  const paths = pathsOf("shop");
  const { hidden, kept } = wallsOf(paths);
  const isHidden = (path: string): boolean => hidden.some((directory) => path.startsWith(`${directory}/`));
  const { environments, pm2, records, source, database, certificates, monitoring, fetchHome } = paths;
  const { socket, frontDoor, health, logs, temporary, site } = paths;
  for (const path of [environments, pm2, records, source, database, certificates, monitoring, fetchHome]) {
    expect([path, isHidden(path)]).toEqual([path, true]);
  }
  for (const path of [socket, frontDoor, health, logs, temporary, site]) {
    expect([path, isHidden(path)]).toEqual([path, true]);
  }
  expect(kept).toEqual([paths.home]);
});

test("a process group passes the environment to the program alone", async () => {
  const own = { uid: process.getuid!(), gid: process.getgid!() };
  const code = "process.stdout.write(`${process.env.ONLY} ${require('os').getPriority()}`)";
  const answer = await processGroup(own).run({
    argv: [process.execPath, "-e", code],
    env: { ONLY: "this", PATH: "/usr/bin:/bin" },
    timeoutSeconds: 30,
  });
  expect(answer).toBe("this 19");
});
