import { finishConnect } from "../../app/lib/connect";
import { echo } from "../../app/lib/echo";
import { healthOf } from "../../app/lib/health";
import { identityOf } from "../../app/lib/identity";
import { ticks } from "../../app/lib/ticks";

const identity = { version: "v1.0.0", colour: "green", commit: "ab12" };

describe("health", () => {
  test("without a database is ok, and says so", async () => {
    expect(await healthOf(identity, null)).toEqual({
      status: 200,
      body: { status: "ok", database: "none", ...identity },
    });
  });

  test("with a database that answers is ok", async () => {
    const { status, body } = await healthOf(identity, { query: () => Promise.resolve({ rows: [] }) });
    expect({ status, database: body.database }).toEqual({ status: 200, database: "ok" });
  });

  test("with a database that refuses is not", async () => {
    const { status, body } = await healthOf(identity, { query: () => Promise.reject(new Error("refused")) });
    expect({ status, body }).toMatchObject({
      status: 503,
      body: { status: "error", database: "unreachable" },
    });
  });

  test("does not wait for a database that says nothing", async () => {
    jest.useFakeTimers();
    try {
      const asked = healthOf(identity, { query: () => new Promise(() => undefined) });
      await jest.advanceTimersByTimeAsync(1500);
      expect((await asked).status).toBe(503);
    } finally {
      jest.useRealTimers();
    }
  });
});

describe("identity", () => {
  test("is what was built in, and what the host says", () => {
    const before = process.env["BUILT_VERSION"];
    process.env["BUILT_VERSION"] = "v1.0.0";
    try {
      expect(identityOf({ APP_COLOUR: "green", APP_COMMIT: "ab12", APP_VERSION: "v9.9.9" })).toEqual(
        identity,
      );
      expect(identityOf({})).toEqual({ version: "v1.0.0", colour: "none", commit: "unknown" });
    } finally {
      if (before === undefined) delete process.env["BUILT_VERSION"];
      else process.env["BUILT_VERSION"] = before;
    }
  });
});

describe("echo", () => {
  test.each([
    ["POST", "x".repeat(70_000), 70_000],
    ["POST", "", 0],
    ["GET", null, 0],
  ])("%s with a body of %#", async (method, body, bytes) => {
    const answer = await echo(new Request("http://localhost/api/whoami", { method, body }));
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(await answer.json()).toMatchObject({ method, bytes, pid: process.pid });
  });

  test("keeps the delay asked for", async () => {
    jest.useFakeTimers();
    try {
      let answered = false;
      const answer = echo(new Request("http://localhost/api/whoami?ms=200")).then(() => (answered = true));
      await jest.advanceTimersByTimeAsync(199);
      expect(answered).toBe(false);
      await jest.advanceTimersByTimeAsync(1);
      await answer;
    } finally {
      jest.useRealTimers();
    }
  });
});

describe("a stream", () => {
  const decoder = new TextDecoder();
  const never = new AbortController().signal;

  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  /** Reads to the end, with the clock moving as fast as it reads. */
  async function readAll(stream: ReadableStream<Uint8Array>): Promise<string> {
    let text = "";
    const reader = stream.getReader();
    for (;;) {
      const next = reader.read();
      await jest.advanceTimersByTimeAsync(100);
      const { done, value } = await next;
      if (done) return text;
      text += decoder.decode(value);
    }
  }

  test("numbers its events, says who sends them, and ends after the last", async () => {
    const text = await readAll(ticks({ identity, last: 3, closing: never }));
    expect(text.match(/^id: \d+$/gm)).toEqual(["id: 1", "id: 2", "id: 3"]);
    expect(text).toContain(JSON.stringify({ ...identity, number: 2 }));
    expect(jest.getTimerCount()).toBe(0);
  });

  test("without a last event goes on until its reader leaves", async () => {
    const reader = ticks({ identity, last: Infinity, closing: never }).getReader();
    await reader.read();
    await jest.advanceTimersByTimeAsync(60_000);
    expect(jest.getTimerCount()).toBe(1);
    await reader.cancel();
    expect(jest.getTimerCount()).toBe(0);
  });

  test("ends when the process is about to", async () => {
    const closing = new AbortController();
    const reader = ticks({ identity, last: Infinity, closing: closing.signal }).getReader();
    await reader.read();
    closing.abort();
    expect(await reader.read()).toEqual({ done: true, value: undefined });
    expect(jest.getTimerCount()).toBe(0);
  });

  test("is over at once where the process ends already", async () => {
    expect(await readAll(ticks({ identity, last: 3, closing: AbortSignal.abort() }))).toBe(": open\n\n");
  });
});

describe("the way back from Stripe Connect", () => {
  const codes: string[] = [];
  const exchange = (code: string): Promise<string> => {
    codes.push(code);
    return code === "good" ? Promise.resolve("acct_1") : Promise.reject(new Error("invalid_grant"));
  };

  test.each([
    ["code=good", exchange, { status: 303, location: "/business/wallet?connected=yes" }],
    ["code=bad", exchange, { status: 502, error: "Stripe does not accept the code" }],
    ["error=access_denied&code=x", exchange, { status: 303, location: "/business/wallet?connected=no" }],
    ["code=good", null, { status: 503, error: "STRIPE_SECRET_KEY is not set" }],
    ["", exchange, { status: 400, error: "the query has neither a code nor an error" }],
  ])("%s", async (query, how, answer) => {
    expect(await finishConnect(new URLSearchParams(query), { exchange: how })).toEqual(answer);
  });

  test("asks Stripe only where there is something to ask", () => {
    expect(codes).toEqual(["good", "bad"]);
  });
});
