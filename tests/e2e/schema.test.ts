import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot } from "../../sandbox/repository";
import { TestPostgres } from "./support/postgres";

/* The migrations of the product, on a real Postgres: what they promise of money and of who sees what. */

const directory = join(repositoryRoot(), "migrations");
const sqlIn = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".sql"))
    .sort();

let postgres: TestPostgres;

beforeAll(() => {
  postgres = TestPostgres.start();
  for (const name of sqlIn(directory)) postgres.run(readFileSync(join(directory, name), "utf8"));
  postgres.run(`
    insert into auth.users (id) values ('${ANNA}'), ('${BEN}'), ('${EVE}');
    insert into public.business_accounts (id, name, slug) values ('${GARAGE}', 'Garage', 'garage'), ('${TYRES}', 'Tyres', 'tyres');
    insert into public.profiles (id, business_account_id, role) values
      ('${ANNA}', '${GARAGE}', 'owner'), ('${BEN}', '${GARAGE}', 'member'), ('${EVE}', '${TYRES}', 'owner');
    insert into public.wallet_transactions (business_account_id, kind, amount) values ('${GARAGE}', 'recharge', 100);
    insert into public.custom_domains (business_account_id, domain, verified_at) values
      ('${GARAGE}', 'garage.example.com', now()), ('${TYRES}', 'tyres.example.com', null);
    insert into public.webhook_events (id, type, livemode, payload) values ('evt_1', 'payment_intent.succeeded', true, '{}');
  `);
});

afterAll(() => postgres.remove());

const id = (digit: number): string => `00000000-0000-4000-8000-00000000000${digit}`;
const [ANNA, BEN, EVE, GARAGE, TYRES] = [id(1), id(2), id(3), id(4), id(5)];

/** Runs SQL as one of the API's roles, as the user given. */
function as(role: "anon" | "authenticated", user: string, sql: string): string {
  return postgres.run(`set local role ${role}; set local request.jwt.claim.sub = '${user}'; ${sql}`);
}

const balance = (): string =>
  postgres.run(`select wallet_balance from public.business_accounts where id = '${GARAGE}'`);

describe("names", () => {
  test("are Supabase's, and sort as text as they do as numbers", () => {
    const names = sqlIn(directory);
    for (const name of names) expect(name).toMatch(/^\d{14}_[a-z0-9_]+\.sql$/);
    expect(new Set(names.map((name) => name.slice(0, 14))).size).toBe(names.length);
  });
});

describe("the checks", () => {
  test.each(sqlIn(join(directory, "checks")))("%s finds nothing", (name) => {
    expect(postgres.run(readFileSync(join(directory, "checks", name), "utf8"))).toBe("");
  });

  test.each([
    [
      "01_columns.sql",
      "alter table public.custom_domains drop column verified_at cascade",
      /^custom_domains\|verified_at$/m,
    ],
    [
      "02_functions.sql",
      "drop function public.get_business_by_custom_domain",
      "get_business_by_custom_domain",
    ],
    [
      "03_wallet_balances.sql",
      `alter table public.business_accounts drop constraint business_accounts_wallet_balance_not_negative;
       update public.business_accounts set wallet_balance = -1 where id = '${GARAGE}'`,
      /^[0-9a-f-]{36}\|-1\.00$/m,
    ],
    [
      "04_orphaned_transactions.sql",
      `alter table public.wallet_transactions drop constraint wallet_transactions_business_account_id_fkey;
       delete from public.profiles; delete from public.business_accounts where id = '${GARAGE}'`,
      /^[0-9a-f-]{36}$/m,
    ],
    ["05_row_level_security.sql", "create table public.open (id int)", /^open\|f$/m],
  ])("%s finds what it is there for", (name, harm, found) => {
    const check = readFileSync(join(directory, "checks", name), "utf8");
    // All of it is one transaction, and ends in a failure, so that the harm is not kept.
    const undo = `do $$ begin raise exception 'undone'; end $$;`;
    const seen: string[] = [];
    try {
      postgres.run(`${harm};\n\\o | cat >&2\n${check}\n\\o\n${undo}`);
    } catch (error) {
      seen.push((error as { stderr: string }).stderr);
    }
    expect(seen.join("")).toMatch(found);
    expect(seen.join("")).toContain("undone");
  });
});

