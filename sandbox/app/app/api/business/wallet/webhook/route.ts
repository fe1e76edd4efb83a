import { receiveEvent } from "../../../../../lib/webhook";
import { events } from "../../../../../server/database";
import { verifyEvent } from "../../../../../server/stripe";

export const dynamic = "force-dynamic";

export async function POST(request: Request): Promise<Response> {
  // The signature is of the bytes as they came: a body that was parsed and written again is another one.
  const payload = await request.text();
  const { status, body } = await receiveEvent(payload, request.headers.get("stripe-signature"), {
    secret: process.env["STRIPE_WEBHOOK_SECRET"] ?? "",
    verify: verifyEvent,
    events: events(),
  });
  return Response.json(body, { status });
}
