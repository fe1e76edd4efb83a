/**
 * The front door's control, on a unix socket that only the conductor reaches: reads and sets the traffic state, and tells
 * what was counted. Requests of users run none of this.
 */
import fs from "fs";
import frontDoor from "front-door.js";
import metrics from "metrics.js";

/** `GET` and `PUT /traffic` on the conductor's socket. Answers with the state that is in force. */
function traffic(r) {
  if (r.method === "PUT") {
    ngx.shared.app_traffic.set("state", r.requestText);
  }
  r.return(200, frontDoor.trafficState(r.variables));
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
  const users = ngx.shared.app_users;
  // What is past its time is still there until somebody asks for it.
  r.return(200, metrics.text(countersByKey(), users ? users.keys().length : 0));
}

export default { traffic, counters, prometheus };
