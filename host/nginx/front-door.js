/**
 * The front door's part in njs: picks the upstream of each request from the traffic state, and counts what is under way.
 * No weight change needs a reload.
 *
 * The traffic state is told as six fields (`control.js`, and the file that Nginx starts with):
 *   STABLE  BUCKETS-OF-THE-CANDIDATE  SEED  BLUE-MAY-FAIL-OVER  GREEN-MAY-FAIL-OVER  CLOSED
 *   blue    500                       7     1                   1                    0
 * and kept as one number, in one dictionary with the counts. What a request costs is how much of njs it uses for the
 * first time: njs runs the whole of a module anew for every request, the top of each import with it, and makes each
 * object and method of Nginx' anew when it is first asked for. So this holds what every request needs and nothing else,
 * and takes what it needs once; the rest is imported where it is used.
 */
import split from "split.js";

/** In the traffic state, from its lowest bit on. Above them 14 bits of the candidate's buckets, and the seed's 32. */
const CLOSED = 1;
const GREEN_FAILS_OVER = 2;
const BLUE_FAILS_OVER = 4;
const GREEN_IS_STABLE = 8;
const FLAGS = 16;
const SHARES = 16384;

/** The traffic state of six fields as one number; what is no number is 0, for a state that is not equal to itself could never be read again. */
function packed(text) {
  const fields = text.split(" ");
  const flag = (field, value) => (field === "1" ? value : 0);
  return (
    ((+fields[2] * SHARES + +fields[1]) * FLAGS || 0) +
    (fields[0] === "green" ? GREEN_IS_STABLE : 0) +
    flag(fields[3], BLUE_FAILS_OVER) +
    flag(fields[4], GREEN_FAILS_OVER) +
    flag(fields[5], CLOSED)
  );
}

/** The dictionary is empty after a start of Nginx; the configuration then holds what the conductor wrote last. */
function trafficState(counters, variables) {
  const state = counters.get("state");
  return state === undefined ? packed(variables.app_traffic_fallback) : state;
}

/** Closed by the conductor or by the file that anyone on the host may make; some pass all the same. */
function isClosedTo(variables, flags) {
  return (
    (flags & CLOSED || variables.app_closed_by_file) &&
    !(variables.app_tester || variables.app_probe || variables.app_passes)
  );
}

/** Is it green that this request goes to first? */
function goesToGreen(variables, state, flags) {
  const stableIsGreen = flags >= GREEN_IS_STABLE;
  const above = (state - flags) / FLAGS;
  const share = above % SHARES;
  if (share === 0) {
    return stableIsGreen;
  }
  if (variables.app_pinned) {
    // Everything on the candidate and no failover between the two: stable is out of service, and pinned to it would
    // be lost.
    return (share === split.BUCKETS && !(flags & BLUE_FAILS_OVER)) !== stableIsGreen;
  }
  return split.bucket(variables.app_id, (above - share) / SHARES) < share !== stableIsGreen;
}

/** The name of the upstream, or `closed`. */
function poolOf(variables, state) {
  const flags = state % FLAGS;
  if (isClosedTo(variables, flags)) {
    return "closed";
  }
  // A tester wants to see this colour and no other; and a colour that is not admitted backs nobody up.
  const tester = variables.app_tester;
  if (tester) {
    return "app_" + tester;
  }
  if (goesToGreen(variables, state, flags)) {
    return flags & GREEN_FAILS_OVER ? "app_green_or_blue" : "app_green";
  }
  return flags & BLUE_FAILS_OVER ? "app_blue_or_green" : "app_blue";
}

/**
 * `js_set`: the name of the upstream that serves this request; `closed` for none. Evaluated once a request.
 *
 * The state is read again once the request is counted. Between its first reading and the count a worker may lose the processor for as long as the
 * machine likes: the state changes meanwhile, the conductor finds nothing under way with the colour that loses its users, and stops it.
 */
function pool(r) {
  const variables = r.variables;
  const counters = ngx.shared.app_counters;
  let state = trafficState(counters, variables);
  for (;;) {
    const name = poolOf(variables, state);
    if (name === "closed") {
      return name;
    }
    // By worker, for one that is killed never gets to its log phase: what it had would be under way for ever, and every
    // drain would wait for it.
    const open = "open|" + name + "|" + variables.pid;
    counters.incr(open, 1, 0);
    const now = trafficState(counters, variables);
    if (now === state) {
      variables.app_open = open;
      return name;
    }
    counters.incr(open, -1, 0);
    state = now;
  }
}

/**
 * `js_set` in the access log's format: counts the request as ended, in the log phase, and names its colour. The keys are
 * told in `metrics.js`.
 */
function ended(r) {
  const variables = r.variables;
  const counters = ngx.shared.app_counters;
  const probe = variables.app_probe;
  // Who comes with an id has been here before: a program without cookies would be another user each time.
  if (!variables.app_set_id && !probe) {
    ngx.shared.app_users.set(variables.app_id.slice(0, 16), 1);
  }
  const open = variables.app_open;
  if (open) {
    counters.incr(open, -1, 0);
  }
  // The conductor's own are nobody's requests: they look at colours that nobody is on, and at sites that are closed.
  if (!probe) {
    count(counters, variables, open ? variables.app_pool : "door");
  }
  return !open ? "" : open[9] === "b" ? "blue" : "green";
}

/**
 * Counts by the answer and the time of the colour that was tried first: where more were tried, Nginx tells both as lists. Nearly all are answered
 * within a tenth of a second, and then what Nginx tells is a key as it is, which says how long it took as well.
 */
function count(counters, variables, name) {
  const status = variables.upstream_status;
  const key = name + "|" + (status ? status[0] : "d" + variables.status[0]) + "|";
  const time = variables.upstream_response_time;
  if (time && time.length === 5 && time < "0.1") {
    counters.incr(key + time, 1, 0);
    return;
  }
  const seconds = parseFloat(time) || 0;
  if (seconds < 0.1) {
    counters.incr(key + seconds.toFixed(3), 1, 0);
    return;
  }
  const bound = [0.1, 0.25, 0.5, 1, 2.5, 5, 10].find((upTo) => seconds <= upTo);
  counters.incr(key + "<=" + (bound || "+Inf"), 1, 0);
  counters.incr(key + "seconds", seconds, 0);
}

export default { pool, ended, packed, trafficState };
