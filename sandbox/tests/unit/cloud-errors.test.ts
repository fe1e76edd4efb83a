import { CloudError, OPERATION } from "../../aws/plugin/errors";

/** What AWS' SDK throws of an answer. */
const answered = (name: string, status: number) =>
  Object.assign(new Error("The provided token has expired."), {
    ...{ name, [OPERATION]: "DescribeVpcs", $metadata: { httpStatusCode: status } },
  });

test.each(["ExpiredToken", "ExpiredTokenException", "RequestExpired"])(
  "%s, of a session that is over, is told with the way to a new one",
  (name) => {
    const { message } = new CloudError("vpc", answered(name, 403));
    expect(message).toMatch(
      /^vpc: DescribeVpcs was answered \w+ \(403\): The provided token has expired\.; /,
    );
    expect(message).toMatch(/have ended: log in to AWS again.*run the same command again/);
  },
);
