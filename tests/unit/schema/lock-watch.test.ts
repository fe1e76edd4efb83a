import { LockWatch } from "../../../host/database/migrations/lock-watch";
import type { Session } from "../../../host/database/migrations/session";

it("ends where the server it looks from has gone away without a word", async () => {
  let asked: () => void = () => undefined;
  const looked = new Promise<void>((resolve) => (asked = resolve));
  const query = (): Promise<never> => {
    asked();
    return new Promise<never>(() => undefined);
  };
  const watch = new LockWatch({ query } as unknown as Session, 1, 1);
  await looked;
  expect(await watch.heldLocks("20240101000000")).toEqual([]);
});
