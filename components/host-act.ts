import * as pulumi from "@pulumi/pulumi";
import { Command } from "@pulumi/command/remote";
import type { z } from "zod";
import type { Act, DriftPart } from "../host/conductor/protocol";
import type { Host } from "./host";

/** Arguments of {@link hostAct}. */
export interface HostActArgs<R> {
  /** Where the conductor runs. */
  readonly host: Host;
  /** What the conductor is asked to do. Any change in it, and nothing else of the act, sends it again. */
  readonly act: Act | pulumi.Output<Act>;
  /** What the conductor answers. */
  readonly result: z.ZodType<R>;
  /** The part of the host that the act looks after: where somebody changed it by hand, the act is sent again. */
  readonly part?: DriftPart;
  /**
   * What has to be done before, and what makes the act due again when it changes. Values that are known in a preview
   * although they resolve late, such as {@link HostAct.done}.
   */
  readonly after?: readonly pulumi.Input<string>[];
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
}

/**
 * Sends an act to the conductor, over SSH, on standard input.
 *
 * The command is the same for every act, but for a comment that says why it is sent again, so that no value of the
 * configuration ever stands in a command line. There is no `delete`: `destroy` leaves a serving site.
 */
export function hostAct<R>(
  name: string,
  { host, act, result, part, after = [] }: HostActArgs<R>,
  opts: pulumi.CustomResourceOptions & { parent: pulumi.Resource },
): HostAct<R> {
  const sends = `${host.asRoot}${host.conductor} act`;
  const command = new Command(
    name,
    {
      connection: host.connection,
      create: part === undefined ? sends : host.again(sends, part),
      stdin: pulumi.output(act).apply((settled) => canonicalJson(settled)),
      triggers: [host.ready, ...after],
      // The last answer is no input of the next act.
      addPreviousOutputInEnv: false,
      // Progress; standard output is the result, and is read, not shown.
      logging: "stderr",
    },
    { ...opts, retainOnDelete: true },
  );
  return {
    result: command.stdout.apply((stdout) => parseResult(name, result, stdout)),
    done: (value) => pulumi.all([value, command.id]).apply(([known]) => known),
  };
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
