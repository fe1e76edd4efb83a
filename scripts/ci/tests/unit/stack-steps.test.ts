import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runSteps } from "../../program";
import { GitHubApi, newItem, TOKEN } from "./github-api";
import { TestJob } from "./support";

/* What the steps make of what Pulumi says, and which words they say to it: with a CLI that says what the test wants. */

let api: GitHubApi;
let job: TestJob;

beforeAll(async () => {
  api = await GitHubApi.start();
});
afterAll(() => api.stop());
beforeEach(() => {
  api.clear();
  job = new TestJob({ GITHUB_TOKEN: TOKEN, GITHUB_API_URL: api.url });
  // bin/pulumi takes the program of this name that is on the PATH.
  const programs = join(job.directory, "programs");
  mkdirSync(programs);
  const script = [
    "#!/bin/sh",
    'cd "${0%/*}"',
    'echo "$@" >> words',
    "cat stdout",
    "cat stderr >&2",
    'exit "$(cat code)"',
  ];
  writeFileSync(join(programs, "pulumi"), `${script.join("\n")}\n`, { mode: 0o755 });
  job.environment["PATH"] = `${programs}:${process.env["PATH"] ?? ""}`;
  delete job.environment["VEHICLESERVICE_ENGINE"];
  says({ steps: [] });
});
afterEach(() => job.remove());

const file = (name: string) => join(job.directory, "programs", name);

/** What the CLI does from now on. */
function says(document: object | null, code = 0, stderr = ""): void {
  writeFileSync(file("stdout"), document === null ? "" : JSON.stringify(document));
  writeFileSync(file("stderr"), stderr);
  writeFileSync(file("code"), String(code));
}

/** What was said to it, a line a call, without directory and stack. */
const words = () =>
  readFileSync(file("words"), "utf8")
    .trim()
    .split("\n")
    .map((line) => line.replace(/ --cwd \S+ --stack production --non-interactive/, ""));

const step = (name: string, ...more: string[]) =>
  runSteps([name, "--cwd", job.directory, "--stack", "production", ...more], job);

const CHANGED = {
  steps: [
    {
      op: "update",
      urn: "urn:pulumi:production::site::a:b:C::route",
      detailedDiff: { size: { kind: "update" } },
    },
  ],
};
const EXPECTED_NONE = "error: no changes were expected but changes were proposed";

describe("a refresh", () => {
  test("is asked for in each word to Pulumi, where the input says so", async () => {
    expect(await step("preview", "--refresh", "true")).toBe(0);
    const approved = ["--approved", job.output("digest")!];
    expect(await step("deploy", ...approved, "--refresh", "true")).toBe(0);
    expect(words()).toEqual([
      "preview --refresh --json",
      "preview --refresh --json",
      expect.stringMatching(/^up --refresh --yes --skip-preview --message /),
    ]);
  });

  test.each(["false", ""])("is not, where the input is %j, or is left out", async (input) => {
    expect(await step("preview", "--refresh", input)).toBe(0);
    expect(await step("deploy", "--approved", job.output("digest")!)).toBe(0);
    expect(words().join()).not.toContain("--refresh");
    expect(words()).toHaveLength(3);
  });
});

describe("the drift check", () => {
  const title = () => api.issues.map((issue) => [issue.title, issue.state]);

  test("looks at what there is, and says nothing where it is as it was left", async () => {
    expect(await step("drift")).toBe(0);
    expect(words()).toEqual(["preview --json --refresh --expect-no-changes"]);
    expect(api.issues).toEqual([]);
    expect(job.logged).toContain("production is as it was left");
  });

  test("fails and opens one issue where something was changed, and closes it when it is over", async () => {
    says(CHANGED, 255, EXPECTED_NONE);
    expect(await step("drift")).toBe(1);
    expect(await step("drift")).toBe(1);
    expect(title()).toEqual([["production is not as its config", "open"]]);
    expect(api.issues[0]!.body).toContain("| update | a:b:C | route | size |");
    expect(api.issues[0]!.body).toContain("An `up` puts it right");
    expect(job.written("summary")).toContain("1 to update");
    expect(job.logged).toContain("ci: production is not as its config; see https://github.example/1");
    says({ steps: [] });
    expect(await step("drift")).toBe(0);
    expect(title()).toEqual([["production is not as its config", "closed"]]);
    expect(job.logged).toContain("the issue is closed");
  });

  test("says something else where nobody knows, and leaves the issue open", async () => {
    says(null, 255, "error: cannot connect to admin@203.0.113.10:22");
    expect(await step("drift")).toBe(1);
    expect(title()).toEqual([["production could not be compared with its config", "open"]]);
    expect(api.issues[0]!.body).toContain("The preview failed, so that nobody knows");
    expect(api.issues[0]!.body).toContain("cannot connect to admin@203.0.113.10:22");
    expect(api.issues[0]!.body).not.toContain("puts it right");
    // What was found before it failed is no reason to call it drift.
    says(CHANGED, 1, "error: the provider crashed");
    expect(await step("drift")).toBe(1);
    expect(title()).toEqual([["production could not be compared with its config", "open"]]);
  });
});

test("a preview is shown on the pull request in the place of the last one, with the run that made it", async () => {
  const markdown = join(job.directory, "preview.md");
  api.comments = [newItem(1, "User", "please look")];
  for (const [document, headline] of [
    [{ steps: [] }, "no changes"],
    [CHANGED, "1 to update"],
  ] as const) {
    says(document);
    expect(await step("preview", "--markdown", markdown)).toBe(0);
    expect(await step("comment", "--pull-request", "7", "--markdown", markdown)).toBe(0);
    expect(api.comments).toHaveLength(2);
    expect(api.comments[1]!.body).toContain(`### Preview of \`production\`: ${headline}`);
  }
  expect(api.comments[1]!.body).toContain("[The run](https://github.example/your-org/site/actions/runs/77)");
  // A preview that failed is shown, too.
  says(null, 1, "error: no credentials");
  expect(await step("preview", "--markdown", markdown)).toBe(1);
  expect(await step("comment", "--pull-request", "7", "--markdown", markdown)).toBe(0);
  expect(api.comments[1]!.body).toContain("**failed**");
});
