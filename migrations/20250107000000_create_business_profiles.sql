-- People, each of one business; and what they may see of it.
set lock_timeout = '4s';
set statement_timeout = '60s';

create table public.profiles (
  id uuid primary key references auth.users (id) on delete cascade,
  business_account_id uuid references public.business_accounts (id) on delete restrict,
  role text not null default 'member',
  full_name text not null default '',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint profiles_role_is_known check (role in ('owner', 'admin', 'member'))
);

comment on table public.profiles is 'A person who logs in, and the business that they work for.';

create index profiles_business_account_id_idx on public.profiles (business_account_id);

alter table public.profiles enable row level security;

create trigger profiles_touch_updated_at
before update on public.profiles
for each row execute function public.touch_updated_at();

-- Whose data may this request see? A definer's function, for a policy of profiles that reads profiles would never end.
create function public.current_business_account_id() returns uuid
language sql
stable
security definer
set search_path = ''
as $$
  select business_account_id from public.profiles where id = (select auth.uid());
$$;

-- May this request change the business that it belongs to?
create function public.current_user_manages_business() returns boolean
language sql
stable
security definer
set search_path = ''
as $$
  select coalesce((select role in ('owner', 'admin') from public.profiles where id = (select auth.uid())), false);
$$;

revoke execute on function public.current_business_account_id() from public, anon;
revoke execute on function public.current_user_manages_business() from public, anon;
grant execute on function public.current_business_account_id() to authenticated, service_role;
grant execute on function public.current_user_manages_business() to authenticated, service_role;

-- Supabase grants everything on new tables to its API roles. What a policy does not narrow is taken back here.
revoke all on public.business_accounts, public.profiles from anon, authenticated;
grant select on public.business_accounts, public.profiles to authenticated;
grant update (name) on public.business_accounts to authenticated;
grant update (full_name) on public.profiles to authenticated;
grant all on public.business_accounts, public.profiles to service_role;

create policy "members see their business" on public.business_accounts
for select to authenticated
using (id = (select public.current_business_account_id()));

create policy "managers rename their business" on public.business_accounts
for update to authenticated
using (id = (select public.current_business_account_id()) and (select public.current_user_manages_business()))
with check (id = (select public.current_business_account_id()));

create policy "members see their colleagues" on public.profiles
for select to authenticated
using (id = (select auth.uid()) or business_account_id = (select public.current_business_account_id()));

create policy "people change their own name" on public.profiles
for update to authenticated
using (id = (select auth.uid()))
with check (id = (select auth.uid()));
