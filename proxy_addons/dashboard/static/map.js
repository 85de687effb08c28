// Who calls whom: drawn from the requests of the last minute, and the same as a table.

import { attribute, h, keyed, s, show, text } from "./dom.js";
import { duration, percent, rate, size } from "./format.js";
import { BOX, layOut } from "./map_layout.js";
import { model } from "./model.js";
import { go } from "./place.js";
import { stateSign, toneOf } from "./state.js";
import { t } from "./words.js";

const TIP = "M0 0L-9-4.5V4.5z";
const OUTER = new Set(["browser", "unknown"]);
const COLUMNS = ["caller", "callee", "per.second", "requests", "errors", "median", "p95", "bytes"];

export const open = () => new TrafficMap();
export const nameOf = (caller) => (OUTER.has(caller) ? t(`caller.${caller}`) : caller);

const keyOf = (edge) => `${edge.caller} ${edge.service}`;

class TrafficMap {
  topics = ["traffic"];

  constructor() {
    this.edges = s("g");
    this.labels = s("g");
    this.nodes = s("g");
    this.picture = s("svg", { role: "img", "aria-label": t("map.title") }, this.edges, this.nodes, this.labels);
    this.frame = h("figure", { class: "map card", tabindex: 0 }, this.picture);
    const head = COLUMNS.map((word, index) => h("th", { scope: "col", class: index > 1 ? "num" : null }, t(word)));
    this.rows = h("tbody");
    this.table = h(
      "section",
      { class: "card pad" },
      h("h2", {}, t("map.table")),
      h(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": t("map.table") },
        h("table", {}, h("thead", {}, h("tr", {}, ...head)), this.rows),
      ),
    );
    this.empty = h("div", { class: "card empty" }, h("h2", {}, t("map.none")), h("p", {}, t("traffic.do")));
    this.element = h(
      "div",
      { class: "view" },
      h("div", { class: "bar" }, h("h1", {}, t("map.title")), h("span", { class: "does" }, t("map.about"))),
      this.empty,
      this.frame,
      this.table,
    );
  }

  update(kinds) {
    if (!kinds.has("traffic") && !kinds.has("services")) return;
    const edges = model.edges.filter((one) => one.service).sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
    for (const part of [this.frame, this.table]) show(part, edges.length);
    show(this.empty, !edges.length);
    if (edges.length) this.draw(edges);
  }

  draw(edges) {
    const shape = edges.map(keyOf).join();
    if (shape !== this.shape) {
      this.shape = shape;
      this.laid = layOut(edges);
      const { width, height } = this.laid;
      attribute(this.picture, "viewBox", `0 0 ${width} ${height}`);
      attribute(this.picture, "width", width);
      attribute(this.picture, "height", height);
      for (const part of [this.edges, this.labels, this.nodes]) {
        part.replaceChildren();
        part.keyed = undefined;
      }
    }
    keyed(this.edges, edges, keyOf, (edge) => this.edge(edge), drawEdge);
    keyed(this.labels, edges, keyOf, (edge) => this.label(edge), tellEdge);
    keyed(
      this.nodes,
      [...this.laid.places.keys()],
      (name) => name,
      (name) => this.node(name),
      drawNode,
    );
    keyed(this.rows, edges, keyOf, row, tellRow);
  }

  edge({ caller, service }) {
    const { d, tip } = this.laid.ways.get(`${caller} ${service}`);
    const path = s("path", { d });
    const element = s(
      "g",
      { class: "edge" },
      path,
      s("path", { class: "tip", d: TIP, transform: `translate(${tip.x} ${tip.y}) rotate(${tip.turn})` }),
    );
    return { element, path };
  }

  label({ caller, service }) {
    const { middle } = this.laid.ways.get(`${caller} ${service}`);
    const said = s("title");
    const words = s("text", { x: middle.x, y: middle.y - 5, "text-anchor": "middle" });
    const errors = s("text", { x: middle.x, y: middle.y + 14, "text-anchor": "middle" });
    return { element: s("g", { class: "edge" }, said, words, errors), said, words, errors };
  }

  node(name) {
    const { x, y } = this.laid.places.get(name);
    const sub = s("text", { class: "sub", x: 12, y: 37 });
    const choose = OUTER.has(name) ? null : () => go("services", { name });
    const element = s(
      "g",
      { class: "node", transform: `translate(${x} ${y})` },
      s("rect", { ...BOX, rx: 8 }),
      s("text", { x: 12, y: OUTER.has(name) ? 28 : 20 }, nameOf(name)),
      sub,
    );
    if (choose) element.addEventListener("click", choose);
    return { element, sub };
  }
}

const isIll = (edge) => edge.errors > 0;

function drawEdge({ element, path }, edge) {
  attribute(element, "class", isIll(edge) ? "edge ill" : "edge");
  attribute(path, "stroke-width", (1.25 + Math.min(4, Math.log10(1 + edge.rate) * 2.5)).toFixed(1));
}

function tellEdge({ element, said, words, errors }, edge) {
  attribute(element, "class", isIll(edge) ? "edge ill" : "edge");
  text(words, `${rate(edge.rate)}/s · ${duration(edge.p50)}`);
  text(errors, isIll(edge) ? `✕ ${percent((edge.errors / edge.requests) * 100)}` : "");
  text(
    said,
    t("edge.said", {
      caller: nameOf(edge.caller),
      service: edge.service,
      rate: rate(edge.rate),
      errors: edge.errors,
      p50: duration(edge.p50),
    }),
  );
}

function drawNode({ element, sub }, name) {
  const service = model.services.get(name);
  attribute(element, "class", `node ${service ? service.route : "outer"}`);
  // what is broken leads nowhere, so its state is all there is to say, and the box has room for it
  const route = service && toneOf(service.state) !== "bad" ? `${t(`route.${service.route}`)} · ` : "";
  text(sub, service ? `${route}${t(`state.${service.state}`)}` : "");
}

function row({ caller, service }) {
  const known = model.services.get(service);
  const cells = COLUMNS.slice(2).map(() => h("td", { class: "num" }));
  const name = h(
    "td",
    {},
    h("a", { href: `/services?name=${service}` }, service),
    " ",
    known ? stateSign(known.state) : "",
  );
  return { element: h("tr", {}, h("th", { scope: "row" }, nameOf(caller)), name, ...cells), cells };
}

function tellRow({ cells }, edge) {
  const told = [rate(edge.rate), edge.requests, edge.errors, duration(edge.p50), duration(edge.p95), size(edge.bytes)];
  told.forEach((value, index) => text(cells[index], value));
  cells[2].className = edge.errors ? "num bad" : "num";
}