describe("money", () => {
  test("a line is booked with the balance after it", () => {
    expect(balance()).toBe("100.00");
    const booked = postgres.run(
      `insert into public.wallet_transactions (business_account_id, kind, amount)
       values ('${GARAGE}', 'charge', -30) returning balance_after`,
    );
    expect(booked).toBe("70.00");
    expect(balance()).toBe("70.00");
    postgres.run(
      `insert into public.wallet_transactions (business_account_id, kind, amount) values ('${GARAGE}', 'refund', 30)`,
    );
  });

  test.each([
    ["more than there is", "'charge', -100.01, null", "business_accounts_wallet_balance_not_negative"],
    ["nothing", "'adjustment', 0, null", "wallet_transactions_amount_not_zero"],
    ["a charge that adds", "'charge', 5, null", "wallet_transactions_sign_fits_kind"],
    ["a kind that nobody knows", "'gift', 5, null", "wallet_transactions_kind_is_known"],
  ])("%s is not booked, and nothing of it is left", (_, line, constraint) => {
    const insert = `insert into public.wallet_transactions (business_account_id, kind, amount, stripe_payment_intent_id)`;
    expect(() => postgres.run(`${insert} values ('${GARAGE}', ${line})`)).toThrow(constraint);
    expect(balance()).toBe("100.00");
  });

  test("a payment is booked once, however often it is told", () => {
    const book = (business: string): string =>
      `insert into public.wallet_transactions (business_account_id, kind, amount, stripe_payment_intent_id)
       values ('${business}', 'recharge', 1, 'pi_1');`;
    postgres.run(book(TYRES));
    expect(() => postgres.run(book(TYRES))).toThrow("wallet_transactions_payment_intent_kind_key");
    expect(() => postgres.run(book(id(9)))).toThrow(/null value in column "balance_after"|foreign key/);
  });

  test.each([
    ["a line that is changed", "update public.wallet_transactions set amount = 1"],
    ["a line that is removed", "delete from public.wallet_transactions"],
    ["a ledger that is emptied", "truncate public.wallet_transactions"],
  ])("%s is refused", (_, sql) => {
    expect(() => postgres.run(sql)).toThrow("is a ledger");
  });

  test("a business with a ledger cannot be removed", () => {
    expect(() =>
      postgres.run(
        `delete from public.profiles; delete from public.business_accounts where id = '${GARAGE}'`,
      ),
    ).toThrow("wallet_transactions_business_account_id_fkey");
  });

  test("an event is kept once", () => {
    const event =
      "insert into public.webhook_events (id, type, livemode, payload) values ('evt_1', 'x', true, '{}')";
    expect(() => postgres.run(event)).toThrow("webhook_events_pkey");
  });

  test("a wallet is refilled once at a time", () => {
    const refill = `insert into public.auto_recharges (business_account_id, amount) values ('${TYRES}', 5);`;
    expect(() => postgres.run(refill + refill)).toThrow("auto_recharges_one_pending_idx");
  });
});

describe("who sees what", () => {
  test.each([
    ["their business", "select name from public.business_accounts", "Garage"],
    ["their wallet", "select distinct business_account_id from public.wallet_transactions", GARAGE],
    ["their domains", "select domain from public.custom_domains", "garage.example.com"],
    ["their colleagues", "select count(*) from public.profiles", "2"],
  ])("a member sees %s and nobody else's", (_, sql, seen) => {
    expect(as("authenticated", BEN, sql)).toBe(seen);
  });

  test.each([
    ["business_accounts"],
    ["profiles"],
    ["wallet_transactions"],
    ["custom_domains"],
    ["auto_recharges"],
    ["webhook_events"],
  ])("a visitor sees nothing of %s", (table) => {
    expect(() => as("anon", "", `select * from public.${table}`)).toThrow("permission denied");
  });

  test("a visitor gets a business by its verified domain, and no other", () => {
    const ask = (domain: string): string =>
      as("anon", "", `select name from public.get_business_by_custom_domain('${domain}')`);
    expect(ask(" Garage.example.com")).toBe("Garage");
    expect(ask("tyres.example.com")).toBe("");
  });

  test.each([
    ["gives themselves money", `update public.business_accounts set wallet_balance = 1000000`],
    [
      "books a line",
      `insert into public.wallet_transactions (business_account_id, kind, amount) values ('${GARAGE}', 'recharge', 5)`,
    ],
    ["makes themselves an owner", "update public.profiles set role = 'owner'"],
    ["changes their business", `update public.profiles set business_account_id = '${TYRES}'`],
    ["verifies a domain", "update public.custom_domains set verified_at = now()"],
    ["reads Stripe's events", "select * from public.webhook_events"],
  ])("nobody who logs in %s", (_, sql) => {
    expect(() => as("authenticated", ANNA, sql)).toThrow("permission denied");
  });

  test("a member renames nothing, a manager their own business only", () => {
    const rename = "update public.business_accounts set name = 'Mine' returning slug";
    expect(as("authenticated", BEN, rename)).toBe("");
    expect(as("authenticated", ANNA, `${rename}; rollback`)).toBe("garage");
  });

  test("a manager adds a domain to their own business only", () => {
    const add = (business: string): string =>
      `insert into public.custom_domains (business_account_id, domain) values ('${business}', 'new.example.com') returning domain`;
    expect(as("authenticated", ANNA, `${add(GARAGE)}; rollback`)).toBe("new.example.com");
    expect(() => as("authenticated", ANNA, add(TYRES))).toThrow("row-level security");
    expect(() => as("authenticated", BEN, add(GARAGE))).toThrow("row-level security");
  });
});
