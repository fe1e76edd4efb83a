import * as ec2 from "@pulumi/aws/ec2";
import * as vpc from "@pulumi/aws/vpc";
import * as pulumi from "@pulumi/pulumi";

/** Arguments of {@link Network}. */
export interface NetworkArgs {
  /** Name that its parts are shown by in AWS' console. */
  readonly name: string;
  /** Private IPv4 network, in CIDR notation. */
  readonly cidr: string;
  /** Availability zone. */
  readonly availabilityZone: string;
  /** Networks that SSH is let in from, in CIDR notation; at least one. */
  readonly sshFrom: readonly string[];
}

/** Everywhere, in both families. */
const EVERYWHERE = ["0.0.0.0/0", "::/0"];

/**
 * A network with one subnet, which machines leave by IPv4 and IPv6 (Supabase's direct connections are IPv6), and a firewall:
 * SSH from named networks, HTTP and HTTPS from everywhere, all the way out.
 *
 * The firewall's rules are resources of their own and not the group's: a group with rules in it would take away the one that a
 * pipeline adds for its own address for as long as it runs.
 */
export class Network extends pulumi.ComponentResource {
  readonly subnetId: pulumi.Output<string>;
  readonly securityGroupId: pulumi.Output<string>;
  /** What lets packets in and out: nobody reaches a machine before it is there. */
  readonly ways: readonly pulumi.Resource[];
  private readonly args: NetworkArgs;

  constructor(name: string, args: NetworkArgs, opts?: pulumi.ComponentResourceOptions) {
    super("vehicleservice:host:Network", name, {}, opts);
    this.args = args;
    const whole = this.makeVpc(`${name}-vpc`);
    const subnet = this.makeSubnet(`${name}-subnet`, whole);
    const routes = this.makeRoutes(name, whole, subnet);
    const group = this.makeGroup(`${name}-firewall`, whole);
    const rules = [...this.letIn(name, group), ...this.letOut(name, group)];
    this.subnetId = subnet.id;
    this.securityGroupId = group.id;
    this.ways = [...routes, ...rules];
    this.registerOutputs({ subnetId: this.subnetId, securityGroupId: this.securityGroupId });
  }

  private get tags(): Readonly<Record<string, string>> {
    return { Name: this.args.name };
  }

  private makeVpc(name: string): ec2.Vpc {
    const args = {
      cidrBlock: this.args.cidr,
      assignGeneratedIpv6CidrBlock: true,
      enableDnsSupport: true,
      enableDnsHostnames: true,
      tags: this.tags,
    };
    return new ec2.Vpc(name, args, { parent: this });
  }

  private makeSubnet(name: string, { id: vpcId, ipv6CidrBlock }: ec2.Vpc): ec2.Subnet {
    const args = {
      vpcId,
      cidrBlock: this.args.cidr,
      // The first one of 256.
      ipv6CidrBlock: ipv6CidrBlock.apply((block) => block.replace(/\/56$/, "/64")),
      availabilityZone: this.args.availabilityZone,
      // A machine's IPv4 address is its Elastic IP and no other one.
      mapPublicIpOnLaunch: false,
      tags: this.tags,
    };
    return new ec2.Subnet(name, args, { parent: this });
  }

  private makeRoutes(name: string, { id: vpcId }: ec2.Vpc, { id: subnetId }: ec2.Subnet): pulumi.Resource[] {
    const { tags } = this;
    const opts = { parent: this };
    const gateway = new ec2.InternetGateway(`${name}-gateway`, { vpcId, tags }, opts);
    const { id: routeTableId } = new ec2.RouteTable(`${name}-routes`, { vpcId, tags }, opts);
    const out = { routeTableId, gatewayId: gateway.id };
    return [
      new ec2.Route(`${name}-ipv4`, { ...out, destinationCidrBlock: "0.0.0.0/0" }, opts),
      new ec2.Route(`${name}-ipv6`, { ...out, destinationIpv6CidrBlock: "::/0" }, opts),
      new ec2.RouteTableAssociation(`${name}-subnet-routes`, { routeTableId, subnetId }, opts),
    ];
  }

  private makeGroup(name: string, { id: vpcId }: ec2.Vpc): ec2.SecurityGroup {
    const description = "SSH from named networks, HTTP and HTTPS from everywhere";
    return new ec2.SecurityGroup(name, { vpcId, description, tags: this.tags }, { parent: this });
  }

  private letIn(name: string, group: ec2.SecurityGroup): pulumi.Resource[] {
    const rules = [
      ...this.args.sshFrom.map((cidr) => ({ what: "ssh", port: 22, cidr })),
      ...EVERYWHERE.map((cidr) => ({ what: "http", port: 80, cidr })),
      ...EVERYWHERE.map((cidr) => ({ what: "https", port: 443, cidr })),
    ];
    return rules.map(({ what, port, cidr }) => {
      const args = { ipProtocol: "tcp", fromPort: port, toPort: port, description: what };
      return new vpc.SecurityGroupIngressRule(
        ruleName(name, what, cidr),
        { securityGroupId: group.id, ...args, ...cidrOf(cidr) },
        { parent: this },
      );
    });
  }

  private letOut(name: string, group: ec2.SecurityGroup): pulumi.Resource[] {
    return EVERYWHERE.map(
      (cidr) =>
        new vpc.SecurityGroupEgressRule(
          ruleName(name, "out", cidr),
          { securityGroupId: group.id, ipProtocol: "-1", description: "all", ...cidrOf(cidr) },
          { parent: this },
        ),
    );
  }
}

/** By what it lets through and not by its place in a list: AWS takes no second rule of the same kind while the first is there. */
function ruleName(name: string, what: string, cidr: string): string {
  // A URN's parts are parted by colons.
  return `${name}-${what}-${cidr.replaceAll(":", "-")}`;
}

function cidrOf(cidr: string): { readonly cidrIpv6: string } | { readonly cidrIpv4: string } {
  return cidr.includes(":") ? { cidrIpv6: cidr } : { cidrIpv4: cidr };
}
