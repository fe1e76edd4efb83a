/** Longest name of a role that IAM takes, in characters. */
export const ROLE_NAME_LIMIT = 64;

/** Name of the role, and of its profile, of the machine that is shown under this name. */
export function hostRoleName(machine: string): string {
  return `${machine}-host`;
}
