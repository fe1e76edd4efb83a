/**
 * How the front door tells what it counted: pure functions, run by njs and by the tests.
 *
 * A request costs few operations on the dictionary, so that its keys say much at once:
 *   open|POOL|PID           requests that have not ended, by the worker that has them
 *   POOL|CLASS|SECONDS      requests that ended, by the answer of the colour that was tried first and how long it took, to the millisecond
 *   POOL|CLASS|<=BOUND      the same for those that took a tenth of a second and more, by the bound of their bucket
 *   POOL|CLASS|seconds      how long these took, summed
 *   door|CLASS|0.000        requests that ended before a pool was picked
 * CLASS is the status's first digit; anything but 1 to 5 is no answer, before the client went away. Behind a `d` it is the front
 * door's own answer: no colour was tried.
 */

/**
 * Upper bounds of the buckets of durations, in seconds; one more bucket takes what is longer. `front-door.js` picks by the
 * same ones.
 */
const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** The name of a pool is `app_COLOUR`, or `app_COLOUR_or_OTHER`; the colour is the one that is tried first. */
function colourOf(pool) {
  return pool[4] === "b" ? "blue" : "green";
}

/** The worker in the key of what is open; null for any other key. */
function workerOf(key) {
  return key.startsWith("open|") ? key.slice(key.lastIndexOf("|") + 1) : null;
}

function newColour() {
  return { open: 0, classes: {}, buckets: BOUNDS.map(() => 0).concat(0), seconds: 0 };
}

/** Adds one of the dictionary's counts to what it belongs to. */
function add(colours, door, key, count) {
  const parts = key.split("|");
  if (parts[0] === "open") {
    colours[colourOf(parts[1])].open += count;
  } else if (parts[1][0] === "d") {
    increase(door, classOf(parts[1][1]), count);
  } else {
    addEnded(colours[colourOf(parts[0])], classOf(parts[1]), parts[2], count);
  }
}

function classOf(digit) {
  return digit >= "1" && digit <= "5" ? digit : "-";
}

/** Adds requests that a colour answered, or the seconds that they took. */
function addEnded(colour, cls, time, count) {
  // Nobody waited for an answer that nobody got; and a WebSocket (101) takes as long as its page is open.
  const isTimed = cls !== "-" && cls !== "1";
  if (time === "seconds") {
    colour.seconds += isTimed ? count : 0;
    return;
  }
  increase(colour.classes, cls, count);
  if (!isTimed) {
    return;
  }
  const isExact = time[0] !== "<";
  const seconds = isExact ? +time : +time.slice(2).replace("+Inf", "Infinity");
  const bucket = BOUNDS.findIndex((upTo) => seconds <= upTo);
  colour.buckets[bucket === -1 ? BOUNDS.length : bucket] += count;
  if (isExact) {
    colour.seconds += seconds * count;
  }
}

function increase(counts, key, by) {
  counts[key] = (counts[key] || 0) + by;
}

/** The status classes that were seen, in order, as `class` and count. */
function classLines(colour, classes) {
  return Object.keys(classes)
    .sort()
    .map((digit) => {
      const name = digit === "-" ? "none" : digit + "xx";
      return `front_door_requests_total{colour="${colour}",class="${name}"} ${classes[digit]}`;
    });
}

function durationLines(colour, counted) {
  const name = "front_door_request_duration_seconds";
  let below = 0;
  const lines = counted.buckets.map((count, index) => {
    below += count;
    const bound = index < BOUNDS.length ? BOUNDS[index] : "+Inf";
    return `${name}_bucket{colour="${colour}",le="${bound}"} ${below}`;
  });
  return lines.concat(
    `${name}_sum{colour="${colour}"} ${counted.seconds}`,
    `${name}_count{colour="${colour}"} ${below}`,
  );
}

function family(name, type, help, lines) {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`].concat(lines);
}

/** Tells the counts, an object by the dictionary's keys, and how many users there were, as Prometheus text. */
function text(counts, users) {
  const colours = { blue: newColour(), green: newColour() };
  const door = {};
  Object.keys(counts).forEach((key) => add(colours, door, key, counts[key]));
  const names = Object.keys(colours);
  const each = (lines) => names.map(lines).reduce((all, some) => all.concat(some), []);
  return family(
    "front_door_requests_total",
    "counter",
    "Requests that ended, by the colour first tried and the class of its answer; colour none: answered by the front door.",
    each((name) => classLines(name, colours[name].classes)).concat(classLines("none", door)),
  )
    .concat(
      family(
        "front_door_request_duration_seconds",
        "histogram",
        "How long the colour first tried took, for requests that it answered.",
        each((name) => durationLines(name, colours[name])),
      ),
      family(
        "front_door_requests_in_flight",
        "gauge",
        "Requests, streams and WebSockets that have not ended.",
        each((name) => [`front_door_requests_in_flight{colour="${name}"} ${colours[name].open}`]),
      ),
      family(
        "front_door_active_users",
        "gauge",
        "Different users, by their id cookie, in the last 5 minutes.",
        [`front_door_active_users ${users}`],
      ),
      "",
    )
    .join("\n");
}

export default { BOUNDS, text, workerOf };
