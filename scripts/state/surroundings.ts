/** A fault that is told by its message alone. */
export class StateError extends Error {
  override readonly name = "StateError";
}

/** Tells what was changed, in a line. */
export type Changed = (what: string) => void;

/** Returns null in the place of one kind of error of AWS', by its name. */
export async function unless<T>(names: readonly string[], ask: () => Promise<T>): Promise<T | null> {
  try {
    return await ask();
  } catch (error) {
    if (names.includes((error as Error).name)) return null;
    throw error;
  }
}
