import { request as requestPlain, type IncomingMessage, type RequestOptions } from "node:http";
import { request as requestSecure, type RequestOptions as SecureOptions } from "node:https";
import { join } from "node:path";
import { Failed, Refused } from "../faults";
import type { Paths } from "../paths";
import {
  COLOURS,
  type Colour,
  type SiteSettings,
  type SmokeAct,
  type SmokeCheck,
  type SmokeResult,
  type SmokeTest,
} from "../protocol";
import type { RunningRelease, Site } from "../site";
import type { Environments } from "./environments";
import { secretsIn, signedEvent, type SignedEvent } from "./signed-event";

/** Asks a release, as users would, whether it does what it is for. */
export interface SmokeTests {
  /** Asks each instance of a colour on its private socket, and the colour's port once. */
  ofColour(
    colour: Colour,
    release: RunningRelease,
    settings: SiteSettings,
    progress: (line: string) => void,
  ): Promise<SmokeResult>;
  /**
   * Asks the front door, as a new user: whatever colour that user gets. What is signed is signed by the secrets of `stable`, the release
   * that serves who brings no cookie along; null for none.
   */
  ofSite(
    stable: RunningRelease | null,
    settings: SiteSettings,
    progress: (line: string) => void,
  ): Promise<SmokeResult>;
}

/** Where a smoke test is sent. */
interface Door {
  readonly name: string;
  readonly options: RequestOptions & SecureOptions;
  readonly secure?: boolean;
}

/** Longest wait for the whole answer, in milliseconds: the first request for a page may have to compile it. */
const TIMEOUT_MS = 10_000;

/** A body is read as far as this, in bytes. */
const BODY_LIMIT = 4 * 1024 * 1024;

/** Smoke tests by HTTP. */
export function httpSmokeTests(paths: Paths, environments: Pick<Environments, "read">): SmokeTests {
  const run = async (
    release: RunningRelease | null,
    ...rest: [
      settings: SiteSettings,
      doors: readonly Door[],
      target: string,
      progress: (line: string) => void,
    ]
  ): Promise<SmokeResult> => {
    const [settings] = rest;
    const signs = settings.smokeTests.some(({ signedWith }) => signedWith !== undefined);
    const variables = signs && release !== null ? await environments.read(release.intent.environment) : {};
    return runSmokeTests(variables, ...rest);
  };
  return {
    ofColour(colour, release, settings, progress) {
      const instances = Array.from({ length: release.instances }, (_, instance) => ({
        name: `instance ${instance}`,
        options: { socketPath: join(paths.health, colour, `${instance}.sock`) },
      }));
      const port = settings.ports[colour];
      const doors = [...instances, { name: `port ${port}`, options: { host: "127.0.0.1", port } }];
      return run(release, settings, doors, colour, progress);
    },
    ofSite(stable, settings, progress) {
      const servername = domainOf(settings);
      // The connection does not leave this machine; whether the certificate is good is asked elsewhere.
      const options = { host: "127.0.0.1", port: 443, servername, rejectUnauthorized: false };
      return run(stable, settings, [{ name: "port 443", options, secure: true }], "site", progress);
    },
  };
}

/** @throws Failed with every test that failed. */
export function requireSmoke(result: SmokeResult, version: string, colour: Colour): void {
  const failed = result.checks.filter(({ passed }) => !passed);
  if (failed.length > 0) {
    const told = failed.map(({ name, detail }) => `  ${name}: ${detail}`).join("\n");
    throw new Failed(
      `${version} on ${colour} failed ${failed.length} of ${result.checks.length} smoke tests:\n${told}`,
    );
  }
}

/**
 * Carries out `smoke`.
 * @throws Refused where there is nothing to ask.
 */
export async function smoke(
  tests: SmokeTests,
  site: Site,
  { target }: SmokeAct,
  progress: (line: string) => void,
): Promise<SmokeResult> {
  const { settings } = site;
  if (settings === null) {
    throw new Refused("the site has no settings yet; send `configure` first");
  }
  if (target === "site") {
    const { traffic } = site;
    return tests.ofSite(traffic === null ? null : site.colours[traffic.stable].release, settings, progress);
  }
  const { release } = site.colours[target];
  if (release === null) {
    const running = COLOURS.filter((colour) => site.colours[colour].release !== null);
    throw new Refused(`${target} runs nothing; what runs is ${running.join(" and ") || "nothing at all"}`);
  }
  return tests.ofColour(target, release, settings, progress);
}

