import { removeLocks } from "../state/lock";
import { openSession, Stack } from "../workspace/session";
import { print, type CommandOptions } from "./options";

/** `cancel`: removes the locks of a stack. */
export async function cancel(name: string | undefined, options: CommandOptions): Promise<void> {
  const { session, reference } = await Stack.open(openSession(options), {
    ...options,
    stack: name ?? options.stack,
  });
  const count = await removeLocks(session.backend.lockDirectory(reference));
  print(
    count === 0
      ? `stack ${reference.stack} has no lock`
      : `removed ${String(count)} lock(s) of stack ${reference.stack}`,
  );
}
