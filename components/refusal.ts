/** What `preview` and `up` say, before the host's reason, where the host would refuse what the config asks for. Nothing was touched then. */
export const REFUSED_BY_HOST = "the host refuses what this config asks for, and nothing was changed";
