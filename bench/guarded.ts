/**
 * Uses something that has to be removed again: after success, after an error, and when the user interrupts.
 * @returns what `use` gave
 */
export async function guarded<Thing extends { remove(): Promise<void> }, Result>(
  thing: Thing,
  use: (thing: Thing) => Promise<Result>,
): Promise<Result> {
  let removal: Promise<void> | undefined;
  const remove = (): Promise<void> => (removal ??= thing.remove());
  const interrupt = (): void => {
    void remove().finally(() => process.exit(130));
  };
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  try {
    return await use(thing);
  } finally {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
    await remove();
  }
}
