import { judge } from "../../judge";

const plan = { answer: "identity", bodyBytes: 256 } as const;
const right = { ok: true, identity: { colour: "blue", version: "v1" } };

test.each([
  [200, '{"colour":"blue","version":"v1"}'],
  [201, '{"colour":"blue","version":"v1","bytes":256,"pid":7}'],
])("%i %s is right", (status, body) => {
  expect(judge(plan, status, body)).toEqual(right);
});

test.each([
  [200, '{"colour":"blue","version":"v1","bytes":255}', "badBody", "256 bytes sent"],
  [200, '{"colour":"blue"}', "badBody", "no version and colour"],
  [200, '{"colour":1,"version":"v1"}', "badBody", "no version and colour"],
  [200, "null", "badBody", "no version and colour"],
  [200, "<html>", "badBody", "no version and colour"],
  [200, "", "badBody", "no version and colour"],
  [302, "", "status3xx", "status 302"],
  [499, '{"colour":"blue","version":"v1"}', "status4xx", "status 499"],
  [503, "x".repeat(500), "status5xx", "xxx..."],
  [101, "", "malformed", "status 101"],
] as const)("%i %s is %s", (status, body, failure, detail) => {
  expect(judge(plan, status, body)).toEqual({ ok: false, failure, detail: expect.stringContaining(detail) });
});

test("where any body will do, only the status counts", () => {
  expect(judge({ ...plan, answer: "any" }, 200, "<html>")).toEqual({ ok: true, identity: null });
  expect(judge({ ...plan, answer: "any" }, 500, "<html>")).toMatchObject({ ok: false, failure: "status5xx" });
});
