import { healthOf } from "../../../lib/health";
import { identityOf } from "../../../lib/identity";
import { database } from "../../../server/database";

export const dynamic = "force-dynamic";

export async function GET(): Promise<Response> {
  const { status, body } = await healthOf(identityOf(process.env), database());
  return Response.json(body, { status, headers: { "cache-control": "no-store" } });
}
