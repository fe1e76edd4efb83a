/** Who may do what with the bucket of backups, as IAM's policies have it. */

/** What a bucket lets nobody do, its owner included. */
export function bucketPolicy(bucketArn: string): string {
  const everything = [bucketArn, `${bucketArn}/*`];
  return policy([
    {
      Sid: "OverTlsOnly",
      ...{ Effect: "Deny", Principal: "*", Action: "s3:*", Resource: everything },
      Condition: { Bool: { "aws:SecureTransport": "false" } },
    },
    {
      Sid: "EncryptedOnly",
      ...{ Effect: "Deny", Principal: "*", Action: "s3:PutObject", Resource: `${bucketArn}/*` },
      // A request that does not say so is refused, too: the condition holds where the header is missing.
      Condition: { StringNotEquals: { "s3:x-amz-server-side-encryption": "AES256" } },
    },
  ]);
}

/**
 * What the host may do: put and read backups, and put evidence. Nothing is ever deleted by it; what it writes over, the
 * bucket keeps as an older version.
 */
export function writerPolicy(bucketArn: string, prefix: string, auditPrefix: string): string {
  return policy([
    {
      Sid: "PutAndReadBackups",
      Effect: "Allow",
      // The last two end an upload that failed, whose parts would stay.
      Action: ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
      Resource: `${bucketArn}/${prefix}*`,
    },
    {
      Sid: "FindBackups",
      ...{ Effect: "Allow", Action: "s3:ListBucket", Resource: bucketArn },
      Condition: { StringLike: { "s3:prefix": `${prefix}*` } },
    },
    {
      Sid: "PutEvidence",
      ...{ Effect: "Allow", Action: "s3:PutObject", Resource: `${bucketArn}/${auditPrefix}*` },
    },
  ]);
}

function policy(statements: readonly object[]): string {
  return JSON.stringify({ Version: "2012-10-17", Statement: statements });
}
