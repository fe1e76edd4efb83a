-- A wallet that refills itself below a threshold, and each try to do so.
set lock_timeout = '4s';
set statement_timeout = '60s';

alter table public.business_accounts
  add column auto_recharge_enabled boolean not null default false,
  add column auto_recharge_threshold numeric(12, 2) not null default 100,
  add column auto_recharge_amount numeric(12, 2) not null default 1000;

alter table public.business_accounts
  add constraint business_accounts_auto_recharge_threshold_not_negative check (auto_recharge_threshold >= 0) not valid,
  add constraint business_accounts_auto_recharge_amount_positive check (auto_recharge_amount > 0) not valid;
-- One row a business: they are checked in milliseconds, and a check that is not validated proves nothing.
-- squawk-ignore constraint-missing-not-valid
alter table public.business_accounts validate constraint business_accounts_auto_recharge_threshold_not_negative;
-- squawk-ignore constraint-missing-not-valid
alter table public.business_accounts validate constraint business_accounts_auto_recharge_amount_positive;

create table public.auto_recharges (
  id uuid primary key default gen_random_uuid(),
  business_account_id uuid not null references public.business_accounts (id) on delete restrict,
  amount numeric(12, 2) not null,
  status text not null default 'pending',
  stripe_payment_intent_id text,
  failure text,
  created_at timestamptz not null default now(),
  finished_at timestamptz,
  constraint auto_recharges_amount_positive check (amount > 0),
  constraint auto_recharges_status_is_known check (status in ('pending', 'succeeded', 'failed')),
  constraint auto_recharges_finished_has_end check ((status = 'pending') = (finished_at is null)),
  constraint auto_recharges_stripe_payment_intent_id_key unique (stripe_payment_intent_id)
);

comment on table public.auto_recharges is 'Tries to refill a wallet that fell below its threshold.';

create index auto_recharges_business_account_id_created_at_idx
on public.auto_recharges (business_account_id, created_at desc);

-- One try at a time: a wallet is not refilled twice because two requests saw it empty.
create unique index auto_recharges_one_pending_idx on public.auto_recharges (business_account_id) where status = 'pending';

alter table public.auto_recharges enable row level security;

revoke all on public.auto_recharges from anon, authenticated;
grant select on public.auto_recharges to authenticated;
grant all on public.auto_recharges to service_role;
grant update (auto_recharge_enabled, auto_recharge_threshold, auto_recharge_amount)
on public.business_accounts to authenticated;

create policy "members see their auto-recharges" on public.auto_recharges
for select to authenticated
using (business_account_id = (select public.current_business_account_id()));
