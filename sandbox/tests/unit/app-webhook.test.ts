import { createHmac, timingSafeEqual } from "node:crypto";

import { memoryEventLog, postgresEventLog, type Queryable } from "../../app/lib/event-log";
import { receiveEvent, type EventLog, type Receipt } from "../../app/lib/webhook";

/** A secret that nobody's account has. */
const SECRET = "not-a-real-signing-secret";

/** Stripe's scheme, as its package checks it: `t=<seconds>,v1=<HMAC of "seconds.body">`. */
function signed(payload: string, secret = SECRET): string {
  return `t=1,v1=${createHmac("sha256", secret).update(`1.${payload}`).digest("hex")}`;
}

function verify(payload: string, signature: string, secret: string): unknown {
  const given = Buffer.from(signature);
  const right = Buffer.from(signed(payload, secret));
  if (given.length !== right.length || !timingSafeEqual(given, right)) throw new Error("no such signature");
  return JSON.parse(payload);
}

function credit(id: string, amount: number, type = "payment_intent.succeeded"): string {
  return JSON.stringify({ id, type, data: { object: { amount } } });
}

function deliver(
  events: EventLog,
  payload: string,
  signature: string | null = signed(payload),
): Promise<Receipt> {
  return receiveEvent(payload, signature, { secret: SECRET, verify, events });
}

/** As much of Postgres as the event log asks of it: one table with a unique id. */
class FakePostgres implements Queryable {
  readonly rows = new Map<string, { readonly amount: number }>();
  created = 0;
  down = false;

  query(text: string, values: readonly unknown[] = []): Promise<{ rows: readonly unknown[] }> {
    if (this.down) return Promise.reject(new Error("connection refused"));
    if (text.includes("CREATE TABLE")) this.created += 1;
    else if (this.created === 0) return Promise.reject(new Error("no such table"));
    if (text.startsWith("INSERT")) return Promise.resolve({ rows: this.insert(values) });
    const sum = [...this.rows.values()].reduce((total, { amount }) => total + amount, 0);
    return Promise.resolve({ rows: [{ balance: String(sum) }] });
  }

  private insert([id, , amount]: readonly unknown[]): readonly unknown[] {
    if (this.rows.has(String(id))) return [];
    this.rows.set(String(id), { amount: Number(amount) });
    return [{ id }];
  }
}

describe.each([
  ["in memory", memoryEventLog],
  ["in Postgres", () => postgresEventLog(new FakePostgres())],
])("a delivery, with events %s", (_where, newLog) => {
  let events: EventLog;
  beforeEach(() => {
    events = newLog();
  });

  test("credits the wallet", async () => {
    expect(await deliver(events, credit("evt_1", 500))).toEqual({
      status: 200,
      body: { received: true, id: "evt_1", duplicate: false },
    });
    expect(await events.balance()).toBe(500);
  });

  test("that comes again is acknowledged, and credits nothing", async () => {
    await deliver(events, credit("evt_1", 500));
    expect(await deliver(events, credit("evt_1", 500))).toEqual({
      status: 200,
      body: { received: true, id: "evt_1", duplicate: true },
    });
    expect(await events.balance()).toBe(500);
  });

  test("that comes many times at once credits once", async () => {
    const receipts = await Promise.all(
      Array.from({ length: 10 }, () => deliver(events, credit("evt_1", 500))),
    );
    expect(receipts.filter(({ body }) => body["duplicate"] === false)).toHaveLength(1);
    expect(await events.balance()).toBe(500);
  });

  test("of another event credits again", async () => {
    await deliver(events, credit("evt_1", 500));
    await deliver(events, credit("evt_2", 25));
    expect(await events.balance()).toBe(525);
  });

  test.each([
    ["an event of another type", credit("evt_1", 500, "customer.created")],
    ["a credit without an amount", JSON.stringify({ id: "evt_1", type: "payment_intent.succeeded" })],
  ])("of %s is acknowledged, and credits nothing", async (_what, payload) => {
    expect((await deliver(events, payload)).status).toBe(200);
    expect(await events.balance()).toBe(0);
  });

  test.each([
    ["no signature", credit("evt_1", 500), null],
    ["another secret's signature", credit("evt_1", 500), signed(credit("evt_1", 500), "another-secret")],
    ["another body's signature", credit("evt_1", 500), signed(credit("evt_1", 5))],
    ["no event in it", "null", signed("null")],
    ["an event without an id", '{"type":"payment_intent.succeeded"}', undefined],
  ])("with %s is refused with 400", async (_what, payload, signature) => {
    const { status, body } = await deliver(events, payload, signature);
    expect(status).toBe(400);
    expect(JSON.stringify(body)).not.toContain(SECRET);
    expect(await events.balance()).toBe(0);
  });
});

test("without a signing secret nothing is accepted, not even what the empty secret signs", async () => {
  const payload = credit("evt_1", 500);
  const events = memoryEventLog();
  const receipt = await receiveEvent(payload, signed(payload, ""), { secret: "", verify, events });
  expect(receipt.status).toBe(503);
  expect(await events.balance()).toBe(0);
});

describe("with several signing secrets", () => {
  const payload = credit("evt_1", 500);
  const receiptBy = (secret: string, signature: string): Promise<Receipt> =>
    receiveEvent(payload, signature, { secret, verify, events: memoryEventLog() });

  test.each([
    ["the newer one", "newer,older", "newer"],
    ["the older one", "newer,older", "older"],
    ["one of three, with blanks around it", "newer, older ,oldest", "older"],
  ])("%s is enough", async (_which, secrets, signer) => {
    expect((await receiptBy(secrets, signed(payload, signer))).status).toBe(200);
  });

  test.each([
    ["a stranger's signature", "newer,older", "stranger"],
    ["all of them as one", "newer,older", "newer,older"],
    ["the empty secret's signature", "newer,", ""],
    ["the empty secret's signature, where there is none", ",", ""],
  ])("%s is refused", async (_which, secrets, signer) => {
    expect((await receiptBy(secrets, signed(payload, signer))).status).toBe(400);
  });
});

describe("the event log in Postgres", () => {
  test("makes its table once", async () => {
    const postgres = new FakePostgres();
    const events = postgresEventLog(postgres);
    await Promise.all([events.balance(), deliver(events, credit("evt_1", 1)), events.balance()]);
    expect(postgres.created).toBe(1);
  });

  test("answers again once the database is back", async () => {
    const postgres = new FakePostgres();
    const events = postgresEventLog(postgres);
    postgres.down = true;
    // Stripe delivers again what was not answered.
    await expect(deliver(events, credit("evt_1", 500))).rejects.toThrow("connection refused");
    postgres.down = false;
    expect((await deliver(events, credit("evt_1", 500))).body).toMatchObject({ duplicate: false });
  });
});
