import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { ACCESS_NAMES } from "../../components/supabase-access";
import type { Machine } from "../../config/keys";
import type { OfflineValue } from "../../engine/workspace/offline-values";
import { offlineValues } from "../../scripts/plan/values";
import { repositoryRoot } from "../../sandbox/repository";
import { changed, faultsOf } from "./support/configuration";

/* What an offline plan has in the place of production's placeholders, and what it leaves alone. */

const file = "Pulumi.production.yaml";
type Values = Record<string, unknown>;

/** The config as the repository has it, by keys without the project's name. */
function committed(): Values {
  const { config } = parse(readFileSync(join(repositoryRoot(), file), "utf8")) as { config: Values };
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key.replace(/^vehicleservice:/, ""), value]),
  );
}

const fullKey = (key: string) => (key.includes(":") ? key : `vehicleservice:${key}`);

function planned(given: Values): { values: Values; notice: string; secrets: string[] } {
  const entries = Object.entries(given).map(([key, value]): [string, OfflineValue] => [
    fullKey(key),
    { value, secret: false },
  ]);
  const { values, notice = "" } = offlineValues({
    file,
    namespace: "vehicleservice",
    values: new Map(entries),
  });
  const short = [...values].map(([key, { value, secret }]) => {
    return [key.replace(/^vehicleservice:/, ""), value, secret] as const;
  });
  return {
    values: Object.fromEntries(short.map(([key, value]) => [key, value])),
    notice,
    secrets: short.filter(([, , secret]) => secret).map(([key]) => key),
  };
}

/** This machine, for what the config names in the repository: migrations, and the records of releases. */
const machine: Machine = {
  projectDirectory: repositoryRoot(),
  home: "/nonexistent",
  read: (path) => readFileSync(path, "utf8"),
  bytes: (path) => readFileSync(path),
  list: (path) => readdirSync(path),
};
const keysAtFault = (values: Values) => faultsOf(values, machine).map(({ key }) => key);

test("what the repository has becomes a whole config; made-up keys are secrets, and others each time", () => {
  expect(keysAtFault(committed()).length).toBeGreaterThan(20);
  const one = planned(committed());
  expect(keysAtFault(one.values)).toEqual([]);
  const keys = ["databaseUrl", "hostPrivateKey", "stripeApiKey", "supabaseAccessToken", "variables"];
  expect(one.secrets.sort()).toEqual(keys);
  const other = planned(committed());
  for (const key of keys) expect([key, one.values[key]]).not.toEqual([key, other.values[key]]);
  expect(one.values["host"]).toEqual(other.values["host"]);
  expect(one.notice).not.toMatch(/_live_|203\.0\.113|PRIVATE/);
});

test("what an operator has filled in stays, and the rest fits to it", () => {
  const ref = "zyxwvutsrqponmlkjihg";
  const token = `sbp_${"0".repeat(40)}`;
  const half = [
    [["site", "domains", 0], "own.example.org"],
    [["supabase", "projectRef"], ref],
    [["supabaseAccessToken"], token],
    [["host", "ec2", "zoneId"], "Z0OWN"],
  ] as const;
  const given = half.reduce<Values>((values, [path, value]) => changed(values, path, value), committed());
  const { values, notice } = planned(given);
  expect(keysAtFault(values)).toEqual([]);
  expect(values).toMatchObject({
    ...{ supabaseAccessToken: token, site: { domains: ["own.example.org"] } },
    ...{ supabase: { projectRef: ref }, host: { ec2: { zoneId: "Z0OWN" } } },
    variables: { NEXT_PUBLIC_SITE_URL: "https://own.example.org" },
  });
  for (const name of ["site.domains", "supabase.projectRef", "supabaseAccessToken", "zoneId"])
    expect(notice).not.toContain(name);
});

test("a project that the stack makes gives its own values: the first plan is whole without them", () => {
  const create = { organization: "garage", region: "eu-central-1" };
  const supabase = changed(committed(), ["supabase", "projectRef"], undefined);
  const { values, secrets } = planned(changed(supabase, ["supabase", "create"], create));
  expect(keysAtFault(values)).toEqual([]);
  expect(secrets).not.toContain("databaseUrl");
  const given = Object.keys(values["variables"] as object);
  expect(given).toContain("STRIPE_SECRET_KEY");
  for (const name of ACCESS_NAMES) expect(given).not.toContain(name);
});

test("a config without a known placeholder is planned as it is: what is missing is a fault there, too", () => {
  const filled = planned(committed()).values;
  for (const values of [changed(filled, ["supabaseAccessToken"], undefined), { host: { mode: "[x]" } }]) {
    expect(planned(values)).toEqual({ values, notice: "", secrets: [] });
  }
});

test("a stack that wants no database, no Stripe and no Supabase gets no keys for them", () => {
  const bare = {
    ...{ host: { address: "10.0.0.1", privateKeyFile: "keys/id" }, variableRules: "none" },
    source: { repository: "https://github.com/your-org/vehicleservice.git" },
  };
  expect(planned(bare)).toEqual({
    values: { ...bare, source: { repository: "https://github.com/example/vehicleservice.git" } },
    notice: expect.stringContaining("1 values of") as unknown,
    secrets: [],
  });
});

test("seven faults of seven parts of a production config are told in one message, each by its key", () => {
  const broken = [
    [["variables", "STRIPE_SECRET_KEY"], ["sk", "test", "a".repeat(80)].join("_")],
    [["stripeApiKey"], `whsec_${"a".repeat(32)}`],
    [["variables", "NEXT_PUBLIC_SUPABASE_URL"], "https://abcdefghijklmnopqrst.supabase.co/rest"],
    [["variables", "ENCRYPTION_KEY"], Buffer.alloc(31, 1).toString("base64")],
    [["host", "ec2", "sshFrom"], undefined],
    [["monitoring", "page"], undefined],
    [["aws:region"], "eu-central-9"],
  ] as const;
  const sound = planned(committed()).values;
  const values = broken.reduce<Values>((all, [path, value]) => changed(all, path, value), sound);
  const keys = keysAtFault(values).map((key) => key.replace("vehicleservice:", ""));
  // A region is wrong where what lies in it says another one.
  expect(keys.sort()).toEqual([
    ...[
      "backups.region",
      "host.ec2.availabilityZone",
      "host.ec2.sshFrom",
      "monitoring.page.emails",
      "stripeApiKey",
    ],
    ...["ENCRYPTION_KEY", "NEXT_PUBLIC_SUPABASE_URL", "STRIPE_SECRET_KEY"].map((name) => `variables.${name}`),
  ]);
});
