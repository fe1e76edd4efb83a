/** What the front door answers itself, and to nobody else: few requests run this. */
import fs from "fs";

/** `js_content` of what the front door answers itself: 503 in maintenance, 429 above a client's limit. */
function refuse(r) {
  const variables = r.variables;
  const status = +variables.status;
  const closed = status === 503;
  const seconds = closed ? variables.app_closed_retry : variables.app_limit_retry;
  r.headersOut["Retry-After"] = seconds;
  r.headersOut["Cache-Control"] = "no-store";
  if (variables.app_api) {
    r.headersOut["Content-Type"] = "application/json";
    r.return(status, JSON.stringify({ error: closed ? "maintenance" : "too many requests" }) + "\n");
  } else if (closed) {
    r.headersOut["Content-Type"] = "text/html; charset=utf-8";
    r.return(status, fs.readFileSync(variables.app_closed_page, "utf8"));
  } else {
    r.headersOut["Content-Type"] = "text/plain; charset=utf-8";
    r.return(status, `Too many requests. Please try again in ${seconds} s.\n`);
  }
}

export default { refuse };
