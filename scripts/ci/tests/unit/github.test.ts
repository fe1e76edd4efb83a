import { GitHub } from "../../github";
import type { Job } from "../../job";
import { GitHubApi, newItem, TOKEN } from "./github-api";
import { TestJob } from "./support";

let api: GitHubApi;
const job = new TestJob({ GITHUB_TOKEN: TOKEN });

beforeAll(async () => {
  api = await GitHubApi.start();
  job.environment["GITHUB_API_URL"] = api.url;
});
afterAll(() => {
  api.stop();
  job.remove();
});
beforeEach(() => api.clear());

const mark = "preview of production";

test("a preview's comment is written once, and then brought up to date", async () => {
  api.comments = Array.from({ length: 150 }, (_, index) => newItem(index + 1, "User", "talk"));
  await new GitHub(job).comment(7, mark, "first");
  expect(api.comments.at(-1)!.body).toBe(`first\n\n<!-- ${mark} -->`);
  await new GitHub(job).comment(7, mark, "second");
  expect(api.comments).toHaveLength(151);
  expect(api.comments.at(-1)!.body).toBe(`second\n\n<!-- ${mark} -->`);
  await new GitHub(job).comment(7, "preview of staging", "of another stack");
  expect(api.comments).toHaveLength(152);
});

test("what a person wrote is never taken for it, whatever it holds", async () => {
  api.comments = [newItem(1, "User", `<!-- ${mark} -->`)];
  api.issues = [newItem(1, "User", "<!-- drift of production -->")];
  await new GitHub(job).comment(7, mark, "told");
  expect(api.comments.map(({ body }) => body)).toEqual([`<!-- ${mark} -->`, expect.stringContaining("told")]);
  expect(await new GitHub(job).closeIssue("drift of production", "over")).toBe(false);
  expect(api.issues[0]!.state).toBe("open");
});

test("one issue is open as long as something is wrong, and closed with a word when it is over", async () => {
  const github = new GitHub(job);
  expect(await github.openIssue("drift", "It drifted", "this")).toBe("https://github.example/1");
  expect(await github.openIssue("drift", "It drifted", "this and that")).toBe("https://github.example/1");
  expect(api.issues.map(({ title, body }) => [title, body])).toEqual([
    ["It drifted", "this and that\n\n<!-- drift -->"],
  ]);
  expect(await github.closeIssue("drift", "over")).toBe(true);
  expect([api.issues[0]!.state, api.comments[0]!.body]).toEqual(["closed", "over"]);
  expect(await github.closeIssue("drift", "over")).toBe(false);
  await github.openIssue("drift", "It drifted", "again");
  expect(api.issues.map(({ state }) => state)).toEqual(["closed", "open"]);
});

test("a refusal says what was asked, what was answered and what may be missing, and not the token", async () => {
  api.refused = 403;
  const failure: Error = await new GitHub(job).comment(7, mark, "x").then(
    () => new Error("it was not refused"),
    (error: unknown) => error as Error,
  );
  expect(failure.message).toMatch(/GET \/issues\/7\/comments.* with 403: .*not accessible.*permissions:/);
  expect(failure.message).not.toContain(TOKEN);
});

test.each(["GITHUB_TOKEN", "GITHUB_API_URL", "GITHUB_REPOSITORY"])(
  "without %s it says what that is",
  (name) => {
    const without: Job = { environment: { ...job.environment, [name]: "" }, log: job.log, now: job.now };
    expect(() => new GitHub(without)).toThrow(`${name} is not set: it is `);
  },
);
