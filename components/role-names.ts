import { SEVERITIES } from "./alarm-definition";

/** Longest name of a role that IAM takes, in characters. */
export const ROLE_NAME_LIMIT = 64;

/** Name of the role, and of its profile, of the machine that is shown under this name. */
export function hostRoleName(machine: string): string {
  return `${machine}-host`;
}

/** Name of the role of the bot that tells a topic's alarms in Slack. */
export function slackRoleName(topic: string): string {
  return `${topic}-slack`.slice(0, ROLE_NAME_LIMIT);
}

/** Name of the policy above which no role of the application's stacks can be given a right: their permissions boundary. */
export function boundaryName(name: string): string {
  return `${name}-boundary`;
}

/** What the names of a stack's topics begin with: a stack's name may hold dots, which names of topics and dashboards may not. */
export function topicPrefix(name: string, stack: string): string {
  return `${name}-${stack}`.replaceAll(".", "-");
}

/** Names of the roles that a stack may have, and no others: pipelines are let make these. The first one has a profile of its name. */
export function roleNames(
  name: string,
  stack: string,
): { readonly host: string; readonly slack: readonly string[] } {
  const topics = SEVERITIES.map((severity) => `${topicPrefix(name, stack)}-${severity}`);
  return { host: hostRoleName(`${name}-${stack}`), slack: topics.map(slackRoleName) };
}
