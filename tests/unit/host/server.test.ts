import { connect } from "node:net";
import { once } from "node:events";
import { createServer, request } from "node:http";
import { join } from "node:path";
import { Failed, Refused } from "../../../host/conductor/faults";
import type { Progress } from "../../../host/conductor/act-queue";
import type { Conductor } from "../../../host/conductor/conductor";
import type { Act } from "../../../host/conductor/protocol";
import { createConductorServer } from "../../../host/conductor/server";
import { requestUnix, type UnixAnswer } from "../../../host/conductor/system/unix-http";
import { removeDirectories, SETTINGS, temporaryDirectory } from "./support/fixtures";
import { UnixServers } from "./support/unix-server";

const servers = new UnixServers();
afterEach(() => servers.close());
afterAll(removeDirectories);

type Take = (act: Act, progress: Progress) => Promise<unknown>;

/** A conductor's door with `take` behind it; returns its socket. */
async function door(take: Take, log: string[] = [], heartbeatMs?: number): Promise<string> {
  const socket = join(temporaryDirectory(), "c.sock");
  const conductor = { take } as unknown as Conductor;
  await servers.listen(
    createConductorServer(conductor, (line) => log.push(line), heartbeatMs),
    socket,
  );
  return socket;
}

/** Sends a body to `/acts` with POST and reads the whole answer. */
function post(socketPath: string, body: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, method: "POST", path: "/acts" }, (incoming) => {
      let text = "";
      incoming.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      incoming.on("end", () => resolve({ status: incoming.statusCode ?? 0, body: text }));
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

const STATUS = '{"act":"status"}';

it("tells what the front door counted, or that it does not answer", async () => {
  const socket = join(temporaryDirectory(), "c.sock");
  let text = Promise.resolve("some_total 1\n");
  const conductor = { metrics: () => text } as unknown as Conductor;
  await servers.listen(
    createConductorServer(conductor, () => undefined),
    socket,
  );
  const get = (): Promise<UnixAnswer> => requestUnix({ socket, path: "/metrics", timeoutMs: 60_000 });
  const { status, body, headers } = await get();
  expect([status, body]).toEqual([200, "some_total 1\n"]);
  expect(headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
  text = Promise.reject(new Error("connect ENOENT"));
  expect(await get()).toMatchObject({
    status: 503,
    body: "the front door does not answer: connect ENOENT\n",
  });
});

describe("the door", () => {
  it("tells progress line by line, then the result", async () => {
    const socket = await door((act, progress) => {
      progress("one");
      progress("two");
      return Promise.resolve({ got: act });
    });
    expect(await post(socket, STATUS)).toEqual({
      status: 200,
      body: 'progress one\nprogress two\nresult {"got":{"act":"status"}}\n',
    });
  });

  it("takes an act whose body is slower than a sign of life", async () => {
    const socket = await door(() => Promise.resolve({}), [], 1);
    const outgoing = request({ socketPath: socket, method: "POST", path: "/acts" });
    outgoing.write(STATUS.slice(0, 5));
    const [incoming] = (await once(outgoing, "response")) as [NodeJS.ReadableStream];
    outgoing.end(STATUS.slice(5));
    let text = "";
    for await (const chunk of incoming) text += String(chunk);
    expect(text.replaceAll(/^alive .*\n/gm, "")).toBe("result {}\n");
  });

  it("tells progress at once, not with the result", async () => {
    let finish: () => void = () => undefined;
    const socket = await door(async (_, progress) => {
      progress("begun");
      await new Promise<void>((resolve) => (finish = resolve));
      return {};
    });
    const outgoing = request({ socketPath: socket, method: "POST", path: "/acts" }).end(STATUS);
    const [incoming] = (await once(outgoing, "response")) as [NodeJS.ReadableStream];
    const [chunk] = (await once(incoming, "data")) as [Buffer];
    expect(chunk.toString()).toBe("progress begun\n");
    finish();
    await once(incoming, "end");
  });

  it.each<[string, Error, string]>([
    ["a refusal", new Refused("not now"), "error 3 status: not now\n"],
    ["a failure", new Failed("it broke"), "error 1 status: it broke\n"],
    ["anything else", new TypeError("a bug"), "error 1 status: a bug\n"],
  ])("tells %s with its exit code", async (_, error, body) => {
    const socket = await door(() => Promise.reject(error));
    expect((await post(socket, STATUS)).body).toBe(body);
  });

  it("tells an act that is none, without taking it", async () => {
    const take = jest.fn<Promise<unknown>, []>();
    const socket = await door(take);
    expect((await post(socket, "nonsense")).body).toMatch(/^error 4 act: the act is not JSON/);
    expect((await post(socket, "")).body).toMatch(/^error 4 /);
    expect(take).not.toHaveBeenCalled();
  });

  it("keeps a message on one line, line ends and backslashes escaped", async () => {
    const socket = await door((_, progress) => {
      progress("C:\\new\nnext");
      return Promise.reject(new Failed("a\n  b\\n"));
    });
    expect((await post(socket, STATUS)).body).toBe(
      "progress C:\\\\new\\nnext\nerror 1 status: a\\n  b\\\\n\n",
    );
  });

  it("never escapes the result: it is JSON already", async () => {
    const socket = await door(() => Promise.resolve({ text: 'a\n"b"\\' }));
    const [, json] = /^result (.*)\n$/.exec((await post(socket, STATUS)).body)!;
    expect(JSON.parse(json!)).toEqual({ text: 'a\n"b"\\' });
  });

  it("answers an act that is too long, and takes the next one", async () => {
    const socket = await door(() => Promise.resolve({}));
    const long = await post(socket, JSON.stringify({ act: "x".repeat(34 * 1024 * 1024) }));
    expect(long.body).toBe("error 4 act: the act is longer than 34603008 bytes\n");
    expect((await post(socket, STATUS)).body).toBe("result {}\n");
  });

  it("knows nothing but POST /acts", async () => {
    const socket = await door(() => Promise.resolve({}));
    const answers: UnixAnswer[] = [
      await requestUnix({ socket, path: "/acts", timeoutMs: 60_000 }),
      await requestUnix({ socket, path: "/", method: "PUT", timeoutMs: 60_000 }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([404, 404]);
  });

  it("carries an act on whose sender goes away, and serves on", async () => {
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const taken: Promise<unknown>[] = [];
    const socket = await door((_, progress) => {
      progress("begun");
      const result = released.then(() => progress("nobody listens")).then(() => ({ done: true }));
      taken.push(result);
      return result;
    });
    const client = connect(socket);
    client.write(`POST /acts HTTP/1.1\r\nHost: x\r\nContent-Length: ${STATUS.length}\r\n\r\n${STATUS}`);
    await once(client, "data");
    client.destroy();
    await once(client, "close");
    release();
    expect(await taken[0]).toEqual({ done: true });
    expect((await post(socket, STATUS)).body).toMatch(/result \{"done":true\}\n$/);
  });

  it("takes no half act of a sender that goes away", async () => {
    const take = jest.fn<Promise<unknown>, []>();
    const log: string[] = [];
    const socket = await door(take, log);
    const client = connect(socket);
    client.end(`POST /acts HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n${STATUS}`);
    await once(client.resume(), "close");
    expect((await post(socket, "nonsense")).body).toMatch(/^error 4/);
    expect(take).not.toHaveBeenCalled();
  });

  it("logs the kind of act, never its content", async () => {
    const log: string[] = [];
    const socket = await door((_, progress) => {
      progress("at work");
      return Promise.reject(new Failed("broken"));
    }, log);
    await post(socket, JSON.stringify({ act: "configure", site: SETTINGS }));
    expect(log).toEqual(["configure: at work", "configure: broken"]);
  });
});

describe("requestUnix", () => {
  it("gives up on an answer that is not whole in time", async () => {
    const socket = join(temporaryDirectory(), "s.sock");
    const server = createServer((_, response) => void response.writeHead(200).write("half"));
    await servers.listen(server, socket);
    await expect(requestUnix({ socket, path: "/", timeoutMs: 50 })).rejects.toThrow();
  });

  it("fails where nobody listens", async () => {
    const socket = join(temporaryDirectory(), "none.sock");
    await expect(requestUnix({ socket, path: "/", timeoutMs: 60_000 })).rejects.toThrow("ENOENT");
  });
});
