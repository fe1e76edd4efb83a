import { echo } from "../../../lib/echo";

export const dynamic = "force-dynamic";

export { echo as POST };
