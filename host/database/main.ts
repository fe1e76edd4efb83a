/**
 * The database's worker, a child of the conductor's: `node database.js APP`. It reads acts from standard input and ends
 * when that does, so that no job outlives the conductor. What it had begun in the database is undone by the server.
 */
import { mkdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { Refused } from "../conductor/faults";
import { pathsOf } from "../conductor/paths";
import { DatabaseStore } from "./state";
import { Worker } from "./worker";
import type { WorkerInput, WorkerOutput } from "./worker-protocol";

type Answer = Extract<WorkerInput, { answer: number }>;

function main(app: string): void {
  const { database, databaseScratch: scratch } = pathsOf(app);
  // A server for rehearsals runs as a user of its own, who has to find the way through.
  mkdirSync(scratch, { recursive: true, mode: 0o711 });
  const worker = new Worker({ app, store: new DatabaseStore(database), scratch });
  const write = (message: WorkerOutput): void => void process.stdout.write(`${JSON.stringify(message)}\n`);
  const questions = new Map<number, (answer: Answer) => void>();
  let asked = 0;

  const ask = async (id: number, site: "close" | "open"): Promise<boolean> => {
    const question = ++asked;
    const answered = new Promise<Answer>((resolve) => questions.set(question, resolve));
    write({ id, question, site });
    const { wasClosed, fault } = await answered;
    if (fault !== null)
      throw new Error(`the site could not be ${site === "close" ? "closed" : "opened"}: ${fault}`);
    return wasClosed === true;
  };

  const take = async ({ id, act, holdContract }: Exclude<WorkerInput, Answer>): Promise<void> => {
    try {
      const result = await worker.take(act, {
        holdContract,
        progress: (line) => write({ id, progress: line }),
        closeSite: () => ask(id, "close"),
        openSite: async () => {
          await ask(id, "open");
        },
      });
      write({ id, result });
    } catch (error) {
      const { message } = error as Error;
      write(error instanceof Refused ? { id, refused: message } : { id, failed: message });
    }
  };

  createInterface({ input: process.stdin })
    .on("line", (line) => {
      const input = JSON.parse(line) as WorkerInput;
      if ("answer" in input) {
        questions.get(input.answer)?.(input);
        questions.delete(input.answer);
      } else {
        void take(input);
      }
    })
    .on("close", () => process.exit(0));
}

main(process.argv[2] ?? "");
