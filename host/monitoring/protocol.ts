/**
 * What the host measures and publishes, and how it is told to. The stack's alarms and dashboard name the same metrics.
 */

/** A metric as CloudWatch has it. */
export interface Metric {
  readonly name: string;
  readonly unit: "Count" | "Percent" | "Milliseconds" | "Bytes" | "None";
  /** Has values for each of {@link AUDIENCES}, by the dimension `Colour`. */
  readonly byColour: boolean;
}

/** Whose requests a metric by colour is about: of one colour, or of all users. */
export const AUDIENCES = ["blue", "green", "all"] as const;

/** One of {@link AUDIENCES}. */
export type Audience = (typeof AUDIENCES)[number];

const metric = (name: string, unit: Metric["unit"]): Metric => ({ name, unit, byColour: false });
const byColour = (name: string, unit: Metric["unit"]): Metric => ({ name, unit, byColour: true });

/**
 * Everything that is published, once an interval, with the dimension `Stack`. Rates and sums are those of the last
 * interval. Names and units stay: alarms and dashboards of other people refer to them.
 */
export const METRICS = {
  /** 1, whatever is well or ill: where it is missing, nothing is published. */
  publishes: metric("HostPublishes", "None"),
  /** 1 where the health path answers through the front door, 0 where it does not; no value before anybody was to get users. */
  applicationUp: metric("ApplicationUp", "None"),
  /** 1 where a colour is healthy, 0 where it is not; no value for a colour without a release. */
  healthy: byColour("Healthy", "None"),
  /** Requests that users sent; by the colour first tried. */
  requests: byColour("Requests", "Count"),
  /** Answers of 5xx, in percent of the requests; 0 without any request, no value before anybody was to get users. */
  errorRate: byColour("ErrorRate", "Percent"),
  /** Of the time to answer, estimated from the front door's buckets; no value without any request. */
  latencyP50: byColour("LatencyP50", "Milliseconds"),
  latencyP95: byColour("LatencyP95", "Milliseconds"),
  latencyP99: byColour("LatencyP99", "Milliseconds"),
  /** Different users, by their id cookie, in the last 5 minutes. */
  activeUsers: metric("ActiveUsers", "Count"),
  cpu: metric("CpuUtilization", "Percent"),
  memory: metric("MemoryUtilization", "Percent"),
  /** Of the fullest file system that the site writes to. */
  disk: metric("DiskUtilization", "Percent"),
  diskRead: metric("DiskReadBytes", "Bytes"),
  diskWrite: metric("DiskWriteBytes", "Bytes"),
  networkIn: metric("NetworkInBytes", "Bytes"),
  networkOut: metric("NetworkOutBytes", "Bytes"),
  /** Requests with Stripe's signature on the webhook's path that were not answered by 2xx; no value for a site without webhook. */
  webhooksRefused: metric("WebhooksRefused", "Count"),
  /** The same at the end of the interval, since the last one that was answered by 2xx. */
  webhooksRefusedInARow: metric("WebhooksRefusedInARow", "Count"),
  /** Payments that failed since the last interval in which one went through; no value where one of the two queries has none. */
  paymentsFailedInARow: metric("PaymentsFailedInARow", "Count"),
  /** Restarts of instances that PM2 counted. */
  restarts: metric("ProcessRestarts", "Count"),
  /** 1 where the database answers, 0 where it does not; no value for a site without one. */
  databaseReachable: metric("DatabaseReachable", "None"),
  /** The guide's figures: connections, queries that run for more than five minutes, size. */
  databaseConnections: metric("DatabaseConnections", "Count"),
  databaseLongQueries: metric("DatabaseLongQueries", "Count"),
  databaseSize: metric("DatabaseSize", "Bytes"),
  /**
   * Hours since the snapshot of the last backup that this host made whole, whoever asked for it; before the first one since the host was told
   * of the database. No value for a site without one.
   */
  backupAge: metric("BackupAgeHours", "None"),
  /** Days until the certificate ends that the front door shows, negative behind its end; no value where it shows none. */
  certificateDays: metric("CertificateDaysToExpiry", "None"),
} as const satisfies Record<string, Metric>;

/** How the values of a query over the business's tables are published: under the query's own name. */
export const BUSINESS_UNIT: Metric["unit"] = "Count";

/** Log groups' last parts, below `/<application>/<stack>/`. */
export const LOG_STREAMS = ["access", "error", "application", "conductor"] as const;

/** Tells the host where to publish to, and what. */
export interface MonitoringAct {
  readonly act: "monitoring";
  /** Null ends it. */
  readonly settings: MonitoringSettings | null;
  /**
   * The act is done once a whole set of values was taken so many seconds ago, so that an alarm that is made then finds them; absent where
   * nobody waits for that. Where they do not come it is done some minutes later all the same: silence is an alarm's to tell.
   */
  readonly seenForSeconds?: number;
}

/** Where the host publishes to, and what. Holds secrets where the credentials are given. */
export interface MonitoringSettings {
  /** CloudWatch namespace. */
  readonly namespace: string;
  /** Value of the dimension `Stack`. */
  readonly stack: string;
  /** Seconds between two publications; 60, but for tests. */
  readonly intervalSeconds: number;
  readonly region: string;
  /** URL of another API than Amazon's; null for Amazon's. */
  readonly endpoint: string | null;
  /** Authority behind the endpoint's certificate, in PEM; null for a public one. */
  readonly authority: string | null;
  /** Null for the host's own role, by AWS' default chain. */
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string } | null;
  /** Metric name -> a query that gives one number; it sees `$1`, the beginning of the interval (timestamptz). */
  readonly business: Readonly<Record<string, string>>;
  /** Names in `business` of what counts the payments that failed, and those that went through; absent where nobody wants both. */
  readonly payments?: { readonly failed: string; readonly processed: string };
  /** Path that Stripe sends its events to; absent where nobody does. */
  readonly webhookPath?: string;
  /** Log group's name by one of {@link LOG_STREAMS}; what has none is not shipped. */
  readonly logGroups: Readonly<Partial<Record<(typeof LOG_STREAMS)[number], string>>>;
}

/** The answer to a {@link MonitoringAct}: whether a first set of values was taken by the API. */
export interface MonitoringResult {
  readonly publishing: boolean;
}

/** How publishing goes, as `status` tells it. */
export interface MonitoringStatus {
  /** When the API last took values, in ISO 8601; null where it has taken none since the publisher started. */
  readonly lastPublished: string | null;
  /** Intervals that wait to be published; they keep their own times. */
  readonly pending: number;
  /** Intervals that were given up, since the publisher started: too old, too many, or refused for what they hold. */
  readonly dropped: number;
  /** What goes wrong now, in measuring, publishing or shipping logs; null for nothing. */
  readonly lastFailure: { readonly at: string; readonly reason: string } | null;
}

/** What the conductor writes to the publisher, as one line of JSON. It ends when this stream does. */
export interface MonitoringInput {
  readonly settings: MonitoringSettings;
}

/** What the publisher writes to the conductor, one line of JSON each. */
export type MonitoringOutput =
  | { readonly status: MonitoringStatus }
  /** During the first try: the API lets nobody in yet; its answer. */
  | { readonly waitingFor: string }
  /** Once, after the first try: null where the API took everything, or else why not. */
  | { readonly firstTry: string | null };
