// What the page knows, and who is told when it changes: once a frame, however much came in between.

/** Points of a plot: two minutes, at one in two seconds. */
const POINTS = 60;
const MOST_MARKS = 500;
const MOST_REQUESTS = 2000;
const MOST_EVENTS = 500;

export const model = {
  connection: "new",
  around: { workspace: "", domain: "", gateway: { http: 0, https: 0, pid: null, state: "" }, mistakes: [], groups: {} },
  services: new Map(),
  /** By service and by process ("netshop", "netshop.web"): {cpu: […], memory: […]}, the newest last. */
  costs: new Map(),
  marks: [],
  requests: new Map(),
  edges: [],
  skipped: 0,
  events: new Map(),
  subscriptions: [],
  /** Of the event broker; null until it has told. */
  health: null,
  /** Services that are being steered: name to verb; and what came of it where it failed. */
  pending: new Map(),
  failures: new Map(),
  /** Topics of the stream that cannot be told of now, and why: {detail, hint}. */
  problems: new Map(),
};

const listeners = new Set();
const changed = new Set();
let frame = 0;

export function listen(told) {
  listeners.add(told);
  return () => listeners.delete(told);
}

export function tell(kind) {
  changed.add(kind);
  frame ||= requestAnimationFrame(() => {
    const kinds = new Set(changed);
    changed.clear();
    frame = 0;
    for (const told of [...listeners]) told(kinds);
  });
}

function bound(map, most) {
  for (const key of map.keys()) {
    if (map.size <= most) return;
    map.delete(key);
  }
}

function around(told) {
  const { services, gone, ...others } = told;
  Object.assign(model.around, others);
}

function costs({ at, costs: told }) {
  const sums = new Map();
  for (const [name, cost] of Object.entries(told)) {
    const dot = name.indexOf(".");
    for (const key of dot > 0 ? [name, name.slice(0, dot)] : [name]) {
      const sum = sums.get(key) ?? { cpu: 0, memory: 0 };
      sums.set(key, { cpu: sum.cpu + cost.cpu, memory: sum.memory + cost.memory });
    }
  }
  // what is gone falls to nothing, and is forgotten once it has been so for the whole plot
  for (const key of new Set([...model.costs.keys(), ...sums.keys()])) {
    const series = model.costs.get(key) ?? { cpu: [], memory: [], at };
    const sum = sums.get(key);
    for (const kind of ["cpu", "memory"]) {
      series[kind].push(sum?.[kind] ?? 0);
      if (series[kind].length > POINTS) series[kind].shift();
    }
    if (sum) series.at = at;
    if (at - series.at > POINTS * 2) model.costs.delete(key);
    else model.costs.set(key, series);
  }
}

const HEARD = {
  services(told) {
    around(told);
    model.services = new Map(told.services.map((one) => [one.name, one]));
    tell("services");
  },
  change(told) {
    around(told);
    for (const one of told.services ?? []) model.services.set(one.name, one);
    for (const name of told.gone ?? []) model.services.delete(name);
    if (told.services?.length) sort();
    tell("services");
  },
  metrics(told) {
    costs(told);
    tell("metrics");
  },
  states({ marks }) {
    // a new stream begins with the newest again
    const known = new Set(model.marks.map(markKey));
    model.marks.push(...marks.filter((one) => !known.has(markKey(one))));
    if (model.marks.length > MOST_MARKS) model.marks.splice(0, model.marks.length - MOST_MARKS);
    tell("states");
  },
  traffic({ requests, edges, skipped }) {
    for (const one of requests ?? []) model.requests.set(one.id, one);
    bound(model.requests, MOST_REQUESTS);
    if (edges) model.edges = edges;
    model.skipped += skipped ?? 0;
    tell("traffic");
  },
  event(told) {
    model.events.set(told.seq, told);
    bound(model.events, MOST_EVENTS);
    tell("events");
  },
  subscriptions(told) {
    model.subscriptions = told.subscriptions;
    tell("subscriptions");
  },
  health(told) {
    model.health = told;
    tell("health");
  },
};

const markKey = (one) => `${one.at} ${one.name} ${one.state}`;

function sort() {
  model.services = new Map([...model.services].sort(([a], [b]) => (a < b ? -1 : 1)));
}

const TOPICS = {
  change: "services",
  "logs-begin": "logs",
  event: "events",
  subscriptions: "events",
  health: "events",
  inspected: "inspection",
};

/** One event of the stream. */
export function heard(event, data) {
  if (event === "problem") model.problems.set(data.topic, data);
  if (event === "problem" || model.problems.delete(TOPICS[event] ?? event)) tell("connection");
  HEARD[event]?.(data);
}
