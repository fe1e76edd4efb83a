"""Runs the AWS emulator, with what it does otherwise than AWS taken out. Started by sandbox/aws/emulator.ts with the Python
that has it; its settings are in the environment.

- Alarms: it compares whatever was published under an alarm's metric name last, whosever dimensions it has, and never
  notices silence. sandbox/aws/alarms evaluates them instead, as CloudWatch documents it.
- Rights: it knows no condition `cloudwatch:namespace`, by which alone PutMetricData can be narrowed (Service Authorization
  Reference, "Condition keys for Amazon CloudWatch"), none `iam:PermissionsBoundary` (the same, "Actions defined by AWS IAM": the boundary
  that a request sets, else the one that the role has), no tags of security groups (`aws:ResourceTag/...`), and takes what is done to
  an instance profile for something done to no resource, or to the role in it.
- Subscriptions: the link in a request for confirmation leads to this emulator, which speaks TLS.
- Transport: it listens with TLS or without. S3 does both, and it is for a bucket's policy to refuse who comes without.
- Its end: it listens at port 443 as well, where that is free, and takes a connection that breaks while it ends for the loss of
  that port. It begins anew then, with what it has just saved, until it is killed, and what it took meanwhile is gone.
"""

import json
import os
import urllib.request

from hypercorn.config import Config
from ministack import app
from ministack.core import iam_actions
from ministack.services import cloudwatch, ec2, iam, sns

OWN = f"{os.environ['MINISTACK_HOST']}:{os.environ['GATEWAY_PORT']}/"
post = sns._http_post_sync
urlopen = urllib.request.urlopen
tag_context = iam_actions.request_tag_context
resource_arn = iam_actions.extract_resource_arn
SETS_BOUNDARY = {"iam:CreateRole", "iam:PutRolePermissionsBoundary"}
HAS_BOUNDARY = {f"iam:{action}" for action in ("AttachRolePolicy", "DeleteRolePermissionsBoundary", "DeleteRolePolicy",
                                               "DetachRolePolicy", "PutRolePolicy")}


def context_as_documented(service, iam_action, body, params):
    context = tag_context(service, iam_action, body, params)
    if iam_action == "cloudwatch:PutMetricData":
        context = {**context, "cloudwatch:namespace": namespace_in(body, params)}
    boundary = boundary_of(iam_action, params)
    if boundary:
        context = {**context, "iam:PermissionsBoundary": boundary}
    if service == "ec2":
        tags = ec2._tags.get(first(params, "GroupId")) or []
        context = {**context, **{f"aws:ResourceTag/{tag['Key']}": tag["Value"] for tag in tags}}
    return context


def boundary_of(iam_action, params):
    """A request about a role without one has no such key, so that a condition that asks for one does not hold."""
    if iam_action in SETS_BOUNDARY:
        return first(params, "PermissionsBoundary")
    if iam_action in HAS_BOUNDARY:
        return (iam._roles.get(first(params, "RoleName")) or {}).get("PermissionsBoundary")
    return None


def arn_as_documented(service, method, path, headers, body, params, region, account):
    profile = first(params, "InstanceProfileName") if service == "iam" else None
    if profile:
        return f"arn:aws:iam::{account}:instance-profile/{profile}"
    return resource_arn(service, method, path, headers, body, params, region, account)


def first(params, name):
    found = params.get(name)
    return found[0] if isinstance(found, list) else found


def namespace_in(body, params):
    """Of a request in JSON, or in the older form. In any other it stays unknown, and so refused where a policy asks for it."""
    try:
        return json.loads(body)["Namespace"]
    except (ValueError, KeyError, TypeError):
        return first(params, "Namespace")


def patient_urlopen(request, *args, **options):
    """SNS tries again for an hour what it could not deliver; the emulator tries once, and gives it up after some seconds."""
    return urlopen(request, *args, **{**options, "timeout": 60})


def post_with_tls_links(endpoint, payload, kind):
    return post(endpoint, payload.replace(f"http://{OWN}", f"https://{OWN}"), kind)


# A name that is no longer there shows that the emulator is another one.
assert callable(cloudwatch._evaluate_alarm)
cloudwatch._evaluate_alarm = lambda alarm: None
sns._http_post_sync = post_with_tls_links
urllib.request.urlopen = patient_urlopen
iam_actions.request_tag_context = context_as_documented
iam_actions.extract_resource_arn = arn_as_documented
assert Config._insecure_bind == []
Config._insecure_bind = [f"{os.environ['BIND_HOST']}:{os.environ['PLAIN_PORT']}"]
assert callable(app._port_is_bindable)
app._port_is_bindable = lambda host, port: False

app.main()
