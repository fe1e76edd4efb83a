import { allDone } from "../../processes";

const failing = (message: string): Promise<never> => Promise.reject(new Error(message));

test("what is done side by side is there in its order", async () => {
  expect(await allDone([Promise.resolve(1), "two", Promise.resolve([3])])).toEqual([1, "two", [3]]);
});

test("a failure is told once all the rest has ended", async () => {
  let release = (): void => undefined;
  const ended: string[] = [];
  const slow = new Promise<void>((resolve) => (release = resolve)).then(() => ended.push("slow"));
  const all = allDone([failing("first"), slow, failing("second")]).catch((error: unknown) => {
    ended.push((error as Error).message);
  });
  // Whoever does not wait for the slow one has told of the failure by now.
  await new Promise(setImmediate);
  expect(ended).toEqual([]);
  release();
  await all;
  expect(ended).toEqual(["slow", "first"]);
});
