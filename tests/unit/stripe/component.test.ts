import * as pulumi from "@pulumi/pulumi";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EnvironmentFile } from "../../../components/environment-file";
import { Host } from "../../../components/host";
import { type StripeSpec, StripeWebhook } from "../../../components/stripe-webhook";
import { validate } from "../../../config";
import { machineWith, rawConfig, settings } from "../support/configuration";
import { existingHost } from "../support/existing-host";
import { type Circumstances, isSecret, registrationsOf } from "../support/registrations";

/* What the program registers for Stripe, and what waits for what. */

const directory = mkdtempSync(join(tmpdir(), "stripe-"));
const software = join(directory, "host.tar");
writeFileSync(software, "an archive");
afterAll(() => {
  rmSync(directory, { recursive: true });
});

const loaded = validate(rawConfig(settings()), machineWith());

const SPEC: StripeSpec = {
  ...{ apiUrl: "https://api.stripe.com", apiKey: "key", mode: "live", account: "stop", stack: "shop/live" },
  ...{ url: "https://a.example/hook", events: ["charge.failed"], description: "x" },
  ...{ generation: 1, next: 0, keep: [], adopt: "", adoptedSecret: "secret" },
  ...{ redirectUri: "https://a.example/callback", warnings: ["two accounts"] },
};

/** As `index.ts` has it, up to the environment. */
async function registered(spec: StripeSpec | null, circumstances: Circumstances = {}) {
  const { registrations, result } = await registrationsOf(() => {
    const host = new Host("web", { ...existingHost(loaded), software });
    const stripe = new StripeWebhook("stripe", spec);
    new EnvironmentFile("environment", { host, variables: { A: "1", ...stripe.variables } });
    return stripe;
  }, circumstances);
  const named = (name: string) => {
    const found = registrations.find((one) => one.name === name);
    if (found === undefined) throw new Error(`${name} is not registered`);
    return found;
  };
  const ours = registrations.filter(({ parent }) => parent === "stripe").map(({ name }) => name);
  return { named, ours, stripe: result };
}

let warn: jest.SpyInstance;
beforeEach(() => {
  warn = jest.spyOn(pulumi.log, "warn").mockResolvedValue(undefined);
});
afterEach(() => warn.mockRestore());

const valueOf = <T>(output: pulumi.Output<T>): Promise<T> => new Promise((resolve) => output.apply(resolve));

it("is nothing for a site without Stripe", async () => {
  const { ours, stripe, named } = await registered(null);
  expect(ours).toEqual([]);
  expect(stripe.variables).toEqual({});
  expect(await valueOf(stripe.redirectUri)).toBe("");
  expect(named("environment-act").waitsFor).not.toContain("stripe-endpoints");
});

it("gives the application its secret, which the environment waits for, and tells what only the dashboard takes", async () => {
  const { ours, stripe, named } = await registered(SPEC);
  expect(ours).toEqual(["stripe-endpoints", "stripe-settings"]);
  expect(Object.keys(stripe.variables)).toEqual(["STRIPE_WEBHOOK_SECRET"]);
  expect(named("environment-act").waitsFor).toContain("stripe-endpoints");
  expect(named("stripe-settings").waitsFor).toContain("stripe-endpoints");
  expect(await valueOf(stripe.redirectUri)).toBe("https://a.example/callback");
  expect(warn.mock.calls.map(([text]) => text as unknown)).toEqual(["two accounts"]);
});

it("hands every secret over as one, and protects the endpoints without leaving them behind", async () => {
  const { named } = await registered(SPEC);
  for (const name of ["apiKey", "adoptedSecret"])
    expect(isSecret(named("stripe-endpoints").inputs[name])).toBe(true);
  expect(isSecret(named("stripe-settings").inputs["apiKey"])).toBe(true);
  expect(named("stripe-endpoints").retained).toBe(false);
});
