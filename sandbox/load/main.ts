/**
 * The load process: started by `startLoad`, told over the IPC channel what to do, gone when the channel is.
 *
 * It is a process of its own so that nothing its caller does, not even work that blocks, delays a request or shows up
 * in a latency.
 */
import { Generator } from "./generator";
import type { LoadCalls, LoadReply, LoadRequest } from "./messages";
import { planLoad } from "./options";

let generator: Generator | null = null;

function running(): Generator {
  if (generator === null) throw new Error("load: not started");
  return generator;
}

async function carryOut(request: LoadRequest): Promise<LoadCalls[keyof LoadCalls]["result"]> {
  switch (request.call) {
    case "start": {
      const { tls, ...plan } = request.args[0];
      // Checked here as well: this is the process that sends.
      const started = new Generator(planLoad(tls === null ? plan : { ...plan, tls: tls as { ca: string } }));
      await started.start();
      generator = started;
      return undefined;
    }
    case "mark":
      running().mark(...request.args);
      return undefined;
    case "snapshot":
      return running().snapshot();
    case "afterRequests":
      await running().afterRequests(...request.args);
      return undefined;
    case "lastSentTo":
      return running().lastSentTo(...request.args);
    case "stop":
      return running().stop();
  }
}

async function reply(request: LoadRequest): Promise<void> {
  let message: LoadReply;
  try {
    message = { id: request.id, result: await carryOut(request) };
  } catch (error) {
    message = { id: request.id, error: error instanceof Error ? error.message : String(error) };
  }
  process.send?.(message);
}

if (process.send === undefined) {
  process.stderr.write("This is the load process; it is started by other programs. Try: bin/sandbox load\n");
  process.exit(2);
}
// Ctrl-C in a terminal reaches this process too; the caller still wants its report, and ends us.
process.on("SIGINT", () => undefined);
// The caller is gone. Not by `process.exit`, which can hang: see `dismiss` in run.ts.
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
process.on("message", (request: LoadRequest) => void reply(request));
