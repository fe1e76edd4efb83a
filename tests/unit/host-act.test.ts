import { z } from "zod";
import { canonicalJson, parseResult } from "../../components/host-act";

describe("the host's answer", () => {
  const schema = z.object({ weight: z.number() });

  it.each(["", "not JSON", '{"weight": "5"}', "[]"])("is refused when it is %j", (stdout) => {
    expect(() => parseResult("traffic-act", schema, stdout)).toThrow(/answer to traffic-act is not the one/);
  });

  it("may hold more than this program knows", () => {
    expect(parseResult("traffic-act", schema, '{"weight": 5, "more": 1}')).toEqual({ weight: 5 });
  });
});

describe("canonical JSON", () => {
  it("does not depend on the order of keys, and keeps that of lists", () => {
    expect(canonicalJson({ b: [2, { d: 1, c: null }], a: "x" })).toBe('{"a":"x","b":[2,{"c":null,"d":1}]}');
  });
});
