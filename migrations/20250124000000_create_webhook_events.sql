-- Stripe's events. Stripe sends an event again until it is answered, and in no order: its id is what makes it one.
set lock_timeout = '4s';
set statement_timeout = '60s';

create table public.webhook_events (
  id text primary key,
  type text not null,
  livemode boolean not null,
  payload jsonb not null,
  received_at timestamptz not null default now(),
  processed_at timestamptz,
  attempts integer not null default 0,
  last_error text,
  constraint webhook_events_id_is_one check (id ~ '^evt_[A-Za-z0-9_]+$'),
  constraint webhook_events_attempts_not_negative check (attempts >= 0)
);

comment on table public.webhook_events is 'Events of Stripe, each once, whatever number of times it was sent.';

create index webhook_events_unprocessed_idx on public.webhook_events (received_at) where processed_at is null;
create index webhook_events_type_received_at_idx on public.webhook_events (type, received_at desc);

alter table public.webhook_events enable row level security;

revoke all on public.webhook_events from anon, authenticated;
grant all on public.webhook_events to service_role;

-- Said, so that nobody takes the lack of a policy for an oversight: people have no business here.
create policy "nobody but the service" on public.webhook_events
for all to anon, authenticated
using (false)
with check (false);
