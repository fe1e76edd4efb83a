import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { CommandFailed, runCommand } from "../../../host/conductor/system/command";
import { waitUntil } from "../../../host/conductor/system/wait";
import { isAlive, removeDirectories, temporaryDirectory } from "./support/fixtures";

afterAll(removeDirectories);
afterEach(() => {
  jest.useRealTimers();
});

const node = (code: string, ...args: string[]): string[] => [process.execPath, "-e", code, ...args];
const shell = (script: string, ...args: string[]): string[] => ["/bin/sh", "-c", script, "sh", ...args];

/** A clock for time limits that stands still until it is told how long has passed. */
function heldTimers(): { pass(milliseconds: number): void } {
  jest.useFakeTimers({ doNotFake: ["nextTick", "setImmediate", "performance", "queueMicrotask"] });
  return {
    pass: (milliseconds) => {
      jest.advanceTimersByTime(milliseconds);
    },
  };
}

async function failureOf(argv: readonly string[], timeoutSeconds = 30): Promise<CommandFailed> {
  try {
    await runCommand({ argv, timeoutSeconds });
  } catch (error) {
    expect(error).toBeInstanceOf(CommandFailed);
    return error as CommandFailed;
  }
  throw new Error("it did not fail");
}

describe("runCommand", () => {
  it("returns standard output as it was written", async () => {
    expect(await runCommand({ argv: shell("printf 'a\\n\\n b '; echo no >&2"), timeoutSeconds: 30 })).toBe(
      "a\n\n b ",
    );
  });

  it("passes arguments as they are, through no shell", async () => {
    const hostile = ["a b", "$(id)", "`id`", ";", "*", "", "--", "'\"\n"];
    const code = "process.stdout.write(JSON.stringify(process.argv.slice(1)))";
    expect(JSON.parse(await runCommand({ argv: node(code, "--", ...hostile), timeoutSeconds: 30 }))).toEqual(
      hostile,
    );
  });

  it("runs where, and with the environment, that it is told", async () => {
    const directory = temporaryDirectory();
    const argv = shell('printf "%s %s %s" "$(pwd)" "$ONLY" "${HOME-none}"');
    const output = await runCommand({ argv, cwd: directory, env: { ONLY: "this" }, timeoutSeconds: 30 });
    expect(output).toBe(`${directory} this none`);
  });

  it("tells each line of both streams, the last one without its end, too", async () => {
    const lines: string[] = [];
    await runCommand({ argv: shell("echo one; echo two >&2; printf three"), timeoutSeconds: 30 }, (line) =>
      lines.push(line),
    );
    expect(lines.sort()).toEqual(["one", "three", "two"]);
  });

  it("gives the program no standard input to wait for", async () => {
    expect(await runCommand({ argv: ["cat"], timeoutSeconds: 30 })).toBe("");
  });

  it.each([
    ["an exit code", shell("exit 7"), "ended with exit code 7"],
    ["a signal", shell("kill -TERM $$"), "was ended by SIGTERM"],
    ["no such program", ["no-such-program-here", "x"], "could not be started"],
  ])("fails with %s", async (_, argv, how) => {
    expect((await failureOf(argv)).how).toContain(how);
  });

  it("fails where the directory is not there", async () => {
    const cwd = join(temporaryDirectory(), "gone");
    await expect(runCommand({ argv: ["true"], cwd, timeoutSeconds: 30 })).rejects.toThrow(
      "could not be started",
    );
  });

  it("tells the last twenty lines of a failure, and its words without the arguments on demand", async () => {
    const failure = await failureOf(shell("for i in $(seq 30); do echo line $i; done; exit 1"));
    expect(failure.lastLines).toHaveLength(20);
    expect(failure.lastLines.at(0)).toBe("line 11");
    expect(failure.lastLines.at(-1)).toBe("line 30");
    expect(failure.message).toContain("/bin/sh");
    expect(failure.ending).toMatch(/^ended with exit code 1:\n {2}line 11\n/);
    expect(failure.ending).not.toContain("/bin/sh");
  });

  it("tells how its errors began, too, where its last lines do not", async () => {
    const failure = await failureOf(
      shell(
        // All on one stream: which of two is read first is nobody's to say.
        "echo cause >&2; echo 'second error' >&2; for i in $(seq 30); do echo usage $i >&2; done; exit 1",
      ),
    );
    expect(failure.firstErrors).toHaveLength(8);
    expect(failure.firstErrors.slice(0, 3)).toEqual(["cause", "second error", "usage 1"]);
    expect(failure.ending).toMatch(
      /^ended with exit code 1:\n {2}cause\n {2}second error\n(?: {2}usage [1-6]\n){6} {2}\[\.\.\.\]\n {2}usage 11\n/,
    );
    expect(failure.message).toContain("cause");
  });

  it("tells no line twice", async () => {
    const failure = await failureOf(shell("for i in $(seq 22); do echo error $i >&2; done; exit 1"));
    expect(failure.firstErrors).toEqual(["error 1", "error 2"]);
    expect(failure.lastLines[0]).toBe("error 3");
    expect((await failureOf(shell("echo only >&2; exit 1"))).firstErrors).toEqual([]);
  });

  it("cuts a line that is too long, whatever the pieces that it comes in", async () => {
    const code =
      'for (let i = 0; i < 200; i++) process.stdout.write("x".repeat(1000)); process.stdout.write("\\nshort\\n", () => process.exit(1))';
    const failure = await failureOf(node(code));
    expect(failure.lastLines.map((line) => line.length)).toEqual([2000, 5]);
  });

  it("ends the whole process group at the time limit", async () => {
    const file = join(temporaryDirectory(), "pids");
    // The limit comes when the program is at work, and the program would go on for longer than a test may take.
    const limit = heldTimers();
    const argv = shell('sleep 600 & echo $! $$ >"$1"; echo begun; wait', file);
    const ended = runCommand({ argv, timeoutSeconds: 0.3 }, () => limit.pass(300));
    const failure = await ended.catch((error: unknown) => error as CommandFailed);
    expect(failure).toMatchObject({ how: "took longer than 0.3 s", lastLines: ["begun"] });
    const pids = readFileSync(file, "utf8").trim().split(" ").map(Number);
    expect(pids).toHaveLength(2);
    expect(await waitUntil(60_000, 10, () => Promise.resolve(!pids.some(isAlive)))).toBe(true);
  });

  it("ends the whole process group when it is given up", async () => {
    const abandon = new AbortController();
    let pid = 0;
    const { signal } = abandon;
    const argv = shell("sleep 600 & echo $!; wait");
    const ended = runCommand({ argv, timeoutSeconds: 600, signal }, (line) => {
      pid = Number(line);
      abandon.abort();
    });
    await expect(ended).rejects.toMatchObject({ how: "was given up" });
    expect(await waitUntil(60_000, 10, () => Promise.resolve(!isAlive(pid)))).toBe(true);
  });

  it("ends what a program leaves behind in its group, which might hold the output open", async () => {
    const output = await runCommand({ argv: shell("sleep 600 & echo $!"), timeoutSeconds: 30 });
    expect(await waitUntil(60_000, 10, () => Promise.resolve(!isAlive(Number(output))))).toBe(true);
  });

  it("is done when what it calls at the end is, and fails where that fails", async () => {
    const ended: string[] = [];
    const onExit = async (): Promise<void> => {
      await pause(20);
      ended.push("cleaned up");
    };
    await runCommand({ argv: ["true"], timeoutSeconds: 30, onExit });
    await expect(runCommand({ argv: ["false"], timeoutSeconds: 30, onExit })).rejects.toThrow("exit code 1");
    expect(ended).toEqual(["cleaned up", "cleaned up"]);
    const broken = (): Promise<void> => Promise.reject(new Error("cannot clean up"));
    await expect(runCommand({ argv: ["true"], timeoutSeconds: 30, onExit: broken })).rejects.toThrow(
      "cannot",
    );
  });

  it("does not wait for ever for one that left the group and holds the output open", async () => {
    const file = join(temporaryDirectory(), "pid");
    // Not before the daemon has left the group: what is in it ends with the program.
    const daemon = 'setsid sh -c \'echo $$ >"$1.new"; mv "$1.new" "$1"; exec sleep 600\' sh "$1" &';
    const limit = heldTimers();
    const argv = shell(`${daemon} until [ -e "$1" ]; do sleep 0.01; done`, file);
    const { promise: exited, resolve: onExit } = Promise.withResolvers<undefined>();
    const command = {
      argv,
      timeoutSeconds: 1,
      onExit: () => {
        onExit(undefined);
        return Promise.resolve();
      },
    };
    const ended = runCommand(command).catch((error: unknown) => error as CommandFailed);
    await exited;
    const pid = Number(readFileSync(file, "utf8"));
    try {
      limit.pass(1000);
      expect(await ended).toMatchObject({ how: "took longer than 1 s" });
    } finally {
      process.kill(pid);
    }
  });
});

describe("waitUntil", () => {
  it("asks at least once, and again until it holds", async () => {
    let asked = 0;
    expect(await waitUntil(0, 1, () => Promise.resolve(++asked === 1))).toBe(true);
    expect(await waitUntil(5000, 1, () => Promise.resolve(++asked === 5))).toBe(true);
    expect(asked).toBe(5);
  });

  it("gives up at the deadline", async () => {
    expect(await waitUntil(20, 1, () => pause(1, false))).toBe(false);
  });

  it("passes a fault of the condition on", async () => {
    await expect(waitUntil(20, 1, () => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
  });
});
