import { supabaseKeyFaults } from "../../../config/supabase-keys";

const REF = "abcdefghijklmnopqrst";
const OTHER = "tsrqponmlkjihgfedcba";
const URL = `https://${REF}.supabase.co`;

/** A key of the older generation, as far as it says of itself what it is. */
function jwt(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return [part({ alg: "HS256", typ: "JWT" }), part(claims), "c2lnbmF0dXJl"].join(".");
}

const publishable = ["sb", "publishable", "0123456789abcdef"].join("_");
const secret = ["sb", "secret", "0123456789abcdef"].join("_");
const anon = jwt({ iss: "supabase", ref: REF, role: "anon" });
const service = jwt({ iss: "supabase", ref: REF, role: "service_role" });

it.each([
  ["older", anon, service],
  ["newer", publishable, secret],
  ["mixed", publishable, service],
])("takes the %s generation of keys", (_, anonKey, serviceKey) => {
  const values = {
    NEXT_PUBLIC_SUPABASE_URL: URL,
    NEXT_PUBLIC_SUPABASE_ANON_KEY: anonKey,
    SUPABASE_SERVICE_ROLE_KEY: serviceKey,
  };
  expect(supabaseKeyFaults(values)).toEqual([]);
  expect(supabaseKeyFaults(values, REF)).toEqual([]);
});

it("looks at what is there only", () => {
  expect(supabaseKeyFaults({})).toEqual([]);
  expect(supabaseKeyFaults({ SUPABASE_SERVICE_ROLE_KEY: secret })).toEqual([]);
});

it.each([
  `${URL}/`,
  `${URL}/rest/v1`,
  `${URL}?x=1`,
  `http://${REF}.supabase.co`,
  "http://8.8.8.8",
  `https://user@${REF}.supabase.co`,
  "supabase.co",
  "",
])("refuses the URL %p", (url) => {
  const faults = supabaseKeyFaults({ NEXT_PUBLIC_SUPABASE_URL: url });
  expect(faults).toEqual([
    { variable: "NEXT_PUBLIC_SUPABASE_URL", rule: expect.stringContaining("without a path") },
  ]);
});

it.each(["https://auth.example.com", "http://127.0.0.1:54321", "http://10.77.1.1:8000"])(
  "takes %p, a domain of one's own or a private address",
  (url) => {
    expect(supabaseKeyFaults({ NEXT_PUBLIC_SUPABASE_URL: url }, REF)).toEqual([]);
  },
);

it("refuses the URL of another project", () => {
  expect(supabaseKeyFaults({ NEXT_PUBLIC_SUPABASE_URL: URL }, OTHER)).toEqual([
    { variable: "NEXT_PUBLIC_SUPABASE_URL", rule: expect.stringContaining(`project ${OTHER}`) },
  ]);
});

it.each([
  ["a service_role key", service],
  ["a secret key", secret],
])("calls %s as the public one a leak", (_, key) => {
  const [fault] = supabaseKeyFaults({ NEXT_PUBLIC_SUPABASE_ANON_KEY: key });
  expect(fault?.rule).toContain("everybody could read it: revoke it");
  expect(fault?.rule).not.toContain(key);
});

it.each([
  ["the public one", anon],
  ["the publishable one", publishable],
  ["one without a role", jwt({ ref: REF })],
  ["one that is no JSON", `eyJx.${Buffer.from('{"x').toString("base64url")}.x`],
  ["any text", "service_role"],
  ["a placeholder", "eyJ[production-service-role-key]"],
])("refuses %s as the key of the service", (_, key) => {
  const faults = supabaseKeyFaults({ SUPABASE_SERVICE_ROLE_KEY: key });
  expect(faults.map(({ variable }) => variable)).toEqual(["SUPABASE_SERVICE_ROLE_KEY"]);
  expect(faults[0]?.rule).toContain("service_role key (eyJ...)");
});

it("refuses keys of another project than the URL's, both at once", () => {
  const other = (role: string) => jwt({ ref: OTHER, role });
  const faults = supabaseKeyFaults({
    NEXT_PUBLIC_SUPABASE_URL: URL,
    NEXT_PUBLIC_SUPABASE_ANON_KEY: other("anon"),
    SUPABASE_SERVICE_ROLE_KEY: other("service_role"),
  });
  expect(faults.map(({ variable }) => variable)).toEqual([
    "NEXT_PUBLIC_SUPABASE_ANON_KEY",
    "SUPABASE_SERVICE_ROLE_KEY",
  ]);
  for (const { rule } of faults) expect(rule).toContain(`of the project ${REF}; it belongs to another one`);
});
