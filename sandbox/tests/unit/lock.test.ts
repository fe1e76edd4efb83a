import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { spawn } from "node:child_process";
import { once } from "node:events";

import { withLock } from "../../lock";

let directory: string;

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "lock-"));
});

afterEach(() => fs.rmSync(directory, { recursive: true }));

it("lets one in at a time", async () => {
  let inside = 0;
  let most = 0;
  const work = async (): Promise<void> => {
    most = Math.max(most, (inside += 1));
    await new Promise((resolve) => setImmediate(resolve));
    inside -= 1;
  };
  await Promise.all(Array.from({ length: 8 }, () => withLock(directory, work)));
  expect(most).toBe(1);
  expect(fs.readdirSync(directory)).toEqual([]);
});

it("returns what the work returns, and is free again after a failure", async () => {
  await expect(withLock(directory, () => Promise.reject(new Error("failed")))).rejects.toThrow("failed");
  await expect(withLock(directory, () => Promise.resolve(7), 60)).resolves.toBe(7);
});

it("says who is in the way when it waited in vain", async () => {
  await withLock(directory, async () => {
    await expect(withLock(directory, () => Promise.resolve(), 0.1)).rejects.toThrow(
      /was not free within 0\.1 s/,
    );
  });
});

it("is free when its holder was killed", async () => {
  const holder = spawn("flock", [directory, "sh", "-c", "echo held; exec cat"], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  await once(holder.stdout, "data");
  const waiting = withLock(directory, () => Promise.resolve("free"), 60);
  holder.stdin.destroy();
  await expect(waiting).resolves.toBe("free");
});
