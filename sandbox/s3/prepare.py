"""Makes the bucket and the user of an S3 server, by its API. Run by sandbox/s3.ts with the Python that has botocore.

Environment: S3_URL, S3_AUTHORITY (a file, or empty), S3_BUCKET, S3_PREFIX (empty, or ending in /), S3_USER, and the
server's own keys as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Prints the user's keys as JSON.
"""

import json
import os

from botocore.config import Config
from botocore.session import Session

BUCKET = os.environ["S3_BUCKET"]
PREFIX = os.environ["S3_PREFIX"]
USER = os.environ["S3_USER"]


def client(service):
    return Session().create_client(
        service,
        region_name=os.environ["AWS_REGION"],
        endpoint_url=os.environ["S3_URL"],
        verify=os.environ["S3_AUTHORITY"] or None,
        config=Config(s3={"addressing_style": "path"}),
    )


def policy():
    """What a host may do with its backups: put and read them, and take back an upload that it has not ended."""
    objects = ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": objects, "Resource": f"arn:aws:s3:::{BUCKET}/{PREFIX}*"},
            {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": f"arn:aws:s3:::{BUCKET}"},
        ],
    }


client("s3").create_bucket(Bucket=BUCKET)
iam = client("iam")
iam.create_user(UserName=USER)
iam.put_user_policy(UserName=USER, PolicyName="backups", PolicyDocument=json.dumps(policy()))
key = iam.create_access_key(UserName=USER)["AccessKey"]
print(json.dumps({"accessKeyId": key["AccessKeyId"], "secretAccessKey": key["SecretAccessKey"]}))
