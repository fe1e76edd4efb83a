-- Transactions of a business that is not there. Expected: no rows.
select line.id
from public.wallet_transactions as line
left join public.business_accounts as business on business.id = line.business_account_id
where business.id is null;
