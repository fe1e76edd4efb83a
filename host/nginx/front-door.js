/**
 * The front door's part in njs: picks the upstream of each request from the traffic state, counts what is under way,
 * and lets the conductor read and set that state through a unix socket. No weight change needs a reload.
 *
 * The traffic state is one string of six fields, set and read as a whole:
 *   STABLE  BUCKETS-OF-THE-CANDIDATE  SEED  BLUE-MAY-FAIL-OVER  GREEN-MAY-FAIL-OVER  CLOSED
 *   blue    500                       7     1                   1                    0
 */
import fs from "fs";
import metrics from "metrics.js";
import split from "split.js";

/** The dictionary is empty after a start of Nginx; the configuration then holds what the conductor wrote last. */
function trafficState(variables) {
  const state = ngx.shared.app_traffic.get("state");
  return state === undefined ? variables.app_traffic_fallback : state;
}

/** Closed by the conductor or by the file that anyone on the host may make; some pass all the same. */
function isClosedTo(variables, state) {
  return (
    (state[5] === "1" || variables.app_closed_by_file) &&
    !(variables.app_tester || variables.app_probe || variables.app_passes)
  );
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

function poolOf(variables, state) {
  const colour = colourOf(variables, state);
  // A tester wants to see this colour and no other; and a colour that is not admitted backs nobody up.
  if (variables.app_tester || state[colour === "blue" ? 3 : 4] !== "1") {
    return "app_" + colour;
  }
  return colour === "blue" ? "app_blue_or_green" : "app_green_or_blue";
}

/** `js_set`: the name of the upstream that serves this request; `closed` for none. Evaluated once a request. */
function pool(r) {
  const variables = r.variables;
  const state = trafficState(variables).split(" ");
  if (isClosedTo(variables, state)) {
    return "closed";
  }
  const name = poolOf(variables, state);
  variables.app_begun = name;
  ngx.shared.app_counters.incr(metrics.openKey(name, process.pid), 1, 0);
  return name;
}

/** `js_set` in the access log's format: counts the request as ended, in the log phase, and names its colour. */
function ended(r) {
  const variables = r.variables;
  const counters = ngx.shared.app_counters;
  const begun = variables.app_begun;
  if (!begun) {
    counters.incr("door|" + metrics.classOf(variables.status), 1, 0);
    return "";
  }
  const open = metrics.openKey(begun, process.pid);
  // Workers come and go with each reload: one that has nothing under way leaves nothing behind.
  if (counters.incr(open, -1, 0) < 1) {
    counters.delete(open);
  }
  // Both are lists where more than one colour was tried; a number is read up to the first comma.
  const status = variables.upstream_status;
  const seconds = parseFloat(variables.upstream_response_time);
  const cls = status ? metrics.classOf(status) : "d" + metrics.classOf(variables.status);
  counters.incr(metrics.endedKey(begun, cls, seconds), 1, 0);
  if (seconds > 0 && cls !== "-") {
    counters.incr("seconds|" + begun, seconds, 0);
  }
  return metrics.colourOf(begun);
}

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

/** `GET` and `PUT /traffic` on the conductor's socket. Answers with the state that is in force. */
function traffic(r) {
  if (r.method === "PUT") {
    ngx.shared.app_traffic.set("state", r.requestText);
  }
  r.return(200, trafficState(r.variables));
}

/** What is counted, by key. What a worker had under way that is gone is forgotten here, for it will never end. */
function countersByKey() {
  const counts = {};
  ngx.shared.app_counters.items().forEach(function (item) {
    const worker = metrics.workerOf(item[0]);
    if (worker !== null && !fs.existsSync("/proc/" + worker)) {
      ngx.shared.app_counters.delete(item[0]);
    } else {
      counts[item[0]] = item[1];
    }
  });
  return counts;
}

/** `GET /counters` on the conductor's socket: what was counted, by key (see `metrics.js`). */
function counters(r) {
  r.headersOut["Content-Type"] = "application/json";
  r.return(200, JSON.stringify(countersByKey()));
}

/** `GET /metrics` on the conductor's socket: the same as Prometheus text. */
function prometheus(r) {
  r.headersOut["Content-Type"] = "text/plain; version=0.0.4; charset=utf-8";
  r.return(200, metrics.text(countersByKey()));
}

export default { pool, ended, refuse, traffic, counters, prometheus };
