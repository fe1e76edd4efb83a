-- Functions that the application calls and that are not there. Expected: no rows.
select wanted.name
from (values ('get_business_by_custom_domain')) as wanted (name)
where not exists (
  select from pg_proc as found
  where found.proname = wanted.name and found.pronamespace = 'public'::regnamespace
);
