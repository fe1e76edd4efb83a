/**
 * The front door's control, on a unix socket that only the conductor reaches: reads and sets the traffic state, and tells
 * what was counted. Requests of users run none of this.
 */
import fs from "fs";
import frontDoor from "front-door.js";
import metrics from "metrics.js";

/** The traffic state as its six fields: `packed` of `front-door.js` undone. */
function unpacked(state) {
  const flags = state % 16;
  const above = (state - flags) / 16;
  const buckets = above % 16384;
  const flag = (bit) => (flags & bit ? 1 : 0);
  return [flag(8) ? "green" : "blue", buckets, (above - buckets) / 16384, flag(4), flag(2), flag(1)].join(
    " ",
  );
}

/** `GET` and `PUT /traffic` on the conductor's socket. Answers with the state that is in force. */
function traffic(r) {
  const counters = ngx.shared.app_counters;
  if (r.method === "PUT") {
    counters.set("state", frontDoor.packed(r.requestText));
  }
  r.return(200, unpacked(frontDoor.trafficState(counters, r.variables)));
}

/**
 * What is counted, by key, and is not none. What a worker had under way that is gone is forgotten here, for it will never
 * end.
 */
function countersByKey() {
  const counts = {};
  ngx.shared.app_counters.items().forEach(function (item) {
    const worker = metrics.workerOf(item[0]);
    if (worker !== null && !fs.existsSync("/proc/" + worker)) {
      ngx.shared.app_counters.delete(item[0]);
    } else if (item[0] !== "state" && item[1] !== 0) {
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
  // What is past its time is still there until somebody asks for it.
  r.return(200, metrics.text(countersByKey(), ngx.shared.app_users.keys().length));
}

export default { traffic, counters, prometheus };
