-- Columns that the application needs and that are not there. Expected: no rows.
select wanted.table_name, wanted.column_name
from (
  values
    ('business_accounts', 'id'), ('business_accounts', 'name'), ('business_accounts', 'slug'),
    ('business_accounts', 'wallet_balance'), ('business_accounts', 'stripe_account_id'),
    ('business_accounts', 'stripe_charges_enabled'), ('business_accounts', 'stripe_payouts_enabled'),
    ('business_accounts', 'auto_recharge_enabled'), ('business_accounts', 'auto_recharge_threshold'),
    ('business_accounts', 'auto_recharge_amount'),
    ('profiles', 'id'), ('profiles', 'business_account_id'), ('profiles', 'role'),
    ('wallet_transactions', 'business_account_id'), ('wallet_transactions', 'amount'),
    ('wallet_transactions', 'balance_after'), ('wallet_transactions', 'stripe_payment_intent_id'),
    ('custom_domains', 'domain'), ('custom_domains', 'verified_at'),
    ('auto_recharges', 'status'),
    ('webhook_events', 'id'), ('webhook_events', 'type'), ('webhook_events', 'processed_at')
) as wanted (table_name, column_name)
left join information_schema.columns as found
  on found.table_schema = 'public'
  and found.table_name = wanted.table_name
  and found.column_name = wanted.column_name
where found.column_name is null;
