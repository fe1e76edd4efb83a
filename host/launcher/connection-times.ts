/*
 * Whoever closes an idle connection may cross a request that the other side has just sent, and a POST that was sent is
 * never repeated. Nginx is the sender: where it closes, nothing can cross. So an instance never closes first.
 */

/** How long Nginx keeps an idle connection to an instance, in seconds. Short, as an instance that ends waits for it. */
export const UPSTREAM_IDLE_SECONDS = 1;

/** How long an instance keeps an idle connection, in milliseconds. */
export const INSTANCE_IDLE_MS = 75_000;

/**
 * How long an instance that ends waits at most for Nginx to close its idle connections, in milliseconds: a front door that
 * stands still for seconds on a busy machine is waited for.
 */
export const ENDING_IDLE_MS = 5000;

/** When PM2 kills an instance that has been told to end, in milliseconds. */
export const KILL_AFTER_MS = 10_000;
