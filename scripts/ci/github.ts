import { z } from "zod";
import { StepError } from "./faults";
import { required, type Job } from "./job";

/** Version of GitHub's REST API that these requests are written for. */
const API_VERSION = "2022-11-28";

/** Longest wait for an answer. */
const ANSWER_MS = 30_000;

/** Items of a page; the largest that GitHub gives. */
const PAGE_SIZE = 100;

const told = { body: z.string().nullish(), user: z.object({ type: z.string() }).nullish() };
const commentSchema = z.object({ id: z.number(), ...told });
const issueSchema = z.object({ number: z.number(), html_url: z.string(), ...told });

/** GitHub's REST API, with the job's own token, for one repository. */
export class GitHub {
  private readonly root: string;
  private readonly token: string;

  constructor(job: Job) {
    const api = required(job, "GITHUB_API_URL", "the address of GitHub's API, which GitHub sets");
    const repository = required(job, "GITHUB_REPOSITORY", "the repository's name, which GitHub sets");
    this.root = `${api}/repos/${repository}`;
    this.token = required(job, "GITHUB_TOKEN", "the job's token; give the step `env: GITHUB_TOKEN`");
  }

  /**
   * Puts a comment on a pull request, in the place of the one that it put there before.
   * @param mark Tells that one from all others: it stands in the comment, unseen.
   */
  async comment(pullRequest: number, mark: string, markdown: string): Promise<void> {
    const body = marked(mark, markdown);
    const path = `/issues/${String(pullRequest)}/comments`;
    const before = (await this.all(path, commentSchema)).find((comment) => isMarked(comment, mark));
    if (before === undefined) await this.ask("POST", path, { body });
    else await this.ask("PATCH", `/issues/comments/${String(before.id)}`, { body });
  }

  /** Opens an issue, or brings the open one up to date. Returns its address. */
  async openIssue(mark: string, title: string, markdown: string): Promise<string> {
    const body = marked(mark, markdown);
    const open = await this.findIssue(mark);
    const answer =
      open === undefined
        ? await this.ask("POST", "/issues", { title, body })
        : await this.ask("PATCH", `/issues/${String(open.number)}`, { title, body });
    return issueSchema.parse(answer).html_url;
  }

  /** Closes the open issue, if there is one, with a last word. Tells whether there was. */
  async closeIssue(mark: string, lastWord: string): Promise<boolean> {
    const open = await this.findIssue(mark);
    if (open === undefined) return false;
    const path = `/issues/${String(open.number)}`;
    await this.ask("POST", `${path}/comments`, { body: lastWord });
    await this.ask("PATCH", path, { state: "closed", state_reason: "completed" });
    return true;
  }

  private async findIssue(mark: string): Promise<z.infer<typeof issueSchema> | undefined> {
    return (await this.all("/issues?state=open", issueSchema)).find((issue) => isMarked(issue, mark));
  }

  /** Reads all pages of a list. */
  private async all<T>(path: string, item: z.ZodType<T>): Promise<T[]> {
    const found: T[] = [];
    for (let page = 1; ; page += 1) {
      const query = `${path.includes("?") ? "&" : "?"}per_page=${String(PAGE_SIZE)}&page=${String(page)}`;
      const items = z.array(item).parse(await this.ask("GET", path + query));
      found.push(...items);
      if (items.length < PAGE_SIZE) return found;
    }
  }

  private async ask(method: string, path: string, body?: object): Promise<unknown> {
    const response = await fetch(this.root + path, {
      method,
      headers: {
        accept: "application/vnd.github+json",
        authorization: `Bearer ${this.token}`,
        "x-github-api-version": API_VERSION,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    const text = await response.text();
    if (response.ok) return JSON.parse(text) as unknown;
    const way =
      response.status === 403 ? "; does the job have the permission, `permissions:` in its workflow?" : "";
    throw new StepError(
      `GitHub answered ${method} ${path} with ${String(response.status)}: ${text.slice(0, 300)}${way}`,
    );
  }
}

function marked(mark: string, markdown: string): string {
  return `${markdown}\n\n${hidden(mark)}`;
}

/** Whoever may write an issue may write a mark: what counts is what a job's token wrote. */
function isMarked({ body, user }: Partial<z.infer<typeof commentSchema>>, mark: string): boolean {
  return user?.type === "Bot" && (body?.includes(hidden(mark)) ?? false);
}

/** Not seen where Markdown is shown. */
function hidden(mark: string): string {
  return `<!-- ${mark} -->`;
}
