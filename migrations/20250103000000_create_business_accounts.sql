-- Businesses and their wallets. The balance follows from the transactions (20250110000000) and can never be negative.
set lock_timeout = '4s';
set statement_timeout = '60s';

create table public.business_accounts (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  slug text not null,
  currency text not null default 'usd',
  wallet_balance numeric(12, 2) not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint business_accounts_name_not_blank check (btrim(name) <> ''),
  constraint business_accounts_slug_key unique (slug),
  constraint business_accounts_slug_is_a_label check (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  constraint business_accounts_currency_is_iso check (currency ~ '^[a-z]{3}$'),
  constraint business_accounts_wallet_balance_not_negative check (wallet_balance >= 0)
);

comment on table public.business_accounts is 'A business, and the balance of its wallet.';
comment on column public.business_accounts.wallet_balance is 'Sum of the wallet''s transactions; written by their trigger alone.';

alter table public.business_accounts enable row level security;

-- Keeps updated_at true, whoever writes.
create function public.touch_updated_at() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();
  return new;
end;
$$;

create trigger business_accounts_touch_updated_at
before update on public.business_accounts
for each row execute function public.touch_updated_at();
