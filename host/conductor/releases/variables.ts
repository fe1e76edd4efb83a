/** What a variable of an application's environment may be. */

/** Names that a shell could set, too. */
export const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

/** Largest value, in bytes of UTF-8. A process can hand a variable to another one up to twice that. */
export const VARIABLE_BYTES = 65_536;

/** Largest sum of all values, in bytes of UTF-8. */
export const ENVIRONMENT_BYTES = 1_048_576;

/** Names that PM2 or the launcher set, and such as are read before the launcher could set them. */
const TAKEN =
  /^(PORT|NODE_ENV|NODE_OPTIONS|NODE_EXTRA_CA_CERTS|NODE_APP_INSTANCE|NODE_UNIQUE_ID|PM2_.*|APP_COLOUR|APP_VERSION|APP_COMMIT|CONDUCTOR_.*|LD_.*|__proto__)$/;

/** May an application's environment set a variable of this name? */
export function isFreeVariable(name: string): boolean {
  return !TAKEN.test(name);
}

/** Prefix of the variables that Next.js puts into what browsers load, while it builds. */
const PUBLIC = "NEXT_PUBLIC_";

/** May everybody know a variable's value? */
export function isPublicVariable(name: string): boolean {
  return name.startsWith(PUBLIC);
}

/** Returns the variables that a build sees: the public ones, and those named. */
export function forBuild(
  variables: Readonly<Record<string, string>>,
  named: readonly string[],
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(variables).filter(([name]) => isPublicVariable(name) || named.includes(name)),
  );
}
