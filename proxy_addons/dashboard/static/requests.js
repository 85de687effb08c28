// The requests that pass: the newest first, above them the last minute as a picture, beside them one with its trace.

import { attribute, button, h, icon, s, show, text } from "./dom.js";
import { clock, duration } from "./format.js";
import { nameOf } from "./map.js";
import { Listbox } from "./listbox.js";
import { model, tell } from "./model.js";
import { finder, Narrowed } from "./narrowed.js";
import { RequestDetail } from "./request_detail.js";
import { routeBadge } from "./service_row.js";
import { statusOf } from "./status_code.js";
import { isIll, Timeline } from "./timeline.js";
import { t } from "./words.js";

const COLUMNS = ["time", "caller", "method", "path", "status", "duration", "route.went"];
/** Milliseconds that fill the bar of a duration: of its square root, so that quick ones still differ. */
const LONG = 2000;

export const open = () => new Requests();

class Requests extends Narrowed {
  topics = ["traffic", "events"];
  about = "traffic";

  constructor() {
    super();
    this.held = 0;
    this.filter = h("input", {
      type: "search",
      "aria-label": t("requests.filter"),
      placeholder: t("requests.filter"),
      oninput: () => this.narrow({ q: this.filter.value }),
    });
    this.service = h("select", {
      "aria-label": t("service"),
      onchange: () => this.narrow({ service: this.service.value }),
    });
    this.errors = button("warning", t("only.errors"), () => this.narrow({ errors: this.query.errors ? "" : "1" }));
    this.skipped = h("span", { class: "does" });
    const bar = h(
      "div",
      { class: "bar" },
      h("h1", {}, t("view.requests")),
      h("span", { class: "search" }, icon("search"), this.filter),
      this.service,
      this.errors,
      this.skipped,
    );
    this.timeline = new Timeline();
    const head = h(
      "div",
      { class: "asked head", "aria-hidden": "true" },
      ...COLUMNS.map((name) => h("span", { class: name === "route.went" ? "c-route" : null }, t(name))),
    );
    this.rows = new Listbox(
      { class: "asked", "aria-label": t("view.requests") },
      {
        option: "request",
        cells,
        chosen: () => this.query.id,
        look: (id) => this.narrow({ id }),
        choose: (id) => this.choose(id),
      },
    );
    this.rows.element.addEventListener("scroll", () => tell("traffic"), { passive: true });
    this.newer = button("up", "", () => this.toTop(), { class: "floating main", hidden: true });
    this.empty = h("div", { class: "empty" }, h("h2", {}, t("map.none")), h("p", {}, t("traffic.do")));
    this.detail = new RequestDetail(() => this.choose(""));
    this.split = h(
      "div",
      { class: "split" },
      h(
        "div",
        { class: "card asked-list" },
        head,
        h("div", { class: "below" }, this.empty, this.rows.element, this.newer),
      ),
      this.detail.element,
    );
    this.element = h("div", { class: "view full" }, bar, this.timeline.element, this.split);
    this.keys = this.rows.keys;
  }

  arrive(query) {
    super.arrive(query);
    this.offer();
  }

  offer() {
    const names = [...model.services.keys()];
    const chosen = this.query.service ?? "";
    if (chosen && !names.includes(chosen)) names.push(chosen);
    const options = [["", t("all")], ...names.map((name) => [name, name])];
    this.service.replaceChildren(
      ...options.map(([value, label]) => h("option", { value, selected: value === chosen }, label)),
    );
  }

  update(kinds) {
    if (kinds.has("services") && this.service.options.length !== model.services.size + 1) this.offer();
    if (!["traffic", "states", "events"].some((kind) => kinds.has(kind))) return;
    attribute(this.errors, "aria-pressed", String(Boolean(this.query.errors)));
    const before = this.rows.list[0]?.id;
    const found = this.find();
    // who reads further down, or looks at one, must not have it moved away
    const reads = this.rows.element.scrollTop > 4;
    const came = reads && before !== undefined ? found.findIndex((one) => one.id === before) : 0;
    show(this.empty, !found.length);
    show(this.rows.element, found.length);
    this.rows.has(found);
    if (came > 0) this.rows.shift(came);
    this.held = reads ? this.held + Math.max(0, came) : 0;
    show(this.newer, this.held);
    text(this.newer.lastChild, t("newer", { n: this.held }));
    text(this.skipped, model.skipped ? t("skipped", { n: model.skipped.toLocaleString() }) : "");
    this.rows.draw();
    this.detail.update(Number(this.query.id) || 0);
    attribute(this.split, "class", this.detail.shown ? "split opened" : "split");
  }

  find() {
    const { q, service, errors } = this.query;
    const finds = finder(q);
    const found = [];
    for (const one of model.requests.values()) {
      if (service && one.service !== service && one.caller !== service) continue;
      if (errors && !(one.status >= 400 || one.error)) continue;
      if (q && !finds(factsOf(one))) continue;
      found.push(one);
    }
    return found.sort((a, b) => b.at - a.at);
  }

  choose(id) {
    this.narrow({ id: id ? String(id) : "" });
    if (id) this.detail.focus();
    else this.rows.element.focus();
  }

  toTop() {
    this.rows.element.scrollTop = 0;
    this.held = 0;
    tell("traffic");
  }

  close() {
    this.timeline.close();
    this.rows.close();
  }
}

const factsOf = (one) =>
  `${one.method} ${one.host}${one.path} ${one.status} ${one.caller} ${one.service} ${one.trace} ${one.error}`;

const cells = (one) => [
  h("span", { class: "at" }, clock(one.at, true)),
  h("span", { class: "where-to" }, `${nameOf(one.caller)} → ${one.service || one.host}`),
  h("span", { class: "m" }, one.method),
  h("span", { class: "path", title: one.path }, one.path),
  statusOf(one),
  h("span", { class: "last" }, h("span", { class: "ms" }, duration(one.duration)), lengthOf(one)),
  h("span", { class: "c-route" }, one.route ? routeBadge(one.route) : ""),
];

function lengthOf(one) {
  const width = one.duration === null ? 100 : Math.max(2, Math.min(100, Math.sqrt((one.duration * 1000) / LONG) * 100));
  return s(
    "svg",
    {
      class: isIll(one) ? "length ill" : "length",
      viewBox: "0 0 100 8",
      preserveAspectRatio: "none",
      "aria-hidden": "true",
    },
    s("rect", { width: width.toFixed(1), height: 8, rx: 1 }),
  );
}
