/**
 * Runs in a process of its own, forked by the engine: the providers that a program brings along as source text. The SDK's
 * own process for them would load all of the SDK, which hardly any provider needs; here it is loaded when one asks for
 * it. It ends when the engine ends.
 */
import { putOffPackages } from "../../../language/shortcuts";
import { END, type Answer, type ConfigMessage, type Question } from "../messages";
import { ProviderLoader } from "./loader";
import { DynamicService, failureOf } from "./service";

/** The exit code of a process whose engine went away. */
const ORPHANED = 70;

let service: DynamicService | undefined;

async function answer(question: Question): Promise<void> {
  const { number, method } = question;
  try {
    if (!service) throw new Error("the engine asked before it told the config");
    send({ number, get: await service.answer(question) });
  } catch (error) {
    const failure = failureOf(method, error);
    // As the SDK does: where it stands in the provider is of use to nobody but who reads these lines.
    if (method !== "create" && method !== "update" && error instanceof Error) console.error(error.stack);
    send({ number, failure });
  }
}

function send(message: Answer): void {
  // An engine that is gone is told by the end of the channel.
  process.send?.(message, () => undefined);
}

/** What a provider leaves behind is told, and ends nothing: others are at work. */
function uncaught(error: unknown): void {
  console.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
  process.exitCode = 1;
}

process.on("uncaughtException", uncaught);
process.on("unhandledRejection", uncaught);
process.on("disconnect", () => process.exit(ORPHANED));
process.on("message", (message: typeof END | ConfigMessage | Question) => {
  if (message === END) process.exit();
  if ("config" in message)
    service = new DynamicService(new ProviderLoader(message.config, process.env["PULUMI_PROJECT"] ?? ""));
  else void answer(message);
});
putOffPackages();
