import { once } from "node:events";
import { createServer } from "node:net";
import { freePorts } from "../../reachable";

test("no port is given away twice, though nobody listens there yet", async () => {
  const rounds = await Promise.all(Array.from({ length: 40 }, () => freePorts("127.0.0.1", 5)));
  const later: number[] = [];
  for (let round = 0; round < 40; round++) later.push(...(await freePorts("127.0.0.1", 5)));
  const all = [...rounds.flat(), ...later];
  expect(all).toHaveLength(400);
  expect(new Set(all).size).toBe(400);
});

test("no port is one that the kernel may give to a connection before a service listens there", async () => {
  expect(Math.max(...(await freePorts("127.0.0.1", 200)))).toBeLessThan(32_768);
});

test("no port is one that somebody listens on, however many are drawn", async () => {
  const [taken = 0] = await freePorts("127.0.0.2", 1);
  const server = createServer().listen(taken, "127.0.0.3");
  await once(server, "listening");
  // All but a few of those that there are.
  expect(await freePorts("127.0.0.3", 12_000)).not.toContain(taken);
  server.close();
});
