import { writerPolicy } from "../../components/backup-bucket-policies";
import { publisherPolicy } from "../../components/monitoring-policies";
import {
  boundaryArn,
  boundaryPolicy,
  changeResourcesPolicy,
  type Names,
  type Policy,
  readResourcesPolicy,
  sshPolicy,
  writeStatePolicy,
} from "../../scripts/state/policies";

/* The policies of the pipelines' role and of the roles that it makes, as data; `tests/e2e/bootstrap-state.test.ts` has them evaluated. */

const NAMES: Names = {
  ...{ partition: "aws", account: "123456789012", region: "eu-central-1", name: "garage" },
  ...{ bucket: "garage-pulumi-state-123456789012", keyArn: "arn:aws:kms:eu-central-1:123456789012:key/1" },
};
const BOUNDARY = "arn:aws:iam::123456789012:policy/garage-boundary";

interface Statement {
  readonly Effect: "Allow" | "Deny";
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: object;
}

const statementsIn = ({ Statement: all }: { readonly Statement: readonly object[] }) =>
  all as readonly Statement[];
const list = (one: string | readonly string[]) => [one].flat();

/** Does a pattern of IAM's, with `*` in it, take a text? */
const takes = (pattern: string, text: string) =>
  new RegExp(`^${pattern.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll("\\*", ".*")}$`).test(text);

describe("the boundary of the roles that the stack makes", () => {
  const bucket = "arn:aws:s3:::garage-backups";
  const group = "arn:aws:logs:eu-central-1:123456789012:log-group:/garage/production/access";
  /** All that the program ever gives to one of its roles. */
  const given = [
    ...statementsIn(JSON.parse(writerPolicy(bucket, "database/", "audit/")) as Policy),
    ...statementsIn(publisherPolicy("Garage", [group])),
  ];
  const allowed = statementsIn(boundaryPolicy(NAMES)).filter(({ Effect }) => Effect === "Allow");

  it("has its place by the application's name", () => {
    expect(boundaryArn(NAMES)).toBe(BOUNDARY);
  });

  it("leaves all that the program gives them, on what it gives it for", () => {
    for (const { Action, Resource } of given)
      for (const action of list(Action))
        for (const resource of list(Resource)) {
          const isLeft = allowed.some(
            (one) =>
              list(one.Action).includes(action) && list(one.Resource).some((each) => takes(each, resource)),
          );
          expect([action, resource, isLeft]).toEqual([action, resource, true]);
        }
  });

  it("leaves nothing else", () => {
    const used = new Set(given.flatMap(({ Action }) => list(Action)));
    expect(allowed.flatMap(({ Action }) => list(Action)).filter((action) => !used.has(action))).toEqual([]);
  });

  it("leaves neither the state nor log groups of others", () => {
    const denied = statementsIn(boundaryPolicy(NAMES)).filter(({ Effect }) => Effect === "Deny");
    expect(denied).toEqual([
      expect.objectContaining({
        Action: "s3:*",
        Resource: [`arn:aws:s3:::${NAMES.bucket}`, `arn:aws:s3:::${NAMES.bucket}/*`],
      }),
    ]);
    const logs = allowed.find(({ Action }) => list(Action).includes("logs:PutLogEvents"));
    const others = group.replace("/garage/", "/garages/");
    expect(list(logs?.Resource ?? []).some((each) => takes(each, others))).toBe(false);
  });
});

describe("the role of deployments", () => {
  const statements = statementsIn(changeResourcesPolicy(NAMES, ["staging", "production"]));
  /** What gives an entity of IAM's a right, as far as it can be about a role (Service Authorization Reference, "Permissions management"). */
  const GRANTS = [
    ...["AttachRolePolicy", "CreateRole", "PutRolePermissionsBoundary", "PutRolePolicy"],
    ...["CreatePolicy", "CreatePolicyVersion", "DeleteRolePermissionsBoundary", "SetDefaultPolicyVersion"],
  ].map((action) => `iam:${action}`);

  it("gives roles rights under the boundary alone", () => {
    const letting = statements.filter(
      ({ Effect, Action }) =>
        Effect === "Allow" && list(Action).some((action) => GRANTS.some((grant) => takes(action, grant))),
    );
    expect(letting).toEqual([
      expect.objectContaining({
        Action: ["iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"],
        Condition: { StringEquals: { "iam:PermissionsBoundary": BOUNDARY } },
      }),
    ]);
  });

  it("can take no boundary away, and not change what it allows, whatever it may be given once", () => {
    const denied = (action: string, resource: string) =>
      statements.some(
        ({ Effect, Action, Resource, Condition }) =>
          Effect === "Deny" &&
          Condition === undefined &&
          list(Action).some((each) => takes(each, action)) &&
          list(Resource).some((each) => takes(each, resource)),
      );
    const host = "arn:aws:iam::123456789012:role/garage-production-host";
    expect(denied("iam:DeleteRolePermissionsBoundary", host)).toBe(true);
    expect(denied("iam:PutRolePolicy", host)).toBe(false);
    for (const change of [
      "CreatePolicyVersion",
      "DeletePolicy",
      "DeletePolicyVersion",
      "SetDefaultPolicyVersion",
    ])
      expect([change, denied(`iam:${change}`, BOUNDARY)]).toEqual([change, true]);
  });

  // Characters without blanks ("IAM and AWS STS quotas"): of all policies of a role together, and of a managed one.
  it("fits into a role with five stacks, and so does the boundary into a policy", () => {
    const stacks = Array.from({ length: 5 }, (_, index) => `a-stack-of-some-length-${String(index)}`);
    const all = [readResourcesPolicy(), changeResourcesPolicy(NAMES, stacks), sshPolicy(NAMES, stacks)];
    const lengths = [...all, writeStatePolicy(NAMES)].map((one) => JSON.stringify(one).length);
    expect(lengths.reduce((sum, length) => sum + length)).toBeLessThan(10_240);
    expect(JSON.stringify(boundaryPolicy(NAMES)).length).toBeLessThan(6144);
  });
});
