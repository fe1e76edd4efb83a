import {
  AuthorizeSecurityGroupIngressCommand,
  EC2Client,
  ModifySecurityGroupRulesCommand,
  paginateDescribeSecurityGroupRules,
  RevokeSecurityGroupIngressCommand,
  type SecurityGroupRule,
} from "@aws-sdk/client-ec2";
import { isIPv4 } from "node:net";
import { StepError } from "./faults";
import { required, runName, type Job } from "./job";

/** Tells the caller's own address, as plain text. */
const ADDRESS_URL = "https://checkip.amazonaws.com";

/** Longest wait for that. */
const ADDRESS_MS = 15_000;

/** EC2's answer about a rule that somebody else has taken away meanwhile. */
const GONE = "InvalidSecurityGroupRuleId.NotFound";

/** How often a rule is looked at again that another run changed meanwhile. */
const TRIES = 5;

/** A rule that runs have made: which ones need it still, and when it is over in any case. */
export interface Lease {
  /** Runs, as {@link runName} names them. */
  readonly runs: readonly string[];
  /** ISO 8601, to the second. */
  readonly until: string;
}

/** Writes a lease into a rule's description, within what EC2 allows there. */
export function describeLease({ runs, until }: Lease): string {
  return `ci ${runs.join(",")} until ${until}`;
}

/** Reads a rule's description; null where no run has made the rule. */
export function readLease(description: string | undefined): Lease | null {
  const [, runs, until] =
    /^ci ([\w,-]+) until (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)$/.exec(description ?? "") ?? [];
  return runs === undefined || until === undefined ? null : { runs: runs.split(","), until };
}

/** SSH to a host behind a security group: open for the address of a run, and for no longer than the run. */
export class SshAccess {
  private readonly ec2: EC2Client;

  /**
   * @param group Id of the security group.
   * @param port Port of SSH.
   */
  constructor(
    private readonly job: Job,
    private readonly group: string,
    private readonly port: number,
  ) {
    this.ec2 = new EC2Client({});
  }

  /** Ends the connections to EC2. */
  end(): void {
    this.ec2.destroy();
  }

  /**
   * Lets this machine in, and takes away what runs that died have left.
   * @param minutes The rule counts as left behind after this time.
   */
  async open(minutes: number): Promise<void> {
    await this.sweep();
    const cidr = `${await this.ownAddress()}/32`;
    const run = runName(this.job);
    const until = seconds(new Date(this.job.now().getTime() + minutes * 60_000));
    for (let tries = 1; ; tries += 1) {
      if (await this.tryOpen(cidr, run, until)) return;
      if (tries === TRIES)
        throw new StepError(`${this.group}: the rule for ${cidr} is changed by others all the time`);
    }
  }

  /** Takes this run's rule away, unless other runs at the same address need it still. */
  async close(): Promise<void> {
    const run = runName(this.job);
    for (const { rule, lease } of await this.leases()) {
      if (!lease.runs.includes(run)) continue;
      const others = lease.runs.filter((other) => other !== run);
      if (others.length > 0) await this.describe(rule, { runs: others, until: lease.until });
      else await this.revoke(rule, `closed: ${this.group} no longer lets ${rule.CidrIpv4 ?? ""} in`);
    }
  }

  /** Takes away what runs left behind that ended without closing it. */
  async sweep(): Promise<void> {
    const now = seconds(this.job.now());
    for (const { rule, lease } of await this.leases()) {
      if (lease.until >= now) continue;
      await this.revoke(
        rule,
        `swept: ${rule.CidrIpv4 ?? ""} was let in for run ${lease.runs.join(", ")} until ${lease.until}`,
      );
    }
  }

  /** One try; false where somebody was quicker. */
  private async tryOpen(cidr: string, run: string, until: string): Promise<boolean> {
    const present = (await this.rules()).find(({ CidrIpv4 }) => CidrIpv4 === cidr);
    if (present === undefined) return this.authorize(cidr, { runs: [run], until });
    const lease = readLease(present.Description);
    if (lease === null) {
      this.job.log(`${this.group} lets ${cidr} in already, by a rule that is not of a run: left as it is`);
      return true;
    }
    const runs = [...new Set([...lease.runs, run])];
    return this.describe(present, { runs, until: until > lease.until ? until : lease.until });
  }

