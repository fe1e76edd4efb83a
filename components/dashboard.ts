/** The dashboard of a site, as data: CloudWatch's "Dashboard body structure and syntax". */
import { AUDIENCES, METRICS, type Audience, type Metric } from "../host/monitoring/protocol";

/** What a dashboard shows. */
export interface DashboardArgs {
  /** Region of the metrics. */
  readonly region: string;
  /** CloudWatch namespace. */
  readonly namespace: string;
  /** Value of the dimension `Stack`. */
  readonly stack: string;
  /** Names of the business's metrics. */
  readonly business: readonly string[];
  /** Whether the site has a database. */
  readonly hasDatabase: boolean;
  /** Whether Stripe sends the site its events. */
  readonly hasWebhook: boolean;
  /** Limits of the alarms, which are drawn as lines. */
  readonly limits: {
    /** In percent of the requests. */
    readonly errorRate: Limits;
    /** In milliseconds. */
    readonly responseTime: Limits;
    readonly cpu: number;
    readonly memory: number;
    readonly disk: number;
    /** In days left. */
    readonly certificate: Limits;
    /** In hours. */
    readonly backupAge: number;
    /** In payments in a row. */
    readonly paymentsAllFailed: number;
    /** In events in a row. */
    readonly webhookRefused: number;
  };
}

interface Limits {
  readonly warn: number;
  readonly page: number;
}

type Statistic = "Sum" | "Average" | "Minimum" | "Maximum";

/** A line of a graph. */
interface Line {
  readonly metric: Pick<Metric, "name">;
  readonly audience?: Audience;
  readonly label?: string;
}

/** A graph: a third of the width, unless a row has fewer. */
interface Graph {
  readonly title: string;
  readonly statistic: Statistic;
  /** Length of a point, in seconds; a minute by default. */
  readonly periodSeconds?: number;
  readonly lines: readonly Line[];
  /** Of the axis; from the values by default. */
  readonly most?: number;
  readonly limits?: readonly { readonly label: string; readonly value: number }[];
}

/** Of CloudWatch's grid. */
const COLUMNS = 24;
const HEIGHT = 6;

/** A colour looks the same in every graph. */
const INK: Readonly<Record<Audience, string>> = { blue: "#1f77b4", green: "#2ca02c", all: "#7f7f7f" };

/** Renders the body, JSON text. */
export function dashboardBody(args: DashboardArgs): string {
  const widgets = rowsOf(args).flatMap((row, line) =>
    row.map((graph, index) => {
      const width = COLUMNS / row.length;
      const place = { x: index * width, y: line * HEIGHT, width, height: HEIGHT };
      return { type: "metric", ...place, properties: propertiesOf(args, graph) };
    }),
  );
  return JSON.stringify({ widgets });
}

/** What is looked at first stands at the top. */
function rowsOf({ business, hasDatabase, hasWebhook, limits }: DashboardArgs): readonly (readonly Graph[])[] {
  const rows = [requestGraphs(limits.errorRate), AUDIENCES.map((of) => latencies(of, limits.responseTime))];
  const money = [
    ...(business.length > 0 ? [businessGraph(business)] : []),
    ...(hasDatabase ? [paymentGraph(limits.paymentsAllFailed)] : []),
    ...(hasWebhook ? [webhookGraph(limits.webhookRefused)] : []),
  ];
  if (money.length > 0) rows.push(money);
  rows.push(siteGraphs(limits.certificate), loadGraphs(limits), trafficGraphs());
  if (hasDatabase) rows.push(databaseGraphs(limits.backupAge));
  return rows;
}

const byColour = (metric: Metric): Line[] =>
  AUDIENCES.map((audience) => ({ metric, audience, label: audience }));

const drawn = ({ warn, page }: Limits) => [
  { label: "warns", value: warn },
  { label: "pages", value: page },
];

function requestGraphs(errorRate: Limits): Graph[] {
  return [
    { title: "Requests a minute", statistic: "Sum", lines: byColour(METRICS.requests) },
    {
      title: "Error rate (percent)",
      statistic: "Average",
      lines: byColour(METRICS.errorRate),
      limits: drawn(errorRate),
    },
    { title: "Active users (5 minutes)", statistic: "Maximum", lines: [{ metric: METRICS.activeUsers }] },
  ];
}

function latencies(audience: Audience, limits: Limits): Graph {
  const lines = [
    { metric: METRICS.latencyP50, audience, label: "P50" },
    { metric: METRICS.latencyP95, audience, label: "P95" },
    { metric: METRICS.latencyP99, audience, label: "P99" },
  ];
  return { title: `Response time, ${audience} (ms)`, statistic: "Average", lines, limits: drawn(limits) };
}

