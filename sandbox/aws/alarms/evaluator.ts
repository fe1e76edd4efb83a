import {
  DescribeAlarmsCommand,
  GetMetricDataCommand,
  SetAlarmStateCommand,
  type CloudWatchClient,
  type MetricAlarm,
} from "@aws-sdk/client-cloudwatch";

import { decide, rangeOf, type AlarmRule } from "./decide";

/**
 * Evaluates every alarm once, and sets the states that changed: the emulator then tells the alarm's topics.
 * @param now milliseconds; the period that it is in is not over, and not looked at
 * @returns what could not be evaluated, a line each
 */
export async function evaluateAlarms(client: CloudWatchClient, now: number): Promise<string[]> {
  const faults: string[] = [];
  for (const alarm of await alarmsOf(client)) {
    try {
      await evaluate(client, alarm, now);
    } catch (error) {
      faults.push(`${String(alarm.AlarmName)}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return faults;
}

async function alarmsOf(client: CloudWatchClient): Promise<MetricAlarm[]> {
  const alarms: MetricAlarm[] = [];
  let NextToken: string | undefined;
  do {
    const page = await client.send(new DescribeAlarmsCommand(NextToken === undefined ? {} : { NextToken }));
    alarms.push(...(page.MetricAlarms ?? []));
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
  return alarms;
}

async function evaluate(client: CloudWatchClient, alarm: MetricAlarm, now: number): Promise<void> {
  const before = alarm.StateValue ?? "INSUFFICIENT_DATA";
  const rule = ruleOf(alarm);
  const { state, reason } = decide(rule, await pointsOf(client, alarm, rangeOf(rule), now), before);
  if (state === before) return;
  await client.send(
    new SetAlarmStateCommand({ AlarmName: alarm.AlarmName, StateValue: state, StateReason: reason }),
  );
}

function ruleOf(alarm: MetricAlarm): AlarmRule {
  const { EvaluationPeriods: evaluationPeriods = 1, Threshold: threshold } = alarm;
  if (threshold === undefined)
    throw new Error("an alarm without a threshold is not evaluated in the sandbox");
  return {
    comparison: alarm.ComparisonOperator ?? "",
    threshold,
    evaluationPeriods,
    datapointsToAlarm: alarm.DatapointsToAlarm || evaluationPeriods,
    treatMissingData: (alarm.TreatMissingData ?? "missing") as AlarmRule["treatMissingData"],
  };
}

async function pointsOf(
  client: CloudWatchClient,
  alarm: MetricAlarm,
  count: number,
  now: number,
): Promise<(number | null)[]> {
  const { Namespace, MetricName, Dimensions, Period, Statistic, ExtendedStatistic } = alarm;
  if (!MetricName || !Period) throw new Error("an alarm on an expression is not evaluated in the sandbox");
  const periodMs = Period * 1000;
  const end = Math.floor(now / periodMs) * periodMs;
  const start = end - count * periodMs;
  const Metric = { Namespace, MetricName, Dimensions };
  const { MetricDataResults } = await client.send(
    new GetMetricDataCommand({
      MetricDataQueries: [{ Id: "m", MetricStat: { Metric, Period, Stat: Statistic ?? ExtendedStatistic } }],
      StartTime: new Date(start),
      EndTime: new Date(end),
    }),
  );
  const { Timestamps = [], Values = [] } = MetricDataResults?.[0] ?? {};
  const points = Array.from({ length: count }, (): number | null => null);
  for (const [index, timestamp] of Timestamps.entries()) {
    const slot = Math.floor((timestamp.getTime() - start) / periodMs);
    if (slot >= 0 && slot < count) points[slot] = Values[index] ?? null;
  }
  return points;
}
