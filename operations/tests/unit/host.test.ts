/** Acts over a real SSH connection, to a stand-in for `<app>-conductor` that is a shell script. */
import { createHash } from "node:crypto";
import { z } from "zod";
import { askHost } from "../../../components/ask-host";
import { OpsError } from "../../faults";
import { hostOver, type Host } from "../../host";
import { startSshHost, type SshHost } from "./support/ssh-host";

let ssh: SshHost;
beforeEach(async () => {
  ssh = await startSshHost();
});
afterEach(async () => {
  await ssh.server.stop();
});

const answer = z.object({ heard: z.string() });

/** The host, whose conductor is `script`. */
function hostWith(script: string): Host {
  return hostOver({ app: "vehicleservice", connection: ssh.connection }, (connection, _command, options) =>
    askHost(connection, script, options),
  );
}

it("gets the act on standard input, and nothing of it in the command line", async () => {
  const host = hostOver(
    { app: "vehicleservice", connection: ssh.connection },
    (connection, command, options) =>
      askHost(connection, `: '${command}'; printf '{"heard":"%s"}' "$(md5sum | cut -c1-32)"`, options),
  );
  const act = { act: "abort", reason: "a reason that nobody else reads" } as const;
  const heard = createHash("md5").update(JSON.stringify(act)).digest("hex");
  expect(await host.take(act, answer)).toEqual({ heard });
  expect(ssh.server.commands.join()).not.toContain("nobody else");
  expect(ssh.server.commands.join()).toContain("/usr/local/bin/vehicleservice-conductor act");
});

it("gets an act that is larger than any pipe", async () => {
  const host = hostWith(`printf '{"heard":"%s"}' "$(wc -c)"`);
  const reason = "x".repeat(3_000_000);
  const length = JSON.stringify({ act: "abort", reason }).length;
  expect(await host.take({ act: "abort", reason }, answer)).toEqual({ heard: String(length) });
});

it("tells progress line by line while the act is under way", async () => {
  const host = hostWith(
    `cat >/dev/null; printf 'one\\ntwo: \\303\\244' >&2; printf '\\nthree\\n' >&2; echo '{"heard":"all"}'`,
  );
  const lines: string[] = [];
  expect(await host.take({ act: "rehearse" }, answer, (line) => lines.push(line))).toEqual({ heard: "all" });
  expect(lines).toEqual(["one", "two: ä", "three"]);
});

it("is heard before the act has ended", async () => {
  const { connection, server } = ssh;
  let heard: (line: string) => void = () => undefined;
  const first = new Promise<string>((settle) => (heard = settle));
  const ended = askHost(connection, "echo begun >&2; exec sleep 600", { answerMs: null, onProgress: heard });
  expect(await first).toBe("begun");
  server.cut();
  await expect(ended).rejects.toThrow(/closed the connection|broke off/);
});

it.each([
  ["exit 127", 5, /no conductor on the host/],
  ["echo 'status: not now' >&2; exit 3", 3, /^status: not now$/],
])("that ends with %j", async (script, exitCode, words) => {
  const error: unknown = await hostWith(script)
    .take({ act: "status" }, answer)
    .catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(OpsError);
  expect(error).toMatchObject({ exitCode });
  expect((error as OpsError).message).toMatch(words);
});

it("that is not there exits with 5, and shows no key", async () => {
  await ssh.server.stop();
  const error = await hostWith("true")
    .take({ act: "status" }, answer)
    .catch((reason: unknown) => reason as OpsError);
  ssh = await startSshHost();
  expect(error).toMatchObject({
    exitCode: 5,
    message: expect.stringContaining("cannot connect to root@127.0.0.1:"),
  });
});
