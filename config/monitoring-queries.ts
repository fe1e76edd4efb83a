/**
 * What is published of the business by default: queries over the product's tables (`migrations/`), each giving one number. `$1` is
 * where the interval begins and `$2` where it ends, by the database's clock. They run once a minute, and so go by an index
 * wherever there is one.
 */
export const GUIDE_QUERIES: Readonly<Record<string, string>> = {
  // Money that came into wallets. By the businesses, for that is how the ledger is indexed.
  PaymentsProcessed:
    "select count(*) from public.business_accounts a join public.wallet_transactions t on t.business_account_id = a.id " +
    "where t.created_at >= $1 and t.created_at < $2 and t.kind in ('recharge', 'auto_recharge')",
  // What Stripe says has failed, and recharges that failed before Stripe had a payment to tell of.
  PaymentsFailed:
    "select (select count(*) from public.webhook_events where type = 'payment_intent.payment_failed' and received_at >= $1 and received_at < $2) + " +
    "(select count(*) from public.auto_recharges where status = 'failed' and finished_at >= $1 and finished_at < $2 and stripe_payment_intent_id is null)",
  OAuthConnections:
    "select count(*) from public.business_accounts where stripe_connected_at >= $1 and stripe_connected_at < $2",
  WebhookEvents: "select count(*) from public.webhook_events where received_at >= $1 and received_at < $2",
  AutoRecharges:
    "select count(*) from public.business_accounts a join public.auto_recharges r on r.business_account_id = a.id " +
    "where r.created_at >= $1 and r.created_at < $2",
};

/** The query of the payments that went through. */
export const PROCESSED_PAYMENTS = "PaymentsProcessed";

/** The query that the alarm about failed payments counts. */
export const FAILED_PAYMENTS = "PaymentsFailed";
