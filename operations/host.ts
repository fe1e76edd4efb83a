import type { z } from "zod";
import type { askHost, HostAnswer } from "../components/ask-host";
import { ExitCode, type Act } from "../host/conductor/protocol";
import { OpsError, OpsExit } from "./faults";
import type { HostAccess } from "./host-access";
import { printable } from "./text";

/** Tells one line of what is going on. */
export type Progress = (line: string) => void;

/** A host whose conductor takes acts. */
export interface Host {
  /** The application's name on the host. */
  readonly app: string;
  /** `user@address:port`, for people. */
  readonly where: string;
  /**
   * Sends an act, and returns the conductor's answer.
   * @param progress Gets what the conductor tells meanwhile; with it the act may take as long as it likes, without it a minute.
   * @throws OpsError with what the host said, and the way out
   */
  take<R>(act: Act, answer: z.ZodType<R>, progress?: Progress): Promise<R>;
}

/** Longest wait for an act that only asks, in milliseconds. */
const ANSWER_MS = 60_000;

/** The shell's exit code for a program that is not there. */
const NOT_THERE = 127;

/** The host that `access` leads to. `ask` runs a command there. */
export function hostOver({ app, connection }: HostAccess, ask: typeof askHost): Host {
  const { host, port, user } = connection;
  const where = `${user}@${host.includes(":") ? `[${host}]` : host}:${String(port)}`;
  const conductor = `/usr/local/bin/${app}-conductor`;
  // sudo has no exit code of its own for a program that is not there.
  const command = `test -x ${conductor} || exit 127; ${user === "root" ? "" : "sudo -n "}${conductor} act`;
  return {
    app,
    where,
    take: async (act, answer, progress) => {
      const reply = await ask(connection, command, {
        // Never an argument: every user of the host could read it.
        stdin: JSON.stringify(act),
        answerMs: progress === undefined ? ANSWER_MS : null,
        ...(progress === undefined ? {} : { onProgress: (line) => progress(printable(line)) }),
      }).catch((error: unknown) => {
        const { message } = error as Error;
        throw new OpsError(progress === undefined ? message : `${message}\n${GOES_ON}`, OpsExit.unreachable);
      });
      if (reply.exitCode !== ExitCode.done) throw faultOf(reply, act.act, where, progress !== undefined);
      return read(reply.stdout, answer, where);
    },
  };
}

/** What a caller has to know whose connection ended. */
const GOES_ON =
  "If the act had begun, it goes on on the host: `ops status` tells what is under way, `ops db` what came of it";

/** What the exit codes of the conductor mean here, and what there is to say beside the conductor's own words. */
const ENDS: Readonly<Record<number, { readonly exitCode: 3 | 5; readonly wayOut: string }>> = {
  [ExitCode.refused]: { exitCode: OpsExit.refused, wayOut: "" },
  [ExitCode.invalid]: {
    exitCode: OpsExit.refused,
    wayOut:
      "The host's software is of another version than this program, and does not know what it was asked; nothing was " +
      "touched. Bring it up to date with `pulumi up`, then run this again",
  },
  // Its own words say where to look.
  [ExitCode.silent]: { exitCode: OpsExit.unreachable, wayOut: "" },
  [NOT_THERE]: {
    exitCode: OpsExit.unreachable,
    wayOut: "There is no conductor on the host; `pulumi up` installs it",
  },
};

function faultOf({ exitCode, stderr }: HostAnswer, act: string, where: string, isTold: boolean): OpsError {
  const { exitCode: code, wayOut } = ENDS[exitCode] ?? { exitCode: OpsExit.failed, wayOut: "" };
  const words = stderr.trim().split("\n").map(printable).join("\n");
  const headline = `${act} on ${where}: exit code ${String(exitCode)}${isTold && words !== "" ? ", see above" : ""}`;
  return new OpsError(
    [words === "" ? headline : words, wayOut].filter((line) => line !== "").join("\n"),
    code,
    [isTold ? headline : words || headline, wayOut].filter((line) => line !== "").join("\n"),
  );
}

/** Reads the one JSON object that the conductor prints. What it holds beside what is known is left out. */
function read<R>(stdout: string, answer: z.ZodType<R>, where: string): R {
  let json: unknown;
  try {
    json = JSON.parse(stdout);
  } catch {
    json = undefined;
  }
  const parsed = answer.safeParse(json);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join(".") || "answer"}: ${message}`);
  throw new OpsError(
    `the answer of ${where} is not the one that this program knows (${faults.join("; ")}). The host's software is of ` +
      "another version: bring it up to date with `pulumi up`, then run this again",
    OpsExit.failed,
  );
}
