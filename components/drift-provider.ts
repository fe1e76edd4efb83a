/**
 * The provider of {@link HostDrift}. It runs in a process of Pulumi's own, which loads it from `dist/drift-provider.js`.
 */
import type {
  CheckResult,
  CreateResult,
  DiffResult,
  ResourceProvider,
  UpdateResult,
} from "@pulumi/pulumi/dynamic";
import { z } from "zod";
import { DRIFT_PARTS, ExitCode, type DesiredState, type DriftAct } from "../host/conductor/protocol";
import { askHost, type HostConnection } from "./ask-host";
import { REFUSED_BY_HOST } from "./refusal";

/** What may have been changed by hand: the host software as a whole, and what the conductor looks after. */
export const PARTS = ["software", ...DRIFT_PARTS] as const;

/** One of {@link PARTS}. */
export type Part = (typeof PARTS)[number];

/** What was found of each part; an empty text where it is as it was left. */
export type Found = Readonly<Record<Part, string>>;

/** What the program gives. */
export interface DriftArgs {
  /** Which host this is. Another one is not asked: what was left on this one is not there. */
  readonly hostId: string;
  readonly connection: HostConnection;
  /** Command that gives the conductor an act, and prints its answer. */
  readonly command: string;
  /** What the `up` is about to ask for: where the host would refuse it, nothing is begun. No part of what is kept. */
  readonly desired?: DesiredState;
}

/** What is kept: the arguments, what was found, and how often anything was. */
export interface DriftInputs extends DriftArgs, Found {
  /** How often each part was found changed. */
  readonly mends: Readonly<Record<Part, number>>;
}

/** Pulumi's mark of a value that is not known yet. */
const UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** The shell's exit code for a command that is not there. */
const NOT_THERE = 127;

const answerSchema = z.record(z.string(), z.string().nullable());

/** What the host answered. */
interface Answer {
  readonly found: Found;
  /** Why it would refuse what it is about to be asked for; null where it would not, or cannot tell. */
  readonly refusal: string | null;
}

/**
 * Asks in `check`, which sees what was kept and says what is to be kept now: so the preview shows what was found as a
 * change of an input, and knows every value that follows from it. And what fails here, fails before anything was touched.
 */
export const provider: ResourceProvider = { check, diff, create, update };

async function check(olds: Partial<DriftInputs>, { desired, ...news }: DriftArgs): Promise<CheckResult> {
  try {
    const { found, refusal } = olds.hostId === news.hostId ? await ask(news, desired) : answer();
    for (const part of PARTS.filter((one) => found[one] !== "")) {
      // Pulumi shows it as a message.
      console.error(`changed on the host, and put right by an up: ${found[part]}`);
    }
    if (refusal !== null) {
      const reason = `${REFUSED_BY_HOST}: ${refusal}`;
      return { inputs: news, failures: [{ property: "", reason }] };
    }
    const mends = Object.fromEntries(
      PARTS.map((part) => [part, (olds.mends?.[part] ?? 0) + (found[part] === "" ? 0 : 1)]),
    );
    return { inputs: { ...news, ...found, mends }, failures: [] };
  } catch (error) {
    const reason =
      `the host could not be asked what somebody changed on it, and nothing was done: ${(error as Error).message}; ` +
      `then run it again${orAnotherOne(news)}`;
    // Of no property: Pulumi would print the property's value.
    return { inputs: news, failures: [{ property: "", reason }] };
  }
}

/** Of a machine that the stack made: nobody but AWS knows whether it is there. */
function orAnotherOne({ hostId }: DriftArgs): string {
  const [, , , instanceId] = hostId.split(" ");
  return instanceId === undefined
    ? ""
    : `; or, where ${instanceId} is gone for good, have another one made: \`pulumi up --refresh\``;
}

function diff(_id: string, olds: Partial<DriftInputs>, news: DriftInputs): Promise<DiffResult> {
  // Not the provider's own text, nor how the host is reached.
  const changes = olds.hostId !== news.hostId || PARTS.some((part) => news[part] !== "");
  return Promise.resolve({ changes });
}

function create(inputs: DriftInputs): Promise<CreateResult> {
  return Promise.resolve({ id: "drift", outs: kept(inputs) });
}

function update(_id: string, _olds: DriftInputs, news: DriftInputs): Promise<UpdateResult> {
  return Promise.resolve({ outs: kept(news) });
}

/** All but the connection. */
function kept({ hostId, command, mends }: DriftInputs): Record<string, unknown> {
  return { hostId, command, mends };
}

function nothing(): Found {
  return Object.fromEntries(PARTS.map((part) => [part, ""])) as Found;
}

function answer(found: Partial<Found> = {}, refusal: string | null = null): Answer {
  return { found: { ...nothing(), ...found }, refusal };
}

async function ask(
  { connection, command }: Pick<DriftArgs, "connection" | "command">,
  desired: DesiredState | undefined,
): Promise<Answer> {
  if (holdsUnknown([connection, command])) {
    return answer();
  }
  const act: DriftAct = {
    act: "drift",
    ...(desired === undefined || holdsUnknown(desired) ? {} : { desired }),
  };
  const { exitCode, stdout, stderr } = await askHost(connection, command, { stdin: JSON.stringify(act) });
  switch (exitCode) {
    case ExitCode.done:
      return readAnswer(stdout);
    case ExitCode.invalid:
      // A conductor of before there was such a question. The `up` brings one that knows it.
      return answer();
    case NOT_THERE:
      return answer({ software: "the conductor is gone" });
    case ExitCode.silent:
      return answer({ software: "the conductor does not answer" });
    default:
      throw new Error(stderr.trim() || `\`${command}\` ended with exit code ${exitCode}`);
  }
}

function holdsUnknown(value: unknown): boolean {
  return JSON.stringify(value).includes(UNKNOWN);
}

function readAnswer(stdout: string): Answer {
  const read = answerSchema.safeParse(parseJson(stdout));
  if (!read.success) {
    throw new Error(
      "the conductor's answer is not the one that this program knows; run `npm run build` and `up`",
    );
  }
  const parts = DRIFT_PARTS.map((part) => [part, read.data[part] ?? ""]);
  return answer(Object.fromEntries(parts) as Partial<Found>, read.data["refusal"] ?? null);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
