import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Bucket } from "../../../host/database/backups/bucket";

/* A bucket as Amazon's S3 shows it to who may list what is below a prefix, and nothing else. */

const THERE = ["database/one", "database/one.json"];

let server: Server;
let bucket: Bucket;
/** What is answered about each key that is there. */
let mayRead: boolean;
const listed: string[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://s3");
    if (request.method === "GET") {
      const prefix = searchParams.get("prefix") ?? "";
      listed.push(prefix);
      const [first] = THERE.filter((key) => key.startsWith(prefix));
      const contents = first === undefined ? "" : `<Contents><Key>${first}</Key></Contents>`;
      response.end(`<?xml version="1.0"?><ListBucketResult>${contents}</ListBucketResult>`);
      return;
    }
    const isThere = THERE.includes(pathname.replace("/bucket/", ""));
    response.writeHead(isThere && mayRead ? 200 : 403, { "content-length": "5", etag: '"aa"' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  bucket = new Bucket({
    ...{ name: "bucket", region: "us-east-1", prefix: "database/", authority: null },
    endpoint: `http://127.0.0.1:${String(port)}`,
    credentials: { accessKeyId: "id", secretAccessKey: "key" },
  });
});
beforeEach(() => {
  mayRead = true;
  listed.length = 0;
});
afterAll(() => {
  bucket.close();
  server.closeAllConnections();
  server.close();
});

test("an object that is there is told of, without a list", async () => {
  expect(await bucket.head("database/one")).toEqual({ bytes: 5, etag: "aa", etagIsMd5: true });
  expect(listed).toEqual([]);
});

test.each(["database/none", "database/on"])("%s, which is not there, is null", async (key) => {
  expect(await bucket.head(key)).toBeNull();
  expect(listed).toEqual([key]);
});

test("one that is there and may not be read is no missing one", async () => {
  mayRead = false;
  await expect(bucket.head("database/one")).rejects.toThrow("the bucket bucket at");
});
