// Inspection: what hosts are looked into, every request that went to them, and one of them from head to foot.

import { asQuery, get, post, remove } from "./api.js";
import { attribute, button, h, icon, keyed, show, text } from "./dom.js";
import { clock, duration, size, span } from "./format.js";
import { InspectDetail } from "./inspect_detail.js";
import { Listbox } from "./listbox.js";
import { model, tell } from "./model.js";
import { failed } from "./notices.js";
import { place, refine } from "./place.js";
import { statusOf } from "./status_code.js";
import { t } from "./words.js";

const PAGE = 200;
const MOST = 1000;
const QUIET = 300;
const COLUMNS = ["time", "service", "method", "path", "status", "kind", "bytes", "duration"];

export const open = (want) => new Inspect(want);

class Inspect {
  topics = ["inspection"];

  constructor(want) {
    this.want = want;
    this.query = {};
    this.targets = new Map();
    this.records = new Map();
    this.switches = h("div", { class: "chips", role: "group", "aria-label": t("inspect.hosts") });
    this.filter = h("input", {
      type: "search",
      "aria-label": t("inspect.filter"),
      placeholder: t("inspect.filter"),
      class: "mono",
      oninput: () => this.later(),
    });
    this.search = h("input", {
      type: "search",
      "aria-label": t("inspect.search"),
      placeholder: t("inspect.search"),
      oninput: () => this.later(),
    });
    this.said = h("span", { class: "does", role: "status" });
    this.har = h("a", { class: "asbutton", download: "stores.har" }, icon("down"), "HAR");
    const forget = button("trash", t("clear"), () => this.forget());
    const field = (input) => h("span", { class: "search" }, icon("search"), input);
    const bar = h(
      "div",
      { class: "bar" },
      h("h1", {}, t("view.inspect")),
      this.said,
      h("span", { class: "bar end" }, this.har, forget),
    );
    const head = h(
      "div",
      { class: "asked seen head", "aria-hidden": "true" },
      ...COLUMNS.map((name) => h("span", {}, t(name))),
    );
    this.rows = new Listbox(
      { class: "asked seen", "aria-label": t("view.inspect") },
      {
        option: "seen",
        cells,
        chosen: () => this.query.id,
        look: (id) => this.look(id),
        choose: (id) => this.choose(id),
      },
    );
    this.empty = h("div", { class: "empty" }, h("h2", {}, t("inspect.none")), h("p", {}, t("inspect.do")));
    this.detail = new InspectDetail(() => this.choose(""));
    this.split = h(
      "div",
      { class: "split" },
      h("div", { class: "card asked-list" }, head, h("div", { class: "below" }, this.empty, this.rows.element)),
      this.detail.element,
    );
    this.element = h(
      "div",
      { class: "view full" },
      bar,
      this.switches,
      h("div", { class: "bar" }, field(this.filter), field(this.search)),
      this.split,
    );
    this.keys = this.rows.keys;
  }

  arrive(query) {
    this.query = query;
    for (const [input, value] of [
      [this.filter, query.filter],
      [this.search, query.q],
    ])
      if (document.activeElement !== input) input.value = value ?? "";
    attribute(this.har, "href", `/api/v1/inspection/export${asQuery({ format: "har", filter: query.filter })}`);
    this.ask();
  }

  parameters() {
    return { filter: this.query.filter };
  }

  /** What stands in memory already; the stream goes on from there. */
  async ask() {
    const { filter, q } = this.query;
    const asked = (this.asked = {});
    try {
      const [told, { requests }] = await Promise.all([
        get("/inspection"),
        get("/inspection/requests", { filter, q, limit: PAGE }),
      ]);
      if (asked !== this.asked) return;
      this.told(told);
      this.records = new Map(requests.toReversed().map((one) => [one.id, one]));
      text(this.said, "");
    } catch (problem) {
      if (asked !== this.asked) return;
      // an expression that is not finished is no accident
      if (problem.status === 400) text(this.said, problem.message);
      else failed(problem);
    }
    tell("inspection");
  }

  hear(event, data) {
    if (event === "inspection") this.told(data);
    // plain text is searched in bodies, too, which do not come with the stream
    if (event === "inspected" && this.query.q) this.later();
    else if (event === "inspected") for (const one of data.records) this.records.set(one.id, one);
    for (const id of this.records.keys()) if (this.records.size > MOST) this.records.delete(id);
    tell("inspection");
  }

  told({ targets }) {
    this.targets = new Map(targets.map((one) => [one.name, one]));
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      refine({ filter: this.filter.value.trim(), q: this.search.value.trim() });
      this.arrive(place().query);
      this.want();
    }, QUIET);
  }

  update(kinds) {
    if (kinds.has("services") || kinds.has("inspection")) this.offer();
    const list = [...this.records.values()].sort((a, b) => b.at - a.at);
    show(this.rows.element, list.length);
    show(this.empty, !list.length);
    this.rows.has(list);
    this.rows.draw();
    this.detail.update(this.records.get(this.query.id) ?? null);
    attribute(this.split, "class", this.query.id ? "split opened" : "split");
  }

  offer() {
    const names = [...new Set([...model.services.keys(), ...this.targets.keys()])];
    const make = (name) => {
      const left = h("span", { class: "does" });
      const element = h(
        "button",
        { type: "button", onclick: () => this.turn(name, !this.targets.has(name)) },
        icon("eye"),
        name,
        left,
      );
      return { element, left };
    };
    keyed(
      this.switches,
      names,
      (name) => name,
      make,
      ({ element, left }, name) => {
        const target = this.targets.get(name);
        attribute(element, "aria-pressed", String(Boolean(target)));
        text(left, target?.until ? t("inspect.left", { span: span(target.until - Date.now() / 1000) }) : "");
      },
    );
  }

  async turn(name, on) {
    try {
      this.told(await post(`/inspection/${on ? "on" : "off"}`, { targets: [name] }));
    } catch (problem) {
      failed(problem);
    }
    tell("inspection");
  }

  async forget() {
    try {
      await remove("/inspection/requests");
      this.records.clear();
      this.choose("");
    } catch (problem) {
      failed(problem);
    }
  }

  look(id) {
    refine({ id });
    this.query = place().query;
    this.update(new Set());
  }

  choose(id) {
    this.look(id || "");
    if (id) this.detail.element.focus({ preventScroll: true });
  }

  close() {
    clearTimeout(this.timer);
    this.rows.close();
  }
}

const cells = (one) => [
  h("span", { class: "at" }, clock(one.at, true)),
  h("span", { class: "where-to" }, one.replay_of ? icon("replay") : "", one.target),
  h("span", { class: "m" }, one.method),
  h("span", { class: "path", title: one.url }, one.path),
  statusOf({ ...one, status: one.status ?? 0 }),
  h(
    "span",
    { class: "c-kind does" },
    one.messages === null ? (one.type ?? "") : t("inspect.messages", { n: one.messages }),
  ),
  h("span", { class: "c-size does" }, size(one.response_bytes)),
  h("span", { class: "last ms" }, duration(one.duration)),
];
