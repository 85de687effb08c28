// Where the nodes of the map stand: callers to the left of whom they call, few edges that cross, none behind a node.
// Pure: edges in, places and ways out. An edge over several columns gets a place of its own in each that it passes.

export const BOX = { width: 176, height: 46 };
/** Between two columns there is room for an edge's words. */
const COLUMN = 304;
const ROW = 84;
/** The height that an edge takes where it passes a column. */
const PASSING = 34;
const EDGE = 12;
/** Room above for an edge from a node to itself, and below for those that lead back. */
const ABOVE = 30;
const BELOW = 34;
/** Rounds of putting each node near the middle of its neighbours. */
const ROUNDS = 6;

const keyOf = ({ caller, service }) => `${caller} ${service}`;

/** `edges`: {caller, service}. Gives {places: name → {x, y}, ways: "caller service" → way, width, height}. */
export function layOut(edges) {
  const depth = depths(edges);
  const steps = inSteps(edges, depth);
  const columns = ordered(depth, steps);
  const heights = columns.map((column) => column.reduce((sum, one) => sum + (one.passes ? PASSING : ROW), 0));
  const most = Math.max(ROW, ...heights);
  const spots = new Map();
  columns.forEach((column, at) => {
    let y = EDGE + ABOVE + (most - heights[at]) / 2;
    for (const one of column) {
      spots.set(one.name, { x: EDGE + at * COLUMN, y, passes: one.passes });
      y += one.passes ? PASSING : ROW;
    }
  });
  const ways = new Map(edges.map((edge) => [keyOf(edge), way(edge, steps, spots)]));
  const places = new Map([...spots].filter(([, spot]) => !spot.passes));
  return {
    places,
    ways,
    width: EDGE * 2 + (columns.length - 1) * COLUMN + BOX.width,
    height: EDGE * 2 + ABOVE + most + BELOW,
  };
}

/** The longest way from a caller that nobody calls; a circle ends where it would close. */
function depths(edges) {
  const callers = new Map();
  for (const { caller, service } of edges) {
    for (const name of [caller, service]) if (!callers.has(name)) callers.set(name, new Set());
    if (caller !== service) callers.get(service).add(caller);
  }
  const found = new Map();
  const walk = (name, above) => {
    if (found.has(name)) return found.get(name);
    let depth = 0;
    for (const caller of callers.get(name))
      if (!above.has(caller)) depth = Math.max(depth, walk(caller, new Set(above).add(caller)) + 1);
    found.set(name, depth);
    return depth;
  };
  for (const name of [...callers.keys()].sort()) walk(name, new Set([name]));
  const used = [...new Set(found.values())].sort((a, b) => a - b);
  return new Map([...found].map(([name, one]) => [name, used.indexOf(one)]));
}

/** Each edge that leads right as its stations from column to column: the names of nodes, and of places where it passes. */
function inSteps(edges, depth) {
  const steps = new Map();
  for (const edge of edges) {
    const [from, to] = [depth.get(edge.caller), depth.get(edge.service)];
    if (to <= from) continue;
    const passing = Array.from({ length: to - from - 1 }, (_, index) => `${keyOf(edge)} ${index}`);
    steps.set(keyOf(edge), [edge.caller, ...passing, edge.service]);
    passing.forEach((name, index) => depth.set(name, from + 1 + index));
  }
  return steps;
}

function ordered(depth, steps) {
  const columns = [];
  for (const name of [...depth.keys()].sort())
    (columns[depth.get(name)] ??= []).push({ name, passes: name.includes(" ") });
  const before = new Map();
  for (const stations of steps.values())
    stations.forEach((name, at) => at && before.set(name, [...(before.get(name) ?? []), stations[at - 1]]));
  for (let round = 0; round < ROUNDS; round += 1) for (const column of columns) untangle(column, columns, before);
  return columns;
}

function untangle(column, columns, before) {
  const row = new Map(columns.flatMap((one) => one.map(({ name }, at) => [name, at - one.length / 2])));
  const wish = new Map(
    column.map(({ name }) => {
      const near = (before.get(name) ?? []).map((one) => row.get(one));
      return [name, near.length ? near.reduce((sum, one) => sum + one, 0) / near.length : row.get(name)];
    }),
  );
  column.sort((a, b) => wish.get(a.name) - wish.get(b.name) || (a.name < b.name ? -1 : 1));
}

/** An edge as a path, the middle of it for words, and its tip. */
function way(edge, steps, spots) {
  const [from, to] = [spots.get(edge.caller), spots.get(edge.service)];
  const stations = steps.get(keyOf(edge));
  if (stations) return onward(stations.map((name) => spots.get(name)));
  return from === to ? toItself(from) : back(from, to);
}

function onward(stations) {
  const end = stations.at(-1);
  const points = stations.flatMap((spot) => {
    const y = spot.y + (spot.passes ? PASSING : BOX.height) / 2;
    if (spot.passes)
      return [
        { x: spot.x, y },
        { x: spot.x + BOX.width, y },
      ];
    return [{ x: spot === end ? spot.x - 6 : spot.x + BOX.width, y }];
  });
  let d = `M${points[0].x} ${points[0].y}`;
  for (let at = 1; at < points.length; at += 1) {
    const [a, b] = [points[at - 1], points[at]];
    const bend = (b.x - a.x) / 2;
    d += a.y === b.y ? `H${b.x}` : `C${a.x + bend} ${a.y} ${b.x - bend} ${b.y} ${b.x} ${b.y}`;
  }
  // where it passes a column there is room for words; else half way
  const passing = stations.find((spot) => spot.passes);
  const [a, b] = points;
  const middle = passing
    ? { x: passing.x + BOX.width / 2, y: passing.y + PASSING / 2 }
    : { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  return { d, middle, tip: { x: end.x, y: points.at(-1).y, turn: 0 } };
}

function toItself({ x, y }) {
  const right = x + BOX.width;
  return {
    d: `M${right - 44} ${y}C${right - 44} ${y - 30} ${right - 8} ${y - 30} ${right - 8} ${y - 5}`,
    middle: { x: right - 26, y: y - 20 },
    tip: { x: right - 8, y, turn: 90 },
  };
}

function back(from, to) {
  const low = Math.max(from.y, to.y) + BOX.height + 26;
  const [left, right] = [from.x + BOX.width / 2 - 14, to.x + BOX.width / 2 + 14];
  const d = `M${left} ${from.y + BOX.height}C${left} ${low} ${right} ${low} ${right} ${to.y + BOX.height + 6}`;
  return { d, middle: { x: (left + right) / 2, y: low - 4 }, tip: { x: right, y: to.y + BOX.height, turn: 270 } };
}
