-- The wallet's ledger: lines are added, never changed or removed, and the balance is their sum.
set lock_timeout = '4s';
set statement_timeout = '60s';

create table public.wallet_transactions (
  id uuid primary key default gen_random_uuid(),
  business_account_id uuid not null references public.business_accounts (id) on delete restrict,
  kind text not null,
  amount numeric(12, 2) not null,
  balance_after numeric(12, 2) not null,
  stripe_payment_intent_id text,
  description text not null default '',
  created_at timestamptz not null default now(),
  constraint wallet_transactions_kind_is_known
    check (kind in ('recharge', 'auto_recharge', 'charge', 'refund', 'adjustment')),
  constraint wallet_transactions_amount_not_zero check (amount <> 0),
  constraint wallet_transactions_sign_fits_kind check (
    case kind
      when 'recharge' then amount > 0
      when 'auto_recharge' then amount > 0
      when 'refund' then amount > 0
      when 'charge' then amount < 0
      else true
    end
  ),
  constraint wallet_transactions_balance_after_not_negative check (balance_after >= 0),
  -- A payment is booked once, however often Stripe tells of it.
  constraint wallet_transactions_payment_intent_kind_key unique (stripe_payment_intent_id, kind)
);

comment on table public.wallet_transactions is 'Ledger of the wallets. The newest balance_after is the wallet''s balance.';

create index wallet_transactions_business_account_id_created_at_idx
on public.wallet_transactions (business_account_id, created_at desc);

alter table public.wallet_transactions enable row level security;

-- Books a line: one business's lines one after the other, for the row of the business is locked. A line that would
-- make the balance negative fails on the balance's own constraint, and nothing of it is left.
create function public.book_wallet_transaction() returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  update public.business_accounts
  set wallet_balance = wallet_balance + new.amount
  where id = new.business_account_id
  returning wallet_balance into new.balance_after;
  return new;
end;
$$;

create trigger wallet_transactions_book
before insert on public.wallet_transactions
for each row execute function public.book_wallet_transaction();

create function public.refuse_change_of_ledger() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  raise exception 'wallet_transactions is a ledger: book a transaction that corrects the wrong one'
  using errcode = 'restrict_violation';
end;
$$;

create trigger wallet_transactions_are_final
before update or delete on public.wallet_transactions
for each row execute function public.refuse_change_of_ledger();

create trigger wallet_transactions_are_kept
before truncate on public.wallet_transactions
for each statement execute function public.refuse_change_of_ledger();

revoke execute on function public.book_wallet_transaction() from public, anon, authenticated;

revoke all on public.wallet_transactions from anon, authenticated;
grant select on public.wallet_transactions to authenticated;
grant select, insert on public.wallet_transactions to service_role;

create policy "members see their wallet" on public.wallet_transactions
for select to authenticated
using (business_account_id = (select public.current_business_account_id()));
