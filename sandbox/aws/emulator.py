"""Runs the AWS emulator, with what it does otherwise than AWS taken out. Started by sandbox/aws/emulator.ts with the Python
that has it; its settings are in the environment.

- Alarms: it compares whatever was published under an alarm's metric name last, whosever dimensions it has, and never
  notices silence. sandbox/aws/alarms evaluates them instead, as CloudWatch documents it.
- Subscriptions: the link in a request for confirmation leads to this emulator, which speaks TLS.
"""

import os

from ministack.app import main
from ministack.services import cloudwatch, sns

OWN = f"{os.environ['MINISTACK_HOST']}:{os.environ['GATEWAY_PORT']}/"
post = sns._http_post_sync


def post_with_tls_links(endpoint, payload, kind):
    return post(endpoint, payload.replace(f"http://{OWN}", f"https://{OWN}"), kind)


# A name that is no longer there shows that the emulator is another one.
assert callable(cloudwatch._evaluate_alarm)
cloudwatch._evaluate_alarm = lambda alarm: None
sns._http_post_sync = post_with_tls_links

main()
