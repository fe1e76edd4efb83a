/**
 * The front door's part in njs: picks the upstream of each request from the traffic state, counts what is under way,
 * and lets the conductor read and set that state through a unix socket. No weight change needs a reload.
 *
 * The traffic state is one string of five fields, set and read as a whole:
 *   STABLE  BUCKETS-OF-THE-CANDIDATE  SEED  BLUE-MAY-FAIL-OVER  GREEN-MAY-FAIL-OVER
 *   blue    500                       7     1                   1
 */
import split from "split.js";

/** The dictionary is empty after a start of Nginx; the configuration then holds what the conductor wrote last. */
function trafficState(variables) {
  const state = ngx.shared.app_traffic.get("state");
  return state === undefined ? variables.app_traffic_fallback : state;
}

function colourOf(variables, state) {
  const tester = variables.app_tester;
  if (tester) {
    return tester;
  }
  const stable = state[0];
  const candidate = stable === "blue" ? "green" : "blue";
  const share = +state[1];
  if (share === 0) {
    return stable;
  }
  if (variables.app_pinned) {
    // Everything on the candidate and no failover between the two: stable is out of service, and pinned to it would
    // be lost.
    return share === split.BUCKETS && state[3] !== "1" ? candidate : stable;
  }
  return split.bucket(variables.app_id, +state[2]) < share ? candidate : stable;
}

/** `js_set`: the name of the upstream that serves this request. Evaluated once a request, when it is proxied. */
function pool(r) {
  const variables = r.variables;
  const state = trafficState(variables).split(" ");
  const colour = colourOf(variables, state);
  variables.app_colour = colour;
  ngx.shared.app_counters.incr("begun:" + colour, 1, 0);
  // A tester wants to see this colour and no other; and a colour that is not admitted backs nobody up.
  if (variables.app_tester || state[colour === "blue" ? 3 : 4] !== "1") {
    return "app_" + colour;
  }
  return colour === "blue" ? "app_blue_or_green" : "app_green_or_blue";
}

/** `js_set` in the access log's format: counts the request as ended, in the log phase, and names its colour. */
function ended(r) {
  const colour = r.variables.app_colour;
  if (colour) {
    ngx.shared.app_counters.incr("ended:" + colour, 1, 0);
  }
  return colour;
}

/** `GET` and `PUT /traffic` on the conductor's socket. Answers with the state that is in force. */
function traffic(r) {
  if (r.method === "PUT") {
    ngx.shared.app_traffic.set("state", r.requestText);
  }
  r.return(200, trafficState(r.variables));
}

/** `GET /counters` on the conductor's socket: requests begun and ended, by the colour first tried. */
function counters(r) {
  const counts = {};
  ngx.shared.app_counters.items().forEach(function (item) {
    counts[item[0]] = item[1];
  });
  r.headersOut["Content-Type"] = "application/json";
  r.return(200, JSON.stringify(counts));
}

export default { pool, ended, traffic, counters };
