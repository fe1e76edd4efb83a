"""Runs the AWS emulator, with what it does otherwise than AWS taken out. Started by sandbox/aws/emulator.ts with the Python
that has it; its settings are in the environment.

- Alarms: it compares whatever was published under an alarm's metric name last, whosever dimensions it has, and never
  notices silence. sandbox/aws/alarms evaluates them instead, as CloudWatch documents it.
- Rights: it knows no condition `cloudwatch:namespace`, by which alone PutMetricData can be narrowed (Service Authorization
  Reference, "Condition keys for Amazon CloudWatch").
- Subscriptions: the link in a request for confirmation leads to this emulator, which speaks TLS.
- Transport: it listens with TLS or without. S3 does both, and it is for a bucket's policy to refuse who comes without.
"""

import json
import os

from hypercorn.config import Config
from ministack.app import main
from ministack.core import iam_actions
from ministack.services import cloudwatch, sns

OWN = f"{os.environ['MINISTACK_HOST']}:{os.environ['GATEWAY_PORT']}/"
post = sns._http_post_sync
tag_context = iam_actions.request_tag_context


def context_with_namespace(service, iam_action, body, params):
    context = tag_context(service, iam_action, body, params)
    if iam_action == "cloudwatch:PutMetricData":
        context = {**context, "cloudwatch:namespace": namespace_in(body, params)}
    return context


def namespace_in(body, params):
    """Of a request in JSON, or in the older form. In any other it stays unknown, and so refused where a policy asks for it."""
    try:
        return json.loads(body)["Namespace"]
    except (ValueError, KeyError, TypeError):
        found = params.get("Namespace")
        return found[0] if isinstance(found, list) else found


def post_with_tls_links(endpoint, payload, kind):
    return post(endpoint, payload.replace(f"http://{OWN}", f"https://{OWN}"), kind)


# A name that is no longer there shows that the emulator is another one.
assert callable(cloudwatch._evaluate_alarm)
cloudwatch._evaluate_alarm = lambda alarm: None
sns._http_post_sync = post_with_tls_links
iam_actions.request_tag_context = context_with_namespace
assert Config._insecure_bind == []
Config._insecure_bind = [f"{os.environ['BIND_HOST']}:{os.environ['PLAIN_PORT']}"]

main()
