import { freePorts } from "../../reachable";

test("no port is given away twice, though nobody listens there yet", async () => {
  const rounds = await Promise.all(Array.from({ length: 40 }, () => freePorts("127.0.0.1", 5)));
  const later: number[] = [];
  for (let round = 0; round < 40; round++) later.push(...(await freePorts("127.0.0.1", 5)));
  const all = [...rounds.flat(), ...later];
  expect(all).toHaveLength(400);
  expect(new Set(all).size).toBe(400);
});
