-- Domains that businesses bring, and whose page a visitor of one sees.
set lock_timeout = '4s';
set statement_timeout = '60s';

create table public.custom_domains (
  id uuid primary key default gen_random_uuid(),
  business_account_id uuid not null references public.business_accounts (id) on delete cascade,
  domain text not null,
  verified_at timestamptz,
  created_at timestamptz not null default now(),
  constraint custom_domains_domain_key unique (domain),
  constraint custom_domains_domain_is_lower_case
    check (domain ~ '^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$' and length(domain) <= 253)
);

comment on table public.custom_domains is 'A domain of a business''s own; it serves once it is verified.';

create index custom_domains_business_account_id_idx on public.custom_domains (business_account_id);

alter table public.custom_domains enable row level security;

revoke all on public.custom_domains from anon, authenticated;
grant select on public.custom_domains to authenticated;
grant insert (business_account_id, domain), delete on public.custom_domains to authenticated;
grant all on public.custom_domains to service_role;

create policy "members see their domains" on public.custom_domains
for select to authenticated
using (business_account_id = (select public.current_business_account_id()));

create policy "managers add domains" on public.custom_domains
for insert to authenticated
with check (
  business_account_id = (select public.current_business_account_id()) and (select public.current_user_manages_business())
);

create policy "managers remove domains" on public.custom_domains
for delete to authenticated
using (
  business_account_id = (select public.current_business_account_id()) and (select public.current_user_manages_business())
);

-- The business behind a verified domain, for visitors who are not logged in: what its page shows, and no more.
create function public.get_business_by_custom_domain(domain_name text)
returns table (id uuid, name text, slug text)
language sql
stable
security definer
set search_path = ''
as $$
  select business.id, business.name, business.slug
  from public.custom_domains as custom
  join public.business_accounts as business on business.id = custom.business_account_id
  where custom.domain = lower(btrim(domain_name)) and custom.verified_at is not null;
$$;

revoke execute on function public.get_business_by_custom_domain(text) from public;
grant execute on function public.get_business_by_custom_domain(text) to anon, authenticated, service_role;
