/** An act that is none, or that breaks a rule. Nothing was touched. */
export class InvalidAct extends Error {}

/** The state does not allow the act. Nothing was touched. The message says why, and the way out. */
export class Refused extends Error {}

/** The act was begun and failed. What served before still serves. */
export class Failed extends Error {}

/** What was asked for is in force, and the disk did not take it: it holds until Nginx, or the conductor, starts anew. */
export class NotRecorded extends Failed {}
