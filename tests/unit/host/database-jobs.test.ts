import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DatabaseActs } from "../../../host/database/protocol";
import { DatabaseJobs, whyContractsWait } from "../../../host/conductor/database/database-jobs";
import { workerProcess, type DatabaseWorker } from "../../../host/conductor/database/worker-process";
import { Failed, Refused } from "../../../host/conductor/faults";
import { dieAt, FakeHost } from "./support/fake-host";
import { removeDirectories, serving, siteOf, temporaryDirectory } from "./support/fixtures";

afterAll(removeDirectories);

const silent = (): void => undefined;
const site = siteOf({ blue: serving("v1"), green: serving("v2") }, { stable: "blue", weight: 5 });
const alone = siteOf({ blue: serving("v1") });
const act = (name: string): DatabaseActs => ({ act: name }) as DatabaseActs;

/** A worker that closes the site, does what a test says, and opens it. */
function restorer(during: () => Promise<void>): DatabaseWorker {
  return {
    take: async (_act, { door }) => {
      const wasClosed = await door.set(true);
      await during();
      if (!wasClosed) await door.set(false);
      return "restored";
    },
  };
}

describe("an act about the database", () => {
  it("does not wait for the site's acts, nor they for it", async () => {
    const host = new FakeHost();
    let finish = silent;
    host.worker = { take: () => new Promise((resolve) => (finish = () => resolve("done"))) };
    const { conductor } = await host.become(site);
    const dump = conductor.take(act("backup"), silent);
    await conductor.take({ act: "traffic", stable: "blue", weight: 25 }, silent);
    expect(await conductor.take({ act: "status" }, silent)).toMatchObject({ underWay: "backup" });
    finish();
    expect(await dump).toBe("done");
  });

  it("waits for the one before it, and is told of its end in any case", async () => {
    const host = new FakeHost();
    const events: string[] = [];
    host.worker = {
      take: async ({ act: name }) => {
        events.push(`${name} begins`);
        await Promise.resolve();
        events.push(`${name} ends`);
        if (name === "backup") throw new Failed("no room");
        return name;
      },
    };
    const { conductor } = await host.become(site);
    const backup = conductor.take(act("backup"), silent);
    const check = conductor.take(act("check"), silent);
    await expect(backup).rejects.toThrow("no room");
    expect(await check).toBe("check");
    expect(events).toEqual(["backup begins", "backup ends", "check begins", "check ends"]);
  });

  it("that tells of no database needs no worker", async () => {
    const host = new FakeHost();
    const { conductor } = await host.become(site);
    expect(await conductor.take({ act: "database", database: null }, silent)).toEqual({ server: null });
  });

  it("that keeps users out lets them in again", async () => {
    const host = new FakeHost();
    const seen: boolean[] = [];
    const { conductor, store } = await host.become(site);
    host.worker = restorer(() => Promise.resolve(void seen.push(store.site.maintenance)));
    await conductor.take(act("restore"), silent);
    expect([...seen, store.site.maintenance]).toEqual([true, false]);
  });

  it("that keeps users out does so while somebody asks for the status", async () => {
    const host = new FakeHost();
    const seen: boolean[] = [];
    const { conductor, store } = await host.become(site);
    const restoring = restorer(async () => {
      await conductor.take(act("database-status"), silent);
      seen.push(store.site.maintenance);
    });
    host.worker = {
      take: (asked, around) =>
        asked.act === "database-status" ? Promise.resolve("well") : restoring.take(asked, around),
    };
    await conductor.take(act("restore"), silent);
    expect([...seen, store.site.maintenance]).toEqual([true, false]);
  });

  it("whose worker dies while it keeps users out lets them in again", async () => {
    const host = new FakeHost();
    host.worker = restorer(() => Promise.reject(new Failed("was ended by SIGKILL")));
    const { conductor, store } = await host.become(site);
    await expect(conductor.take(act("restore"), silent)).rejects.toThrow("SIGKILL");
    expect(store.site.maintenance).toBe(false);
  });

  it("leaves a site closed that was closed before", async () => {
    const host = new FakeHost();
    host.worker = restorer(() => Promise.resolve());
    const { conductor, store } = await host.become({ ...site, maintenance: true });
    await conductor.take(act("restore"), silent);
    expect(store.site.maintenance).toBe(true);
  });

  it("whose conductor dies while it keeps users out: the next conductor lets them in", async () => {
    for (let n = 0; n < 2; n++) {
      const host = new FakeHost();
      const { hook, dead } = dieAt(n);
      host.worker = restorer(() => new Promise(silent));
      const { conductor } = await host.become(site);
      host.hook = hook;
      void conductor.take(act("restore"), silent).catch(silent);
      await dead;

      host.hook = () => undefined;
      const { conductor: next, store } = await host.start();
      await next.recover(silent);
      expect(store.site.maintenance).toBe(false);
    }
  });
});