function businessGraph(names: readonly string[]): Graph {
  const lines = names.map((name) => ({ metric: { name } }));
  return { title: "Business (in 5 minutes)", statistic: "Sum", periodSeconds: 300, lines };
}

function paymentGraph(limit: number): Graph {
  return {
    ...{ title: "Payments that failed in a row", statistic: "Maximum" },
    lines: [{ metric: METRICS.paymentsFailedInARow }],
    limits: [{ label: "pages", value: limit }],
  };
}

function webhookGraph(limit: number): Graph {
  return {
    ...{ title: "Stripe's events that were refused", statistic: "Maximum" },
    lines: [
      { metric: METRICS.webhooksRefused, label: "in an interval" },
      { metric: METRICS.webhooksRefusedInARow, label: "in a row" },
    ],
    limits: [{ label: "pages", value: limit }],
  };
}

function siteGraphs(certificate: Limits): Graph[] {
  return [
    {
      title: "Up (1) or down (0)",
      statistic: "Minimum",
      most: 1,
      lines: [
        { metric: METRICS.publishes, label: "host" },
        { metric: METRICS.applicationUp, label: "site" },
        ...(["blue", "green"] as const).map((audience) => ({
          metric: METRICS.healthy,
          audience,
          label: `${audience} is healthy`,
        })),
      ],
    },
    { title: "Restarts of processes", statistic: "Sum", lines: [{ metric: METRICS.restarts }] },
    {
      title: "Certificate (days left)",
      statistic: "Minimum",
      lines: [{ metric: METRICS.certificateDays }],
      limits: drawn(certificate),
    },
  ];
}

function loadGraphs({ cpu, memory, disk }: DashboardArgs["limits"]): Graph[] {
  const graph = (title: string, metric: Metric, value: number): Graph => ({
    ...{ title: `${title} (percent)`, statistic: "Average", most: 100, lines: [{ metric }] },
    limits: [{ label: "warns", value }],
  });
  return [
    graph("CPU", METRICS.cpu, cpu),
    graph("Memory", METRICS.memory, memory),
    graph("Disk, the fullest", METRICS.disk, disk),
  ];
}

function trafficGraphs(): Graph[] {
  return [
    {
      title: "Disk I/O (bytes a minute)",
      statistic: "Sum",
      lines: [
        { metric: METRICS.diskRead, label: "read" },
        { metric: METRICS.diskWrite, label: "written" },
      ],
    },
    {
      title: "Network (bytes a minute)",
      statistic: "Sum",
      lines: [
        { metric: METRICS.networkIn, label: "in" },
        { metric: METRICS.networkOut, label: "out" },
      ],
    },
  ];
}

function databaseGraphs(backupAge: number): Graph[] {
  return [
    {
      title: "Database: connections",
      statistic: "Maximum",
      lines: [
        { metric: METRICS.databaseConnections, label: "connections" },
        { metric: METRICS.databaseLongQueries, label: "queries of more than 5 minutes" },
      ],
    },
    {
      title: "Database: reached (1) or not (0)",
      statistic: "Minimum",
      most: 1,
      lines: [{ metric: METRICS.databaseReachable }],
    },
    { title: "Database: size (bytes)", statistic: "Maximum", lines: [{ metric: METRICS.databaseSize }] },
    {
      title: "Database: hours since the last backup",
      statistic: "Maximum",
      lines: [{ metric: METRICS.backupAge }],
      limits: [{ label: "warns", value: backupAge }],
    },
  ];
}

function propertiesOf({ region, namespace, stack }: DashboardArgs, graph: Graph): object {
  const { title, statistic, periodSeconds = 60, lines, most, limits } = graph;
  return {
    ...{ title, region, view: "timeSeries", stat: statistic, period: periodSeconds },
    metrics: lines.map(({ metric, audience, label }) => [
      ...[namespace, metric.name, "Stack", stack],
      ...(audience === undefined ? [] : ["Colour", audience]),
      {
        label: label ?? metric.name,
        // The three percentiles of one audience are told apart by CloudWatch's own colours.
        ...(audience === undefined || lines.every((line) => line.audience === audience)
          ? {}
          : { color: INK[audience] }),
      },
    ]),
    yAxis: { left: { min: 0, ...(most === undefined ? {} : { max: most }) } },
    ...(limits === undefined ? {} : { annotations: { horizontal: limits } }),
  };
}
