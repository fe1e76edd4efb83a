/** What an operator can do where an install, a build or a prune fails, by what its program wrote last. */
export function wayOutOf(which: "install" | "build" | "prune", output: string): string {
  if (which !== "prune" && isNetworkFailure(output)) {
    return which === "install"
      ? network(output)
      : `${network(output)}. If it is no network: ${WAYS_OUT.build}`;
  }
  return isReadOnly(output) ? `${WAYS_OUT[which]}; ${WRITABLE}` : WAYS_OUT[which];
}

/** The same where it took longer than it may. */
export function wayOutOfTime(timeoutSeconds: number): string {
  return (
    `see by its last lines whether it got on: if so, give it longer than application.buildTimeoutSeconds (${timeoutSeconds}) allows; ` +
    "if not, it waited for something that never came: there is nobody to answer a question, and no database"
  );
}

const WAYS_OUT = {
  install: "the install has to pass in a clean clone of the tag, with no more than a network",
  build:
    "the build has to pass in a clean clone of the tag; it sees no secrets and no DATABASE_URL, neither as variables " +
    "(but those that application.buildVariables names) nor in files and processes of this host, " +
    "for the schema and the data are no business of a build",
  prune: "see application.prune; an empty list leaves it out",
} as const;

const WRITABLE =
  "it can write into its own directory, its HOME and the temporary directories, and nowhere else";

function isReadOnly(output: string): boolean {
  return /\bEROFS\b|read-only file system/i.test(output);
}

/** Names by which programs tell of a network, as Node, npm, Git and curl do; the word alone may be a file's name. */
const NETWORK =
  /\b(ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|UND_ERR_\w*TIMEOUT)\b|\bnetwork (error|failure|request|timeout|connectivity|is unreachable)\b|^\s*npm (error|ERR!) network\b|socket hang up|could not resolve host|temporary failure in name resolution/im;

function isNetworkFailure(output: string): boolean {
  return NETWORK.test(output);
}

/** Where programs name the host that they did not reach, the surest first. */
const HOSTS = [
  /\b(?:ENOTFOUND|EAI_AGAIN) ([\w.-]*\w)/,
  /could not resolve host:? '?([\w.-]*\w)/i,
  // An address of a URL tells more than the one of a socket that it came down to. No path, and no user: they may be secret.
  /\brequest to \w+:\/\/(?:[^\s/@]*@)?([\w.:-]*\w)/,
  /\b(?:ETIMEDOUT|ECONNREFUSED|ECONNRESET|ENETUNREACH|EHOSTUNREACH) ([\da-f.:[\]]*[\da-f])/i,
];

function hostOf(output: string): string | null {
  return HOSTS.map((pattern) => pattern.exec(output)?.[1]).find((host) => host !== undefined) ?? null;
}

function network(output: string): string {
  const host = hostOf(output);
  const what = host === null ? "a server that its last lines name" : host;
  if (host !== null && /^(localhost|127\.|\[?::1)/.test(host)) {
    return (
      `the network did not answer: ${host}, which is this host itself, where nothing listens for installs and builds; ` +
      "have it ask a server that there is, or none"
    );
  }
  const name = host === null ? "HOST" : host;
  return (
    `the network did not answer: ${what} was not reached, and the host needs to reach the registry of its packages and ` +
    `whatever else it downloads from. Check on the host that the name resolves and that HTTPS gets out ` +
    `(\`curl -sSI https://${name}/\`): DNS, routes, and rules of firewalls for what goes out; ` +
    "or it was the server, and a later `pulumi up` tries again"
  );
}
