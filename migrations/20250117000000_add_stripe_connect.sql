-- The Stripe account that a business connects by OAuth.
set lock_timeout = '4s';
set statement_timeout = '60s';

-- Without defaults that are computed, so that no table is rewritten.
alter table public.business_accounts
  add column stripe_account_id text,
  add column stripe_charges_enabled boolean not null default false,
  add column stripe_payouts_enabled boolean not null default false,
  add column stripe_connected_at timestamptz;

alter table public.business_accounts
  add constraint business_accounts_stripe_account_id_is_one check (stripe_account_id ~ '^acct_[A-Za-z0-9]+$') not valid,
  add constraint business_accounts_stripe_connected_has_account
    check (stripe_connected_at is null or stripe_account_id is not null) not valid;
-- One row a business: they are checked in milliseconds, and a check that is not validated proves nothing.
-- squawk-ignore constraint-missing-not-valid
alter table public.business_accounts validate constraint business_accounts_stripe_account_id_is_one;
-- squawk-ignore constraint-missing-not-valid
alter table public.business_accounts validate constraint business_accounts_stripe_connected_has_account;

-- No other migration's transaction holds this table for long, and it has one row a business.
-- squawk-ignore require-concurrent-index-creation
create unique index business_accounts_stripe_account_id_key on public.business_accounts (stripe_account_id);
