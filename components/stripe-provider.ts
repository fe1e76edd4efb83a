/**
 * The providers of {@link StripeWebhook}. They run in a process of Pulumi's own, which loads them from
 * `dist/stripe-provider.js`.
 */
import { endpointsProvider } from "./stripe-endpoints";
import { settingsProvider } from "./stripe-settings";

/** By the name that the resource asks for. */
export const providers = { endpoints: endpointsProvider(), settings: settingsProvider() };
