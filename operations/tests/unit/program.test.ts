import { changed, settings } from "../../../tests/unit/support/configuration";
import { database, manifest, noDatabase, plan, site } from "./support/answers";
import { KEY_LINES, ops, type Given, type Reply } from "./support/surroundings";

const WORDS = ["status", "abort", "ack", "db", "backup", "restore"];
const well: Given = { host: { status: { result: site }, "database-status": { result: database } } };

/** A command line of each command that gets as far as the host. */
const LINES: readonly (readonly [argv: string[], act: string])[] = [
  [["status"], "status"],
  [["abort", "--reason", "payments fail"], "abort"],
  [["ack"], "ack"],
  [["db"], "database-status"],
  [["backup"], "backup"],
  [["restore", "--backup", "latest", "--yes", "--i-accept-data-loss"], "restore"],
];

describe("the help", () => {
  it("of ops names every command, the engines and all exit codes", async () => {
    const { code, stdout, stderr, opened } = await ops(["--help"]);
    expect({ code, stderr, opened }).toEqual({ code: 0, stderr: "", opened: [] });
    for (const word of WORDS) expect(stdout).toMatch(new RegExp(`^  ${word} `, "m"));
    expect(stdout).toContain("VEHICLESERVICE_ENGINE=embedded");
    expect(stdout).toContain("NO_COLOR");
    for (const exit of [0, 1, 2, 3, 5]) expect(stdout).toMatch(new RegExp(`^  ${String(exit)}  \\w`, "m"));
  });

  it.each(WORDS)("of %s has its options, what it touches, examples and exit codes", async (word) => {
    const { code, stdout } = await ops([word, "--help"]);
    expect(code).toBe(0);
    for (const option of ["-C, --cwd <directory>", "-s, --stack <name>", "--json", "-h, --help"])
      expect(stdout).toContain(option);
    expect(stdout).toMatch(/\nWhat it touches:\n {2}\w/);
    expect(stdout).toContain(`\nExamples:\n  bin/ops ${word}`);
    for (const exit of [0, 1, 2, 3, 5]) expect(stdout).toMatch(new RegExp(`^  ${String(exit)}  \\w`, "m"));
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(115);
  });

  it("of restore has the options that only it takes", async () => {
    const { stdout } = await ops(["restore", "--help"]);
    for (const option of ["--backup <name>", "--yes", "--i-accept-data-loss"])
      expect(stdout).toMatch(new RegExp(`^  ${option} `, "m"));
  });
});

describe("a wrong call", () => {
  it.each<[string, string[], RegExp]>([
    ["without a command", [], /^Usage: ops /],
    ["of a command that is none", ["rollout"], /unknown command 'rollout'/],
    ["with an option that is none", ["status", "--weight"], /unknown option '--weight'/],
    ["with an argument too many", ["db", "now"], /too many arguments/],
    ["of abort with more than a line", ["abort", "--reason", "a\nb"], /one line/],
    ["of abort with a reason that is none", ["abort", "--reason", ""], /one line/],
    ["of restore without a backup", ["restore"], /required option '--backup <name>' not specified/],
    [
      "of restore with a name that is none",
      ["restore", "--backup", "../x y"],
      /`latest`, or a name as `ops db`/,
    ],
  ])("%s exits with 2, and asks nobody", async (_, argv, words) => {
    const { code, stdout, stderr, opened } = await ops(argv);
    expect({ code, stdout, opened }).toEqual({ code: 2, stdout: "", opened: [] });
    expect(stderr).toMatch(words);
  });

  it("is a document, too, where documents are asked for", async () => {
    const { code, stdout } = await ops(["restore", "--json"]);
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toEqual({
      error: { exitCode: 2, message: "error: required option '--backup <name>' not specified" },
    });
  });
});

describe("the stack", () => {
  it.each<[string[], { directory: string; name: string | undefined }]>([
    [["status"], { directory: "/project/below", name: undefined }],
    [["status", "-C", "there", "--stack", "dev"], { directory: "there", name: "dev" }],
    [["-Cthere", "-s", "dev", "status"], { directory: "there", name: "dev" }],
    [["--cwd=there", "status", "--stack=dev"], { directory: "there", name: "dev" }],
  ])("that %j means", async (argv, reference) => {
    const { code, opened } = await ops(argv, well);
    expect({ code, opened }).toEqual({ code: 0, opened: [reference] });
  });

  it("says by its config where the host is", async () => {
    const { sent } = await ops(["db"], { host: { "database-status": { result: noDatabase } } });
    expect(sent).toHaveLength(1);
    const { connection, command } = sent[0]!;
    expect(connection).toMatchObject({ host: "10.77.1.2", port: 22, user: "root" });
    expect(command).toBe(
      "test -x /usr/local/bin/vehicleservice-conductor || exit 127; /usr/local/bin/vehicleservice-conductor act",
    );
  });

  it("of a user who is not root asks sudo, which asks nobody", async () => {
    const values = { ...changed(settings(), ["host", "user"], "deploy"), name: "shop" };
    const { sent } = await ops(["db"], { values, host: { "database-status": { result: noDatabase } } });
    expect(sent[0]?.command).toMatch(/; sudo -n \/usr\/local\/bin\/shop-conductor act$/);
  });

  describe("whose host the stack makes", () => {
    const values = {
      ...settings(),
      "aws:region": "eu-central-1",
      host: {
        ...{ mode: "ec2", privateKeyFile: "keys/id" },
        ec2: {
          ...{ sshFrom: ["203.0.113.7/32"], imageId: "ami-0123456789abcdef0", user: "deploy" },
          availabilityZone: "eu-central-1a",
        },
      },
    };
    const output = (value: string) => ({ value, secret: false });

    it("says by its outputs where it is", async () => {
      const outputs = { address: output("203.0.113.10"), hostKey: output("ssh-ed25519 AAAA") };
      const host = { "database-status": { result: noDatabase } };
      const { sent } = await ops(["db"], { values, outputs, host });
      expect(sent[0]).toMatchObject({
        connection: { host: "203.0.113.10", port: 22, user: "deploy", hostKey: "ssh-ed25519 AAAA" },
        command: expect.stringContaining("sudo -n "),
      });
    });

    it("says that it has made none yet, and how it does", async () => {
      const { code, stderr, sent } = await ops(["status"], { values });
      expect({ code, sent }).toEqual({ code: 5, sent: [] });
      expect(stderr).toMatch(/has made no host yet.*`pulumi up` makes it/);
    });
  });

  it("whose host cannot be found tells every fault of that, exits with 2, and asks nobody", async () => {
    const host = { address: "not an address", port: 99_999 };
    const { code, stderr, sent } = await ops(["status"], { values: { ...settings(), host } });
    expect({ code, sent }).toEqual({ code: 2, sent: [] });
    expect(stderr).toContain("4 faults in the configuration of stack test");
    for (const key of ["host.address", "host.port", "host.hostKey", "host.privateKeyFile"])
      expect(stderr).toContain(`vehicleservice:${key}\n`);
  });

  it("that is wrong elsewhere keeps nobody from looking", async () => {
    const values = { ...settings(), canaryWeight: "500", stable: "red" };
    expect((await ops(["status"], { ...well, values })).code).toBe(0);
  });
});

