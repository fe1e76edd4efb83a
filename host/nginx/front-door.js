/**
 * The front door's part in njs: picks the upstream of each request from the traffic state, and counts what is under way.
 * No weight change needs a reload.
 *
 * The traffic state is one string of six fields, set and read as a whole (`control.js`):
 *   STABLE  BUCKETS-OF-THE-CANDIDATE  SEED  BLUE-MAY-FAIL-OVER  GREEN-MAY-FAIL-OVER  CLOSED
 *   blue    500                       7     1                   1                    0
 *
 * njs runs the whole of a module anew for every request, the top of each import with it. So this holds what every request
 * needs and nothing else; the rest is imported where it is used.
 */
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

function colourOf(variables, state, tester) {
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
  const tester = variables.app_tester;
  const colour = colourOf(variables, state, tester);
  // A tester wants to see this colour and no other; and a colour that is not admitted backs nobody up.
  if (tester || state[colour === "blue" ? 3 : 4] !== "1") {
    return "app_" + colour;
  }
  return colour === "blue" ? "app_blue_or_green" : "app_green_or_blue";
}

/** Counts that a request is open no longer. Workers come and go with each reload: one that has nothing under way leaves nothing behind. */
function close(open) {
  const counters = ngx.shared.app_counters;
  if (counters.incr(open, -1, 0) < 1) {
    counters.delete(open);
  }
}

/**
 * `js_set`: the name of the upstream that serves this request; `closed` for none. Evaluated once a request.
 *
 * The state is read again once the request is counted. Between its first reading and the count a worker may lose the processor for as long as the
 * machine likes: the state changes meanwhile, the conductor finds nothing under way with the colour that loses its users, and stops it.
 */
function pool(r) {
  const variables = r.variables;
  let text = trafficState(variables);
  for (;;) {
    const state = text.split(" ");
    if (isClosedTo(variables, state)) {
      return "closed";
    }
    const name = poolOf(variables, state);
    // By worker, for one that is killed never gets to its log phase: what it had would be under way for ever, and every
    // drain would wait for it.
    const open = "open|" + name + "|" + process.pid;
    ngx.shared.app_counters.incr(open, 1, 0);
    const now = trafficState(variables);
    if (now === text) {
      variables.app_open = open;
      return name;
    }
    close(open);
    text = now;
  }
}

/** The first digit of a status, or `-` for none. */
function classOf(status) {
  return status && status[0] > "0" && status[0] < "6" ? status[0] : "-";
}

/** Which bucket a duration falls into; their bounds are in `metrics.js`. Most are in the first ones. */
function bucketOf(seconds) {
  if (!(seconds > 0.05)) {
    return !(seconds > 0.005) ? 0 : seconds > 0.025 ? 3 : seconds > 0.01 ? 2 : 1;
  }
  if (seconds <= 1) {
    return seconds > 0.5 ? 7 : seconds > 0.25 ? 6 : seconds > 0.1 ? 5 : 4;
  }
  return seconds > 10 ? 11 : seconds > 5 ? 10 : seconds > 2.5 ? 9 : 8;
}

/**
 * `js_set` in the access log's format: counts the request as ended, in the log phase, and names its colour. The keys are
 * told in `metrics.js`.
 */
function ended(r) {
  const variables = r.variables;
  const counters = ngx.shared.app_counters;
  // Who comes with an id has been here before: a program without cookies would be another user each time. Absent until
  // the site's configuration is written by this software.
  const users = ngx.shared.app_users;
  if (users && !variables.app_set_id && !variables.app_probe) {
    users.set(variables.app_id.slice(0, 16), 1);
  }
  const open = variables.app_open;
  // The conductor's own are nobody's requests: they look at colours that nobody is on, and at sites that are closed.
  const counts = !variables.app_probe;
  if (!open) {
    if (counts) counters.incr("door|" + classOf(variables.status), 1, 0);
    return "";
  }
  close(open);
  const name = open.slice(5, open.lastIndexOf("|"));
  // Both are lists where more than one colour was tried; a number is read up to the first comma.
  const status = variables.upstream_status;
  const seconds = parseFloat(variables.upstream_response_time);
  const answer = status ? classOf(status) : "d" + classOf(variables.status);
  if (counts) {
    counters.incr("ended|" + name + "|" + answer + "|" + bucketOf(seconds), 1, 0);
    if (seconds > 0 && answer !== "-" && answer !== "1") {
      counters.incr("seconds|" + name, seconds, 0);
    }
  }
  // `app_COLOUR`, or `app_COLOUR_or_OTHER`.
  return name[4] === "b" ? "blue" : "green";
}

export default { pool, ended, trafficState };
