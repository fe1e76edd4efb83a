/*
 * Next finishes what is under way at a signal, and a stream would be under way for ever: PM2 would kill the process in
 * the end, and whatever else it still did. So streams end at the signal; their readers open another one by themselves.
 */
const holder = globalThis as { vehicleserviceClosing?: AbortController };

/** Is aborted once the process was told to end. */
export function closing(): AbortSignal {
  if (holder.vehicleserviceClosing === undefined) {
    const controller = new AbortController();
    holder.vehicleserviceClosing = controller;
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => controller.abort());
  }
  return holder.vehicleserviceClosing.signal;
}
