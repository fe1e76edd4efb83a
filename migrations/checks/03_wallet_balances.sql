-- Wallets whose balance is negative. Expected: no rows.
select id, wallet_balance from public.business_accounts where wallet_balance < 0;
