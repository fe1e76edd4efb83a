import { type DashboardArgs, dashboardBody } from "../../../components/dashboard";
import { AUDIENCES, METRICS } from "../../../host/monitoring/protocol";

/* What the dashboard shows: everything that is published, once its place is found. */

const ARGS: DashboardArgs = {
  region: "eu-central-1",
  namespace: "Garage",
  stack: "live",
  business: ["PaymentsProcessed", "OAuthConnections"],
  hasDatabase: true,
  hasWebhook: true,
  limits: {
    errorRate: { warn: 1, page: 5 },
    responseTime: { warn: 2000, page: 5000 },
    cpu: 80,
    memory: 85,
    disk: 90,
    certificate: { warn: 14, page: 3 },
    backupAge: 26,
    paymentsAllFailed: 4,
    webhookRefused: 5,
  },
};

interface Widget {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly properties: {
    readonly title: string;
    readonly region: string;
    readonly stat: string;
    readonly period: number;
    readonly metrics: readonly (readonly (string | { label: string; color?: string })[])[];
    readonly annotations?: { readonly horizontal: readonly { readonly value: number }[] };
  };
}

const widgetsOf = (change: Partial<DashboardArgs> = {}): readonly Widget[] =>
  (JSON.parse(dashboardBody({ ...ARGS, ...change })) as { widgets: Widget[] }).widgets;

/** `Name` or `Name/colour` of each line. */
const shownIn = (widgets: readonly Widget[]): string[] =>
  widgets.flatMap(({ properties }) =>
    properties.metrics.map(([namespace, name, key, stack, ...rest]) => {
      expect([namespace, key, stack]).toEqual(["Garage", "Stack", "live"]);
      const [dimension, colour] = rest as string[];
      return dimension === "Colour" ? `${name as string}/${String(colour)}` : (name as string);
    }),
  );

it("shows every metric that the host publishes, of every colour, and each once", () => {
  const published = Object.values(METRICS).flatMap(({ name, byColour }) =>
    byColour ? AUDIENCES.map((audience) => `${name}/${audience}`) : [name],
  );
  // Nobody is healthy as all.
  const wanted = [...published.filter((name) => name !== "Healthy/all"), ...ARGS.business];
  expect(shownIn(widgetsOf()).sort()).toEqual(wanted.sort());
});

it.each([
  ["Requests a minute", "Sum", 60],
  ["Error rate (percent)", "Average", 60],
  ["Response time, green (ms)", "Average", 60],
  ["Business (in 5 minutes)", "Sum", 300],
  ["Up (1) or down (0)", "Minimum", 60],
])("%s is the %s of %d s", (title, stat, period) => {
  const found = widgetsOf().find(({ properties }) => properties.title === title);
  expect(found?.properties).toMatchObject({ stat, period, region: "eu-central-1" });
});

it.each([
  ["Error rate (percent)", [1, 5]],
  ["Response time, blue (ms)", [2000, 5000]],
  ["CPU (percent)", [80]],
  ["Memory (percent)", [85]],
  ["Disk, the fullest (percent)", [90]],
  ["Certificate (days left)", [14, 3]],
  ["Database: hours since the last backup", [26]],
  ["Payments that failed in a row", [4]],
  ["Stripe's events that were refused", [5]],
])("%s has the alarms' limits %p as lines", (title, values) => {
  const found = widgetsOf().find(({ properties }) => properties.title === title);
  expect(found?.properties.annotations?.horizontal.map(({ value }) => value)).toEqual(values);
});

it("has no graph of what the site has not", () => {
  const titles = (change: Partial<DashboardArgs>) =>
    widgetsOf(change).map(({ properties }) => properties.title);
  const all = titles({});
  expect(all.filter((title) => !titles({ business: [] }).includes(title))).toEqual([
    "Business (in 5 minutes)",
  ]);
  expect(all.filter((title) => !titles({ hasWebhook: false }).includes(title))).toEqual([
    "Stripe's events that were refused",
  ]);
  const gone = all.filter((title) => !titles({ hasDatabase: false }).includes(title));
  expect(gone).toHaveLength(5);
  for (const title of gone) expect(title).toMatch(/^(Database: |Payments that failed)/);
});

it("lets no two graphs overlap, and none leave CloudWatch's 24 columns", () => {
  const widgets = widgetsOf();
  for (const { x, width } of widgets) expect(x + width).toBeLessThanOrEqual(24);
  const cells = widgets.flatMap(({ x, y, width, height }) =>
    Array.from(
      { length: width * height },
      (_, n) => `${String(x + (n % width))} ${String(y + Math.floor(n / width))}`,
    ),
  );
  expect(new Set(cells).size).toBe(cells.length);
  for (const { x, y, width } of widgets)
    for (const number of [x, y, width]) expect(Number.isInteger(number)).toBe(true);
});
