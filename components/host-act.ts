import * as pulumi from "@pulumi/pulumi";
import { Command } from "@pulumi/command/remote";
import type { z } from "zod";
import type { Act, DriftPart } from "../host/conductor/protocol";
import type { DatabaseActs } from "../host/database/protocol";
import type { Host } from "./host";

/** Arguments of {@link hostAct}. */
export interface HostActArgs<R> {
  /** Where the conductor runs. */
  readonly host: Host;
  /** What the conductor is asked to do. Any change in it, and nothing else of the act, sends it again. */
  readonly act: Act | DatabaseActs | pulumi.Output<Act | DatabaseActs>;
  /** What the conductor answers. */
  readonly result: z.ZodType<R>;
  /** The part of the host that the act looks after: where somebody changed it by hand, the act is sent again. */
  readonly part?: DriftPart;
  /**
   * The part of the host whose change by hand, or by the course of time, makes the act due again, although the act does
   * not look after it: other host software does not.
   */
  readonly due?: DriftPart;
  /** What the act is about, beside its own words: another text sends it again. Stands in a comment of the command. */
  readonly about?: string;
  /**
   * What has to be done before, and what makes the act due again when it changes. Values that are known in a preview
   * although they resolve late, such as {@link HostAct.done}; and {@link HostAct.sent}.
   */
  readonly after?: readonly pulumi.Input<string>[];
  /** What has to be done before, and does not make the act due again, whatever its value is. */
  readonly waitFor?: readonly pulumi.Input<unknown>[];
}

/** An act that the conductor was sent. */
export interface HostAct<R> {
  /** The conductor's answer. */
  readonly result: pulumi.Output<R>;
  /**
   * Takes a value that is known now, and returns it once the act is done: what has it as an input waits for the act,
   * and yet is not changed by it.
   */
  readonly done: (value: pulumi.Input<string>) => pulumi.Output<string>;
  /**
   * The id of the act's resource. With `replaceOnChanges: ["stdin"]` it is another one for every act that is another one than before, and
   * what has it in `after` is done again after each, also where that act is one that was sent earlier. Unknown in a preview that sends it.
   */
  readonly sent: pulumi.Output<string>;
}

/**
 * Sends an act to the conductor, over SSH, on standard input.
 *
 * The command is the same for every act, but for a comment that says why it is sent again, so that no value of the
 * configuration ever stands in a command line. There is no `delete`: `destroy` leaves a serving site.
 */
export function hostAct<R>(
  name: string,
  { host, act, result, part, due, about, after = [], waitFor = [] }: HostActArgs<R>,
  opts: pulumi.CustomResourceOptions & { parent: pulumi.Resource },
): HostAct<R> {
  const sends = `${host.asRoot}${host.conductor} act`;
  const reasons = [
    ...(part === undefined ? [] : [host.asLeft(part)]),
    ...(due === undefined ? [] : [host.mended(due)]),
    ...(about === undefined ? [] : [about]),
  ];
  const ready = pulumi.all([host.ready, ...waitFor]).apply(([known]) => known);
  const command = new Command(
    name,
    {
      connection: host.connection,
      create: pulumi.all(reasons).apply((known) => withComment(sends, known)),
      stdin: pulumi.output(act).apply((settled) => canonicalJson(settled)),
      triggers: [ready, ...after],
      // The last answer is no input of the next act.
      addPreviousOutputInEnv: false,
      // Progress; standard output is the result, and is read, not shown.
      logging: "stderr",
    },
    { ...opts, retainOnDelete: true },
  );
  return {
    result: command.stdout.apply((stdout) => parseResult(name, result, stdout)),
    // Its URN: a preview knows the one of an act that is new, while its id would make all that waits for it look changed.
    done: (value) => pulumi.all([value, command.urn]).apply(([known]) => known),
    sent: command.id,
  };
}

/** A command line with what it is sent again for, in a comment, which the shell skips. */
export function withComment(command: string, reasons: readonly string[]): string {
  return reasons.length === 0 ? command : `${command} # ${reasons.join(", ")}`;
}

/** JSON with the keys of every object in alphabetical order: equal values are equal texts. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([one], [other]) => (one < other ? -1 : 1)))
      : inner,
  );
}

/** Reads the one JSON object that the conductor prints. */
export function parseResult<R>(name: string, schema: z.ZodType<R>, stdout: string): R {
  let answer: unknown;
  try {
    answer = JSON.parse(stdout);
  } catch {
    answer = undefined;
  }
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path, message }) => `${path.join(".") || "answer"}: ${message}`);
  throw new pulumi.RunError(
    `The conductor's answer to ${name} is not the one that this program knows (${issues.join("; ")}). ` +
      "The host software may be of another version: run `npm run build`, then `pulumi up` again.",
  );
}
