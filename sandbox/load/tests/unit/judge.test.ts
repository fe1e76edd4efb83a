import { judge } from "../../judge";

const plan = { answer: "identity", bodyBytes: 256 } as const;
const right = { ok: true, identity: { colour: "blue", version: "v1" } };

test.each([
  [200, '{"colour":"blue","version":"v1"}'],
  [201, '{"colour":"blue","version":"v1","bytes":256,"pid":7}'],
])("%i %s is right", (status, body) => {
  expect(judge(plan, { status, body })).toEqual(right);
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
  expect(judge(plan, { status, body })).toEqual({
    ok: false,
    failure,
    detail: expect.stringContaining(detail),
  });
});

test("where any body will do, only the status counts", () => {
  expect(judge({ ...plan, answer: "any" }, { status: 200, body: "<html>" })).toEqual({
    ok: true,
    identity: null,
  });
  expect(judge({ ...plan, answer: "any" }, { status: 500, body: "<html>" })).toMatchObject({
    ok: false,
    failure: "status5xx",
  });
});

test.each([
  ["identity", 503, '{"error":"maintenance"}', "120", "maintenance"],
  ["identity", 503, '{"error":"maintenance"}', undefined, "status5xx"],
  ["identity", 503, '{"error":"maintenance"}', "soon", "status5xx"],
  ["identity", 503, '{"error":"too busy"}', "120", "status5xx"],
  ["identity", 503, "<html>", "120", "status5xx"],
  ["identity", 502, '{"error":"maintenance"}', "120", "status5xx"],
  ["any", 503, "<html>", "120", "maintenance"],
  ["any", 503, "<html>", undefined, "status5xx"],
] as const)("%s: %i %s with Retry-After %s is %s", (answer, status, body, retryAfter, failure) => {
  expect(judge({ ...plan, answer }, { status, body, retryAfter })).toMatchObject({ ok: false, failure });
});
