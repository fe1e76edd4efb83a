import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { GUIDE_QUERIES } from "../../config/monitoring-queries";
import { Complaints } from "../../host/monitoring/complaints";
import { databaseFigures, type DatabaseQuestions } from "../../host/monitoring/figures/database";
import { figure } from "../../host/monitoring/figures/figure";
import { METRICS } from "../../host/monitoring/protocol";
import { waitFor } from "../../sandbox/processes";
import { repositoryRoot } from "../../sandbox/repository";
import { DeafWire } from "./support/deaf-wire";
import { TestPostgres } from "./support/postgres";

/* The business's default queries, as a host asks them, of a real Postgres with the product's migrations. */

jest.setTimeout(120_000);

let postgres: TestPostgres;
const told: string[] = [];

beforeAll(() => {
  postgres = TestPostgres.start();
  const directory = join(repositoryRoot(), "migrations");
  const files = readdirSync(directory).filter((name) => name.endsWith(".sql"));
  for (const name of files.sort()) postgres.run(readFileSync(join(directory, name), "utf8"));
}, 60_000);

afterAll(() => postgres.remove());

const id = (digit: number): string => `00000000-0000-4000-8000-00000000000${String(digit)}`;
const [GARAGE, TYRES] = [id(1), id(2)];

function questions(url: string, since: string): DatabaseQuestions {
  return {
    settings: {
      url,
      schemas: [],
      limits: { lockTimeoutMs: 2000, lockWaitSeconds: 60, statementTimeoutSeconds: 300 },
      bucket: { name: "b", region: "r", endpoint: null, prefix: "", credentials: null, authority: null },
      rehearsal: { url: null },
      rowTolerancePercent: 0,
    },
    ...{ session: "monitoring", business: GUIDE_QUERIES, since },
  };
}

/** Values by name, and where the next interval begins. */
async function asked(since: string): Promise<{ values: Record<string, number>; clock: string }> {
  const complaints = new Complaints((line) => told.push(line));
  const { figures, clock } = await databaseFigures(questions(postgres.url(), since), complaints);
  const names = Object.keys(GUIDE_QUERIES);
  const values = figures.filter(({ name }) => names.includes(name)).map(({ name, value }) => [name, value]);
  return { values: Object.fromEntries(values) as Record<string, number>, clock: clock! };
}

const NOTHING = Object.fromEntries(Object.keys(GUIDE_QUERIES).map((name) => [name, 0]));
let clock: string;

test("each of them gives a number on a schema without a row", async () => {
  const { values, clock: now } = await asked(new Date(0).toISOString());
  expect(told).toEqual([]);
  expect(values).toEqual(NOTHING);
  clock = now;
});

const failed = (intent: string): string =>
  `insert into public.auto_recharges (business_account_id, amount, status, finished_at, stripe_payment_intent_id)
   values ('${GARAGE}', 5, 'failed', now(), ${intent})`;