describe("migrations that take something away", () => {
  it.each([
    ["one release", alone, null],
    ["the same release twice", siteOf({ blue: serving("v1"), green: serving("v1") }), null],
    ["two releases", site, expect.stringMatching(/blue v1 and green v2; retire the older one/)],
  ] as const)("wait by what is on the host: %s", (_, now, why) => {
    expect(whyContractsWait(now)).toEqual(why);
  });

  it("are due as soon as the older release is gone", async () => {
    const host = new FakeHost();
    await host.databaseStore.update({ waiting: ["20250201000000"] });
    const jobs = new DatabaseJobs(host.worker, host.databaseStore, join(host.directory, "mark"));
    expect(await jobs.drift(site)).toBeNull();
    expect(await jobs.drift(alone)).toMatch(/20250201000000/);
    const { conductor } = await host.become(alone);
    expect(await conductor.take({ act: "drift" }, silent)).toMatchObject({
      database: expect.stringContaining("20250201000000") as string,
    });
  });
});

describe("the worker's process", () => {
  /** A worker that does to each act what `does` says. */
  function program(does: string): string[] {
    const path = join(temporaryDirectory(), "worker.js");
    writeFileSync(
      path,
      `const say = (message) => console.log(JSON.stringify(message));
       require("node:readline").createInterface({ input: process.stdin })
         .on("line", (line) => { const input = JSON.parse(line); const { id, act } = input; ${does} })
         .on("close", () => process.exit(0));`,
    );
    return [process.execPath, path];
  }
  const around = { holdContract: null, progress: silent, door: { set: () => Promise.resolve(false) } };

  it("hands over what the worker says: progress, questions, result", async () => {
    const worker = workerProcess(
      program(`if (act) { say({ id, progress: "half" }); say({ id, question: 7, site: "close" }); }
               else say({ id: 1, result: input });`),
      0,
    );
    const lines: string[] = [];
    const asked: boolean[] = [];
    const door = { set: (closed: boolean) => Promise.resolve(asked.push(closed) > 1) };
    const result = await worker.take(act("restore"), {
      ...around,
      door,
      progress: (line) => void lines.push(line),
    });
    expect(result).toEqual({ answer: 7, wasClosed: false, fault: null });
    expect({ lines, asked }).toEqual({ lines: ["half"], asked: [true] });
  });

  it("tells a refusal from a failure", async () => {
    const worker = workerProcess(
      program(`say(act.act === "check" ? { id, refused: "not now" } : { id, failed: "broke" });`),
      0,
    );
    await expect(worker.take(act("check"), around)).rejects.toThrow(new Refused("not now"));
    const failed = worker.take(act("backup"), around);
    await expect(failed).rejects.toBeInstanceOf(Failed);
  });

  it("that dies fails its act with its last lines, and another one takes the next act", async () => {
    const worker = workerProcess(
      program(`if (act.act === "check") say({ id, result: process.pid });
               else { console.error("out of memory"); process.kill(process.pid, "SIGKILL"); }`),
      0,
    );
    const first = await worker.take(act("check"), around);
    await expect(worker.take(act("migrate"), around)).rejects.toThrow(
      /was ended by SIGKILL.*\n.*out of memory/,
    );
    expect(await worker.take(act("check"), around)).not.toBe(first);
  });

  it.each([
    ["that is killed", `process.stdout.write('{"id":1,"resu', () => process.kill(process.pid, "SIGKILL"));`],
    ["that lives on", `console.log('{"id":1,"resu');`],
  ])("%s in the middle of an answer fails its act", async (_, does) => {
    const worker = workerProcess(program(does), 0);
    await expect(worker.take(act("migrate"), around)).rejects.toThrow(
      new Failed(
        "the database's worker was ended by SIGKILL in the middle of an answer; what it had begun was undone, run it again",
      ),
    );
  });

  it("that cannot be started fails its act", async () => {
    const worker = workerProcess([join(temporaryDirectory(), "nothing")]);
    await expect(worker.take(act("check"), around)).rejects.toThrow(/could not be started/);
  });

  it("ends when there is no work, and not before", async () => {
    const worker = workerProcess(program(`say({ id, result: process.pid });`), 0);
    const pid = (await worker.take(act("check"), around)) as number;
    for (;;) {
      try {
        process.kill(pid, 0);
      } catch {
        break;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await worker.take(act("check"), around)).not.toBe(pid);
  });
});
