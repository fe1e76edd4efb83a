import { finishConnect } from "../../../../../lib/connect";
import { codeExchange } from "../../../../../server/stripe";

export const dynamic = "force-dynamic";

export async function GET(request: Request): Promise<Response> {
  const query = new URL(request.url).searchParams;
  const { status, location, error } = await finishConnect(query, { exchange: codeExchange() });
  // Relative, for behind a front door the application does not know what the site is called.
  if (location !== undefined) return new Response(null, { status, headers: { location } });
  return Response.json({ error }, { status });
}
