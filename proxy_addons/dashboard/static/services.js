// The first view: every service as a row, one of them with its details beside.

import { attribute, button, h, icon, keyed, show, text } from "./dom.js";
import { sure } from "./dialogs.js";
import { model } from "./model.js";
import { finder, Narrowed } from "./narrowed.js";
import { go } from "./place.js";
import { ServiceDetail } from "./service_detail.js";
import { ServiceRow } from "./service_row.js";
import { answers, isUp } from "./state.js";
import { steer } from "./steering.js";
import { t } from "./words.js";

/** More than these are not stopped or restarted without being asked twice. */
const UNASKED = 1;
const COLUMNS = ["state", "service", "cpu", "memory", "uptime", "route", "address", "actions"];

export const open = () => new Services();

class Services extends Narrowed {
  topics = ["metrics"];
  about = "services";

  constructor() {
    super();
    this.filter = h("input", {
      type: "search",
      "aria-label": t("filter.services"),
      placeholder: t("filter"),
      oninput: () => this.narrow({ q: this.filter.value }),
    });
    this.chips = h("div", { class: "chips", role: "group", "aria-label": t("groups") });
    this.count = h("span", { class: "does", role: "status" });
    this.whom = h("span", { class: "does" });
    this.verbs = Object.fromEntries(
      ["start", "stop", "restart"].map((verb) => [verb, button(verb, t(verb), () => this.steerShown(verb))]),
    );
    const bulk = h(
      "span",
      { class: "bar end", role: "group", "aria-label": t("actions") },
      this.whom,
      ...Object.values(this.verbs),
    );
    const bar = h("div", { class: "bar" }, h("h1", {}, t("view.services")), this.count, bulk);
    const narrow = h("div", { class: "bar" }, h("span", { class: "search" }, icon("search"), this.filter), this.chips);
    this.body = h("div", { role: "rowgroup" });
    const head = h(
      "div",
      { role: "row", class: "row head" },
      ...COLUMNS.map((name) => h("span", { role: "columnheader", class: `c-${name}` }, t(name))),
    );
    this.table = h(
      "div",
      { class: "services card", role: "table", "aria-label": t("view.services") },
      h("div", { role: "rowgroup" }, head),
      this.body,
    );
    this.empty = h("div", { class: "card empty", hidden: true });
    this.detail = new ServiceDetail(() => this.choose(""));
    this.split = h("div", { class: "split" }, h("div", {}, this.table, this.empty), this.detail.element);
    this.element = h("div", { class: "view" }, bar, narrow, this.split);
    this.keys = {
      j: () => this.move(1),
      k: () => this.move(-1),
      Enter: (event) => !event.target.closest("a, button") && this.withFocus((name) => this.choose(name)),
      s: () => this.withFocus((name) => steer("start", [name])),
      x: () => this.withFocus((name) => steer("stop", [name])),
      r: () => this.withFocus((name) => steer("restart", [name])),
      o: () => this.withFocus((name) => go("logs", { targets: name })),
      Escape: () => this.choose(""),
    };
  }

  update(kinds) {
    if (kinds.has("services")) this.list();
    if (kinds.has("metrics")) for (const row of this.body.keyed?.values() ?? []) row.measure();
    if (["services", "metrics", "states"].some((kind) => kinds.has(kind))) this.detail.update(this.query.name);
  }

  list() {
    this.shown = this.find();
    keyed(
      this.body,
      this.shown,
      (one) => one.name,
      (one) => new ServiceRow(one, (name) => this.choose(name)),
      (row, one) => row.update(one, one.name === this.query.name),
    );
    const all = [...model.services.values()];
    text(
      this.count,
      all.length ? t("services.count", { up: all.filter((one) => answers(one.state)).length, n: all.length }) : "",
    );
    this.offerGroups();
    this.offerVerbs(all.length);
    show(this.table, this.shown.length);
    show(this.empty, !this.shown.length && model.connection !== "new");
    if (!this.shown.length)
      this.empty.replaceChildren(
        h("h2", {}, t(all.length ? "none.match" : "none.services")),
        all.length ? "" : h("code", {}, t("none.services.do")),
      );
    attribute(this.split, "class", this.query.name && model.services.has(this.query.name) ? "split opened" : "split");
  }

  find() {
    const finds = finder(this.query.q);
    const group = model.around.groups?.[this.query.group];
    return [...model.services.values()].filter((one) => {
      const facts = `${one.name} ${one.description} ${one.state} ${t(`state.${one.state}`)} ${one.route} ${one.hosts.join(" ")} ${one.port ?? ""}`;
      return (!group || group.includes(one.name)) && finds(facts);
    });
  }

  offerGroups() {
    const groups = Object.keys(model.around.groups ?? {});
    show(this.chips, groups.length);
    const make = (name) => button(null, name, () => this.narrow({ group: this.query.group === name ? "" : name }));
    keyed(
      this.chips,
      groups,
      (name) => name,
      make,
      (chip, name) => attribute(chip, "aria-pressed", this.query.group === name ? "true" : "false"),
    );
  }

  offerVerbs(all) {
    const { group } = this.query;
    const n = this.shown.length;
    text(
      this.whom,
      group && !this.query.q ? t("with.group", { name: group }) : t(n === all ? "with.all" : "with.shown", { n }),
    );
    const up = this.shown.filter((one) => isUp(one.state)).length;
    this.verbs.start.disabled = up === n;
    this.verbs.stop.disabled = this.verbs.restart.disabled = !up;
  }

  async steerShown(verb) {
    const { group, q } = this.query;
    const names = this.shown.filter((one) => verb === "start" || isUp(one.state)).map((one) => one.name);
    if (verb !== "start" && names.length > UNASKED && !(await sure(t(`${verb}.sure`, { n: names.length }), t(verb))))
      return;
    steer(verb, group && !q && verb === "start" ? [group] : names, names);
  }

  choose(name) {
    const before = this.query.name;
    this.narrow({ name });
    if (name) this.detail.focus();
    else if (before)
      this.rows()
        .find((row) => row.dataset.name === before)
        ?.focus();
  }

  rows() {
    return [...this.body.children];
  }

  move(step) {
    const rows = this.rows();
    const at = rows.indexOf(document.activeElement?.closest?.(".row"));
    rows[Math.min(rows.length - 1, Math.max(0, at + step))]?.focus();
  }

  withFocus(does) {
    const name = document.activeElement?.closest?.("[data-name]")?.dataset.name;
    if (!name) return false;
    does(name);
    return true;
  }
}