async function runSmokeTests(
  variables: Readonly<Record<string, string>>,
  settings: SiteSettings,
  doors: readonly Door[],
  target: string,
  progress: (line: string) => void,
): Promise<SmokeResult> {
  const checks: SmokeCheck[] = [];
  for (const test of settings.smokeTests) {
    const check = await runSmokeTest(test, bodiesOf(test, variables), doors, domainOf(settings));
    progress(`${target}: smoke test ${test.name} ${check.passed ? "passed" : "FAILED"}: ${check.detail}`);
    checks.push(check);
  }
  const failed = checks.filter(({ passed }) => !passed).map(({ name }) => name);
  if (checks.length === 0) {
    progress(`${target}: no smoke tests are configured`);
  } else {
    progress(
      failed.length === 0
        ? `${target}: ALL SMOKE TESTS PASSED`
        : `${target}: SMOKE TESTS FAILED: ${failed.join(", ")}`,
    );
  }
  return { passed: failed.length === 0, checks };
}

/** What a test sends. What is said of it names no secret. */
interface Sent {
  readonly what: string;
  readonly event: SignedEvent | null;
}

/** Everything that is sent to each door, one after the other; nothing where there is no secret to sign by. */
function bodiesOf({ signedWith }: SmokeTest, variables: Readonly<Record<string, string>>): readonly Sent[] {
  if (signedWith === undefined) return [{ what: "", event: null }];
  const secrets = secretsIn(variables[signedWith] ?? "");
  return secrets.map((secret, index) => ({
    what: `, signed by secret ${index + 1} of ${secrets.length} in ${signedWith},`,
    event: signedEvent(secret, Date.now()),
  }));
}

async function runSmokeTest(
  test: SmokeTest,
  bodies: readonly Sent[],
  doors: readonly Door[],
  domain: string,
): Promise<SmokeCheck> {
  const { name, signedWith } = test;
  if (bodies.length === 0) {
    const detail = `there is nothing to sign by: the release's environment has no ${String(signedWith)}, or an empty one`;
    return { name, passed: false, detail, milliseconds: 0 };
  }
  const answers: Answer[] = [];
  for (const sent of bodies) {
    answers.push(...(await Promise.all(doors.map((door) => answerOf(test, sent, door, domain)))));
  }
  const wrong = answers.find(({ fault }) => fault !== null);
  const statuses = [...new Set(answers.map(({ status }) => status))].join(", ");
  return {
    name,
    passed: wrong === undefined,
    detail:
      wrong?.fault ?? `${test.method} ${test.path}${signedBy(test, bodies.length)} answered ${statuses}`,
    milliseconds: Math.round(Math.max(...answers.map(({ milliseconds }) => milliseconds))),
  };
}

function signedBy({ signedWith }: SmokeTest, secrets: number): string {
  return signedWith === undefined ? "" : `, signed by each of ${secrets} secrets in ${signedWith},`;
}

interface Answer {
  readonly status: number;
  readonly milliseconds: number;
  readonly fault: string | null;
}

async function answerOf(test: SmokeTest, sent: Sent, door: Door, domain: string): Promise<Answer> {
  const started = performance.now();
  const what = `${test.method} ${test.path} at ${door.name}${sent.what}`;
  const { status, fault } = await ask(test, sent, door, domain).then(
    ({ status: code, body }) => ({ status: code, fault: faultOf(test, code, body) }),
    (error: unknown) => ({ status: 0, fault: `got no answer: ${(error as Error).message}` }),
  );
  const milliseconds = performance.now() - started;
  return { status, milliseconds, fault: fault === null ? null : `${what} ${fault}` };
}

function faultOf({ status, contains }: SmokeTest, answered: number, body: string): string | null {
  if (!status.includes(answered)) {
    return `answered ${answered}, not ${status.join(" or ")}`;
  }
  return contains === null || body.includes(contains)
    ? null
    : `answered ${answered} without ${JSON.stringify(contains)} in the body`;
}

function ask(
  test: SmokeTest,
  { event }: Sent,
  door: Door,
  domain: string,
): Promise<{ status: number; body: string }> {
  const body = event?.body ?? (test.method === "POST" ? "{}" : "");
  const headers = {
    host: domain,
    connection: "close",
    "user-agent": "conductor-smoke-test",
    ...event?.headers,
    ...(body === "" ? {} : { "content-type": "application/json", "content-length": body.length }),
    // As the front door sends it, which is not to be told by a client.
    ...(door.secure === true ? {} : { "x-forwarded-proto": "https", "x-forwarded-host": domain }),
  };
  return new Promise((resolve, reject) => {
    const options = {
      ...door.options,
      method: test.method,
      path: test.path,
      headers,
      agent: false as const,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    };
    const read = (incoming: IncomingMessage): void => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      incoming.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes <= BODY_LIMIT) {
          chunks.push(chunk);
        }
      });
      incoming.on("error", reject);
      incoming.on("end", () =>
        resolve({ status: incoming.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") }),
      );
    };
    const outgoing = (door.secure === true ? requestSecure : requestPlain)(options, read);
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

/** A name that the site answers to; for a wildcard, one below it. */
function domainOf({ domains }: SiteSettings): string {
  return (domains[0] ?? "localhost").replace(/^\*\./, "probe.");
}
