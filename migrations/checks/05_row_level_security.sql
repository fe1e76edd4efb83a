-- Tables that the API could show without row level security, or without a policy. Expected: no rows.
select tables.relname as table_name, tables.relrowsecurity as row_level_security
from pg_class as tables
where tables.relnamespace = 'public'::regnamespace
  and tables.relkind in ('r', 'p')
  and (
    not tables.relrowsecurity
    or not exists (select from pg_policy as policies where policies.polrelid = tables.oid)
  );