describe("what the host answers", () => {
  const failing = (act: string, reply: Reply | Error): Given => ({
    host: { status: { result: site }, "database-status": { result: database }, [act]: reply },
  });

  describe.each(LINES)("to %j", (argv, act) => {
    it.each<[string, Reply, number, RegExp]>([
      ["failed", { exitCode: 1, says: [`${act}: the disk is full`] }, 1, /the disk is full/],
      ["refused", { exitCode: 3, says: [`${act}: not now`] }, 3, /not now/],
      [
        "knows no such act",
        { exitCode: 4, says: ["act breaks 1 rule(s)"] },
        3,
        /another version.*`pulumi up`/s,
      ],
      ["has no conductor that answers", { exitCode: 5, says: ["systemctl status"] }, 5, /systemctl status/],
      ["has no conductor", { exitCode: 127 }, 5, /no conductor on the host; `pulumi up` installs it/],
    ])("%s", async (_, reply, exitCode, words) => {
      const { code, stderr, stdout } = await ops(argv, failing(act, reply));
      expect({ code, stdout }).toEqual({ code: exitCode, stdout: "" });
      expect(stderr).toMatch(words);
      for (const line of reply.says ?? []) expect(stderr.split(line)).toHaveLength(2);
      const json = await ops([...argv, "--json"], failing(act, reply));
      expect(json.code).toBe(exitCode);
      const { error } = JSON.parse(json.stdout) as { error: { exitCode: number; message: string } };
      expect(error.exitCode).toBe(exitCode);
      expect(error.message).toMatch(words);
    });

    it("is nothing: the connection cannot be made", async () => {
      const { code, stderr } = await ops(
        argv,
        failing(act, new Error("cannot connect to root@10.77.1.2:22")),
      );
      expect(code).toBe(5);
      expect(stderr).toContain("ops: cannot connect to root@10.77.1.2:22");
    });

    it("is another answer than this program knows", async () => {
      const { code, stderr } = await ops(argv, failing(act, { result: { generation: "many" } }));
      expect(code).toBe(1);
      expect(stderr).toMatch(/answer of root@10\.77\.1\.2:22 .*: Invalid.*`pulumi up`/s);
    });

    it("is nothing that is JSON", async () => {
      expect((await ops(argv, failing(act, {}))).code).toBe(1);
    });
  });

  it("leaves what was under way to the host, and says so, where the connection breaks off", async () => {
    const { stderr } = await ops(["backup"], failing("backup", new Error("broke off")));
    expect(stderr).toMatch(/broke off\n.*it goes on on the host: `ops status`/);
  });

  it("does not reach the terminal as anything but text", async () => {
    const says = ["backup: 10 %\u001b[2J", "backup: \u009b31m done"];
    const { stderr } = await ops(["backup"], failing("backup", { exitCode: 1, says }));
    expect(stderr).toContain("10 %\\u{001b}[2J");
    // eslint-disable-next-line no-control-regex
    expect(stderr).not.toMatch(/[\u001b\u009b]/);
  });
});

describe("no output holds a secret", () => {
  const given: Given = {
    values: {
      ...settings(),
      testerSecret: "tester-secret-0123456789",
      variables: { TOKEN: "sk-very-secret" },
    },
    host: {
      status: { result: site },
      abort: { result: site },
      ack: { result: site },
      "database-status": { result: { ...database, url: "postgres://u:pw-secret@db/x" } },
      backup: { result: { backup: manifest } },
      restore: { result: plan },
    },
  };

  it.each(LINES.flatMap(([argv]) => [[argv], [[...argv, "--json"]]]))("%j", async (argv) => {
    const { stdout, stderr, sent } = await ops(argv, given);
    expect(sent.length).toBeGreaterThan(0);
    for (const secret of [...KEY_LINES, "tester-secret", "sk-very-secret", "pw-secret"]) {
      expect(stdout + stderr).not.toContain(secret);
      expect(sent.map(({ command }) => command).join()).not.toContain(secret);
    }
  });
});