// One after the other: what happened in one interval is nothing to the next.
test.each<[string, string, Record<string, number>]>([
  [
    "businesses that are only made",
    `insert into public.business_accounts (id, name, slug) values ('${GARAGE}', 'Garage', 'garage'), ('${TYRES}', 'Tyres', 'tyres')`,
    {},
  ],
  [
    "a payment into each of two wallets, and one that a wallet made itself",
    `insert into public.wallet_transactions (business_account_id, kind, amount) values
     ('${GARAGE}', 'recharge', 100), ('${TYRES}', 'recharge', 50), ('${GARAGE}', 'auto_recharge', 20)`,
    { PaymentsProcessed: 3 },
  ],
  [
    "what is booked without a payment",
    `insert into public.wallet_transactions (business_account_id, kind, amount) values
     ('${GARAGE}', 'charge', -30), ('${GARAGE}', 'refund', 5), ('${GARAGE}', 'adjustment', 1)`,
    {},
  ],
  [
    "a business that connects its Stripe account",
    `update public.business_accounts set stripe_account_id = 'acct_1', stripe_connected_at = now() where id = '${GARAGE}'`,
    { OAuthConnections: 1 },
  ],
  ["a business that only changes its name", "update public.business_accounts set name = 'Garage 2'", {}],
  [
    "events, one of them of a payment that failed",
    `insert into public.webhook_events (id, type, livemode, payload) values
     ('evt_1', 'payment_intent.succeeded', true, '{}'), ('evt_2', 'payment_intent.payment_failed', true, '{}'),
     ('evt_3', 'account.updated', true, '{}')`,
    { WebhookEvents: 3, PaymentsFailed: 1 },
  ],
  [
    "an event that is processed later",
    "update public.webhook_events set processed_at = now(), attempts = 1",
    {},
  ],
  [
    "a wallet that begins to refill itself",
    `insert into public.auto_recharges (business_account_id, amount) values ('${TYRES}', 5)`,
    { AutoRecharges: 1 },
  ],
  ["a refill that fails at Stripe, which says so itself", failed("'pi_1'"), { AutoRecharges: 1 }],
  [
    "a refill that fails before Stripe has a payment",
    failed("null"),
    { AutoRecharges: 1, PaymentsFailed: 1 },
  ],
  ["nothing", "select 1", {}],
])("%s", async (_, sql, wanted) => {
  postgres.run(sql);
  const { values, clock: now } = await asked(clock);
  clock = now;
  expect(values).toEqual({ ...NOTHING, ...wanted });
});

test("what is written in a transaction that is open meanwhile is counted once, when it is there", async () => {
  const writer = new Client({ connectionString: postgres.url() });
  await writer.connect();
  try {
    await writer.query("begin");
    await writer.query(
      `insert into public.webhook_events (id, type, livemode, payload) values ('evt_open', 'account.updated', true, '{}')`,
    );
    // Has a time of its own behind the other's.
    postgres.run(
      `insert into public.webhook_events (id, type, livemode, payload) values ('evt_done', 'account.updated', true, '{}')`,
    );
    const counts: number[] = [];
    const count = async (): Promise<void> => {
      const { values, clock: now } = await asked(clock);
      clock = now;
      counts.push(values["WebhookEvents"]!);
    };
    await count();
    await writer.query("commit");
    await count();
    await count();
    expect(counts).toEqual([0, 2, 0]);
  } finally {
    await writer.end();
  }
});

test.each([
  ["at once", "as size"],
  ["in the middle of the business's queries", "savepoint query"],
])("a server that says nothing more, %s, is not reachable, and its session is given up", async (_, word) => {
  const wire = new DeafWire(postgres.socket, word, "silence");
  const url = postgres.url("postgres", "postgres", await wire.open());
  const said: string[] = [];
  const complaints = new Complaints((line) => said.push(line));
  try {
    wire.deaf = true;
    const found = await databaseFigures(questions(url, new Date(0).toISOString()), complaints, 1000);
    expect(found).toEqual({ figures: [figure(METRICS.databaseReachable, 0)], clock: null });
    expect(wire.lost).toBe(1);
    expect(said).toEqual(["database: it let this host in, and did not answer within 1 s"]);
    const sessions = "select count(*) from pg_stat_activity where application_name = 'monitoring'";
    await waitFor("its session to end", 60, () => (postgres.run(sessions) === "0" ? true : undefined));
  } finally {
    await wire.close();
  }
});

test("the ledger is asked by its index, however long it has become", () => {
  postgres.run(`
    alter table public.wallet_transactions disable trigger user;
    insert into public.business_accounts (name, slug) select 'B', 'b' || n from generate_series(1, 200) n;
    insert into public.wallet_transactions (business_account_id, kind, amount, balance_after, created_at)
      select b.id, 'recharge', 1, 1, now() - n * interval '1 minute'
      from public.business_accounts b, generate_series(1, 1000) n;`);
  postgres.run("analyze public.wallet_transactions; analyze public.business_accounts;");
  const query = GUIDE_QUERIES.PaymentsProcessed!.replace("$1", "now() - interval '1 minute'").replace(
    "$2",
    "now()",
  );
  expect(postgres.run(`explain ${query}`)).toContain(
    "wallet_transactions_business_account_id_created_at_idx",
  );
  expect(postgres.run(`explain ${query}`)).not.toMatch(/Seq Scan on wallet_transactions/);
});