  private async authorize(cidr: string, lease: Lease): Promise<boolean> {
    const range = { CidrIp: cidr, Description: describeLease(lease) };
    const permission = { IpProtocol: "tcp", FromPort: this.port, ToPort: this.port, IpRanges: [range] };
    const command = new AuthorizeSecurityGroupIngressCommand({
      GroupId: this.group,
      IpPermissions: [permission],
    });
    const done = await this.unless("InvalidPermission.Duplicate", () => this.ec2.send(command));
    if (done)
      this.job.log(
        `open: ${this.group} lets ${cidr} in to port ${String(this.port)}, until ${lease.until} at most`,
      );
    return done;
  }

  private async describe(rule: SecurityGroupRule, lease: Lease): Promise<boolean> {
    const { SecurityGroupRuleId, IpProtocol, FromPort, ToPort, CidrIpv4 } = rule;
    const changed = { IpProtocol, FromPort, ToPort, CidrIpv4, Description: describeLease(lease) };
    const command = new ModifySecurityGroupRulesCommand({
      GroupId: this.group,
      SecurityGroupRules: [{ SecurityGroupRuleId, SecurityGroupRule: changed }],
    });
    const done = await this.unless(GONE, () => this.ec2.send(command));
    if (done) this.job.log(`${this.group}: ${CidrIpv4 ?? ""} is let in for run ${lease.runs.join(", ")}`);
    return done;
  }

  private async revoke({ SecurityGroupRuleId = "" }: SecurityGroupRule, told: string): Promise<void> {
    const command = new RevokeSecurityGroupIngressCommand({
      GroupId: this.group,
      SecurityGroupRuleIds: [SecurityGroupRuleId],
    });
    if (await this.unless(GONE, () => this.ec2.send(command))) this.job.log(told);
  }

  /** Asks EC2 for something; false where it refuses for this one reason. */
  private async unless(reason: string, ask: () => Promise<unknown>): Promise<boolean> {
    try {
      await ask();
      return true;
    } catch (error) {
      if ((error as Error).name === reason) return false;
      throw new StepError(`${this.group}: EC2 refused it: ${(error as Error).message}`);
    }
  }

  private async leases(): Promise<{ rule: SecurityGroupRule; lease: Lease }[]> {
    return (await this.rules()).flatMap((rule) => {
      const lease = readLease(rule.Description);
      return lease === null ? [] : [{ rule, lease }];
    });
  }

  /** The group's rules that let an IPv4 network in to SSH and to nothing else. */
  private async rules(): Promise<SecurityGroupRule[]> {
    const found: SecurityGroupRule[] = [];
    const filter = { Filters: [{ Name: "group-id", Values: [this.group] }] };
    try {
      for await (const page of paginateDescribeSecurityGroupRules({ client: this.ec2 }, filter)) {
        found.push(...(page.SecurityGroupRules ?? []));
      }
    } catch (error) {
      throw new StepError(`${this.group}: its rules could not be read: ${(error as Error).message}`);
    }
    return found.filter(
      ({ IsEgress, IpProtocol, FromPort, ToPort, CidrIpv4 }) =>
        IsEgress !== true &&
        IpProtocol === "tcp" &&
        FromPort === this.port &&
        ToPort === this.port &&
        CidrIpv4 !== undefined,
    );
  }

  private async ownAddress(): Promise<string> {
    const url = this.job.environment["ADDRESS_URL"] ?? ADDRESS_URL;
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(ADDRESS_MS) });
      const address = (await response.text()).trim();
      if (response.ok && isIPv4(address)) return address;
      throw new Error(`answer ${String(response.status)}: ${address.slice(0, 100)}`);
    } catch (error) {
      throw new StepError(`${url} does not tell this machine's IPv4 address: ${(error as Error).message}`);
    }
  }
}

/** Returns how to reach the host's firewall, or null for a host whose firewall is not a security group. */
export function sshAccess(job: Job): SshAccess | null {
  const group = job.environment["SSH_SECURITY_GROUP_ID"] ?? "";
  if (group === "") {
    job.log(
      "SSH_SECURITY_GROUP_ID is not set: this host has no security group, so nothing is opened or closed",
    );
    return null;
  }
  required(job, "AWS_REGION", "the region of the security group");
  return new SshAccess(job, group, Number(job.environment["SSH_PORT"] ?? "22"));
}

function seconds(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}
